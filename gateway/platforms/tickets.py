"""The steps of most provincial platforms: a ticket is exchanged for a token, a token for what is known of a person.

A dialect fills in the requests and says how its answers are read; calls.py asks, settings.py configures.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from gateway.contracts import HttpAnswer, PartContext
from gateway.errors import CredentialRejected, SignInMalformed, SignInRefused
from gateway.model import Credential, Kind, Principal
from gateway.platforms.calls import PlatformCalls, SuccessRule, as_text, judging, read_object, signing_in
from gateway.platforms.settings import PlatformSettings
from gateway.signin import Login, Platform, Profile, SignIn, Unit
from gateway.tokens.bearer import is_bearer_token
from gateway.tokens.claims import read_text, read_version
from gateway.tokens.jose import looks_like_jwt

P = TypeVar("P", bound=PlatformSettings)
T = TypeVar("T")


class TicketPlatform(Platform[P]):
    """A platform whose login page sends the browser back with a ticket.

    Attributes:
        ticket: the parameter of the callback that holds the ticket.
        kinds: as whom people can sign in there.
        code: the member of its answers that says whether all went well.
        good: values of it that say so.
        reason: the member that says why not, where it is another one.
        calls: the questions to it.
    """

    ticket = "ticket"
    kinds: tuple[Kind, ...] = (Kind.NATURAL,)
    code = "code"
    good: tuple[str, ...] = ("0",)
    reason = ""

    def __init__(self, config: P, context: PartContext) -> None:
        super().__init__(config, context)
        self.calls = PlatformCalls(config, context)
        self.remember = config.remember
        self.remember_rejected = config.remember_rejected
        self._tokens = re.compile(config.tokens)
        self._rule = SuccessRule(self.code, frozenset(self.good), frozenset(config.faults), self.reason)

    @abstractmethod
    async def exchange(self, ticket: str, login: Login) -> str:
        """The token that a ticket stands for. Asked once per ticket.

        Raises:
            CredentialRejected, UntrueAnswer, VerifierUnavailable: as PlatformCalls.ask does.
        """

    @abstractmethod
    async def describe(self, token: str, kind: Kind | None) -> SignIn:
        """Whom a token belongs to.

        Args:
            token: the token.
            kind: as whom the visitor wanted to sign in; None when just the token is known.

        Raises:
            CredentialRejected, UntrueAnswer, VerifierUnavailable: as PlatformCalls.ask does.
        """

    def status(self) -> dict[str, Any]:
        """The breaker's state and the clock's offset."""
        return self.calls.status()

    async def verify(self, credential: Credential) -> Principal | None:
        """Ask whose token this is; None for a session, a JWT, and what has not the configured form.

        Raises:
            CredentialRejected: the platform says no.
            VerifierUnavailable: the platform did not say, or must not be asked now.
        """
        token = credential.token or ""
        if not is_bearer_token(token) or looks_like_jwt(token) or self._tokens.fullmatch(token) is None:
            return None
        with judging():
            return (await self.describe(token, None)).principal

    async def redeem(self, answer: Mapping[str, str], login: Login) -> SignIn:
        """Exchange the ticket of a callback, once, and ask whom the token belongs to."""
        ticket = answer.get(self.ticket, "")
        with signing_in():
            await self.calls.use(ticket)
            token = await self.exchange(ticket, login)
            signed_in = await self.describe(token, login.kind)
            check_kind(signed_in.principal, login)
        return msgspec.structs.replace(signed_in, token=token, ticket=ticket)

    async def ask(
        self,
        path: str,
        read: Callable[[dict[str, Any]], T],
        *,
        form: Mapping[str, str] | None = None,
        value: object = None,
        fields: Mapping[str, str] | None = None,
    ) -> T:
        """Ask the interface once (POST), and read the answer where it says that all went well.

        Raises:
            CredentialRejected, UntrueAnswer, VerifierUnavailable: as PlatformCalls.ask does.
        """
        url = self.config.interface(path)
        return await self.calls.ask(url, lambda answer: read(self.judge(answer)), form=form, value=value, fields=fields)

    def judge(self, answer: HttpAnswer) -> dict[str, Any]:
        """The members of an answer that says that all went well.

        Raises:
            CredentialRejected, VerifierUnavailable, ValueError: it says no, or nothing that can be understood.
        """
        said = read_object(answer)
        self._rule.check(said)
        return said

    def check_request(self, login: Login) -> None:
        """Refuse what this platform cannot be asked for: another kind of person, a level, a fresh login.

        Raises:
            SignInMalformed: it is so.
        """
        if login.kind not in self.kinds:
            raise SignInMalformed(f"{self.name} signs in no {login.kind} persons")
        if login.max_age is not None:
            raise SignInMalformed(
                f"{self.name} does not say when people signed in, so nobody can ask for a fresh login"
            )
        levels = (login.acr_values or "").split()
        if levels and not (self.config.step_up and any(level in self.config.assurance for level in levels)):
            raise SignInMalformed(f"{self.name} cannot be asked for this level")

    def callback(self, login: Login) -> str:
        """Our address to come back to, with the state in its query: these platforms carry no state of their own."""
        return add_query(login.callback, {"state": login.state})

    def principal(
        self,
        subject: object,
        *,
        kind: Kind = Kind.NATURAL,
        level: object = None,
        operator: object = None,
        version: object = None,
    ) -> Principal:
        """The principal of values as the platform gives them.

        Args:
            subject: its id of the person or unit.
            kind: which of them.
            level: its word for the strength of the login; one that is not configured counts 0.
            operator: its id of the person who acts for the unit.
            version: its count of changes of the profile.

        Raises:
            CredentialRejected: an account that cannot be used here: shown masked, or a unit for which nobody acts.
            ValueError: there is no subject.
        """
        raw = as_text(level)
        return Principal(
            issuer=self.config.issuer,
            subject=identifier("subject", subject),
            kind=kind,
            assurance=self.config.assurance.get(raw, 0) if raw is not None else 0,
            expires_at=self.context.clock() + self.config.lifetime,
            operator=_acting(operator) if kind is Kind.LEGAL else None,
            verifier=self.name,
            version=read_version(version),
            level=raw if raw is None or len(raw) <= 128 else None,
        )


def check_kind(principal: Principal, login: Login) -> None:
    """Hold the kind of person that signed in against the one that was asked for. How strongly, the sign-in desk judges.

    Raises:
        SignInRefused: a unit was asked for and a person came back.
    """
    if login.kind is Kind.LEGAL and principal.kind is not Kind.LEGAL:
        raise SignInRefused("a unit was to sign in, and a natural person did")


def identifier(what: str, value: object) -> str:
    """A platform's id, as a text of 1 to 128 characters that may stand in a record and is not masked.

    Raises:
        CredentialRejected: it is masked: nobody can be told apart by it, and that is no failure of the platform.
        ValueError: it is none.
    """
    text = as_text(value)
    if text is None:
        raise ValueError(f"{what} is missing")
    if "*" in text:
        raise CredentialRejected(f"{what} is masked")
    return read_text({what: text}, what) or ""


def _acting(operator: object) -> str:
    try:
        return identifier("operator", operator)
    except ValueError as error:
        raise CredentialRejected(f"nobody acts for the unit: {error}") from None


def read_unit(subject: object, name: object, profile: Profile) -> tuple[Unit, ...]:
    """A unit that a person may act for; none where the platform masks its id or name, or leaves one out.

    Args:
        subject: its id, as the platform gives it.
        name: its name, likewise.
        profile: what else is told of it.
    """
    try:
        return (Unit(identifier("unit", subject), identifier("name", name), profile),)
    except (CredentialRejected, ValueError):
        return ()


def read_token(value: object) -> str:
    """A token as the platform gives it out.

    Raises:
        ValueError: it has not the form of a bearer token, so it could never come back as one.
    """
    if not isinstance(value, str) or not is_bearer_token(value):
        raise ValueError("no token, or none of its form")
    return value


def add_query(address: str, values: Mapping[str, str]) -> str:
    """The address with these parameters added to its query."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"

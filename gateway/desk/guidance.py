"""Shows a person in a browser the way to sign in, where a program gets 401, or to her computer (pipeline.py asks).

A page that was asked for is asked for again after the login; a form that somebody sent who was signed in, only not
strongly enough, is kept, and offered to her again by continuing.py.
"""

from collections.abc import Collection

from gateway.desk.acting import human, who_is
from gateway.desk.addresses import CONTINUE, MY, computer_address, login_address, way_back
from gateway.desk.parameters import MOST_FIELDS, parse
from gateway.errors import (
    ClientGone,
    CredentialRejected,
    CrossSite,
    Forbidden,
    GatewayError,
    IssuerUnknown,
    RateLimited,
    RequestMalformed,
    SignInMalformed,
    StepUpRequired,
    TokenMissing,
)
from gateway.exchange import Exchange
from gateway.fields import is_form
from gateway.identity.cross_site import check_page
from gateway.identity.logins import LARGEST_FORM, KeptForm, LoginTransactions
from gateway.model import Credential, Inbound, Kind, Principal
from gateway.signin_settings import SIGN_IN_PREFIX, LoginSettings
from gateway.throttle import Rates
from gateway.tokens.bearer import SESSION_MARK

KEPT_RATE = "10/minute"
"""Forms that one person may have kept."""


class Guide:
    """Says where a browser goes instead of an error.

    Args:
        login: `login:` of policy.yaml.
        logins: keeps forms.
        channels: names of the channels through which browsers come.
        rates: counts the forms of each person.
    """

    def __init__(
        self, login: LoginSettings, logins: LoginTransactions, channels: Collection[str], rates: Rates
    ) -> None:
        self._login = login
        self._logins = logins
        self._channels = channels
        self._rates = rates

    async def guide(self, error: GatewayError, exchange: Exchange) -> str | None:
        """Address of the login that would help; None when none does, or nobody sits before it.

        Where showing a designated computer would help, the error itself is given the way: it stays the answer.

        Raises:
            StateUnavailable: a form cannot be kept now.
        """
        inbound = exchange.inbound
        if inbound is None or not self._is_person(inbound, exchange):
            return None
        if _needs_computer(error, exchange):
            error.way = computer_address(await self._return_to(inbound, exchange) or MY)
            return None
        if not _would_help(error, exchange):
            return None
        return_to = await self._return_to(inbound, exchange)
        if return_to is None:
            return None
        if not isinstance(error, StepUpRequired):
            return login_address(return_to, **{"as": self._kind(exchange)})
        max_age = None if error.max_age is None else str(error.max_age)
        return login_address(return_to, acr_values=error.acr_values, max_age=max_age)

    def _kind(self, exchange: Exchange) -> str | None:
        """As whom an item for one kind of person wants her to sign in; None leaves it to her."""
        kinds = set() if exchange.item is None else exchange.item.audience
        offered = {Kind.NATURAL: self._login.natural, Kind.LEGAL: self._login.legal}
        return next((kind.value for kind, platform in offered.items() if kinds == {kind} and platform), None)

    def _is_person(self, inbound: Inbound, exchange: Exchange) -> bool:
        """A browser that opens a page by itself: no script, no frame, no program with a token."""
        fields = inbound.fields
        return (
            not inbound.path.startswith(SIGN_IN_PREFIX)
            and b"authorization" not in fields
            and b"text/html" in fields.get(b"accept", b"").lower()
            and fields.get(b"sec-fetch-mode", b"navigate") == b"navigate"
            and fields.get(b"sec-fetch-dest", b"document") == b"document"
            and (exchange.credential is None or exchange.credential.channel in self._channels)
        )

    async def _return_to(self, inbound: Inbound, exchange: Exchange) -> str | None:
        if inbound.method == "POST":
            # Whose form it is has to be known: else somebody could have another person send it with her rights.
            sender = exchange.principal if _has_session(exchange.credential) else None
            kept = None if sender is None else await self._keep(inbound, sender)
            return None if kept is None else f"{CONTINUE}{kept}"
        if inbound.method != "GET" or inbound.upgrade is not None:
            return None
        whole = f"{inbound.path}?{inbound.query}" if inbound.query else inbound.path
        return way_back(whole, self._login.return_to)

    async def _keep(self, inbound: Inbound, sender: Principal) -> str | None:
        """Keep a form of one of our own pages; gives its id, None for everything else."""
        if not is_form(inbound.fields.get(b"content-type", b"")) or (inbound.body.length or 0) > LARGEST_FORM:
            return None
        try:
            check_page(inbound)
            self._rates.spend(KEPT_RATE, "kept-form", sender.issuer, human(sender) or sender.subject)
            body = await inbound.body.whole()
            parse(body.decode("ascii"), MOST_FIELDS)
        except (CrossSite, RateLimited, RequestMalformed, SignInMalformed, UnicodeDecodeError, ClientGone):
            return None
        return await self._logins.keep_form(KeptForm(inbound.path, inbound.query, body, who_is(sender)))


def _needs_computer(error: GatewayError, exchange: Exchange) -> bool:
    """A unit's session that shows no computer: passkeys are shown at the desk, and they are units'."""
    principal = exchange.principal
    asks = isinstance(error, Forbidden) and error.code == "device-not-allowed"
    return asks and principal is not None and principal.kind == Kind.LEGAL and _has_session(exchange.credential)


def _would_help(error: GatewayError, exchange: Exchange) -> bool:
    """Signing in helps who is not signed in, whose session has ended, and who is not signed in strongly enough."""
    credential = exchange.credential
    if isinstance(error, StepUpRequired):
        return not _has_reached(error, exchange.principal)
    if isinstance(error, CredentialRejected) and not isinstance(error, IssuerUnknown):
        return credential is None or _has_session(credential)
    return isinstance(error, TokenMissing)


def _has_session(credential: Credential | None) -> bool:
    return credential is not None and (credential.token or "").startswith(SESSION_MARK)


def _has_reached(error: StepUpRequired, principal: Principal | None) -> bool:
    """Tell whether the login is what is asked for, and is still not enough: another one would lead here again."""
    return principal is not None and error.max_age is None and principal.level in error.acr_values.split(" ")

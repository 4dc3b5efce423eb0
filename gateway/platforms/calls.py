"""Asks one identity platform: with deadline, breaker and a bounded number of questions, each exactly once.

What is neither yes nor no is no answer: 503, never 401. settings.py configures it; the dialects say what a yes is.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote_plus, urlencode

import msgspec
from pydantic import SecretStr

from gateway.breaker import Breaker
from gateway.contracts import HttpAnswer, PartContext
from gateway.errors import CredentialRejected, SignInRefused, VerifierUnavailable
from gateway.platforms.settings import CallSettings
from gateway.tokens.claims import ClaimsError
from gateway.tokens.jose import JoseError, read_json
from gateway.tokens.keys import host_of

T = TypeVar("T")

NOTABLE_OFFSET = 30.0
"""Seconds that two clocks may differ before a failed question mentions it."""

_TICKET_LIFE = 3600.0
"""Seconds for which a ticket is remembered as used; no platform keeps one for that long."""


class UntrueAnswer(ValueError):
    """What a platform seems to say does not hold: it is not its word, not for us, or not of now."""


class PlatformCalls:
    """The questions of one part to its platform.

    Attributes:
        breaker: stops the questions while the platform fails.
        clock_offsets: by host, seconds that its clock was ahead of ours in its last answer.

    Args:
        settings: how patiently it is asked.
        context: fetch, clocks and the memory of used tickets of the part.
    """

    def __init__(self, settings: CallSettings, context: PartContext) -> None:
        self.breaker = Breaker(settings.failures, settings.pause, context.monotonic)
        self.clock_offsets: dict[str, float] = {}
        self._settings = settings
        self._context = context
        self._asking = 0

    def status(self) -> dict[str, Any]:
        """The breaker's state, and how far the platform's clock is ahead of ours, once it has said."""
        return {"breaker": self.breaker.state} | ({"clock_offsets": self.clock_offsets} if self.clock_offsets else {})

    async def use(self, ticket: str) -> None:
        """Note that a ticket or code is used now; before it is sent, so that it never goes out twice.

        Raises:
            SignInRefused: it was used before, or is none.
            CannotDecide: nobody can say.
        """
        if not 0 < len(ticket) <= 4096:
            raise SignInRefused(f"a ticket of {len(ticket)} characters")
        key = hashlib.sha256(f"{self._context.name}\0{ticket}".encode("utf-8", "backslashreplace")).digest()
        if not await self._context.once.first_use(key, _TICKET_LIFE):
            raise SignInRefused("the ticket was used before")

    async def ask(
        self,
        url: str,
        read: Callable[[HttpAnswer], T],
        *,
        method: str = "POST",
        fields: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        value: object = None,
    ) -> T:
        """Ask once, and read the answer by the platform's own rule.

        Args:
            url: whom.
            read: makes the result of the answer; ValueError when it cannot be understood, which is the platform's
                failure. CredentialRejected when it is understood and is no use: it is a no, or speaks of an account
                that cannot be used here. One odd account must not close the breaker to everybody else.
            method: of the request.
            fields: header fields besides those about the body.
            form: sent as an HTML form.
            value: sent as JSON, when there is no form.

        Raises:
            CredentialRejected: what `read` raises of an answer that is no use.
            UntrueAnswer: what `read` raises when the answer does not hold.
            VerifierUnavailable: it did not say, or must not be asked now.
        """
        self._check_admission()
        began = self._context.monotonic()
        report = self.breaker.abandoned
        try:
            said = read(await self._fetch(method, url, fields, form, value))
        except CredentialRejected:
            report = self.breaker.succeeded
            raise
        except (UntrueAnswer, VerifierUnavailable):
            report = _failed(self.breaker, began)
            raise
        except (OSError, ValueError) as error:
            report = _failed(self.breaker, began)
            raise VerifierUnavailable(f"no usable answer: {self._why(url, error)}") from None
        else:
            report = self.breaker.succeeded
            return said
        finally:
            self._asking -= 1
            report()

    def _check_admission(self) -> None:
        if self._asking >= self._settings.concurrency:
            raise VerifierUnavailable(f"{self._asking} questions are under way", retry_after=1.0)
        if not self.breaker.admits():
            raise VerifierUnavailable("the breaker is open", retry_after=max(1.0, self.breaker.retry_after))
        self._asking += 1

    async def _fetch(
        self,
        method: str,
        url: str,
        fields: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
        value: object,
    ) -> HttpAnswer:
        body, media_type = None, ""
        if form is not None:
            body, media_type = urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif value is not None:
            body, media_type = json.dumps(value, ensure_ascii=False).encode(), "application/json"
        sent = {"Accept": "application/json"} | ({"Content-Type": media_type} if body is not None else {})
        timeout = self._settings.timeout
        answer = await self._context.fetch(method, url, fields=sent | dict(fields or {}), body=body, timeout=timeout)
        if answer.date is not None:
            self.clock_offsets[host_of(url)] = answer.date - self._context.clock()
        return answer

    def _why(self, url: str, error: Exception) -> str:
        offset = self.clock_offsets.get(host_of(url), 0.0)
        return f"{error}" if abs(offset) < NOTABLE_OFFSET else f"{error} (its clock is {offset:+.0f} s from ours)"


def _failed(breaker: Breaker, began: float) -> Callable[[], None]:
    return lambda: breaker.failed(began)


def client_fields(client_id: str, secret: SecretStr) -> dict[str, str]:
    """The header field by which a client proves who asks (RFC 6749 §2.3.1)."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret.get_secret_value())}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


class SuccessRule(msgspec.Struct, frozen=True):
    """How a platform says yes in a JSON object, whatever the HTTP status.

    Attributes:
        member: the member that tells.
        good: its values that mean yes.
        faults: reasons that mean that the platform, or our access to it, is at fault; every other one is a no.
        reason: the member that says why not, where it is another one.
    """

    member: str
    good: frozenset[str]
    faults: frozenset[str] = frozenset()
    reason: str = ""

    def check(self, said: Mapping[str, Any]) -> None:
        """Pass when the platform says yes.

        Raises:
            CredentialRejected: it says no.
            VerifierUnavailable: it says that something is at fault which is not the visitor's.
            ValueError: it does not say.
        """
        code = as_text(said.get(self.member))
        if code is None:
            raise ValueError(f"no {self.member}")
        if code in self.good:
            return
        reason = (as_text(said.get(self.reason)) or "" if self.reason else code)[:32]
        if reason in self.faults:
            raise VerifierUnavailable(f"the platform reports a fault: {reason}")
        raise CredentialRejected(f"the platform says no: {reason or code[:32]}")


def read_object(answer: HttpAnswer, *, statuses: frozenset[int] = frozenset({200})) -> dict[str, Any]:
    """The members of a JSON object; those that are null count as missing.

    Raises:
        ValueError: another status, or no JSON object that can be read in one way only.
    """
    if answer.status not in statuses:
        raise ValueError(f"status {answer.status}")
    return members_of(read_json(answer.body))


def members_of(value: object) -> dict[str, Any]:
    """An object's members, also where the object is JSON in a text; those that are null count as missing.

    Raises:
        ValueError: it is no object.
    """
    if isinstance(value, str):
        value = read_json(value.encode("utf-8", "surrogatepass"))
    if not isinstance(value, dict):
        raise JoseError("no object")
    return {name: member for name, member in value.items() if member is not None}


def as_text(value: object) -> str | None:
    """A text, number or truth value as platforms mix them: `"0"` and `0` are one code. None for everything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return value.strip() if isinstance(value, str) and value.strip() else None


@contextmanager
def signing_in() -> Iterator[None]:
    """Say of a login what is otherwise said of a token: what is rejected or does not hold is a refused sign-in."""
    try:
        yield
    except SignInRefused:
        raise
    except (CredentialRejected, UntrueAnswer) as error:
        raise SignInRefused(str(error)) from None
    except ClaimsError as error:
        raise VerifierUnavailable(f"the platform's answer cannot be understood: {error}") from None


@contextmanager
def judging() -> Iterator[None]:
    """Say of a token that an answer about it which does not hold is no answer."""
    try:
        yield
    except (UntrueAnswer, ClaimsError) as error:
        raise VerifierUnavailable(f"no answer that holds: {error}") from None

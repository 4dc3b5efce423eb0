"""Whose an opaque token is: asked by the standard (RFC 7662). calls.py asks, tokens/claims.py reads what is said."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from gateway.contracts import HttpAnswer, PartContext
from gateway.errors import CredentialRejected, VerifierUnavailable
from gateway.model import Principal
from gateway.platforms.calls import PlatformCalls, read_object
from gateway.tokens.claims import ClaimsError, ClaimSettings, MalformedClaimsError, read_principal
from gateway.tokens.jose import JoseError

_ENDLESS = 86400.0
"""Seconds ahead that the end of a yes without one (`exp`) is taken to be; it is asked about again long before."""


class Introspection:
    """The questions of one part about tokens.

    Args:
        endpoint: who is asked.
        client: as whom (`client_fields`).
        settings: how claims are read.
        remember: seconds for which a yes counts, and then the platform has to be asked again.
        calls: makes the questions.
        context: of the part.
    """

    def __init__(
        self,
        endpoint: str,
        client: Mapping[str, str],
        settings: ClaimSettings,
        remember: float,
        calls: PlatformCalls,
        context: PartContext,
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._settings = settings
        self._remember = remember
        self._calls = calls
        self._context = context

    async def judge(self, token: str) -> Principal:
        """Ask once whose token this is. What is said ends (`expires_at`) when it may be remembered no longer.

        The breaker learns whether there was an answer of the standard's form; what it says of one account is no matter
        of the platform's health.

        Raises:
            CredentialRejected: the platform says no, or that it is for somebody else or another time.
            VerifierUnavailable: it did not say, says what cannot be understood, or must not be asked now.
        """
        form = {"token": token, "token_type_hint": "access_token"}
        claims = await self._calls.ask(self._endpoint, _read_claims, form=form, fields=self._client)
        now = self._context.clock()
        stated = {"iss": self._settings.issuer, "exp": now + _ENDLESS} | claims
        try:
            principal = read_principal(stated, self._settings, now, self._context.name)
        except MalformedClaimsError as error:
            raise VerifierUnavailable(f"the platform's answer cannot be understood: {error}") from None
        except ClaimsError as error:
            raise CredentialRejected(str(error)) from None
        return replace(principal, expires_at=min(principal.expires_at, now + self._remember))


def _read_claims(answer: HttpAnswer) -> dict[str, Any]:
    """The members of a yes (RFC 7662 §2.2).

    Raises:
        CredentialRejected: it is a no.
        ValueError: it is neither.
    """
    claims = read_object(answer)
    active = claims.get("active")
    if not isinstance(active, bool):
        raise JoseError("no truth value `active`")
    if not active:
        raise CredentialRejected("the platform says that it is not active")
    return claims

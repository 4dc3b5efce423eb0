"""The routed question, answered (RFC 7662): is this token, whose session lives here, still good?

The province asks on behalf of another department. The answer comes out of our own sessions and nowhere else: a routed
question is never passed on, so no loop can form. desk/peers.py is where it arrives.
"""

from collections.abc import Callable
from typing import Any

from gateway.identity.revocations import Revocations
from gateway.identity.sessions import SignInSessions
from gateway.model import Principal
from gateway.tokens.bearer import is_bearer_token

INACTIVE: dict[str, Any] = {"active": False}
"""Said of every token that is not good, whatever the reason, and of every one that is not ours."""


class RoutedIntrospection:
    """Answers for tokens that were given out here.

    Args:
        sessions: where they live.
        revocations: what no longer counts.
        clock: wall clock, Unix seconds.
    """

    def __init__(self, sessions: SignInSessions, revocations: Revocations, clock: Callable[[], float]) -> None:
        self._sessions = sessions
        self._revocations = revocations
        self._clock = clock

    async def answer(self, token: str) -> dict[str, Any]:
        """Members of the answer: always the same ones for a good token, `active` alone for every other.

        Who it is, as whom, until when and how strongly signed in; no name, number or address: the province, which
        knows the person, adds the profile.

        Raises:
            StateUnavailable: nobody can say now.
        """
        if not is_bearer_token(token):
            return INACTIVE
        principal = await self._sessions.introspect(token)
        if principal is None or self._revocations.deny(principal) or principal.expires_at <= self._clock():
            return INACTIVE
        return _members(principal)


def _members(principal: Principal) -> dict[str, Any]:
    return {
        "active": True,
        "token_type": "Bearer",
        "iss": principal.issuer,
        "sub": principal.subject,
        "subject_type": str(principal.kind),
        "act": None if principal.operator is None else {"sub": principal.operator},
        "sid": principal.session,
        "jti": principal.token_id,
        "acr": str(principal.assurance) if principal.level is None else principal.level,
        "auth_time": None if principal.authenticated_at is None else int(principal.authenticated_at),
        "iat": int(principal.issued_at),
        "exp": int(principal.expires_at),
    }

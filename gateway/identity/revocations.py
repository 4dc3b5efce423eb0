"""The deny set: sessions, subjects and tokens that were withdrawn. Asked on every request, before any memory.

chain.py asks it; the management listener and, later, logout notices fill it. It lives as long as the longest token.
"""

import time
from collections.abc import Callable

from gateway.model import Principal

LONGEST_LIFE = 86400.0
"""Seconds that the longest token lives: so long a withdrawal is remembered, here and by the supervisor."""

_SWEEP = 60.0
"""Seconds between two looks for entries that have outlived every token."""


class Revocations:
    """What no longer counts, although it may still look good.

    Args:
        keep: seconds an entry is kept; at least the longest life of a token.
        clock: wall clock, Unix seconds.
    """

    def __init__(self, keep: float = LONGEST_LIFE, clock: Callable[[], float] = time.time) -> None:
        self._keep = keep
        self._clock = clock
        self._sessions: dict[str, float] = {}
        self._tokens: dict[str, float] = {}
        self._subjects: dict[str, tuple[float, float]] = {}
        self._sweep_at = 0.0

    def revoke(
        self,
        *,
        session: str | None = None,
        token_id: str | None = None,
        subject: str | None = None,
        at: float | None = None,
    ) -> None:
        """Withdraw a session (`sid`), a token (`jti`), or everything a subject was given until then (`sub`).

        Args:
            session: id of the session.
            token_id: id of the token.
            subject: the issuer's id of the person or unit.
            at: Unix seconds of the withdrawal; now when missing.
        """
        now = self._clock()
        at = now if at is None else at
        if now >= self._sweep_at:
            self._forget(now)
        until = at + self._keep
        if session is not None:
            self._sessions[session] = until
        if token_id is not None:
            self._tokens[token_id] = until
        if subject is not None:
            self._subjects[subject] = (at, until)

    def deny(self, principal: Principal) -> bool:
        """Tell whether what this principal rests on was withdrawn."""
        if principal.session in self._sessions or principal.token_id in self._tokens:
            return True
        before = self._subjects.get(principal.subject)
        return before is not None and principal.issued_at <= before[0]

    def __len__(self) -> int:
        return len(self._sessions) + len(self._tokens) + len(self._subjects)

    def _forget(self, now: float) -> None:
        self._sweep_at = now + _SWEEP
        self._sessions = {key: until for key, until in self._sessions.items() if until > now}
        self._tokens = {key: until for key, until in self._tokens.items() if until > now}
        self._subjects = {key: entry for key, entry in self._subjects.items() if entry[1] > now}

"""The deny set: sessions, subjects and tokens that were withdrawn. Asked on every request, before any memory.

chain.py asks it; a feed (gateway/state/feed.py) fills it. Each entry lives as long as what it concerns.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from gateway.errors import StateUnavailable
from gateway.expiry import Expiry
from gateway.model import Principal
from gateway.withdrawals import Withdrawal, WithdrawalKind

Key = tuple[WithdrawalKind, str, str | None]

MOST = 500_000
"""Entries at most; about 400 bytes each."""


class Withdraw(Protocol):
    """Tells every worker and instance what no longer counts: `withdraw` of gateway.state.feed.Feed."""

    async def __call__(
        self,
        *,
        session: str | None = None,
        token_id: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        at: float | None = None,
        until: float | None = None,
    ) -> None:
        """Withdraw a `sid`, `jti` or `sub`; nothing of it can hold after `until`, a day when missing.

        Raises:
            StateUnavailable: nobody could be told.
        """
        ...


class Revocations:
    """What no longer counts, although it may still look good (gateway.state.feed.DenySet).

    Args:
        clock: wall clock, Unix seconds.
        monotonic: for the time that entries are kept, seconds: a clock that jumps makes nothing good again.
        most: entries at most. Beyond it nothing is added and nothing forgotten, so doubt closes.

    Attributes:
        complete_until: monotonic seconds up to which nothing is missing here. A feed that others write to moves it on;
            for ever where there are no others.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST,
    ) -> None:
        self.complete_until = math.inf
        self._clock = clock
        self._monotonic = monotonic
        self._most = most
        # By value and then by issuer: one look by value tells for nearly every principal that it is not concerned.
        self._sessions: dict[str | None, _Entries] = {}
        self._tokens: dict[str | None, _Entries] = {}
        self._subjects: dict[str | None, _Entries] = {}
        self._kinds = {"sid": self._sessions, "jti": self._tokens, "sub": self._subjects}
        self._expiry: Expiry[Key] = Expiry()
        self._count = 0

    def add(self, withdrawal: Withdrawal) -> bool:
        """Note it; False when as much was noted already, or when it concerns nothing that can still hold.

        Raises:
            StateUnavailable: there is no room.
        """
        now = self._monotonic()
        for kind, value, issuer in self._expiry.over(now):
            self._forget(kind, value, issuer)
        wall = self._clock()
        if withdrawal.until <= wall:
            return False
        entries = self._kinds[withdrawal.kind].get(withdrawal.value, {})
        known = entries.get(withdrawal.issuer)
        if known is not None:
            if known[0].at >= withdrawal.at and known[0].until >= withdrawal.until:
                return False
            withdrawal = _joined(known[0], withdrawal)
            self._forget(withdrawal.kind, withdrawal.value, withdrawal.issuer)
        elif self._count >= self._most:
            raise StateUnavailable(f"{self._most} withdrawals are noted, no room for another")
        self._note(withdrawal, now + withdrawal.until - wall)
        return True

    def deny(self, principal: Principal) -> bool:
        """Tell whether what this principal rests on was withdrawn."""
        if (
            principal.session in self._sessions
            or principal.token_id in self._tokens
            or principal.subject in self._subjects
            or principal.operator in self._subjects
        ):
            return self._concerns(principal)
        return False

    def current(self) -> bool:
        """Tell whether all that was withdrawn, anywhere, is known here; while it is not, nobody passes."""
        return self._monotonic() <= self.complete_until

    def entries(self) -> Iterator[Withdrawal]:
        """All that is noted."""
        for kind in self._kinds.values():
            for entries in list(kind.values()):
                yield from [withdrawal for withdrawal, _ in entries.values()]

    def __len__(self) -> int:
        return self._count

    def _concerns(self, principal: Principal) -> bool:
        issuer = principal.issuer
        if _find(self._sessions, principal.session, issuer) or _find(self._tokens, principal.token_id, issuer):
            return True
        # Who is withdrawn herself does not go on as somebody's operator either.
        persons = (
            *_find(self._subjects, principal.subject, issuer),
            *_find(self._subjects, principal.operator, issuer),
        )
        return any(principal.issued_at <= withdrawal.at for withdrawal in persons)

    def _note(self, withdrawal: Withdrawal, end: float) -> None:
        kind = self._kinds[withdrawal.kind]
        kind.setdefault(withdrawal.value, {})[withdrawal.issuer] = withdrawal, end
        self._expiry.add((withdrawal.kind, withdrawal.value, withdrawal.issuer), end)
        self._count += 1

    def _forget(self, kind: WithdrawalKind, value: str, issuer: str | None) -> None:
        entries = self._kinds[kind][value]
        _, end = entries.pop(issuer)
        if not entries:
            del self._kinds[kind][value]
        self._expiry.discard((kind, value, issuer), end)
        self._count -= 1


_Entries = dict[str | None, tuple[Withdrawal, float]]
"""Of one value, by issuer: the withdrawal, and when it is forgotten (monotonic seconds)."""


def _find(kind: dict[str | None, _Entries], value: str | None, issuer: str) -> list[Withdrawal]:
    """What was said of a value by its issuer, and of that value whoever issued it."""
    entries = kind.get(value)
    if entries is None:
        return []
    return [entries[whose][0] for whose in (issuer, None) if whose in entries]


def _joined(known: Withdrawal, more: Withdrawal) -> Withdrawal:
    return Withdrawal(more.kind, more.value, max(known.at, more.at), max(known.until, more.until), more.issuer)

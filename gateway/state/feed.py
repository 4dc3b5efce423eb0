"""The feed of the deny set: whoever withdraws something tells it here, and every worker and instance hears it.

`LocalFeed` serves one process; redis_feed.py serves several. identity/revocations.py is the deny set that both fill.
"""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from gateway.withdrawals import Withdrawal, withdrawals


class DenySet(Protocol):
    """What a feed fills and, when the shared copy was lost, writes down again.

    Attributes:
        complete_until: monotonic seconds up to which nothing is missing here; afterwards doubt closes.
    """

    complete_until: float

    def add(self, withdrawal: Withdrawal) -> bool:
        """Note it; False when it was known already, or concerns nothing that can still hold.

        Raises:
            StateUnavailable: there is no room.
        """
        ...

    def entries(self) -> Iterable[Withdrawal]:
        """All that is noted."""
        ...


class Feed(Protocol):
    """Tells every worker and instance what no longer counts."""

    async def withdraw(
        self,
        *,
        session: str | None = None,
        token_id: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        at: float | None = None,
        until: float | None = None,
    ) -> None:
        """Withdraw a session, a token, and everything that a subject was given until then.

        Args:
            session: the issuer's session (`sid`).
            token_id: the issuer's id of a token (`jti`).
            subject: the issuer's id of a person or unit (`sub`).
            issuer: whose ids these are; None concerns those of any issuer.
            at: Unix seconds of the withdrawal; now when missing.
            until: Unix seconds after which nothing of it can hold any more; a day from `at` when missing.

        Raises:
            StateUnavailable: it counts here already, and the others hear it only when the store is back: say so to
                whoever asked for it, who shall ask again.
        """
        ...

    async def start(self) -> None:
        """Learn what was withdrawn before, and follow; gives up waiting, not following, when the store is away."""
        ...

    async def close(self) -> None:
        """Stop following."""
        ...


class LocalFeed:
    """The feed of a single process: who tells is who hears.

    Args:
        deny_set: what it fills.
        clock: wall clock, Unix seconds.
    """

    def __init__(self, deny_set: DenySet, clock: Callable[[], float] = time.time) -> None:
        self._deny_set = deny_set
        self._clock = clock

    async def withdraw(
        self,
        *,
        session: str | None = None,
        token_id: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        at: float | None = None,
        until: float | None = None,
    ) -> None:
        """See Feed."""
        at = self._clock() if at is None else at
        for one in withdrawals(session=session, token_id=token_id, subject=subject, issuer=issuer, at=at, until=until):
            self._deny_set.add(one)

    async def start(self) -> None:
        """See Feed. There is nothing to learn."""

    async def close(self) -> None:
        """See Feed."""

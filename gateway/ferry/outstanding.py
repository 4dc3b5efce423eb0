"""Requests that were handed over and have not been answered. Each gets one answer, before its deadline, or none.

forward/ferry.py keeps one of these per system and worker.
"""

import asyncio
from collections.abc import Callable

import msgspec

from gateway.errors import GatekeeperTimeout
from gateway.ferry.envelope import Answer, Refusal

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1): nobody misses their answer."""

SWEEP = 0.05
"""Seconds between two looks at the deadlines; one timer serves all requests."""

REMEMBERED = 4096
"""Ended requests whose end is remembered, to tell a late answer from a second one."""


class Counts(msgspec.Struct):
    """What became of requests since the start.

    Attributes:
        sent: handed over.
        answered: answers that reached their request.
        refused: refusals that reached their request.
        shed: refused at once, because the queue was full or there was no link; not handed over.
        timed_out: handed over, and no answer came in time or the link ended.
        late: answers that came after that, dropped.
        duplicate: second answers, dropped.
        unknown: answers to nothing that was asked, dropped.
        abandoned: answers whose client had left, dropped.
        dwell_seconds: time that answered requests spent outside the inner unit, all together.
    """

    sent: int = 0
    answered: int = 0
    refused: int = 0
    shed: int = 0
    timed_out: int = 0
    late: int = 0
    duplicate: int = 0
    unknown: int = 0
    abandoned: int = 0
    dwell_seconds: float = 0.0


class _Slot:
    __slots__ = ("began", "deadline", "future")

    def __init__(self, future: "asyncio.Future[Answer | Refusal]", began: float, deadline: float) -> None:
        self.future = future
        self.began = began
        self.deadline = deadline


class Outstanding:
    """The table of waiting requests.

    Args:
        monotonic: seconds.

    Attributes:
        counts: see Counts.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._slots: dict[str, _Slot] = {}
        self._ended: dict[str, str] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self.counts = Counts()

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, id: str) -> bool:  # noqa: A002 - the field's own word, here and below
        return id in self._slots

    async def answer(self, id: str, method: str, deadline: float) -> Answer | Refusal:  # noqa: A002
        """Wait for the answer to a request that has just been handed over.

        When the waiting task is cancelled, a safe method frees its place. Any other is left to finish: it keeps its
        place until its answer is there, which is then dropped.

        Args:
            id: request id.
            method: HTTP method.
            deadline: monotonic seconds.

        Raises:
            GatekeeperTimeout: none came in time, or the link ended.
        """
        loop = asyncio.get_running_loop()
        slot = self._slots[id] = _Slot(loop.create_future(), self._monotonic(), deadline)
        self.counts.sent += 1
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP, self._sweep)
        try:
            return await slot.future
        except asyncio.CancelledError:
            if method in SAFE and self._slots.pop(id, None) is not None:
                self._remember(id, "abandoned")
            raise

    def take(self, message: Answer | Refusal) -> str | None:
        """Give an answer to the request that waits for it.

        Returns:
            None; or why nobody gets it: `late`, `duplicate`, `unknown` or `abandoned`.
        """
        slot = self._slots.pop(message.id, None)
        if slot is None:
            return self._drop(self._ended.get(message.id, "unknown"))
        now = self._monotonic()
        if now >= slot.deadline:
            self._expire(message.id, slot, "handed over, and the answer came too late")
            return self._drop("late")
        self._remember(message.id, "duplicate")
        if slot.future.done():
            return self._drop("abandoned")
        if isinstance(message, Answer):
            self.counts.answered += 1
            self.counts.dwell_seconds += max(0.0, now - slot.began - message.ms / 1000)
        else:
            self.counts.refused += 1
        slot.future.set_result(message)
        return None

    def fail_all(self, detail: str) -> None:
        """End all of them: the link is gone, and nobody knows what became of them."""
        slots, self._slots = self._slots, {}
        for id, slot in slots.items():  # noqa: A001
            self._expire(id, slot, detail)

    def _drop(self, why: str) -> str:
        setattr(self.counts, why, getattr(self.counts, why) + 1)
        return why

    def _sweep(self) -> None:
        """End what has waited long enough; look again while anything waits."""
        now = self._monotonic()
        for id, slot in [found for found in self._slots.items() if now >= found[1].deadline]:  # noqa: A001
            del self._slots[id]
            self._expire(id, slot, "handed over, and no answer in time")
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(SWEEP, self._sweep) if self._slots else None

    def _expire(self, id: str, slot: _Slot, detail: str) -> None:  # noqa: A002
        self._remember(id, "late")
        self.counts.timed_out += 1
        if not slot.future.done():
            slot.future.set_exception(GatekeeperTimeout(detail))

    def _remember(self, id: str, verdict: str) -> None:  # noqa: A002
        """Keep what a further answer to this request would be."""
        self._ended[id] = verdict
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

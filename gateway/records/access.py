"""One JSON line per request, made off the request path: collected, described, masked and rendered through structlog.

pipeline.py hands in exchanges (exchange.py); describing.py says what is in a line; rendering.py makes, sink.py writes
it; metrics.py counts the same exchanges.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from gateway.exchange import Exchange
from gateway.records.describing import Describe
from gateway.records.rendering import render_lines

_TOGETHER = 16
"""Exchanges that are described together: more would hold up the loop for longer."""
_BATCH = 256
"""Records after which a batch does not wait any longer; each batch is handed to another thread, which has its price."""
_DELAY = 0.03
"""Seconds that an exchange, or its record, waits for others at most."""


class Writes(Protocol):
    """What takes the lines: a Sink."""

    def write(self, lines: bytes, count: int) -> None:
        """Take whole lines that hold so many records; never blocks, never raises."""
        ...


class AccessLog:
    """Collects exchanges and hands them on in batches, so that the request path pays for one append only.

    Args:
        sink: takes the lines.
        count: is given all exchanges, some at a time, for the metrics.
        describe: makes records of exchanges.
        loop: runs the flushes; `write` is called on it.
        limit: exchanges that may wait; beyond it they are counted and lost.
    """

    def __init__(
        self,
        sink: Writes,
        count: Callable[[list[Exchange]], None],
        describe: Describe,
        loop: asyncio.AbstractEventLoop,
        limit: int = 16384,
    ) -> None:
        self._count = count
        self._describe = describe
        self._loop = loop
        self._limit = limit
        self._waiting: list[Exchange] = []
        self._batch = _Batch(sink)
        self._log = _RequestLogger(self._batch, (describe, render_lines), {})
        self._timer: asyncio.TimerHandle | None = None
        self._lost = 0

    @property
    def lost(self) -> int:
        """Records lost before they reached the sink."""
        return self._lost

    def write(self, exchange: Exchange) -> None:
        """Remember an exchange that is closed; its record is made a moment later."""
        waiting = self._waiting
        if len(waiting) >= self._limit:
            self._lost += 1
            self._describe.skip()
            return
        waiting.append(exchange)
        if len(waiting) == _TOGETHER:
            self._loop.call_soon(self._record)
        if self._timer is None:
            self._timer = self._loop.call_later(_DELAY, self.flush)

    def flush(self) -> None:
        """Make the records of everything that waits, and hand them on. Called by itself; once more when draining."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._record()
        finally:
            self._batch.hand_on()

    def _record(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            try:
                self._log.requests(waiting)
            finally:
                self._count(waiting)


class _Batch:
    """The logger behind the processors: keeps lines until they are many, or for how long it is left to.

    Args:
        sink: takes them.
    """

    def __init__(self, sink: Writes) -> None:
        self._sink = sink
        self._lines: list[bytes] = []
        self._size = 0

    def write(self, lines: bytes, count: int) -> None:
        """Keep whole lines that hold so many records."""
        self._lines.append(lines)
        self._size += count
        if self._size >= _BATCH:
            self.hand_on()

    def hand_on(self) -> None:
        """Give the sink what there is."""
        if self._lines:
            lines, count, self._lines, self._size = self._lines, self._size, [], 0
            self._sink.write(b"".join(lines), count)


class _RequestLogger(structlog.BoundLoggerBase):
    """The logger in front of the sink: one kind of event, a batch of requests; nothing is bound."""

    def requests(self, exchanges: list[Exchange]) -> None:
        """Log them."""
        self._proxy_to_logger("write", exchanges=exchanges)

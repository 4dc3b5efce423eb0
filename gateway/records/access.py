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

_BATCH = 256
"""Exchanges after which a batch does not wait any longer; each batch is handed to another thread, which has a price."""
_DELAY = 0.03


class Writes(Protocol):
    """What takes the lines: a Sink."""

    def write(self, lines: bytes, count: int) -> None:
        """Take whole lines that hold so many records; never blocks, never raises."""
        ...


class AccessLog:
    """Collects exchanges and hands them on in batches, so that the request path pays for one append only.

    Args:
        sink: takes the lines.
        count: is given every batch of exchanges, for the metrics.
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
        self._log = _RequestLogger(sink, (describe, render_lines), {})
        self._lost = 0

    @property
    def lost(self) -> int:
        """Records lost before they reached the sink."""
        return self._lost

    def write(self, exchange: Exchange) -> None:
        """Remember an exchange that is closed; its record is made a moment later."""
        waiting = self._waiting
        size = len(waiting)
        if size >= self._limit:
            self._lost += 1
            self._describe.skip()
            return
        waiting.append(exchange)
        if size == 0:
            self._loop.call_later(_DELAY, self.flush)
        elif size == _BATCH:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Make the records of everything that waits, and hand them on. Called by itself; once more when draining."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._log.requests(waiting)
        self._count(waiting)


class _RequestLogger(structlog.BoundLoggerBase):
    """The logger in front of the sink: one kind of event, a batch of requests; nothing is bound."""

    def requests(self, exchanges: list[Exchange]) -> None:
        """Log them."""
        self._proxy_to_logger("write", exchanges=exchanges)

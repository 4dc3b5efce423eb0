"""The inner unit's own records: one JSON line per message, with the same `trace.id` as the edge's access record.

The two files together tell what was sent, answered, blocked and lost; docs/ferry.md lists the fields.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from gateway.beijing import Timestamps
from gateway.records.access import Writes
from gateway.records.rendering import render

BATCH = 64
DELAY = 0.03
_LONGEST_REASON = 300


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is written about one message.

    Attributes:
        id: request id.
        route: route that was asked for, as the caller wrote it.
        item: code of the service item.
        channel: name of the channel.
        method: HTTP method.
        outcome: `delivered`, `refused` (nothing was executed), `unknown` (sent, and nobody knows), or `withheld`
            (executed, and the answer may not pass).
        status: status of the business system's answer; 0 without one.
        code: code of the refusal; empty for an answer.
        reason: why, for people.
        received: body bytes of the request.
        sent: body bytes of the answer.
        ms: milliseconds from the arrival.
        attempts: how often it was sent to the business system.
    """

    id: str
    route: str
    item: str
    channel: str
    method: str
    outcome: str
    status: int
    code: str
    reason: str
    received: int
    sent: int
    ms: float
    attempts: int


class InnerRecords:
    """Collects records and hands them to the sink in batches; never blocks.

    Args:
        sink: takes the lines.
        boot: of this unit.
        clock: Unix seconds.
    """

    def __init__(self, sink: Writes, boot: str, clock: Callable[[], float]) -> None:
        self._sink = sink
        self._boot = boot
        self._clock = clock
        self._lines: list[bytes] = []
        self._written_time = Timestamps()
        self._timer: asyncio.TimerHandle | None = None
        self._logger = _RecordLogger(self, [render], {})

    def write(self, record: MessageRecord) -> None:
        """Note one message."""
        self._logger.message(self._fields(record))
        if len(self._lines) >= BATCH:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY, self.flush)

    def message(self, line: bytes) -> None:
        """Take a rendered line from structlog."""
        self._lines.append(line)

    def flush(self) -> None:
        """Hand on what is collected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._sink.write(b"".join(self._lines), len(self._lines))
            self._lines.clear()

    def _fields(self, record: MessageRecord) -> dict[str, Any]:
        fields = {
            "timestamp": self._written_time(self._clock()),
            "trace.id": record.id,
            "boot": self._boot,
            "route": record.route[:64],
            "item.code": record.item[:64],
            "channel": record.channel[:64],
            "http.request.method": record.method[:16],
            "http.request.body.size": record.received,
            "outcome": record.outcome,
            "attempt": record.attempts,
            "ms.total": round(record.ms, 3),
        }
        if record.status:
            fields["http.response.status_code"] = record.status
            fields["http.response.body.size"] = record.sent
        if record.code:
            fields["code"] = record.code
            fields["reason"] = record.reason[:_LONGEST_REASON]
        return fields


class _RecordLogger(structlog.BoundLoggerBase):
    """One kind of event, nothing bound."""

    def message(self, fields: dict[str, Any]) -> None:
        self._proxy_to_logger("message", "ferry", **fields)

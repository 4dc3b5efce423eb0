"""One JSON line per request, made off the request path: collected, described, masked and rendered through structlog.

pipeline.py hands in exchanges (exchange.py); sink.py writes the lines; metrics.py counts the same exchanges. The fields
are those of docs/records.md, named after OpenTelemetry and ECS where these have a name.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import msgspec
import structlog
from structlog.typing import EventDict

from gateway.exchange import Exchange
from gateway.model import Inbound, Principal
from gateway.records.masking import Pseudonyms, mask_query, mask_text

FIELDS = (
    "event", "timestamp", "trace.id", "worker", "boot", "seq", "config_generation", "config_revision",
    "client.address", "user_agent.original",
    "http.request.method", "http.route", "url.path", "url.query",
    "http.response.status_code", "http.request.body.size", "http.response.body.size",
    "channel", "channel.client", "item.code", "item.category", "system", "via",
    "decision", "stage", "code", "reason", "chain",
    "verifier", "subject", "subject_type", "operator", "assurance",
    "attempt", "outcome", "client_gone",
    "ms.verify", "ms.reauthorize", "ms.forward", "ms.relay", "ms.total",
)  # fmt: skip
"""Every field a record can have, in the order of docs/records.md."""

_LIMITS = {"user_agent.original": 256, "url.path": 512, "url.query": 512, "reason": 512, "chain": 512}
"""Most ASCII characters of a free text; together they keep a line within PIPE_BUF, so that lines do not mix."""
_BATCH = 256
"""Exchanges after which a batch does not wait any longer; each batch is handed to another thread, which has a price."""
_DELAY = 0.03
_MILLISECONDS = tuple(f".{number:03d}+08:00" for number in range(1000))


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
        describe: "Describe",
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


class Describe:
    """A structlog processor: turns exchanges into the fields of their records. What is not known is left out.

    Args:
        pseudonyms: stands in for persons.
        worker: number of the worker, from 0.
        boot: changes with every start of the worker; (boot, seq) is unique, and a gap in seq is a lost record.
        query_parameters: names of the query parameters whose values may be recorded.
        via: how each system is reached, by its name; may change under way.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        *,
        worker: int,
        boot: str,
        query_parameters: tuple[str, ...] = (),
        via: Mapping[str, str] | None = None,
    ) -> None:
        self._pseudonym = pseudonyms.of
        self._worker = worker
        self._boot = boot
        self._seq = 0
        self._parameters = frozenset(query_parameters)
        self._via = {} if via is None else via
        self._written_time = _Timestamps()

    def skip(self) -> None:
        """Leave a gap in `seq` for a record that is lost before it is made."""
        self._seq += 1

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """Make `records` out of `event["exchanges"]`."""
        event["records"] = [self._record(exchange) for exchange in event["exchanges"]]
        return event

    def _record(self, exchange: Exchange) -> dict[str, Any]:
        self._seq += 1
        fields: dict[str, Any] = {
            "event": "request",
            "timestamp": self._written_time(exchange.began_at),
            "trace.id": exchange.id,
            "worker": self._worker,
            "boot": self._boot,
            "seq": self._seq,
            "config_generation": exchange.generation,
            "config_revision": exchange.revision,
            "client.address": exchange.client,
            "decision": decision(exchange),
            "stage": exchange.stage,
        }
        try:
            self._complete(fields, exchange)
        except Exception as exc:  # noqa: BLE001 - a record is not lost to what a plugin put into it
            fields["reason"] = f"record incomplete: {type(exc).__name__}"
        return fields

    def _complete(self, fields: dict[str, Any], exchange: Exchange) -> None:
        if (inbound := exchange.inbound) is not None:
            self._add_request(fields, inbound)
        elif exchange.method is not None:
            fields["http.request.method"] = exchange.method[:32]
        if (item := exchange.item) is not None:
            fields["http.route"] = exchange.template
            fields["item.code"] = item.code
            fields["item.category"] = item.category
            fields["system"] = item.system
            if (via := self._via.get(item.system)) is not None:
                fields["via"] = via
        if (credential := exchange.credential) is not None:
            fields["channel"] = credential.channel
            if credential.client is not None:
                fields["channel.client"] = _line_of(credential.client, 64)
        if (principal := exchange.principal) is not None:
            self._add_principal(fields, principal)
        _add_answer(fields, exchange)
        _add_times(fields, exchange)

    def _add_request(self, fields: dict[str, Any], inbound: Inbound) -> None:
        fields["client.address"] = inbound.client
        fields["http.request.method"] = inbound.method
        fields["url.path"] = _line_of(inbound.path, _LIMITS["url.path"])
        agent = inbound.fields.get(b"user-agent")
        if agent is not None:
            fields["user_agent.original"] = _agent(agent[:2048])
        if self._parameters and inbound.query and (query := mask_query(inbound.query, self._parameters)):
            fields["url.query"] = _cut(query, _LIMITS["url.query"])

    def _add_principal(self, fields: dict[str, Any], principal: Principal) -> None:
        fields["verifier"] = principal.verifier
        fields["subject"] = self._pseudonym(principal.issuer, principal.subject)
        fields["subject_type"] = principal.kind
        fields["assurance"] = principal.assurance
        if principal.operator is not None:
            fields["operator"] = self._pseudonym(principal.issuer, principal.operator)


def decision(exchange: Exchange) -> str:
    """What became of a request: `left` by its client, `carried`, `refused` (4xx), or `failed` (anything else)."""
    if exchange.client_gone:
        return "left"
    if exchange.code is None:
        return "carried" if exchange.status else "failed"
    return "refused" if 400 <= exchange.status < 500 else "failed"


def _add_answer(fields: dict[str, Any], exchange: Exchange) -> None:
    if exchange.status:
        fields["http.response.status_code"] = exchange.status
    fields["http.request.body.size"] = exchange.received
    fields["http.response.body.size"] = exchange.sent
    if exchange.code is not None:
        fields["code"] = exchange.code
    if exchange.reason:
        fields["reason"] = _line_of(exchange.reason, _LIMITS["reason"])
    if exchange.verdicts:
        fields["chain"] = _chain(tuple(exchange.verdicts))
    if exchange.attempt:
        fields["attempt"] = exchange.attempt
    if exchange.outcome is not None:
        fields["outcome"] = exchange.outcome
    if exchange.client_gone:
        fields["client_gone"] = True


def _add_times(fields: dict[str, Any], exchange: Exchange) -> None:
    if exchange.verify is not None:
        fields["ms.verify"] = int(exchange.verify * 1e6) / 1e3
    if exchange.reauthorize is not None:
        fields["ms.reauthorize"] = int(exchange.reauthorize * 1e6) / 1e3
    if exchange.forward is not None:
        fields["ms.forward"] = int(exchange.forward * 1e6) / 1e3
    if exchange.relay is not None:
        fields["ms.relay"] = int(exchange.relay * 1e6) / 1e3
    fields["ms.total"] = int(exchange.total * 1e6) / 1e3


def _line_of(text: str, limit: int) -> str:
    return _cut(mask_text(text[: 8 * limit]), limit)


def _cut(text: str, limit: int) -> str:
    """Cut to so many ASCII characters; another character takes six of them in JSON."""
    return text[:limit] if text.isascii() else text[: limit // 6]


@lru_cache(maxsize=1024)
def _agent(value: bytes) -> str:
    """A user agent, masked; a byte that is not ASCII is shown in hex. Few programs, many requests: remembered."""
    return _line_of(value.decode("ascii", "backslashreplace"), _LIMITS["user_agent.original"])


@lru_cache(maxsize=1024)
def _chain(verdicts: tuple[tuple[str, str], ...]) -> str:
    return _line_of(", ".join(f"{part}:{verdict}" for part, verdict in verdicts), _LIMITS["chain"])


_encoder = msgspec.json.Encoder()


def render(logger: Any, method: str, event: EventDict) -> bytes:
    """A structlog processor: one line of JSON in ASCII, whatever is in it."""
    try:
        line = _encoder.encode(event)
    except (TypeError, ValueError):  # a plugin's odd value, or half of a surrogate pair
        line = b"\xff"
    if not line.isascii():
        line = json.dumps(event, separators=(",", ":"), default=repr).encode()
    return line + b"\n"


def render_lines(logger: Any, method: str, event: EventDict) -> tuple[tuple[bytes, int], dict[str, Any]]:
    """A structlog processor: `event["records"]` as lines like those of `render`, and how many there are."""
    records = event["records"]
    try:
        lines = _encoder.encode_lines(records)
    except (TypeError, ValueError):
        lines = b"\xff"
    if not lines.isascii():
        lines = b"".join(render(logger, method, record) for record in records)
    return (lines, len(records)), {}


class _RequestLogger(structlog.BoundLoggerBase):
    """The logger in front of the sink: one kind of event, a batch of requests; nothing is bound."""

    def requests(self, exchanges: list[Exchange]) -> None:
        """Log them."""
        self._proxy_to_logger("write", exchanges=exchanges)


class _Timestamps:
    """RFC 3339 in milliseconds, +08:00: the time of the people who read it. The second is written once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, at: float) -> str:
        second = int(at)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + 8 * 3600))
        return self._text + _MILLISECONDS[int((at - second) * 1000)]

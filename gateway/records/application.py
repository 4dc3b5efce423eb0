"""What the gateway itself has to say: structlog events and the standard library's logging, masked, on one sink.

JSON lines for machines, coloured text for a person at a terminal. sink.py takes the lines, so nobody waits for them.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from gateway.beijing import Timestamps
from gateway.records.masking import mask_named, mask_text
from gateway.records.sink import Sink

_LONGEST = 8192
"""Characters of one value; of a traceback the last ones, because the cause stands at its end."""
_DEEPEST = 4
_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(10), *range(11, 32), *range(127, 160))}
_LEVELS = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO)


class ApplicationLog:
    """The application log of one process.

    Args:
        sink: takes the lines.
        level: least level that is written: debug, info, warning, error or critical.
        readable: True for text instead of JSON; None asks the sink whether it is a terminal.
        clock: wall clock, Unix seconds.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        level: str = "info",
        readable: bool | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lines = _Lines(sink)
        self._wrapper = structlog.make_filtering_bound_logger(level)
        self._level = logging.getLevelNamesMapping()[level.upper()]
        self._processors: list[Processor] = [
            structlog.processors.add_log_level,
            _Stamp(clock),
            Repeats(),
            structlog.processors.format_exc_info,
            mask_event,
            _Text() if (sink.is_terminal() if readable is None else readable) else _json,
        ]

    def logger(self, **bound: Any) -> FilteringBoundLogger:
        """A logger that adds these values to each of its events, for example `part="province-jwt"`."""
        made: FilteringBoundLogger = structlog.wrap_logger(
            self._lines, self._processors, self._wrapper, dict, True, **bound
        )
        return made

    def bridge(self, logger: logging.Logger) -> None:
        """Have a logger of the standard library, and those below it, end here instead of wherever they ended before."""
        logger.handlers = [_Bridge(self.logger())]
        logger.setLevel(max(self._level, logging.INFO))

    def install(self) -> None:
        """Make this the process's log: `structlog.get_logger()`, `logging` and `warnings` all lead here."""
        structlog.configure(
            processors=self._processors,
            wrapper_class=self._wrapper,
            logger_factory=lambda *_: self._lines,
            cache_logger_on_first_use=True,
        )
        self.bridge(logging.getLogger())
        logging.captureWarnings(True)


class Repeats:
    """A structlog processor: of the same event at most so many in a while; the next one says how many were left out.

    Args:
        clock: seconds that never go back.
        most: events of one kind in one window.
        window: seconds.
    """

    _KINDS = 1024

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 20, window: float = 10.0) -> None:
        self._clock = clock
        self._most = most
        self._window = window
        self._kinds: dict[tuple[str, object], list[float]] = {}

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """Let the event pass.

        Raises:
            structlog.DropEvent: too many of its kind.
        """
        now, kind = self._clock(), (method, str(event.get("event")))
        if len(self._kinds) >= self._KINDS and kind not in self._kinds:
            self._kinds.clear()
        seen = self._kinds.setdefault(kind, [now, 0, 0])
        if now - seen[0] >= self._window:
            seen[0], seen[1] = now, 0
        seen[1] += 1
        if seen[1] > self._most:
            seen[2] += 1
            raise structlog.DropEvent
        if seen[2]:
            event["left_out"], seen[2] = int(seen[2]), 0
        return event


def mask_event(logger: Any, method: str, event: EventDict) -> EventDict:
    """A structlog processor: masks every value by its name and by pattern; what is not plain data becomes text."""
    return {str(name): _masked(str(name), value, 0) for name, value in event.items()}


def _masked(name: str, value: Any, depth: int) -> Any:
    match value:
        case None | bool() | float():
            return value
        case int():
            digits = str(value)
            return value if (masked := mask_named(name, digits)) == digits else masked
        case str():
            return _masked_text(name, value)
        case bytes():
            return _masked_text(name, value.decode("ascii", "backslashreplace"))
        case Mapping() if depth < _DEEPEST:
            return {str(key): _masked(str(key), one, depth + 1) for key, one in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_masked(name, one, depth + 1) for one in value]
        case _:
            return _masked_text(name, _shown(value))


def _masked_text(name: str, text: str) -> str:
    if name == "exception":
        return mask_text(text[-4 * _LONGEST :])[-_LONGEST:]
    return mask_named(name, text[: 4 * _LONGEST])[:_LONGEST]


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as exc:  # noqa: BLE001 - a foreign repr must not cost us the event
        return f"<{type(value).__name__}: repr raised {type(exc).__name__}>"


class _Stamp:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._write = Timestamps()

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        return {"timestamp": self._write(self._clock()), **event}


def _json(logger: Any, method: str, event: EventDict) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class _Text:
    """Text for a terminal, without control characters of others."""

    def __init__(self) -> None:
        self._render = structlog.dev.ConsoleRenderer(colors=True)

    def __call__(self, logger: Any, method: str, event: EventDict) -> bytes:
        shown = {name: self._plain(name, value) for name, value in event.items()}
        text = self._render(logger, method, shown)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _plain(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            plain = value.translate(_CONTROLS)
            return plain if name == "exception" else plain.replace("\n", "\\n")
        return value


class _Lines:
    """The logger behind the processors, with one method for all levels."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def msg(self, line: bytes) -> None:
        self._sink.write(line, 1)

    debug = info = warning = error = critical = msg


class _Bridge(logging.Handler):
    """Turns the standard library's log records into events."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = next((level for level in _LEVELS if record.levelno >= level), logging.DEBUG)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - its author's format string does not fit; the event counts more
            message = str(record.msg)
        self._log.log(level, message, logger=record.name, exc_info=record.exc_info)

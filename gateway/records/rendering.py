"""Records as bytes: one line of JSON in ASCII each, whatever is in them. The last processors of structlog's chains."""

import json
from typing import Any

import msgspec
from structlog.typing import EventDict

Record = tuple[dict[str, Any], list[bytes]]
"""Fields of one record, and members of the same JSON object that are rendered already."""

_encode = msgspec.json.Encoder().encode


def as_object(fields: EventDict) -> bytes:
    """A JSON object in ASCII."""
    try:
        rendered = _encode(fields)
    except (TypeError, ValueError):  # a plugin's odd value, or half of a surrogate pair
        rendered = b"\xff"
    return rendered if rendered.isascii() else json.dumps(fields, separators=(",", ":"), default=repr).encode()


def as_members(fields: dict[str, Any]) -> bytes:
    """What is between the braces of such an object; None is left out, and something has to be left."""
    return as_object({name: value for name, value in fields.items() if value is not None})[1:-1]


def render(logger: Any, method: str, event: EventDict) -> bytes:
    """A structlog processor: one line."""
    return as_object(event) + b"\n"


def render_lines(logger: Any, method: str, event: EventDict) -> tuple[tuple[bytes, int], dict[str, Any]]:
    """A structlog processor: `event["records"]`, each a `Record`, as lines, and how many there are."""
    lines = [b"%b,%b}\n" % (as_object(fields)[:-1], b",".join(parts)) for fields, parts in event["records"]]
    return (b"".join(lines), len(lines)), {}

"""A request as it goes to a system, and its head as bytes. connection.py writes them."""

import msgspec

from gateway.errors import InternalError
from gateway.model import Body, Field

REPEATABLE = frozenset({"GET", "HEAD"})
"""Methods that may be sent once more (docs/security.md, retry rule); OPTIONS is safe by RFC 9110, not in the field."""

SMALL_BODY = 64 << 10
"""A body of at most so many bytes is read first: it goes out in one write, and a slow client holds no connection."""

_EXPECTS_BODY = frozenset({"POST", "PUT", "PATCH"})
_pair = b": ".join


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One request to a system.

    Attributes:
        method: as it is sent.
        target: origin-form, path and query: exactly the bytes to send.
        fields: all of them except Host, framing and Connection, which belong to the connection.
        body: see gateway.model.Body.
        timeout: seconds from now until the head of the answer, or all of an answer that is not streamed.
        idle: seconds a streaming answer may pause.
        upgrade: "websocket", or None.
    """

    method: str
    target: bytes
    fields: list[Field]
    body: Body
    timeout: float
    idle: float = 60.0
    upgrade: str | None = None


def head_lines(request: UpstreamRequest) -> list[bytes]:
    """Write the head of a request (RFC 9112 §3, §5): all lines but Host, which is the target's.

    Raises:
        InternalError: the target, a name or a value holds a line break. Whoever made it is broken: nothing is sent.
    """
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.target), *map(_pair, request.fields)]
    length = request.body.length
    if length is None:
        lines.append(b"transfer-encoding: chunked")
    elif length or request.method in _EXPECTS_BODY:
        lines.append(b"content-length: %d" % length)
    if request.upgrade is not None:
        lines += (b"connection: Upgrade", b"upgrade: " + request.upgrade.encode())
    text = b"".join(lines)
    if b"\n" in text or b"\r" in text:
        raise InternalError("the target or a header field holds a line break")
    return lines


def message(lines: list[bytes], host_line: bytes, content: bytes = b"") -> bytes:
    """Put Host before the other fields (RFC 9110 §7.2), and the body behind the empty line, where it goes with them."""
    return b"\r\n".join((lines[0], host_line, *lines[1:], b"", content))

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


def render_head(request: UpstreamRequest) -> tuple[bytes, bytes]:
    """Write the head of a request (RFC 9112 §3, §5), in two parts: Host, which is the target's, goes between them.

    Returns:
        The request line, and the fields up to the empty line.

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
    lines += (b"", b"")
    head = b"\r\n".join(lines)
    if len(head.splitlines()) != len(lines) - 1:
        raise InternalError("the target or a header field holds a line break")
    cut = len(lines[0]) + 2
    return head[:cut], head[cut:]

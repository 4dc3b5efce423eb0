"""How answers look on the wire: status lines, fields, framing (RFC 9112). connection.py decides which and when."""

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from gateway.model import Field

STATUS_LINES = [b"HTTP/1.1 %d " % status for status in range(600)]
for _status in HTTPStatus:
    STATUS_LINES[_status] = b"HTTP/1.1 %d %b" % (_status, _status.phrase.encode())
_pair = b": ".join

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
CLOSE: Field = (b"connection", b"close")
CHUNKED: Field = (b"transfer-encoding", b"chunked")


def message(status: int, fields: Iterable[Field], body: bytes = b"") -> bytes:
    """A status line, header fields, the empty line that ends them, and what there is of the body: for one write."""
    return b"\r\n".join((STATUS_LINES[status], *map(_pair, fields), b"", body))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def length(size: int) -> Field:
    """Content-Length."""
    return b"content-length", b"%d" % size


class DateField:
    """The Date field (RFC 9110 §6.6.1), made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._field: Field = (b"date", b"")

    def at(self, now: float) -> Field:
        """The field for this Unix second."""
        if int(now) != self._second:
            self._second = int(now)
            self._field = (b"date", formatdate(now, usegmt=True).encode())
        return self._field

"""Request lines that aiohttp's parser takes although RFC 9112 §3 does not: `RTSP/1.0`, and any number of spaces.

The parser does not tell them from good ones. connection.py asks about the bytes, which are followed here.
"""

from collections.abc import Sequence

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

_HEAD_END = b"\r\n\r\n"
_LINE_END = b"\r\n"
_NO_END = 1 << 62


class RequestLines:
    """Follows the bytes of one connection from request to request, as the parser tells of them.

    The parser may hold bytes back and tell of their requests later. Where a chunked body or a switched protocol ends is
    not known here: that is the last request of a connection anyway, and whatever the parser finds behind it is odd.
    """

    __slots__ = ("_body", "_held")

    def __init__(self) -> None:
        self._held = bytearray()
        self._body = 0

    def is_alone(self, data: bytes, message: RawRequestMessage, payload: StreamReader) -> bool:
        """Tell at a glance whether the bytes are this one request, plain and without a body: most are.

        Only for a parser that holds nothing back.
        """
        end = len(message.method) + len(message.path) + 1
        return (
            data[end : end + 8] == b" HTTP/1."
            and data.endswith(_HEAD_END)
            and payload is EMPTY_PAYLOAD
            and not self._held
            and not self._body
        )

    def find_odd(self, data: bytes, messages: Sequence[tuple[RawRequestMessage, StreamReader]]) -> int | None:
        """Tell which of the messages does not begin with `METHOD target HTTP/1.`; None for none.

        Args:
            data: what the parser was given now.
            messages: what it told then, in order.
        """
        if not messages and len(data) <= self._body:
            self._body -= len(data)
            return None
        held, at = self._held, self._body
        held += data
        for index, (message, _) in enumerate(messages):
            while held[at : at + 2] == _LINE_END:  # empty lines before a request mean nothing (RFC 9112 §2.2)
                at += 2
            line = f"{message.method} {message.path} HTTP/1.".encode("utf-8", "surrogateescape")
            end = held.find(_HEAD_END, at)
            if end < 0 or not held.startswith(line, at):
                return index
            at = end + len(_HEAD_END) + _body_length(message)
        self._body = max(0, at - len(held))
        del held[:at]
        return None


def _body_length(message: RawRequestMessage) -> int:
    return _NO_END if message.chunked or message.upgrade else int(message.headers.get("Content-Length", "0"))

"""Request lines that aiohttp's parser takes although RFC 9112 §3 does not: `RTSP/1.0`, and any number of spaces.

connection.py asks about the bytes that the parser has read.
"""

import re
from collections.abc import Iterable

from aiohttp.http_parser import RawRequestMessage

_ODD_LINE = re.compile(rb"(?:\A|\n)[A-Z]{3,8}(?: {2,}[^\n]*| [^ \n]+ {2,}[^\n]*| [^ \n]+ RTSP/[^\n]*)(?:\n|\Z)")
"""A line that the parser takes for a request line although it is none: more than one space, or another protocol."""


def is_plain(message: RawRequestMessage, data: bytes) -> bool:
    """Tell whether the bytes begin with this request's line, `HTTP/1.` after just one space."""
    end = len(message.method) + len(message.path) + 1
    return data[end : end + 8] == b" HTTP/1."


def find_odd(data: bytes, messages: Iterable[RawRequestMessage]) -> int | None:
    """Tell which of the messages that were read from these bytes, in this order, has such a line; None for none."""
    at = 0
    for index, message in enumerate(messages):
        line = f"{message.method} {message.path} HTTP/1.".encode("utf-8", "surrogateescape")
        found = data.find(line, at)
        odd = _ODD_LINE.search(data, at)
        if odd is not None and (found < 0 or odd.start() < found) and _is_line_of(message, odd[0]):
            return index
        at = found + len(line) if found >= 0 else at
    return None


def _is_line_of(message: RawRequestMessage, line: bytes) -> bool:
    """Tell whether the parser made this message of that line, and did not find it in the body before."""
    words = [message.method, message.path]
    return [word.decode("utf-8", "surrogateescape") for word in line.split()[:2]] == words

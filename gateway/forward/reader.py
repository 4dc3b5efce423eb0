"""What a system sends becomes an answer here. connection.py passes it on; httptools (llhttp) does the parsing.

llhttp, strict as httptools ships it, refuses what RFC 9112 forbids inside a line: line ends without CR, folded lines,
names that are no tokens, control characters in values, unclear lengths (a test asks it about every byte). What it lets
through and we do not is refused here: odd status codes, switches nobody asked for, transfer codings other than chunked.
"""

from httptools import HttpResponseParser

from gateway.errors import Undelivered
from gateway.forward.answer import NAMES, Answer, learn_name, without_nominated
from gateway.forward.request import UpstreamRequest
from gateway.model import Field

HEAD_LIMIT = 64 << 10
"""Most bytes of a header block, of trailers and of chunk extensions."""

_ORDINARY_CONNECTION = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})


class AnswerReader:
    """The parser's callbacks, and what is known of the answer to one request so far.

    Args:
        limit: most bytes of an answer's body.

    A callback that raises Undelivered ends the parsing.
    """

    __slots__ = (
        "_answer", "_chunked", "_complete", "_fields", "_keep_alive", "_length", "_limit", "_nominated", "_parser",
        "_pieces", "_received", "_request", "_silent", "_switched",
    )  # fmt: skip

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parser = HttpResponseParser(self)
        self._answer: Answer | None = None

    def _expect(self, request: UpstreamRequest) -> None:
        """Begin to read the answer to this request."""
        self._request = request
        self._answer = None
        self._fields: list[Field] = []
        self._pieces: list[bytes] = []
        self._length: int | None = None
        self._nominated = self._switched = b""
        self._received = self._silent = 0
        self._chunked = self._complete = self._keep_alive = False

    def _renew_parser(self) -> None:
        self._parser = HttpResponseParser(self)

    def on_message_begin(self) -> None:
        """The first byte of an answer, or one that nobody asked for."""
        if self._complete:
            raise Undelivered("bytes after the answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One field of the head. Those of trailers land in a list that nobody reads."""
        lower, passing = NAMES.get(name) or learn_name(name)
        if passing:
            self._fields.append((lower, value))
        elif lower == b"content-length":
            self._length = int(value)
        else:
            self._note(lower, value)

    def on_headers_complete(self) -> None:
        """The head is there: refuse it, skip it (1xx), or make an answer of it."""
        status = self._parser.get_status_code()
        fields, self._fields = self._fields, []
        if not 200 <= status <= 599 and self._interim(status):
            return
        if self._silent > HEAD_LIMIT and sum(len(name) + len(value) + 4 for name, value in fields) > HEAD_LIMIT:
            raise Undelivered("the header block is too large")
        self._silent = 0
        if self._nominated:
            fields = without_nominated(fields, self._nominated)
        self._answer = Answer(status, fields, self._length)
        if self._request.method == "HEAD":
            self.on_message_complete()
        elif self._length is not None and self._length > self._limit:
            raise Undelivered("the answer is too large")

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._silent = 0
        self._received += len(data)
        if self._complete or self._received > self._limit:
            raise Undelivered("the answer is too large")
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """The end of an interim answer, or of the answer."""
        if self._answer is not None:
            self._complete = True
            self._keep_alive = self._parser.should_keep_alive()

    def _note(self, name: bytes, value: bytes) -> None:
        """Look at a field that ends here: some of them are for us."""
        if name == b"connection":
            if value not in _ORDINARY_CONNECTION:
                self._nominated += b"," + value
        elif name == b"transfer-encoding":
            if self._chunked or value.lower() != b"chunked" or self._parser.get_http_version() != "1.1":
                raise Undelivered("a transfer coding other than chunked")
            self._chunked = True
        elif name == b"upgrade":
            self._switched = value.lower()

    def _interim(self, status: int) -> bool:
        """Tell whether another head follows this one (RFC 9110 §15.2); a switch of protocols is the last one.

        Raises:
            Undelivered: no such status, or a switch that nobody asked for.
        """
        if not 100 <= status <= 199:
            raise Undelivered(f"status {status:03}")
        if status != 101:
            self._nominated = b""
            return True
        if self._request.upgrade is None or self._switched != self._request.upgrade.encode():
            raise Undelivered("switched to a protocol that nobody asked for")
        return False

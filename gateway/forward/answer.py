"""A system's answer: which of its fields a client may see, and its body while it is still coming.

connection.py makes answers out of bytes; gateway.fields says which names end here.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from gateway.errors import Undelivered
from gateway.fields import nominated, reaches_client
from gateway.forward.tunnel import Tunnel
from gateway.model import Field

BUFFER = 256 << 10
"""Bytes of a body that may wait for a slow client before the system is made to wait."""

NAMES: dict[bytes, tuple[bytes, bool]] = {}
"""Field names as systems write them: in lower case, and whether they may reach a client. Grown by `learn_name`."""

NAMES_MOST = 1024


def learn_name(name: bytes) -> tuple[bytes, bool]:
    """Judge a field name by the rule of gateway.fields, once per name instead of once per answer."""
    lower = name.lower()
    judged = lower, reaches_client(lower)
    if len(NAMES) < NAMES_MOST:
        NAMES[name] = judged
    return judged


def without_nominated(fields: list[Field], connection: bytes) -> list[Field]:
    """Leave out what a `Connection` field declares to be for this hop only (RFC 9110 §7.6.1)."""
    names = nominated(connection)
    return [field for field in fields if field[0] not in names]


class Source(Protocol):
    """Where a body comes from: it can be made to wait, and be given up."""

    def pause(self) -> None:
        """Read no more for now."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    def abort(self) -> None:
        """Give it up."""
        ...


class Stream:
    """A body on its way: a bounded buffer between the system's pace and the client's.

    Args:
        pieces: what has arrived; the source appends to it and calls `arrived`.
        source: where it comes from.
    """

    __slots__ = ("_ended", "_error", "_paused", "_pieces", "_reader", "_source", "taken")

    def __init__(self, pieces: list[bytes], source: Source) -> None:
        self._pieces = pieces
        self._source: Source | None = source
        self._reader: asyncio.Future[None] | None = None
        self._error: Undelivered | None = None
        self._paused = False
        self._ended = False
        self.taken = 0

    def arrived(self, received: int) -> None:
        """Note that the body has grown to so many bytes; beyond the buffer the source has to wait."""
        self._wake()
        if received - self.taken > BUFFER and not self._paused and self._source is not None:
            self._paused = True
            self._source.pause()

    def end(self) -> None:
        """Nothing more comes: the body is complete."""
        self._ended = True
        self._source = None
        self._wake()

    def fail(self, error: Undelivered) -> None:
        """Nothing more comes, and the body is not complete."""
        self._error = error
        self._source = None
        self._wake()

    def close(self) -> None:
        """Nobody reads any more: give up what has not arrived yet."""
        source, self._source = self._source, None
        if source is not None:
            source.abort()

    async def chunks(self) -> AsyncIterator[bytes]:
        """See gateway.model.Reply.chunks. What arrived together is handed on together."""
        while True:
            if self._pieces:
                yield self._take()
            elif self._error is not None:
                raise self._error
            elif self._ended:
                return
            else:
                await self._more()

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.taken += len(data)
        if self._paused and self._source is not None:
            self._paused = False
            self._source.resume()
        return data

    async def _more(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Answer:
    """A gateway.model.Reply: the head has arrived; the body is whole, or comes as a stream, or is a tunnel.

    Attributes:
        length: of an answer to HEAD and of a 304: what the system announced; the body itself is empty then.
    """

    __slots__ = ("fields", "length", "status", "stream", "tunnel", "whole")

    def __init__(self, status: int, fields: list[Field], length: int | None) -> None:
        self.status = status
        self.fields = fields
        self.length = length
        self.whole: bytes | None = None
        self.stream: Stream | None = None
        self.tunnel: Tunnel | None = None

    def make_whole(self, body: bytes, method: str) -> None:
        """All has arrived; of an answer that has no body `length` stays as announced (RFC 9110 §9.3.2, §15.4.5)."""
        self.whole = body
        if self.status == 204:
            self.length = None
        elif self.status != 304 and method != "HEAD":
            self.length = len(body)

    def chunks(self) -> AsyncIterator[bytes]:
        """See gateway.model.Reply.chunks."""
        if self.stream is None:
            raise TypeError("a whole answer has no chunks")
        return self.stream.chunks()

    def close(self) -> None:
        """Let go of what is still coming. Harmless when nothing is."""
        if self.stream is not None:
            self.stream.close()
        if self.tunnel is not None:
            self.tunnel.close()

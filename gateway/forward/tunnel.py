"""A connection that has switched protocols: bytes both ways, each side waiting for the other. Made by connection.py."""

import asyncio
from collections.abc import Callable

BUFFER = 256 << 10
"""Bytes from the system that may wait for a slow client before the system is made to wait."""

LINGER = 10.0
"""Seconds in which a system may take what a client sent before it left."""


class Tunnel(asyncio.Protocol):
    """A gateway.model.Tunnel over one transport.

    Args:
        transport: the connection, read up to the end of the 101 answer.
        early: what arrived together with that answer.
        ended: called once when the connection has ended.
        linger: seconds in which the system may take what was written before the end.
    """

    def __init__(
        self, transport: asyncio.Transport, early: bytes, ended: Callable[[], None], linger: float = LINGER
    ) -> None:
        self._transport = transport
        self._ended = ended
        self._linger = linger
        self._pieces = [early] if early else []
        self._size = len(early)
        self._reader: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = False

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        while not self._pieces and not self._closed:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        data = b"".join(self._pieces)
        self._pieces.clear()
        if self._size > BUFFER and not self._closed:
            self._transport.resume_reading()
        self._size = 0
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes; returns when the system keeps up again, and drops them when the connection has ended."""
        if not self._closed:
            self._transport.write(data)
            await self._writable.wait()

    def close(self) -> None:
        """End it when what was written has left, or after `linger`. Harmless when it has ended."""
        if not self._closed:
            self._transport.close()
            asyncio.get_running_loop().call_later(self._linger, self._transport.abort)
            self._end()

    def data_received(self, data: bytes) -> None:
        """Keep what the system sent until it is read."""
        before = self._size
        self._pieces.append(data)
        self._size += len(data)
        if before <= BUFFER < self._size:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The system sends no more: end it when what was written before has left."""
        self._transport.close()

    def pause_writing(self) -> None:
        """The system does not keep up."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The system keeps up again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The system has ended it, or `close` has."""
        self._end()

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            self._writable.set()
            self._wake()
            self._ended()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

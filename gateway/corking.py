"""What is written during one turn of the event loop leaves when the turn is over, one connection after the other.

A write to a process that sleeps wakes it, which costs more than the write. Answering one request at a time wakes the
client and the system for each of them; together they are woken once (docs/performance.md). edge/ and forward/ write so.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

_LARGE = 16384
"""A piece of so many bytes is worth a write of its own, and is not held."""
_MOST = 128
"""Pieces that are held."""

Write = Callable[[bytes], None]


class Cork:
    """What several connections of one event loop have to send, in the order in which they said so.

    Attributes:
        held: pieces, each with how it is written.
    """

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: list[tuple[Write, bytes]] = []

    def draw(self) -> None:
        """Send everything."""
        held, self.held = self.held, []
        for write, data in held:
            try:
                write(data)
            except Exception:  # noqa: BLE001, S112 - its connection has ended since, and the others have theirs to send
                continue


class CorkedTransport(asyncio.Transport):
    """A transport whose writes are held until the cork is drawn. What else our connections use reaches the real one.

    Args:
        transport: the real one.
        cork: shared with other connections.
    """

    __slots__ = ("_cork", "_transport", "_write")

    def __init__(self, transport: asyncio.BaseTransport, cork: Cork) -> None:
        super().__init__()
        # uvloop's is a transport in everything but its bases
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write
        self._cork = cork

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send this, in order, when this turn of the loop is over at the latest.

        Raises:
            TypeError: it is not bytes; nothing is held of it.
        """
        cork = self._cork
        held = cork.held
        if not held:
            asyncio.get_running_loop().call_soon(cork.draw)
        held.append((self._write, data if type(data) is bytes else bytes(memoryview(data))))
        if len(data) >= _LARGE or len(held) >= _MOST:
            cork.draw()

    def close(self) -> None:
        """End the connection when everything is sent."""
        self._cork.draw()
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once; what was written before is at least tried."""
        self._cork.draw()
        self._transport.abort()

    def write_eof(self) -> None:
        """Send everything, and no more after it."""
        self._cork.draw()
        self._transport.write_eof()

    def can_write_eof(self) -> bool:
        """See asyncio.WriteTransport."""
        return self._transport.can_write_eof()

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See asyncio.ReadTransport."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See asyncio.BaseTransport."""
        self._transport.set_protocol(protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio.BaseTransport."""
        return self._transport.get_extra_info(name, default)

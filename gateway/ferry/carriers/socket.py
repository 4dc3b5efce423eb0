"""The carrier over a Unix or TCP socket: each worker's outer unit holds one link to the inner unit's listener."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from gateway.contracts import Taker
from gateway.processes.listening import Listener, bind
from gateway.units import Address

CONNECT_TIMEOUT = 3.0
LINGER = 1.0
BACKLOG = 1 << 20
"""Bytes that may wait for a slow reader before `drained` waits."""


class _SocketLink(asyncio.Protocol):
    """One end of a link: the event loop's protocol on one side, the taker on the other."""

    _transport: asyncio.Transport

    def __init__(self, taker: Taker, links: set["_SocketLink"]) -> None:
        self._taker = taker
        self._links = links
        self._open = False
        self._room = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=BACKLOG)
        _tune(self._transport.get_extra_info("socket"))
        self._open = True
        self._room.set()
        self._links.add(self)
        self._taker.linked(self)

    def data_received(self, data: bytes) -> None:
        self._taker.take(data)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        self._room.set()
        self._links.discard(self)
        self._taker.lost("closed" if exc is None else type(exc).__name__)

    @property
    def waiting(self) -> int:
        """Bytes in the transport's buffer."""
        return self._transport.get_write_buffer_size()

    def put(self, data: bytes) -> None:
        """Write; see Link.put."""
        if not self._open or self._transport.is_closing():
            raise ConnectionResetError("the link has ended")
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait for room in the transport's buffer; see Link.drained."""
        await self._room.wait()

    def close(self) -> None:
        """End it after what waits has gone, or after a moment when it does not go; see Link.close."""
        self._open = False
        self._transport.close()
        asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()


def _tune(peer: socket.socket) -> None:
    """Small frames leave at once, and a peer that vanished without a word is noticed."""
    if peer.family != socket.AF_UNIX:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class SocketCarrier:
    """One end of the carrier.

    Args:
        address: where the inner unit listens.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._links: set[_SocketLink] = set()
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> Address:
        """Where the inner unit listens; when it listens here, with the port that the system chose."""
        return self._address if self._listener is None else self._listener.address

    async def connect(self, taker: Taker) -> None:
        """Connect to the listener; see Carrier.connect."""
        loop, address = asyncio.get_running_loop(), self._address
        async with asyncio.timeout(CONNECT_TIMEOUT):  # TimeoutError is an OSError
            if address.path:
                await loop.create_unix_connection(lambda: _SocketLink(taker, self._links), address.path)
            else:
                await loop.create_connection(lambda: _SocketLink(taker, self._links), address.host, address.port)

    async def listen(self, takers: Callable[[], Taker]) -> None:
        """Listen; see Carrier.listen."""
        loop = asyncio.get_running_loop()
        self._listener = bind("listen", self._address)
        make = loop.create_unix_server if self._address.path else loop.create_server
        self._server = await make(lambda: _SocketLink(takers(), self._links), sock=self._listener.socket)

    async def close(self) -> None:
        """Stop listening and end every link; see Carrier.close."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._listener is not None:
            self._listener.release()
            self._listener = None
        for link in tuple(self._links):
            link.abort()

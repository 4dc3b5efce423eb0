"""The public listener of one worker: accepts connections while there is room, and watches over their deadlines.

connection.py serves each of them. Nothing but service items is answered here; health and status live elsewhere.
"""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.corking import Cork
from gateway.edge.body import Budget
from gateway.edge.connection import EdgeConnection
from gateway.edge.descriptors import affordable_connections
from gateway.edge.wire import DateField
from gateway.inbound import InboundReader
from gateway.model import Field
from gateway.pipeline import Pipeline
from gateway.settings import LimitSettings
from gateway.throttle import client_key

_PAUSE = 0.25
"""Seconds to wait when there are no descriptors left."""
_GRACE = 0.2
"""Seconds for which an idle connection stays open when draining: its next request may be on the way already."""
_FULL = 0.9
"""Share of the connection limit from which on connections are not kept for a next request."""


class EdgeServer(web.Server):
    """aiohttp's low-level server with our connections.

    Args:
        pipeline: carries requests.
        reader: checks raw requests.
        limits: of this worker.
        loop: the running loop.
        clock: wall clock, Unix seconds.
        tick: seconds between two looks at the deadlines; also how coarse `now` is.
        affordable: how many of so many connections there are descriptors for.
        log: the application log.

    Attributes:
        now: coarse monotonic seconds; good enough for deadlines of seconds, and free.
        most_connections: open at once; fewer than configured when descriptors do not suffice.
        refused_connections: how many were closed at once because their client had too many.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        reader: InboundReader,
        limits: LimitSettings,
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.time,
        tick: float = 0.25,
        affordable: Callable[[int], int] = affordable_connections,
        log: Any = None,
    ) -> None:
        super().__init__(self._no_handler, handler_cancellation=True, loop=loop)
        self.pipeline = pipeline
        self.reader = reader
        self.limits = limits
        self.clock = clock
        self.now = loop.time()
        self.most_connections = limits.connections
        self.refused_connections = 0
        self.budget = Budget(limits.buffered)
        self.cork = Cork()
        self._affordable = affordable
        self._log = log or structlog.get_logger()
        self._tick = tick
        self._draining = False
        self._date = DateField()
        self._bits = random.SystemRandom().getrandbits(64)
        self._random = random.Random(self._bits)  # noqa: S311 - ids have to be unique, not secret
        self._room = asyncio.Event()
        self._room.set()
        self._clients: dict[str, int] = {}
        self._accepting: list[asyncio.Task[None]] = []
        self._sweeping: asyncio.Task[None] | None = None

    async def _no_handler(self, request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("EdgeConnection has its own request loop")

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return EdgeConnection(self, self._loop)

    def new_id(self) -> str:
        """A request id: 32 hex digits, also a W3C trace id."""
        return (self._random.getrandbits(128) or 1).to_bytes(16, "big").hex()

    def date(self) -> Field:
        """The Date field for now."""
        return self._date.at(self.clock())

    @property
    def keeps_connections(self) -> bool:
        """False while draining or nearly full: then every answer ends its connection."""
        return not self._draining and len(self._connections) < self.most_connections * _FULL

    # ── connections ───────────────────────────────────────────────────────────────────────────────────────────────

    def serve(self, listeners: list[socket.socket]) -> None:
        """Start accepting on sockets that listen already, as many connections as there are descriptors for.

        Args:
            listeners: closed when the draining begins.
        """
        wanted = self.limits.connections
        self.most_connections = most = self._affordable(wanted)
        if most < wanted:
            self._log.warning("too few file descriptors for limits.connections", wanted=wanted, connections=most)
        create = self._loop.create_task
        self._accepting = [create(self._accept(listener)) for listener in listeners]
        self._sweeping = create(self._sweep())

    async def _accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        try:
            while True:
                await self._room.wait()
                await self._accept_one(listener)
        finally:
            listener.close()  # who comes now finds another worker, or is refused at once instead of left waiting

    async def _accept_one(self, listener: socket.socket) -> None:
        try:
            accepted, _ = await self._loop.sock_accept(listener)
        except OSError:
            await asyncio.sleep(_PAUSE)  # out of descriptors: some will come back, and the queue holds the rest
            return
        peer = _peer(accepted)
        if peer is None or self._has_enough(peer):
            accepted.close()
            return
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self, accepted)

    def _has_enough(self, peer: str) -> bool:
        if not peer:
            return False  # all peers of a Unix socket look alike, and who may open it the file system has decided
        had = self._clients.get(client_key(peer), 0)
        enough = had >= self.limits.connections_per_client and not self.reader.trusts(peer)
        self.refused_connections += enough
        return enough

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Count it, and stop accepting when there is no more room."""
        super().connection_made(handler, transport)
        client = client_key(cast("EdgeConnection", handler).peer)
        self._clients[client] = self._clients.get(client, 0) + 1
        if len(self._connections) >= self.most_connections:
            self._room.clear()

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget it, and accept again."""
        if self._connections.pop(handler, None) is None:
            return
        client = client_key(cast("EdgeConnection", handler).peer)
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        if len(self._connections) < self.most_connections:
            self._room.set()

    def edge_connections(self) -> list[EdgeConnection]:
        """Every open connection."""
        return cast("list[EdgeConnection]", self.connections)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._tick)
            self.now = now = self._loop.time()
            for connection in self.edge_connections():
                connection.sweep(now)

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def drain(self, seconds: float) -> None:
        """Accept nothing more, let requests in flight finish for so long, then answer the rest with 503.

        Every answer from now on is the last one of its connection. A client that sends one request after the other gets
        such an answer, and loses no request to a connection that was closed under it.
        """
        began = self._loop.time()
        self._draining = True
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for connection in self.edge_connections():
            connection.drain()
        await self._until_empty(began + min(_GRACE, seconds))
        for connection in self.edge_connections():
            connection.end_idle()
        await self._until_empty(began + seconds)
        self.pipeline.draining = True
        for connection in self.edge_connections():
            connection.give_up()
        await self._until_empty(self._loop.time() + 1.0)
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def _until_empty(self, end: float) -> None:
        while self._connections and self._loop.time() < end:  # noqa: ASYNC110 - on the way out nobody is in a hurry
            await asyncio.sleep(0.02)


def _peer(accepted: socket.socket) -> str | None:
    """The peer's address; empty for a Unix socket; None when it has left again."""
    try:
        name = accepted.getpeername()
    except OSError:
        return None
    return name[0] if isinstance(name, tuple) else ""

"""The least a Python proxy can do: asyncio protocols on both sides, httptools to find where messages end.

It checks nothing and copies messages as they are; it is the floor under Tongguan, not a proxy to use.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import deque

import httptools
import uvloop


class Upstream(asyncio.Protocol):
    """One pooled connection to the back end, lent to one client at a time."""

    def __init__(self, pool: deque[Upstream]) -> None:
        self.pool = pool
        self.client: Client | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.done = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a TCP connection has a full transport

    def on_message_complete(self) -> None:
        """Note that the answer is whole."""
        self.done = True

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the client; when the answer is whole, go back to the pool."""
        self.parser.feed_data(data)
        client = self.client
        if client is None:
            self.transport.close()
            return
        client.transport.write(data)
        if self.done:
            self.done, self.client = False, None
            self.parser = httptools.HttpResponseParser(self)
            self.pool.append(self)
            client.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool, or take the waiting client down."""
        if self.client is not None:
            self.client.transport.close()
        elif self in self.pool:
            self.pool.remove(self)


class Client(asyncio.Protocol):
    """One client connection; its requests are forwarded one after the other."""

    def __init__(self, pool: deque[Upstream], upstream_port: int) -> None:
        self.pool = pool
        self.upstream_port = upstream_port
        self.parser = httptools.HttpRequestParser(self)
        self.pending: list[bytes] = []
        self.whole = False
        self.task: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # a TCP connection has a full transport

    def on_message_complete(self) -> None:
        """Note that the request is whole."""
        self.whole = True

    def data_received(self, data: bytes) -> None:
        """Collect the request and forward it when it is whole."""
        self.parser.feed_data(data)
        self.pending.append(data)
        if self.whole:
            if self.pool:
                self.forward(self.pool.pop())
            else:
                self.task = asyncio.get_running_loop().create_task(self.connect_and_forward())

    async def connect_and_forward(self) -> None:
        """Open one more connection to the back end."""
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(lambda: Upstream(self.pool), "127.0.0.1", self.upstream_port)
        self.forward(upstream)

    def forward(self, upstream: Upstream) -> None:
        """Write the request as it came."""
        upstream.client = self
        upstream.transport.write(b"".join(self.pending))

    def answered(self) -> None:
        """Be ready for the next request of this connection."""
        self.pending.clear()
        self.whole = False
        self.parser = httptools.HttpRequestParser(self)


async def serve(port: int, upstream_port: int) -> None:
    """Listen until stopped."""
    pool: deque[Upstream] = deque()
    server = await asyncio.get_running_loop().create_server(lambda: Client(pool, upstream_port), "127.0.0.1", port)
    gc.freeze()
    await server.serve_forever()


def main() -> None:
    """Serve on the port given first and forward to the loopback port given second."""
    port, upstream_port = map(int, sys.argv[1:3])
    uvloop.install()
    asyncio.run(serve(port, upstream_port))


main()

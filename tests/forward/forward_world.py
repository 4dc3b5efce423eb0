"""A business system scripted in bytes, an upstream that asks it, and bodies: what the forwarder's tests share."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from structlog.testing import CapturingLogger

from gateway.errors import Undelivered
from gateway.forward.pool import Dial, dial
from gateway.forward.request import UpstreamRequest
from gateway.forward.upstream import Sending, Upstream
from gateway.model import NO_BODY, Body, Field, Reply
from gateway.settings import DirectSettings

DEADLINE = 20.0
"""Seconds after which a test gives up waiting for something that should have happened."""

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Talk:
    """One connection, from the system's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, system: "System") -> None:
        self.reader = reader
        self.writer = writer
        self._system = system

    async def hear(self) -> bytes:
        """Read one request's head, and its body when that has a length; note it."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._system.heard(head)
        length = [line for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
        return head + await self.reader.readexactly(int(length[0].split(b":")[1]) if length else 0)

    async def say(self, *data: bytes) -> None:
        """Send pieces, each in a segment of its own."""
        for piece in data:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.001)

    def reset(self) -> None:
        """End the connection with RST instead of FIN."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def finish(self) -> None:
        """Send the end of the connection now, without waiting for the event loop."""
        with socket.socket(fileno=os.dup(self.writer.get_extra_info("socket").fileno())) as raw:
            raw.shutdown(socket.SHUT_RDWR)

    async def ended(self) -> None:
        """Wait until the gateway has closed the connection; what it still sends is dropped."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Talk], Awaitable[None]]


def answers(*data: bytes) -> Script:
    """Answer each request with these bytes, piece by piece, and leave the connection open."""

    async def script(talk: Talk) -> None:
        while True:
            await talk.hear()
            await talk.say(*data)

    return script


def answers_then_closes(*data: bytes) -> Script:
    """Answer the first request with these bytes, and close."""

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(*data)

    return script


class System:
    """Listens on a port of its own and plays a script on each connection: `script`, or the next of `scripts`."""

    def __init__(self) -> None:
        self.script: Script = answers(OK)
        self.scripts: list[Script] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "System":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def heard(self, head: bytes) -> None:
        """Note a request."""
        self.heads.append(head)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        script = self.scripts.pop(0) if self.scripts else self.script
        try:
            await script(Talk(reader, writer, self))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


class Trip:
    """An upstream in use, with settings that make tests short."""

    def __init__(
        self, *targets: str, clock: Callable[[], float] = time.monotonic, dial: Dial = dial, **settings: Any
    ) -> None:
        usual: dict[str, Any] = {"name": "guides", "via": "direct", "targets": targets, "connect_timeout": "1s"}
        self.log = CapturingLogger()
        self.upstream = Upstream(DirectSettings(**(usual | settings)), clock=clock, log=_Log(self.log), dial=dial)

    async def __aenter__(self) -> "Trip":
        await self.upstream.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.upstream.stop()

    def send(
        self,
        method: str = "GET",
        target: bytes = b"/",
        *,
        fields: Sequence[Field] = (),
        body: Body = NO_BODY,
        timeout: float = DEADLINE,
        idle: float = DEADLINE,
        upgrade: str | None = None,
        attempts: Callable[[], None] | None = None,
    ) -> Sending:
        """A request on its way."""
        request = UpstreamRequest(method, target, list(fields), body, timeout, idle, upgrade)
        return self.upstream.send(request, attempts=attempts)

    async def fetch(self, method: str = "GET", target: bytes = b"/", **more: Any) -> tuple[int, bytes]:
        """Status and complete body."""
        async with self.send(method, target, **more) as reply:
            if reply.whole is not None:
                return reply.status, reply.whole
            return reply.status, b"".join([piece async for piece in reply.chunks()])

    def target(self, number: int = 0) -> dict[str, Any]:
        """The state of a target."""
        state: dict[str, Any] = self.upstream.status()["targets"][number]
        return state


class _Log:
    """A bound logger, as far as an upstream uses one."""

    def __init__(self, log: CapturingLogger) -> None:
        self._log = log

    def bind(self, **_: object) -> "_Log":
        return self

    def warning(self, event: str, **values: object) -> None:
        self._log.warning(event, **values)

    def error(self, event: str, **values: object) -> None:
        self._log.error(event, **values)


class Pieces:
    """A request body that arrives in these pieces; before each one `gate` may have to open."""

    def __init__(self, *pieces: bytes, length: int | None = None, error: Exception | None = None) -> None:
        self.pieces = pieces
        self.length = length
        self.error = error
        self.taken = 0

    async def whole(self) -> bytes:
        return b"".join([piece async for piece in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.error is not None:
            raise self.error


class Endless:
    """A request body whose client sends one piece and then nothing more."""

    length: int | None = None

    async def whole(self) -> bytes:
        raise AssertionError("a body without a length is streamed")

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()


async def eventually(condition: Callable[[], object]) -> None:
    """Wait for something that happens on its own."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - counters of sockets announce no change
            await asyncio.sleep(0.005)


async def read_until_broken(reply: Reply) -> list[bytes]:
    """The pieces of a body that must not end cleanly."""
    pieces = []
    try:
        async for piece in reply.chunks():
            pieces.append(piece)  # noqa: PERF401 - what came before the break counts
    except Undelivered:
        return pieces
    raise AssertionError("the body ended as if it were complete")

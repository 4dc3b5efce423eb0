"""Messages between the supervisor and one worker over a socket pair: calls with answers, and notices without.

Each message is four bytes of length (big-endian) and that many bytes of MessagePack. worker_process.py holds one end
of a link, worker.py the other.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import msgspec

from gateway.errors import ConfigurationError

LONGEST = 64 << 20
"""Bytes of the longest message; ten thousand items take about a twentieth of it."""
AT_ONCE = 64
"""Calls that may be under way in each direction."""
BEAT = 0.5
"""Seconds between two signs of life of a worker."""

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]
"""Answers one call, or takes one notice, of the other side."""


class CallFailed(Exception):
    """The other side is there, and could not do what it was asked to; the text says why."""


class Call(msgspec.Struct, tag="call"):
    """A question. `id` pairs it with its answer."""

    id: int
    name: str
    arguments: dict[str, Any]


class Answer(msgspec.Struct, tag="answer"):
    """What became of a call: a result, problems of the configuration, or another failure."""

    id: int
    result: Any = None
    problems: list[str] | None = None
    failure: str | None = None


class Notice(msgspec.Struct, tag="notice"):
    """Something to know that asks for no answer."""

    name: str
    arguments: dict[str, Any]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Call | Answer | Notice).decode


class Link:
    """One end of a control channel. Ends for good when the other side closes it, dies, or sends nonsense."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._reading = asyncio.create_task(self._read())

    async def call(self, name: str, arguments: dict[str, Any] | None = None, *, timeout: float) -> Any:
        """Ask the other side and wait for its answer.

        Args:
            name: what is asked.
            arguments: plain data (numbers, text, bytes, lists, maps).
            timeout: seconds to wait at most.

        Raises:
            ConfigurationError: the other side refuses a configuration, with its problems.
            CallFailed: it could not do it, or too many calls are under way.
            TimeoutError: no answer in time; a late one is thrown away.
            ConnectionError: the link ended before the answer came.
        """
        if len(self._waiting) >= AT_ONCE:
            raise CallFailed(f"{name}: {AT_ONCE} calls are under way already")
        call = Call(next(self._ids), name, arguments or {})
        self._waiting[call.id] = answered = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout):
                await self._send(call)
                answer = await answered
        finally:
            del self._waiting[call.id]
        if answer.problems is not None:
            raise ConfigurationError(answer.problems)
        if answer.failure is not None:
            raise CallFailed(f"{name}: {answer.failure}")
        return answer.result

    def notify(self, name: str, arguments: dict[str, Any]) -> None:
        """Tell the other side; lost without a sound when the link has ended."""
        if not self.closed:
            self._write(Notice(name, arguments))

    @property
    def closed(self) -> bool:
        """True when nothing can be asked or heard any more."""
        return self._reading.done() or self._writer.is_closing()

    def close(self) -> None:
        """End the link. Calls that wait get a ConnectionError."""
        self._writer.close()

    async def ended(self) -> None:
        """Wait until the link has ended, whoever ended it."""
        await asyncio.wait({self._reading})

    async def _send(self, message: Call | Answer) -> None:
        if self.closed:
            raise ConnectionResetError("the control channel has ended")
        self._write(message)
        await self._writer.drain()

    def _write(self, message: Call | Answer | Notice) -> None:
        data = _encode(message)
        if len(data) > LONGEST:
            raise CallFailed(f"a message of {len(data)} bytes is too long for the control channel")
        self._writer.write(len(data).to_bytes(4) + data)

    async def _read(self) -> None:
        try:
            while True:
                length = int.from_bytes(await self._reader.readexactly(4))
                if length > LONGEST:
                    break
                self._take(_decode(await self._reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError, msgspec.DecodeError):
            pass  # gone, or not one of us: either way this was the last message
        finally:
            self._end()

    def _end(self) -> None:
        self._writer.close()
        for task in self._answering:
            task.cancel()
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(ConnectionResetError("the control channel has ended"))

    def _take(self, message: Call | Answer | Notice) -> None:
        if isinstance(message, Answer):
            answered = self._waiting.get(message.id)
            if answered is not None and not answered.done():
                answered.set_result(message)
            return
        task = asyncio.create_task(self._answer(message))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, message: Call | Notice) -> None:
        if isinstance(message, Notice):
            await self._handler(message.name, message.arguments)
            return
        answer = await self._result(message)
        try:
            await self._send(answer)
        except (TypeError, CallFailed) as error:  # a result that is no plain data, or too much of it
            await self._send(Answer(message.id, failure=str(error)))

    async def _result(self, call: Call) -> Answer:
        if len(self._answering) > AT_ONCE:
            return Answer(call.id, failure=f"{AT_ONCE} calls are being answered already")
        try:
            return Answer(call.id, result=await self._handler(call.name, call.arguments))
        except ConfigurationError as error:
            return Answer(call.id, problems=error.problems)
        except Exception as error:  # noqa: BLE001 - whatever broke, the one who asked has to hear of it
            return Answer(call.id, failure=f"{type(error).__name__}: {error}")


async def open_link(end: socket.socket, handler: Handler) -> Link:
    """Make a link of one end of a socket pair. Must be called on the loop that will use it."""
    reader, writer = await asyncio.open_connection(sock=end)
    return Link(reader, writer, handler)

"""An edge of this process on a real socket, and a client that sends and reads nothing but bytes."""

import asyncio
import json
import re
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from path_world import (
    DEADLINE,
    ITEM,
    PUBLIC,
    FakeChannel,
    FakeReauthorizer,
    FakeSystem,
    FakeVerifier,
    Records,
    chain,
    eventually,
    principal,
    route,
)

from gateway.chain import ReauthorizerChain
from gateway.cors import Cors
from gateway.edge.server import EdgeServer
from gateway.inbound import InboundReader
from gateway.items import Router
from gateway.model import Item, Kind
from gateway.pipeline import Pipeline
from gateway.policy import Entrance, Policy
from gateway.settings import CorsSettings, LimitSettings
from gateway.throttle import Rates, Throttle

HOST = "gw.example"
PAGE = "https://www.example.gov.cn"


def request(line: str | bytes = "GET /guides/1", *fields: str | bytes, body: bytes = b"", host: str = HOST) -> bytes:
    """A request in bytes; the version is HTTP/1.1 unless the line names one."""
    start = line.encode() if isinstance(line, str) else line
    if b" HTTP/" not in start:
        start += b" HTTP/1.1"
    lines = [start, f"Host: {host}".encode(), *(one.encode() if isinstance(one, str) else one for one in fields)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def post(path: str, body: bytes, *fields: str) -> bytes:
    return request(f"POST {path}", f"Content-Length: {len(body)}", *fields, body=body)


def chunked(path: str, *pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end
    return request(f"POST {path}", "Transfer-Encoding: chunked", body=body)


@dataclass
class Answer:
    """One answer as it came."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    raw: bytes

    def values(self, name: str) -> list[str]:
        return [value for held, value in self.fields if held == name]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) <= 1, f"{name} comes {len(values)} times"
        return values[0] if values else None

    @property
    def closes(self) -> bool:
        return self.value("connection") == "close"

    @property
    def problem(self) -> dict[str, Any]:
        assert self.value("content-type") == "application/problem+json"
        return json.loads(self.body)


class Wire:
    """The client's end of one connection."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._held = b""
        self.heard = b""
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> "Wire":
        async with asyncio.timeout(DEADLINE):
            await self._loop.sock_sendall(self._end, data)
        return self

    def finish(self) -> None:
        """Send no more."""
        self._end.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._end.close()

    def reset(self) -> None:
        """Leave without a word."""
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end.close()

    async def receive(self, size: int = 65536) -> bytes:
        """Bytes as they come; empty at the end."""
        if self._held:
            data, self._held = self._held[:size], self._held[size:]
            return data
        async with asyncio.timeout(DEADLINE):
            return await self._loop.sock_recv(self._end, size)

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer, read strictly."""
        head = await self._until(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9]{2}) [ -~]*", line)
        assert found is not None, line
        fields = []
        for one in lines:
            name, separator, value = one.partition(b": ")
            assert separator, one
            assert re.fullmatch(rb"[a-z0-9-]+", name), one
            assert not re.search(rb"[\x00-\x1f\x7f]", value), one
            fields.append((name.decode(), value.decode("utf-8")))
        answer = Answer(int(found[1]), fields, b"", head)
        answer.body = await self._body(answer, method)
        return answer

    async def _body(self, answer: Answer, method: str) -> bytes:
        if method == "HEAD" or answer.status in {204, 304} or answer.status < 200:
            return b""
        if answer.value("transfer-encoding") is not None:
            assert answer.value("transfer-encoding") == "chunked"
            assert answer.value("content-length") is None
            return await self._chunks()
        length = answer.value("content-length")
        if length is None:
            return await self.rest()
        while len(self._held) < int(length):
            await self._more()
        body, self._held = self._held[: int(length)], self._held[int(length) :]
        return body

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int((await self._until(b"\r\n"))[:-2], 16)
            while len(self._held) < size + 2:
                await self._more()
            body += self._held[:size]
            assert self._held[size : size + 2] == b"\r\n"
            self._held = self._held[size + 2 :]
            if size == 0:
                return body

    async def _until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            await self._more()
        head, _, self._held = self._held.partition(mark)
        return head + mark

    async def _more(self) -> None:
        async with asyncio.timeout(DEADLINE):
            data = await self._loop.sock_recv(self._end, 65536)
        if not data:
            raise EOFError(self._held)
        self._held += data

    async def rest(self) -> bytes:
        """Everything up to the end."""
        data, self._held = self._held, b""
        async with asyncio.timeout(DEADLINE):
            while more := await self._loop.sock_recv(self._end, 65536):
                data += more
        return data

    async def broken_off(self) -> bool:
        """Wait for the end: True when it is a reset. What came before it is in `heard`."""
        self.heard = b""
        try:
            while piece := await self.receive():
                self.heard += piece
        except ConnectionResetError:
            return True
        return False

    async def ended(self) -> bool:
        """Wait for the end of the connection: True when nothing more comes before it."""
        try:
            return await self.rest() == b""
        except ConnectionResetError:
            return True


class Edge:
    """One public listener with a small policy.

    Attributes:
        system: where requests go; records: what was accounted for; errors: what the loop complained about.
    """

    def __init__(self, *, trusted: tuple = (), path: Path | None = None, tick: float = 0.02, **limits: Any) -> None:
        self.system = FakeSystem()
        self.records = Records()
        self.errors: list[dict[str, Any]] = []
        self.verifier = FakeVerifier(good=principal(), legal=principal(kind=Kind.LEGAL))
        self.reauthorizer = FakeReauthorizer()
        self.channel = FakeChannel()
        self.rates = Rates()
        self._settings = LimitSettings.model_construct(**(LimitSettings().model_dump() | limits))
        self._trusted = trusted
        self._path = path
        self._tick = tick
        self._wires: list[Wire] = []

    def policy(self) -> Policy:
        system = self.system
        verifiers, reauthorizers = chain(self.verifier), ReauthorizerChain([self.reauthorizer])
        person = {"item": ITEM, "verifiers": verifiers, "reauthorizers": reauthorizers}
        narrow = Item("narrow", "narrow", "c", PUBLIC.audience, 0, "s")
        routes = [
            route("GET", "/guides/{id}", system),
            route("GET", "/", system),
            route("GET", "/mine", system, **person),
            route("POST", "/mine", system, **person),
            route("POST", "/forms", system, body_limit=256 << 10),
            route("PUT", "/forms", system),
            route("POST", "/small", system, body_limit=10),
            route("GET", "/chat", system, upgrade="websocket"),
            route("GET", "/elsewhere", system, channels=frozenset({"app"})),
            route("GET", "/rated", system, throttle=Throttle(self.rates, "rated", rate="2/hour")),
            route("GET", "/hurried", system, **person, timeout=0.05),
            route("GET", "/personal", system, **person, throttle=Throttle(self.rates, "p", subject_rate="1/hour")),
            route("GET", "/narrow", system, narrow, throttle=Throttle(self.rates, "narrow", in_flight=1)),
        ]
        cors = Cors(CorsSettings(origins=(PAGE,), max_age="10m"))
        return Policy(1, Router(routes), [Entrance(self.channel, cors)])

    async def __aenter__(self) -> "Edge":
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        if self._path is None:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self._path))
            self.listener.listen()
        self.address = self.listener.getsockname()
        self.pipeline = Pipeline(self.policy(), self.records, self.rates, self._settings.in_flight)
        reader = InboundReader([HOST, "gw.example:8443"], "https", self._trusted, self._settings)
        self.server = EdgeServer(self.pipeline, reader, self._settings, loop=loop, tick=self._tick)
        self.server.serve([self.listener])
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self._wires:
            wire.close()
        try:
            await eventually(lambda: not self.server.connections)
            await eventually(lambda: self.pipeline.in_flight == 0)
        finally:
            await self.server.drain(0.0)
            self.listener.close()
        assert self.errors == []

    async def wire(self, receive_buffer: int | None = None) -> Wire:
        """A new connection."""
        end = socket.socket(self.listener.family)
        if receive_buffer is not None:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        end.setblocking(False)
        wire = Wire(end)
        self._wires.append(wire)
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().sock_connect(end, self.address)
        return wire

    async def ask(self, raw: bytes, method: str = "GET") -> Answer:
        """Send bytes on a connection of their own; gives the answer."""
        wire = await (await self.wire()).send(raw)
        answer = await wire.answer(method)
        wire.close()
        return answer

    async def refuses(self, raw: bytes, status: int, code: str) -> Answer:
        """Hold the edge to a refusal: this answer, then the end, one record with the code, and nothing forwarded."""
        wire = await (await self.wire()).send(raw)
        answer = await wire.answer()
        assert (answer.status, answer.problem["code"]) == (status, code)
        assert answer.closes
        assert await wire.ended()
        await self.records.until(1)
        assert [(record.code, record.status) for record in self.records] == [(code, status)]
        assert self.system.begun == 0
        return answer

"""What the pipeline asks of a connection: read the request, write one answer to it.

aiohttp on one side, our nouns on the other. connection.py is the rest: bytes in, requests in order, deadlines.
"""

import asyncio
import socket
import struct
from abc import abstractmethod
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError, InvalidHeader, InvalidURLError, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion11
from aiohttp.web_protocol import RequestHandler

from gateway.answers import render, status_of
from gateway.corking import CorkedTransport
from gateway.edge import wire
from gateway.edge.body import WireBody
from gateway.errors import (
    ClientGone,
    GatewayError,
    HeadersTooLarge,
    RequestMalformed,
    TargetRefused,
    TargetTooLong,
    Undelivered,
)
from gateway.exchange import Exchange
from gateway.model import NO_BODY, Field, Inbound, NoBody, Reply, Tunnel

if TYPE_CHECKING:
    from gateway.edge.server import EdgeServer

DISCARD = 65536
"""Bytes of an unwanted body that are read and thrown away, so that its sender gets to read the answer."""

_NONE: list[Field] = []
_REQUEST_ID = b"x-request-id"
_NOTHING = RequestMalformed("no request yet")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time at all: a close becomes a reset


class Answering(RequestHandler):
    """aiohttp's connection, with our own answers: one write where the answer is whole (gateway.pipeline.Client)."""

    __slots__ = ("_answered", "_body", "_edge", "_keep", "_message", "_trusted", "_wire", "peer")

    def __init__(self, edge: "EdgeServer", loop: asyncio.AbstractEventLoop) -> None:
        line = edge.limits.request_line
        super().__init__(
            edge,
            loop=loop,
            access_log=None,  # type: ignore[arg-type] # None is what switches it off
            keepalive_timeout=0,
            auto_decompress=False,
            max_line_size=line,
            max_field_size=line + 1,  # another number, so that the two refusals can be told apart
            max_headers=edge.limits.header_count,
        )
        self._edge = edge
        self._wire: CorkedTransport | None = None
        self.peer = ""
        self._trusted = False
        self._message: RawRequestMessage | GatewayError = _NOTHING
        self._body: WireBody | NoBody = NO_BODY
        self._answered = False
        self._keep = True

    def read(self, exchange: Exchange) -> Inbound:
        """See `gateway.pipeline.Client`."""
        message = self._message
        if isinstance(message, GatewayError):
            raise message
        reader = self._edge.reader
        try:
            inbound = reader.read(message, exchange.id, self.peer, self._trusted, self._body)
        except GatewayError:
            if self._trusted:
                exchange.client = reader.client_of(message, self.peer)
            raise
        exchange.client = inbound.client
        return inbound

    def admit_body(self, limit: int) -> None:
        """See `gateway.pipeline.Client`."""
        if isinstance(self._body, WireBody):
            self._body.admit(limit)

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """See `gateway.pipeline.Client`."""
        exchange.code = error.code
        exchange.reason = error.detail
        if self._answered or self._wire is None or self._wire.is_closing():
            exchange.client_gone = self._wire is None or self._wire.is_closing()
            self._keep = False
            self._abort()
            return
        if error.close or not self._can_drain():
            self._keep = False
        inbound = exchange.inbound
        accept, language = (
            (b"", b"")
            if inbound is None
            else (inbound.fields.get(b"accept", b""), inbound.fields.get(b"accept-language", b""))
        )
        fields, body = render(error, exchange.id, accept, language)
        fields = [*self._common(exchange), *fields, wire.length(len(body))]
        self._write_head(exchange, status_of(error), fields, b"" if exchange.method == "HEAD" else body)

    def _can_drain(self) -> bool:
        """An unwanted body that is short, and that the client sends without being told to, can be read away."""
        body = self._body
        if isinstance(body, NoBody) or body.finished:
            return True
        return not self._waits() and body.length is not None and body.length <= DISCARD

    def _waits(self) -> bool:
        """Tell whether the client holds its body back until it is told to go on (RFC 9110 §10.1.1)."""
        message = self._message
        return isinstance(message, RawRequestMessage) and "Expect" in message.headers and is_modern(message)

    async def answer(self, exchange: Exchange, status: int, fields: list[Field]) -> None:
        """See `gateway.pipeline.Client`."""
        self._write_head(exchange, status, [*self._common(exchange), *fields], b"")

    async def relay(self, exchange: Exchange, reply: Reply) -> None:
        """See `gateway.pipeline.Client`."""
        if reply.tunnel is not None:
            await self.switch(exchange, reply, reply.tunnel)
            return
        if not self._can_drain():
            self._keep = False
        fields = self._common(exchange, reply.fields)
        if reply.status == 204 or reply.status == 304:
            self._write_head(exchange, reply.status, fields, b"")
        elif exchange.method == "HEAD":
            if reply.length is not None:
                fields.append(wire.length(reply.length))
            self._write_head(exchange, reply.status, fields, b"")
        elif reply.whole is not None:
            fields.append(wire.length(len(reply.whole)))
            self._write_head(exchange, reply.status, fields, reply.whole)
        else:
            await self._stream(exchange, reply, fields)
        if self._paused:
            await self._flow()

    def _common(self, exchange: Exchange, carried: list[Field] = _NONE) -> list[Field]:
        """What every answer says, and what a business system's answer says besides; its Date stays as it is."""
        names = dict(carried)
        if _REQUEST_ID in names:
            carried = [field for field in carried if field[0] != _REQUEST_ID]
        fields = [(_REQUEST_ID, exchange.id.encode()), *carried]
        if b"date" not in names:
            fields.append(self._edge.date())
        if exchange.answer_fields:  # who may read it across origins is the gateway's to say, and said once
            fields = [field for field in fields if not field[0].startswith(b"access-control-")]
            fields += exchange.answer_fields
        if not self._keep:
            fields.append(wire.CLOSE)
        return fields

    def _write_head(self, exchange: Exchange, status: int, fields: list[Field], body: bytes) -> None:
        if self._wire is None or self._wire.is_closing():
            raise ClientGone("the client left before the answer")
        self._answered = True
        exchange.status = status
        exchange.sent += len(body)
        self._wire.write(wire.message(status, fields, body))

    async def _stream(self, exchange: Exchange, reply: Reply, fields: list[Field]) -> None:
        message = self._message
        chunked = reply.length is None and isinstance(message, RawRequestMessage) and is_modern(message)
        if reply.length is not None:
            fields.append(wire.length(reply.length))
        elif chunked:
            fields.append(wire.CHUNKED)
        else:
            self._keep = False
        self._write_head(exchange, reply.status, fields, b"")
        async for piece in reply.chunks():
            if self._wire is None:
                raise ClientGone("the client left during the answer")
            if not piece:
                continue  # as a chunk it would be the last one
            exchange.sent += len(piece)
            if reply.length is not None and exchange.sent > reply.length:
                raise Undelivered(f"more than {reply.length} bytes came")
            self._wire.write(wire.chunk(piece) if chunked else piece)
            if self._paused:
                await self._flow()
        if reply.length is not None and exchange.sent != reply.length:
            raise Undelivered(f"{exchange.sent} of {reply.length} bytes came")
        if chunked and self._wire is not None:
            self._wire.write(wire.LAST_CHUNK)

    async def _flow(self) -> None:
        """Wait until the client takes bytes again."""
        try:
            await self._drain_helper()
        except ConnectionError as exc:
            raise ClientGone(str(exc)) from None
        if self._wire is None:
            raise ClientGone("the client left during the answer")

    @abstractmethod
    async def switch(self, exchange: Exchange, reply: Reply, tunnel: Tunnel) -> None:
        """Hand bytes to and fro until either side ends; connection.py does it."""

    def _abort(self) -> None:
        """Reset the connection: also an answer whose end is the connection's end must not look complete."""
        if self._wire is not None:
            held = self._wire.get_extra_info("socket")
            if held is not None and held.fileno() >= 0:
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._wire.abort()


def is_modern(message: RawRequestMessage) -> bool:
    """Tell whether it speaks HTTP/1.1; anything else is older, or refused."""
    return message.version == HttpVersion11


def refused_by_parser(error: Exception, request_line: int) -> GatewayError:
    """What the parser would not read, as one of our errors; nothing that the client wrote is quoted."""
    if isinstance(error, LineTooLong):
        kind = TargetTooLong if error.args[1] == request_line else HeadersTooLarge
        return kind(f"line longer than {error.args[1]} bytes")
    if isinstance(error, InvalidURLError):
        return TargetRefused("the target is no URL")
    if isinstance(error, InvalidHeader) or not isinstance(error, HttpProcessingError):
        return RequestMalformed(f"the parser refused it: {type(error).__name__}")
    if error.message.startswith("Too many headers"):
        return HeadersTooLarge(error.message)
    return RequestMalformed(" ".join(line.strip() for line in error.message.splitlines()[:2]) or "not HTTP")

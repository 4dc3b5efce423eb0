"""One client connection: bytes in, its requests one after the other through the pipeline, deadlines, the end.

One task per connection carries its requests, not one more per request; everything a parser refuses still gets its
record. answering.py writes the answers; server.py owns the connections and calls `sweep`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiohttp.http_parser import HttpParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestPayloadError

from gateway.corking import CorkedTransport
from gateway.edge import wire
from gateway.edge.answering import DISCARD, Answering, is_modern, refused_by_parser
from gateway.edge.body import WireBody
from gateway.edge.request_line import RequestLines
from gateway.errors import ClientGone, GatewayError, RequestMalformed, RequestTimeout
from gateway.exchange import Exchange
from gateway.model import NO_BODY, NoBody, Reply, Tunnel

if TYPE_CHECKING:
    from gateway.edge.server import EdgeServer

_LINGER = 2.0
"""Seconds in which a client that still sends may read its answer."""

_HALF_OPEN = 0.75
"""Seconds for which a client that sends no more is still answered: TCP cannot tell closed from half closed."""

Message = tuple[RawRequestMessage | GatewayError, StreamReader]


class EdgeConnection(Answering):
    """Carries the requests of one connection through the pipeline, in the order they came."""

    __slots__ = (
        "_arrived", "_began_at", "_busy", "_closing_since", "_discarded", "_eof_since", "_exchange", "_head_since",
        "_idle_since", "_incoming", "_lines", "_served", "_stalled", "_tunnel", "_tunnel_at",
    )  # fmt: skip

    def __init__(self, edge: "EdgeServer", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(edge, loop)
        # One less than the parser's own count, which can be one ahead: who stops first has to be us, who know of it.
        self._max_msg_queue_size -= 1
        self._arrived: deque[Message] = deque()
        self._incoming: StreamReader = EMPTY_PAYLOAD
        self._lines = RequestLines()
        self._began_at = self._idle_since = edge.now
        self._head_since: float | None = None
        self._closing_since: float | None = None
        self._stalled = (0, 0.0)
        self._served = 0
        self._discarded = 0
        self._busy = False
        self._exchange: Exchange | None = None
        self._eof_since: float | None = None
        self._tunnel_at = 0.0
        self._tunnel: Tunnel | None = None

    # ── from the transport ────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask who the peer is once, and start the request loop."""
        self._wire = CorkedTransport(transport, self._edge.cork)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self._trusted = self._edge.reader.trusts(self.peer)
        super().connection_made(self._wire)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, the tunnel, or, once the connection is ending, nobody."""
        if self._closing_since is not None:
            self._discard(len(data))
        elif self._upgraded:
            self._message_tail += data
            if len(self._message_tail) >= self._read_bufsize:
                self._pause_reading_for_buffer()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        elif self._parser is not None:
            self._parse(data, self._parser)

    def _parse(self, data: bytes, parser: HttpParser[Any]) -> None:
        messages: Sequence[Message]
        try:
            told, self._upgraded, self._message_tail = parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - a parser that breaks has not understood it either
            messages = [(self._stop_parsing(error), EMPTY_PAYLOAD)]
        else:
            messages = told
            if self._arrived or len(told) != 1 or not self._lines.is_alone(data, *told[0]):
                messages = self._only_http(data, told)
        if messages:
            self._incoming = messages[-1][1]
            self._arrived.extend(messages)
            self._head_since = None
            waiter = self._waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)
            if len(self._arrived) >= self._max_msg_queue_size and not self._buffer_paused:
                self._pause_reading_for_buffer()
        elif not self._busy and not self._arrived and self._head_since is None:
            self._head_since = self._edge.now

    def _only_http(self, data: bytes, messages: Sequence[tuple[RawRequestMessage, StreamReader]]) -> Sequence[Message]:
        """Nothing is read behind a line that the parser took for a request line although it is none."""
        odd = self._lines.find_odd(data, messages)
        if odd is None:
            return messages
        refusal = self._stop_parsing(RequestMalformed("the request line is not method, target, HTTP/1.x"))
        return [*messages[:odd], (refusal, EMPTY_PAYLOAD)]

    def _stop_parsing(self, error: Exception) -> GatewayError:
        """Nothing that follows can be understood; whoever waits for the rest of a body is told."""
        self._parser = None
        limit = self._edge.limits.request_line
        refusal = error if isinstance(error, GatewayError) else refused_by_parser(error, limit)
        if not self._incoming.is_eof():
            self._incoming.set_exception(refusal)
        return refusal

    def _discard(self, size: int) -> None:
        """Throw away what an unwanted body still sends; a proxy of ours may send more, or it loses the answer."""
        self._discarded += size
        if self._discarded > DISCARD and not self._trusted and self._wire is not None:
            self._wire.close()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio allows it, aiohttp does not use it
        """A client that sends no more gets the answers it still waits for; an idle connection just ends."""
        self._eof_since = self._edge.now
        if self._wire is not None:
            self._edge.cork.draw()
        if not self._incoming.is_eof():
            self._incoming.set_exception(ConnectionResetError("the client sent no more before its body was complete"))
        if self._tunnel is not None and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        return (self._busy or bool(self._arrived)) and self._closing_since is None

    # ── the request loop ──────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Serve one request after the other until either side ends the connection."""
        try:
            while self._keep and not self._force_close:
                if not self._arrived and not await self._next_message():
                    break
                message, payload = self._arrived.popleft()
                self._make_room()
                await self._serve(message, payload)
                if self._arrived:
                    await self._give_way()
        except ClientGone:
            pass
        finally:
            self._busy = False
            self._end()

    async def _give_way(self) -> None:
        """Requests that are refused at once wait for nothing: without this, others would wait for all of them."""
        await asyncio.sleep(0)
        if self._paused:
            await self._flow()

    async def _next_message(self) -> bool:
        if self._eof_since is not None:
            return False
        self._idle_since = self._edge.now
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        return True

    def _make_room(self) -> None:
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._arrived) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    def _resume_reading_if_drained(self) -> None:
        """Parse what was held back while the queue was full; read on if that did not fill it again."""
        if not self._upgraded:
            self.data_received(b"")
        if len(self._arrived) < self._max_msg_queue_size:
            self._resume_reading_for_buffer()

    async def _serve(self, message: RawRequestMessage | GatewayError, payload: StreamReader) -> None:
        edge = self._edge
        edge.requests_count += 1
        self._served += 1
        self._message = message
        self._busy = True
        self._answered = False
        exchange = self._exchange = Exchange(edge.new_id(), edge.clock(), self.peer or "unix")
        if isinstance(message, GatewayError):
            self._keep = False
            self._body = NO_BODY
        else:
            exchange.method = message.method
            self._keep = self._may_keep(message)
            self._body = self._body_of(message, payload, exchange)
        try:
            await edge.pipeline.handle(self, exchange)
        finally:
            self._exchange = None
            if isinstance(self._body, WireBody):
                self._body.release()
        if self._keep and not self._body_finished() and not await self._drain_body(payload):
            self._keep = False
        self._busy = False

    def _may_keep(self, message: RawRequestMessage) -> bool:
        edge = self._edge
        return (
            not message.should_close
            and not message.upgrade
            and not message.chunked  # aiohttp 3.14.5 gives the last trailer to the next request as its first field
            and is_modern(message)
            and self._served < edge.limits.requests_per_connection
            and edge.now - self._began_at < edge.limits.connection_age
            and edge.keeps_connections
        )

    def _body_of(self, message: RawRequestMessage, payload: StreamReader, exchange: Exchange) -> WireBody | NoBody:
        if payload is EMPTY_PAYLOAD and not message.chunked and "Content-Length" not in message.headers:
            return NO_BODY
        limits = self._edge.limits
        length = None if message.chunked else int(message.headers.get("Content-Length", "0"))
        return WireBody(
            payload, length, exchange, self._edge.budget, self._continue, limits.body_timeout, limits.body_rate
        )

    def _continue(self) -> None:
        """Send 100 Continue when the body is wanted and the client waits for it (RFC 9110 §10.1.1)."""
        if self._waits() and not self._answered and self._wire is not None:
            self._wire.write(wire.CONTINUE)

    def _body_finished(self) -> bool:
        return isinstance(self._body, NoBody) or self._body.finished

    async def _drain_body(self, payload: StreamReader) -> bool:
        """Read away what is left of a small unwanted body, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_LINGER):
                while not payload.is_eof():
                    self._discarded += len(await payload.readany())
                    if self._discarded > DISCARD:
                        return False
        except (TimeoutError, GatewayError, ConnectionError, RequestPayloadError):
            return False
        self._discarded = 0
        return True

    # ── a switched connection ─────────────────────────────────────────────────────────────────────────────────────

    async def switch(self, exchange: Exchange, reply: Reply, tunnel: Tunnel) -> None:
        """Hand bytes to and fro until either side ends (RFC 9110 §7.8)."""
        self._keep = False
        self._tunnel = tunnel
        self._tunnel_at = self._edge.now
        fields = [field for field in self._common(exchange, reply.fields) if field != wire.CLOSE]
        fields += [(b"connection", b"upgrade"), (b"upgrade", b"websocket")]
        self._write_head(exchange, 101, fields, b"")
        outward = self._loop.create_task(self._tunnel_outward(exchange, tunnel))
        try:
            while not outward.done() and (data := await self._tunnel_data(outward)):
                exchange.received += len(data)
                self._tunnel_at = self._edge.now
                await tunnel.write(data)
        finally:
            outward.cancel()
            tunnel.close()
            self._tunnel = None
            await asyncio.gather(outward, return_exceptions=True)
        if not outward.cancelled():
            outward.result()

    async def _tunnel_data(self, outward: "asyncio.Task[None]") -> bytes:
        if not self._message_tail and self._eof_since is None:
            self._waiter = self._loop.create_future()
            try:
                await asyncio.wait((self._waiter, outward), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._waiter = None
        data, self._message_tail = self._message_tail, b""
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        return data

    async def _tunnel_outward(self, exchange: Exchange, tunnel: Tunnel) -> None:
        while (data := await tunnel.read()) and self._wire is not None:
            exchange.sent += len(data)
            self._tunnel_at = self._edge.now
            self._wire.write(data)
            if self._paused:
                await self._flow()

    # ── endings ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self) -> None:
        """Close; when the client may still be sending, let it read the answer first (RFC 9112 §9.6)."""
        wire_, self._task_handler = self._wire, None
        if wire_ is None or wire_.is_closing():
            return
        refused = self._answered and isinstance(self._message, GatewayError)
        if (
            self._eof_since is None
            and (refused or self._arrived or not self._body_finished())
            and wire_.can_write_eof()
        ):
            self._closing_since = self._edge.now
            wire_.write_eof()
            if self._reading_paused or self._buffer_paused:
                wire_.resume_reading()
        else:
            wire_.close()

    def give_up(self) -> None:
        """End now: a request in flight is cancelled and answered with 503."""
        if self._busy:
            self._cancel()
        elif self._wire is not None:
            self._wire.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody is left to answer: what still runs for this client is cancelled."""
        self._wire = None
        super().connection_lost(exc)

    def drain(self) -> None:
        """End after the next answer, which may be the one under way."""
        self._keep = False

    def end_idle(self) -> None:
        """End now when no request is under way."""
        if self._waiter is not None and self._tunnel is None and not self._arrived:
            self._waiter.cancel()

    def sweep(self, now: float) -> None:
        """Enforce the deadlines that have no timer of their own. Called about twice a second."""
        limits = self._edge.limits
        if self._wire is None:
            return
        if self._closing_since is not None:
            if now - self._closing_since > _LINGER:
                self._wire.close()
        elif self._head_since is not None and now - self._head_since > limits.header_timeout:
            self._late_head()
        elif not self._busy and now - self._idle_since > limits.idle:
            if self._head_since is None and not self._arrived:
                self._wire.close()
        elif self._tunnel is not None and now - self._tunnel_at > limits.tunnel_idle:
            self._wire.close()
        elif self._has_left(now) or (self._exchange is not None and self._exchange.is_overdue()):
            self._cancel()
        elif self._busy and isinstance(self._body, WireBody):
            self._body.expire(now)
        self._check_stall(now, limits.write_stall)

    def _has_left(self, now: float) -> bool:
        """A client that sends no more and has waited a moment has closed: hardly any keeps one half open on purpose."""
        waits = self._busy and not self._answered and self._tunnel is None
        return waits and self._eof_since is not None and now - self._eof_since > _HALF_OPEN

    def _cancel(self) -> None:
        if self._task_handler is not None:
            self._task_handler.cancel()

    def _late_head(self) -> None:
        self._head_since = None
        self._parser = None
        self._arrived.append((RequestTimeout("header block too slow"), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_stall(self, now: float, most: float) -> None:
        """A client that takes no byte of a waiting answer for so long is not coming back."""
        waiting = 0 if self._wire is None else self._wire.get_write_buffer_size()
        if waiting == 0 or waiting != self._stalled[0]:
            self._stalled = (waiting, now)
        elif now - self._stalled[1] > most:
            self._abort()

"""One HTTP/1.1 connection to a system, one exchange at a time. pool.py keeps it, reader.py reads what comes."""

import asyncio
import select
from collections.abc import Callable
from typing import Protocol

from httptools import HttpParserError, HttpParserUpgrade

from gateway.corking import Cork, CorkedTransport
from gateway.errors import InternalError, Undelivered, UpstreamTimeout
from gateway.forward.answer import Answer, Stream
from gateway.forward.reader import HEAD_LIMIT, AnswerReader
from gateway.forward.request import UpstreamRequest
from gateway.forward.tunnel import Tunnel
from gateway.model import Body

SMALL_ANSWER = 64 << 10
"""An answer that announces at most so many bytes is waited for: it leaves in one write; broken off it becomes a 502."""

NEVER = float("inf")
_VERSION = b"HTTP/1."


class Owner(Protocol):
    """Who keeps connections."""

    def release(self, connection: "Connection") -> None:
        """The exchange ended cleanly; the connection can carry another one."""
        ...

    def discard(self, connection: "Connection") -> None:
        """The connection has ended, or is about to. May be told twice."""
        ...


class Connection(AnswerReader, asyncio.Protocol):
    """Sends requests and hands on what comes back.

    Args:
        owner: told when the connection is free and when it has ended.
        response_limit: most bytes of an answer's body.
        clock: monotonic seconds.
        cork: shared with the owner's other connections.

    Attributes:
        busy: an exchange is under way.
        closed: the connection has ended, or is about to.
        stale: it had been used before, and ended before the first byte of this answer.
        deadline: on the clock; the owner calls `expire` after it.
        idle_since: on the clock, while the owner keeps it for later.
    """

    __slots__ = (
        "_beginning", "_clock", "_cork", "_drained", "_exchanges", "_heard", "_loop", "_owner", "_poll",
        "_sent", "_transport", "_waiter", "busy", "closed", "deadline", "idle_since", "stale",
    )  # fmt: skip

    def __init__(self, owner: Owner, response_limit: int, clock: Callable[[], float], cork: Cork) -> None:
        super().__init__(response_limit)
        self._cork = cork
        self._owner = owner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Answer] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._exchanges = 0
        self._beginning = b""
        self._heard = self._sent = False
        self.busy = self.closed = self.stale = False
        self.deadline = NEVER
        self.idle_since = 0.0

    # One exchange, from the side of whoever asks.

    def exchange(self, request: UpstreamRequest, data: bytes, deadline: float, *, sent: bool) -> asyncio.Future[Answer]:
        """Write `data` and await the answer: whole when it is small or arrives at once, else as a stream.

        Args:
            request: what is asked.
            data: the head, with the body when that is `sent` with it.
            deadline: on the clock, for the head or for an answer that is not streamed.
            sent: False when `send_body` follows.

        The future raises Undelivered or UpstreamTimeout, or what `fail` is told.
        """
        self._expect(request)
        self._sent = sent
        self._heard = False
        self._exchanges += 1
        self.busy = True
        self.deadline = deadline
        self._waiter = waiter = self._loop.create_future()
        if self._transport is None or self.closed:
            self.stale = self._exchanges > 1
            self.fail(Undelivered("the connection has ended"))
        else:
            self._transport.write(data)
        return waiter

    async def send_body(self, body: Body) -> None:
        """Send a body as it comes, with its announced length or chunked, at the pace at which the system takes it.

        The answer's time begins with the body's last byte. Until then only a system that takes nothing for so long is
        given up; a client that is slow has deadlines of its own.

        Raises:
            InternalError: the body is not as long as announced.
            BodyTooLarge, RequestTimeout, ClientGone: see gateway.model.Body.
        """
        sent = 0
        self.deadline = NEVER
        async for piece in body.chunks():
            sent += len(piece)
            self._write(piece if body.length is not None else _chunk(piece))
            if self._drained is not None:
                self.deadline = self._clock() + self._request.timeout
                await self._drained
                self.deadline = NEVER
        if body.length is None:
            self._write(b"0\r\n\r\n")
        elif sent != body.length:
            raise InternalError(f"a body of {body.length} bytes ended after {sent}")
        self.deadline = self._clock() + self._request.timeout
        self._sent = True

    def leave(self, waiter: asyncio.Future[Answer]) -> None:
        """Nobody waits any more: end that exchange, unless it is over and the connection serves another one."""
        if self._waiter is waiter:
            self.abort()
        elif not waiter.cancelled() and waiter.exception() is None:
            waiter.result().close()

    def fail(self, error: BaseException) -> None:
        """End the exchange with an error, and the connection with it."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            if not waiter.done():
                waiter.set_exception(error)
        elif self._answer is not None and self._answer.stream is not None:
            self._answer.stream.fail(error if isinstance(error, Undelivered) else Undelivered(str(error)))
        self.abort()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._waiter is not None:
            self.fail(UpstreamTimeout("no answer in time" if self._answer is None else "the answer came too slowly"))
        else:
            self.fail(Undelivered("the answer paused for too long"))

    def abort(self) -> None:
        """End the connection at once. Harmless when it has ended."""
        if not self.closed:
            self.closed = True
            self.busy = False
            self.deadline = NEVER
            self.resume_writing()
            self._owner.discard(self)
            if self._transport is not None:
                self._transport.abort()

    def quiet(self) -> bool:
        """Tell whether the socket has nothing to say: neither bytes nor an end that the event loop has yet to see."""
        return not self.closed and not self._poll.poll(0)

    def pause(self) -> None:
        """The client does not keep up: read no more, and do not blame the system for it."""
        if self._transport is not None and not self.closed:
            self._transport.pause_reading()
            self.deadline = NEVER

    def resume(self) -> None:
        """The client keeps up again."""
        if self._transport is not None and not self.closed:
            self._transport.resume_reading()
            self.deadline = self._clock() + self._request.idle

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Get ready; or go again at once when nobody waits for this connection any more."""
        self._transport = CorkedTransport(transport, self._cork)
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        if self.closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if not self._heard and not (data := self._opening(data)):
            return
        self._silent += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as switch:
            self._switch(data[switch.args[0] :])
        except HttpParserError as error:
            self._refuse(error)
        else:
            if self._complete:
                self._finish(data)
            else:
                self._advance()

    def eof_received(self) -> None:
        """The system sends no more, which ends a body that has no other end (RFC 9112 §6.3).

        The loop closes the connection then, whatever is still held.
        """
        self._cork.draw()
        if self._answer is not None and self._length is None and not self._chunked:
            self._finish(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle what is open."""
        if self.busy:
            self.stale = self._exchanges > 1 and not self._heard and not self._beginning
            self.fail(Undelivered(f"the connection ended too early: {exc or 'closed'}"))
        self.abort()
        del self._parser  # it holds our bound methods: without this only the collector would free the two

    def pause_writing(self) -> None:
        """The system does not keep up with the body."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """The system keeps up again, or need not any more."""
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # Inside.

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(data)

    def _opening(self, data: bytes) -> bytes:
        """Check the first bytes of an answer; empty when nothing is to be parsed yet, or at all."""
        if not self.busy:  # nobody has asked for anything
            self.abort()
            return b""
        if self._beginning:
            data, self._beginning = self._beginning + data, b""
        if data.startswith(_VERSION):
            self._heard = True
            return data
        if _VERSION.startswith(data):
            self._beginning = data
        else:
            self.fail(Undelivered("not HTTP/1.1"))
        return b""

    def _advance(self) -> None:
        """See how far an answer has come that is not complete."""
        if self._silent > HEAD_LIMIT:
            self.fail(Undelivered("the header block, the trailers or a chunk extension are too large"))
        elif self._answer is None:
            return
        elif self._waiter is None or self._length is None or self._length > SMALL_ANSWER:
            self._stream(self._answer)

    def _stream(self, answer: Answer) -> None:
        """Hand on what there is of a body that is still coming."""
        self.deadline = self._clock() + self._request.idle
        if answer.stream is None:
            answer.stream = Stream(self._pieces, self)
            self._hand_over(answer)
        answer.stream.arrived(self._received)

    def _finish(self, data: bytes) -> None:
        """The answer is complete, with these bytes."""
        answer = self._answer
        if answer is None:
            return
        self.busy = self._heard = False
        self.deadline = NEVER
        self._answer = None
        if self._request.method == "HEAD":  # the parser, not knowing the method, may have begun to read a body
            self._keep_alive = self._keep_alive and data.endswith(b"\r\n\r\n")
            self._renew_parser()
        if answer.stream is not None:
            answer.stream.end()
        else:
            pieces, self._pieces = self._pieces, []
            answer.make_whole(pieces[0] if len(pieces) == 1 else b"".join(pieces), self._request.method)
        if self._keep_alive and self._sent:
            self._owner.release(self)
        else:
            self.abort()
        self._hand_over(answer)

    def _hand_over(self, answer: Answer) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        if waiter.done():
            answer.close()
        else:
            waiter.set_result(answer)

    def _switch(self, early: bytes) -> None:
        """The system has agreed to another protocol: this object is done, a tunnel takes over the transport."""
        answer, transport = self._answer, self._transport
        if answer is None or transport is None:
            return
        self.busy = False
        self.deadline = NEVER
        answer.tunnel = Tunnel(transport, early, self._tunnel_ended)
        transport.set_protocol(answer.tunnel)
        self._owner.discard(self)  # a tunnel takes no connection from the requests of others
        self._hand_over(answer)

    def _tunnel_ended(self) -> None:
        self._transport = None
        self.abort()
        del self._parser

    def _refuse(self, error: HttpParserError) -> None:
        """Bytes that are not as they should be cost the connection, and the answer unless that was complete."""
        if self._complete:
            self._keep_alive = False
            self._finish(b"")
        else:
            cause = error.__context__
            self.fail(cause if isinstance(cause, Undelivered) else Undelivered(f"not HTTP/1.1: {error}"))


def _chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 §7.1); an empty one would end it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""

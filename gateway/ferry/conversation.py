"""One link between the units, from both greetings to its end. forward/ferry.py and inner.py each hold one end."""

import asyncio
import secrets
from collections.abc import Callable

from gateway.contracts import Link
from gateway.ferry.envelope import (
    GREETING_LIMIT,
    FrameReader,
    FrameRefused,
    FrameWriter,
    Hello,
    Message,
    Side,
    greeting_key,
    link_key,
)

PATIENCE = 3.0
"""Seconds within which the other side has to say hello."""


class Conversation:
    """The taker of one link: greets, then hears and says messages. Any violation ends it with a reason.

    Frames of one turn of the event loop go out together: one system call carries many messages.

    Args:
        side: which unit this end is.
        secret: the shared key.
        boot: name of this life of the unit.
        message: bytes of the largest frame taken.
        hear: called with each message after the greeting.

    Attributes:
        met: the other side's greeting, once it is there; never done when the link ends before.
        ended: why the link ended: `lost: ...` from the carrier, `closed`, or a violation: `greeting`, `order`, or a
            reason of FrameRefused.
    """

    def __init__(
        self,
        side: Side,
        secret: bytes,
        boot: str,
        message: int,
        hear: "Callable[[Conversation, Message], None]",
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._secret = secret
        self._side = side
        self._other: Side = "inner" if side == "outer" else "outer"
        self._hear = hear
        self._hello = Hello(side=side, boot=boot, nonce=secrets.token_bytes(32), message=message)
        self._writer = FrameWriter(greeting_key(secret, side), GREETING_LIMIT)
        self._reader = FrameReader(greeting_key(secret, self._other), GREETING_LIMIT)
        self._link: Link | None = None
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._greeted = self._over = False
        self._patience = loop.call_later(PATIENCE, self.end, "greeting")
        self.met: asyncio.Future[Hello] = loop.create_future()
        self.ended: asyncio.Future[str] = loop.create_future()

    @property
    def waiting(self) -> int:
        """Bytes that were said and have not gone yet."""
        return self._pending_size + (0 if self._link is None else self._link.waiting)

    def linked(self, link: Link) -> None:
        """Greet; or part at once, where the end came before the link."""
        self._link = link
        if self._over:
            link.close()
        self._put(self._writer.frame(self._hello))

    def take(self, data: bytes) -> None:
        """Hear what the bytes say, or end the link because they say nothing allowed."""
        self._reader.feed(data)
        try:
            while not self._over and (message := self._reader.next()) is not None:
                if self._greeted:
                    self._hear(self, message)
                else:
                    self._meet(message)
        except FrameRefused as refused:
            self.end(refused.reason)

    def lost(self, reason: str) -> None:
        """The carrier says that the link has ended."""
        self.end(f"lost: {reason}" if reason else "lost")

    def say(self, message: Message) -> None:
        """Send a message; it leaves at the end of this turn of the event loop.

        Raises:
            OSError: the link has ended, or has not been greeted yet; nothing was handed over.
            FrameTooLarge: the other side does not take so large a frame.
        """
        if self._over or not self._greeted:
            raise ConnectionResetError("no link")
        frame = self._writer.frame(message)
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(frame)
        self._pending_size += len(frame)

    async def drained(self) -> None:
        """Wait until the other side keeps up again, or the link ends."""
        self._flush()
        if self._link is not None:
            await self._link.drained()

    def end(self, reason: str = "closed") -> None:
        """End the link, after what was said in this turn; the first reason counts."""
        if self._over:
            return
        self._flush()
        self._finish(reason)
        if self._link is not None:
            self._link.close()

    def _meet(self, message: Message) -> None:
        if not isinstance(message, Hello) or message.side != self._other:
            raise FrameRefused("greeting")
        ours, theirs = self._hello.nonce, message.nonce
        outer, inner = (ours, theirs) if self._side == "outer" else (theirs, ours)
        self._writer.rekey(link_key(self._secret, self._side, outer, inner), min(message.message, self._hello.message))
        self._reader.rekey(link_key(self._secret, self._other, outer, inner), self._hello.message)
        self._patience.cancel()
        self._greeted = True
        self.met.set_result(message)

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._pending_size = 0
            self._put(data)

    def _put(self, data: bytes) -> None:
        if self._link is None or self._over:
            return
        try:
            self._link.put(data)
        except OSError as exc:
            self._finish(f"lost: {type(exc).__name__}")

    def _finish(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._patience.cancel()
            self.ended.set_result(reason)

"""A request body on its way in: size limit, total deadline and lowest rate, on top of aiohttp's flow control.

connection.py makes one per request that has a body; server.py's sweep ends those that are too slow.
"""

from collections.abc import AsyncIterator, Callable
from time import monotonic

from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestPayloadError

from gateway.errors import BodyTooLarge, ClientGone, Overloaded, RequestMalformed, RequestTimeout
from gateway.exchange import Exchange

_GRACE = 5.0
"""Seconds before the lowest rate counts (Kestrel's default)."""


class Budget:
    """Bytes of bodies that are held whole in memory, of all connections of a worker together.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        Raises:
            Overloaded: there is no room for them.
        """
        if self.held + size > self._most:
            raise Overloaded(f"{self.held} bytes of bodies are held already", retry_after=1.0)
        self.held += size


class WireBody:
    """Reads one body from the wire.

    Args:
        payload: aiohttp's stream.
        length: announced by Content-Length; None when chunked.
        exchange: told how many bytes came.
        budget: gives room for bodies that are read whole.
        on_demand: called once, before the first byte is waited for (sends 100 Continue where it was asked for).
        seconds: for all of it.
        rate: fewest bytes per second.
        clock: monotonic seconds.
    """

    __slots__ = (
        "_began",
        "_budget",
        "_clock",
        "_exchange",
        "_held",
        "_limit",
        "_on_demand",
        "_payload",
        "_rate",
        "_seconds",
        "_whole",
        "length",
    )  # fmt: skip

    def __init__(
        self,
        payload: StreamReader,
        length: int | None,
        exchange: Exchange,
        budget: Budget,
        on_demand: Callable[[], None],
        seconds: float,
        rate: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.length = length
        self._payload = payload
        self._exchange = exchange
        self._budget = budget
        self._held = 0
        self._on_demand: Callable[[], None] | None = on_demand
        self._limit = 0
        self._seconds = seconds
        self._rate = rate
        self._clock = clock
        self._began: float | None = None
        self._whole: bytes | None = None

    def admit(self, limit: int) -> None:
        """Allow so many bytes; none are before.

        Raises:
            BodyTooLarge: more are announced.
        """
        if self.length is not None and self.length > limit:
            raise BodyTooLarge(f"{self.length} bytes announced, {limit} allowed")
        self._limit = limit

    @property
    def finished(self) -> bool:
        """True when the last byte has arrived, whether it was read or not."""
        return self._payload.is_eof()

    async def whole(self) -> bytes:
        """See `gateway.model.Body`."""
        if self._whole is None:
            pieces: list[bytes] = []
            async for piece in self.chunks():
                self._budget.take(len(piece))
                self._held += len(piece)
                pieces.append(piece)
            self._whole = b"".join(pieces)
        return self._whole

    def release(self) -> None:
        """The request is over: what it held is free for others."""
        self._budget.held -= self._held
        self._held = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        """See `gateway.model.Body`."""
        if self._whole is not None:
            yield self._whole
            return
        while piece := await self._next():
            self._exchange.received += len(piece)
            if self._exchange.received > self._limit:
                raise BodyTooLarge(f"more than {self._limit} bytes")
            yield piece

    async def _next(self) -> bytes:
        if self._on_demand is not None:
            self._began = self._clock()
            if not self._payload.is_eof():
                self._on_demand()
            self._on_demand = None
        try:
            return await self._payload.readany()
        except RequestPayloadError as exc:
            raise RequestMalformed(f"body: {type(exc).__name__}") from None
        except ConnectionError as exc:
            raise ClientGone(str(exc)) from None

    def expire(self, now: float) -> None:
        """End the waiting for a client that is too slow. Called by the sweep."""
        if self._began is None or self._payload.is_eof():
            return
        spent = now - self._began
        due = self._rate * (spent - _GRACE)
        if spent > self._seconds or self._payload.total_raw_bytes < due:
            self._payload.set_exception(RequestTimeout(f"{self._exchange.received} body bytes in {spent:.0f} s"))

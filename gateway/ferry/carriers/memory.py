"""A carrier inside one process, for tests: what one side puts, the other side takes one turn of the loop later."""

import asyncio
from collections.abc import Callable

from gateway.contracts import Taker


class _MemoryLink:
    """One end of a link; `other` is set once both ends exist."""

    other: "_MemoryLink"

    def __init__(self, taker: Taker) -> None:
        self._loop = asyncio.get_running_loop()
        self._taker = taker
        self._open = True

    @property
    def waiting(self) -> int:
        """Nothing ever waits here."""
        return 0

    def put(self, data: bytes) -> None:
        """Hand over; see Link.put."""
        if not self._open:
            raise ConnectionResetError("the link has ended")
        self._loop.call_soon(self.other.arrive, data)

    async def drained(self) -> None:
        """At once: nothing waits."""

    def close(self) -> None:
        """End both ends."""
        self.end("closed here")
        self._loop.call_soon(self.other.end, "closed by the other side")

    def begin(self) -> None:
        """Tell the taker that the link is there."""
        self._taker.linked(self)

    def arrive(self, data: bytes) -> None:
        """Bytes that the other end put."""
        if self._open:
            self._taker.take(data)

    def end(self, reason: str) -> None:
        """Tell the taker, once."""
        if self._open:
            self._open = False
            self._taker.lost(reason)


class MemoryCarrier:
    """Both ends in one object: give the same one to the outer and to the inner unit."""

    def __init__(self) -> None:
        self._takers: Callable[[], Taker] | None = None
        self._links: list[_MemoryLink] = []

    async def connect(self, taker: Taker) -> None:
        """Link with whoever listens; see Carrier.connect."""
        if self._takers is None:
            raise ConnectionRefusedError("nobody listens")
        outer, inner = _MemoryLink(taker), _MemoryLink(self._takers())
        outer.other, inner.other = inner, outer
        self._links += (outer, inner)
        inner.begin()
        outer.begin()

    async def listen(self, takers: Callable[[], Taker]) -> None:
        """Take links from now on; see Carrier.listen."""
        self._takers = takers

    async def close(self) -> None:
        """End every link; see Carrier.close."""
        self._takers = None
        for link in self._links:
            link.close()
        self._links.clear()

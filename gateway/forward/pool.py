"""The connections to one target: reuse the last one used, open more up to a limit, let a bounded queue wait.

upstream.py chooses the target; connection.py is what is kept here.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from gateway.corking import Cork
from gateway.errors import UpstreamTimeout, UpstreamUnavailable
from gateway.forward.connection import Connection
from gateway.units import Address

TICK = 0.05
"""Seconds between two looks at the deadlines: one timer for all requests instead of one for each."""

TRUSTED = 1.0
"""Seconds for which an idle connection is believed to be still open at the other end."""

Dial = Callable[[Address, asyncio.Protocol], Awaitable[None]]
"""Connects a protocol to an address. Raises OSError where that cannot be reached."""


async def dial(address: Address, protocol: asyncio.Protocol) -> None:
    """Connect over TCP or to a Unix socket; see Dial."""
    loop = asyncio.get_running_loop()
    if address.path:
        await loop.create_unix_connection(lambda: protocol, address.path)
    else:
        await loop.create_connection(lambda: protocol, address.host, address.port)


class PoolLimits(msgspec.Struct, frozen=True):
    """See gateway.settings.DirectSettings for what they mean.

    Attributes:
        connections: most connections.
        waiting: most requests that wait for one.
        connect_timeout: seconds.
        idle_timeout: seconds.
        response_limit: bytes.
    """

    connections: int
    waiting: int
    connect_timeout: float
    idle_timeout: float
    response_limit: int


class Pool:
    """Connections to one address.

    Args:
        address: TCP or Unix socket.
        limits: see PoolLimits.
        clock: monotonic seconds.
        dial: makes the connections.
    """

    def __init__(self, address: Address, limits: PoolLimits, clock: Callable[[], float], dial: Dial) -> None:
        self._address = address
        self._limits = limits
        self._clock = clock
        self._dial = dial
        self._cork = Cork()
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._watcher: asyncio.TimerHandle | None = None
        self._reaper: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many there are, those being opened included."""
        return len(self._connections)

    @property
    def busy(self) -> int:
        """How many are not idle."""
        return len(self._connections) - len(self._idle)

    @property
    def waiting(self) -> int:
        """How many requests wait for one."""
        return len(self._waiters)

    def take(self, *, surely_open: bool) -> Connection | None:
        """An idle connection, the one used last; None when there is none.

        Args:
            surely_open: for a request that must not be sent twice. Only a connection will do that was in use a moment
                ago and on whose socket no end has arrived: systems close connections after seconds of idleness, and a
                request that meets such an end fails without anybody knowing whether it was executed. The look costs
                less than a microsecond, a new connection for each such request more than a hundred.
        """
        idle = self._idle
        if not idle or (surely_open and not self._surely_open(idle[-1])):
            return None
        if self._watcher is None:
            self._watch()
        return idle.pop()

    async def open(self, deadline: float) -> Connection:
        """A connection: a new one, or when there are too many the next that becomes free.

        Args:
            deadline: on the clock.

        Raises:
            UpstreamUnavailable: too many wait already, or none became free in time.
            UpstreamTimeout: the deadline left less than the time that connecting may take, or none at all; that says
                nothing of the target, and nothing was sent.
            OSError: the target cannot be reached.
        """
        if self._watcher is None:
            self._watch()
        front = False
        while True:
            if len(self._connections) < self._limits.connections and (front or not self._waiters):
                return await self._connect(deadline)
            if self._idle:
                self._idle[0].abort()
                continue
            connection = await self._wait(deadline, front=front)
            if connection is not None and connection.quiet():
                return connection
            if connection is not None:
                connection.abort()
            front = True

    def release(self, connection: Connection) -> None:
        """Give the connection to the first who waits, or keep it for later."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = self._clock()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().call_later(self._limits.idle_timeout, self._reap)

    def discard(self, connection: Connection) -> None:
        """Forget an ended connection; the first who waits may open another one."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def close(self) -> None:
        """End every connection; who waits is told so."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(UpstreamUnavailable("the gateway stops using this system"))
        self._waiters.clear()
        for connection in tuple(self._connections):
            connection.fail(UpstreamUnavailable("the gateway stops using this system"))
        for timer in (self._watcher, self._reaper):
            if timer is not None:
                timer.cancel()
        self._watcher = self._reaper = None
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def _surely_open(self, connection: Connection) -> bool:
        return self._clock() - connection.idle_since < TRUSTED and connection.quiet()

    async def _connect(self, deadline: float) -> Connection:
        left = deadline - self._clock()
        if left <= 0:
            raise UpstreamTimeout("no time was left to connect", outcome="refused")
        connection = Connection(self, self._limits.response_limit, self._clock, self._cork)
        self._connections.add(connection)
        try:
            async with asyncio.timeout(min(self._limits.connect_timeout, left)):
                await self._dial(self._address, connection)
        except BaseException as error:
            connection.abort()
            if isinstance(error, TimeoutError) and left < self._limits.connect_timeout:
                raise UpstreamTimeout(f"no connection within the {left:.3f} s left", outcome="refused") from None
            raise
        return connection

    async def _wait(self, deadline: float, *, front: bool) -> Connection | None:
        if len(self._waiters) >= self._limits.waiting and not front:
            raise UpstreamUnavailable("all connections are in use and too many requests wait", retry_after=1.0)
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        (self._waiters.appendleft if front else self._waiters.append)(waiter)
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await waiter
        except BaseException as error:
            self._leave(waiter)
            if isinstance(error, TimeoutError):
                raise UpstreamUnavailable("no connection became free in time", retry_after=1.0) from None
            raise

    def _leave(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Leave the queue; what was handed over in the same moment goes to the next who waits."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            connection = waiter.result()
            if connection is not None and not connection.closed:
                self.release(connection)
            elif self._waiters:
                first = self._waiters.popleft()
                if not first.done():
                    first.set_result(None)

    def _watch(self) -> None:
        self._watcher = asyncio.get_running_loop().call_later(TICK, self._look)

    def _look(self) -> None:
        """End exchanges whose time is up; look again as long as a connection is in use."""
        now = self._clock()
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.expire()
        self._watcher = None
        if self.busy:
            self._watch()

    def _reap(self) -> None:
        """Close what has been idle for too long; the list is ordered, the oldest comes first."""
        now, limit = self._clock(), self._limits.idle_timeout
        while self._idle and self._idle[0].idle_since + limit <= now:
            self._idle[0].abort()
        self._reaper = None
        if self._idle:
            delay = self._idle[0].idle_since + limit - now
            self._reaper = asyncio.get_running_loop().call_later(delay, self._reap)

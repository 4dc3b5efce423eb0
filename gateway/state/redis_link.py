"""Commands to Redis within a budget of time, on connections of our own pool.

redis_store.py asks with it, redis_feed.py listens on a connection of its own. Connections come from `redis.asyncio`
(redis_dial.py); its clients and pools are not used, because they may wait longer than a request can.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.breaker import Breaker
from gateway.errors import StateUnavailable
from gateway.signin_settings import RedisSettings
from gateway.state.redis_dial import WENT_WRONG, Command, dial_of, exchange, hang_up

Greet = Callable[[AbstractConnection], Awaitable[None]]
"""Says a first word on every new connection, and may refuse it by raising."""

FAILURES = 5
"""Failures in a row after which nobody is asked for a while."""
PAUSE = 0.5
"""Seconds that nobody is asked before one command finds out."""


class Answers(NamedTuple):
    """What Redis said.

    Attributes:
        values: one for each command.
        repeated: True when an earlier attempt, whose answers were lost, may have been carried out as well.
    """

    values: list[Any]
    repeated: bool


class RedisLink:
    """A bounded pool of connections, and a breaker before it.

    Args:
        settings: where Redis is, and how long it may take.
        greet: see Greet.
        log: the application log; told when Redis goes away and when it is back, not per command.
        monotonic: seconds.
    """

    def __init__(
        self, settings: RedisSettings, greet: Greet, log: Any, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._dial = dial_of(settings)
        self._greet = greet
        self._timeout = settings.timeout
        self._log = log
        self._monotonic = monotonic
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: list[AbstractConnection] = []
        self._breaker = Breaker(FAILURES, PAUSE, monotonic)
        self._away = False
        self._closed = False

    @property
    def state(self) -> str:
        """The breaker's: `closed`, `open` or `half-open`."""
        return self._breaker.state

    async def ask(self, *commands: Command) -> Answers:
        """Send the commands together, and read an answer to each. One more attempt where a connection was lost.

        Raises:
            StateUnavailable: no answer within the budget, or one that is an error.
        """
        if not self._breaker.admits():
            raise StateUnavailable("Redis was away a moment ago", retry_after=1.0)
        began = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._attempts(commands)
        except WENT_WRONG as error:
            self._breaker.failed(began)
            self._tell_away(error)
            raise StateUnavailable(f"Redis: {type(error).__name__}: {error}", retry_after=1.0) from error
        except BaseException:  # whoever asked has left
            self._breaker.abandoned()
            raise
        self._breaker.succeeded()
        self._tell_back()
        return answers

    async def connect(self) -> AbstractConnection:
        """A connection for the caller alone, who bounds the time and hangs up.

        Raises:
            RedisError, OSError: it cannot be made.
        """
        connection = await self._dial()
        try:
            await self._greet(connection)
        except BaseException:
            await hang_up(connection)
            raise
        self._breaker.succeeded()  # whoever connected first need not be the one that asks next
        return connection

    async def close(self) -> None:
        """End all connections; nothing is asked afterwards."""
        self._closed = True
        await self._drop_idle()

    async def _attempts(self, commands: Sequence[Command]) -> Answers:
        async with self._slots:
            try:
                return Answers(await self._attempt(commands), repeated=False)
            except AuthenticationError:
                raise
            except (RedisConnectionError, ReadOnlyError, OSError):
                await self._drop_idle()  # they lead where this one led
            return Answers(await self._attempt(commands), repeated=True)

    async def _attempt(self, commands: Sequence[Command]) -> list[Any]:
        connection = await self._connection()
        try:
            values = await exchange(connection, *commands)
        except BaseException:
            await hang_up(connection)
            raise
        if self._closed:
            await hang_up(connection)
        else:
            self._idle.append(connection)
        return values

    async def _connection(self) -> AbstractConnection:
        while self._idle:
            connection = self._idle.pop()
            if not await connection.can_read():  # else it was closed, or holds what nobody asked for
                return connection
            await hang_up(connection)
        return await self.connect()

    async def _drop_idle(self) -> None:
        dropped, self._idle = self._idle, []
        for connection in dropped:
            await hang_up(connection)

    def _tell_away(self, error: BaseException) -> None:
        if not self._away:
            self._away = True
            self._log.error("the shared state cannot be reached", error=f"{type(error).__name__}: {error}")

    def _tell_back(self) -> None:
        if self._away:
            self._away = False
            self._log.info("the shared state is reached again")

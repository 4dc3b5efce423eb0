"""What all workers have counted against the rates, told to each other through Redis, beside the request path.

Each worker decides by its own counts (throttle.py). Every TELL seconds it adds what is new of them to counters in
Redis, and takes over the sums. While Redis is away, each allows its share of a rate.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from gateway.errors import StateUnavailable
from gateway.state.redis_dial import Command
from gateway.state.redis_link import RedisLink
from gateway.windows import Spent

TELL = 0.1
"""Seconds between two reconciliations: so old is what a worker knows of the others' counts, at most twice."""
GONE = 30.0
"""Seconds after which a worker that has not said so is not counted any more."""
_AT_ONCE = 1000
"""Counters that are told of in one exchange."""


class Counts(Protocol):
    """A worker's own counts (gateway.throttle.Rates)."""

    def collect(self) -> list[Spent]:
        """What was counted since the last time."""
        ...

    def learn(self, spent: Spent, total: int, before: int | None) -> None:
        """Take over what all have counted in this window, and in the one before where that was asked."""
        ...

    def give_back(self, those: Iterable[Spent]) -> None:
        """Keep what could not be told."""
        ...

    def divide(self, among: int) -> None:
        """Allow so many times less."""
        ...


class RedisRates:
    """Reconciles one worker's counts with those of the others.

    Args:
        link: asks Redis.
        prefix: of every key.
        counts: this worker's.
        workers: of this instance; there are at least so many, whatever Redis says.
        clock: wall clock, Unix seconds.
        log: the application log.
    """

    def __init__(
        self,
        link: RedisLink,
        prefix: str,
        counts: Counts,
        workers: int,
        clock: Callable[[], float] = time.time,
        *,
        log: Any,
    ) -> None:
        self._link = link
        self._counter = f"{prefix}rate:".encode()
        self._present = f"{prefix}workers".encode()
        self._counts = counts
        self._least = self._workers = workers
        self._clock = clock
        self._log = log
        self._broken = False
        self._me = secrets.token_bytes(8)
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to reconcile."""
        await self.reconcile()
        self._telling = asyncio.create_task(self._keep_telling())

    async def close(self) -> None:
        """Tell for the last time."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait({self._telling})
            await self.reconcile()

    async def reconcile(self) -> None:
        """Tell what is new here, and learn what all have counted. Never fails: a Redis that is away is another case."""
        untold = self._counts.collect()
        try:
            await self._say_present()
            while untold:
                await self._tell(untold[:_AT_ONCE])
                del untold[:_AT_ONCE]
        except StateUnavailable:
            self._counts.divide(self._workers)
        else:
            self._counts.divide(1)
        finally:
            self._counts.give_back(untold)

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(TELL)
            try:
                await self.reconcile()
            except Exception as exc:  # noqa: BLE001 - whatever it is: each allows its share meanwhile, and on again
                self._counts.divide(self._workers)
                self._tell_broken(exc)
            else:
                self._broken = False

    def _tell_broken(self, error: Exception) -> None:
        if not self._broken:
            self._broken = True
            self._log.error("rates are not told to other workers", exc_info=error)

    async def _say_present(self) -> None:
        """Be counted, count the others, and find out whether Redis is there, also when there is nothing to tell."""
        now = int(self._clock())
        answers = await self._link.ask(
            (b"ZADD", self._present, now, self._me),
            (b"ZREMRANGEBYSCORE", self._present, b"-inf", int(now - GONE)),
            (b"ZCARD", self._present),
            (b"EXPIRE", self._present, int(GONE)),
        )
        self._workers = max(self._least, answers.values[2])

    async def _tell(self, those: list[Spent]) -> None:
        commands = [command for one in those for command in self._commands(one)]
        values = iter((await self._link.ask(*commands)).values)
        for one in those:
            total, before = next(values), None
            if not one.known:
                _, before = next(values), int(next(values) or 0)
            self._counts.learn(one, total, before)

    def _commands(self, one: Spent) -> Iterator[Command]:
        """Add to the window's counter; when that may be new, say when it ends, and read the one before."""
        name = self._counter + hashlib.blake2b(one.key.encode(), digest_size=16).digest()
        yield b"INCRBY", b"%s:%d" % (name, one.number), one.amount
        if not one.known:
            yield b"PEXPIRE", b"%s:%d" % (name, one.number), int(one.window.length * 3000)
            yield b"GET", b"%s:%d" % (name, one.number - 1)

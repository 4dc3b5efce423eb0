"""What was kept and what was used once, in Redis: the `Store` of contracts.py for several workers and instances.

memory.py is the same for one worker. A command that fails is a StateUnavailable: doubt closes. Where the answer to a
first attempt was lost, the second one's is read with that in mind: nobody is let in, or turned away, by mistake.
"""

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gateway.errors import StateUnavailable
from gateway.state.marker import Marker
from gateway.state.redis_dial import Command
from gateway.state.redis_link import RedisLink

LONGEST_LISTED = 86400.0
"""Seconds that a list names a value at least: `replace` may let one live on for a day, the longest session."""
_PAGE = 500
"""Members of a list that are looked at by one command."""


class RedisStore:
    """The shared store. Makes no connection before the first command.

    Args:
        link: asks Redis; greets with the marker.
        marker: tells when something was lost.
        prefix: of every key.
        clock: wall clock, Unix seconds.
    """

    def __init__(self, link: RedisLink, marker: Marker, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._link = link
        self._marker = marker
        self._clock = clock
        self._use, self._value, self._list = (f"{prefix}{kind}:".encode() for kind in ("use", "value", "list"))

    @property
    def unknown_before(self) -> float:
        """See gateway.contracts.OnceStore."""
        return self._marker.unknown_before

    def status(self) -> dict[str, Any]:
        """Plain data for operators: the breaker's state, and since when (Unix seconds) nothing was lost."""
        return {"breaker": self._link.state, "unknown_before": self.unknown_before}

    async def first_use(self, key: bytes, seconds: float) -> bool:
        """See gateway.contracts.OnceStore."""
        key, mine = self._use + key, secrets.token_bytes(8)
        # The marker is read after the use was noted: a flush before that is seen now, one after it by the next call.
        noting: Command = (b"SET", key, mine, b"NX", b"PX", _milliseconds(seconds))
        answers = await self._link.ask(noting, (b"GET", self._marker.key))
        noted, marker = answers.values
        if not self._marker.see(marker):
            await self._renew_marker()
        if noted is None and answers.repeated:
            return await self._get(key) == mine
        return noted is not None

    async def read(self, key: bytes) -> bytes | None:
        """See gateway.contracts.Store."""
        return await self._get(self._value + key)

    async def write(self, key: bytes, value: bytes, seconds: float, *, lists: Sequence[bytes] = ()) -> None:
        """See gateway.contracts.Store. All of it happens, or nothing."""
        setting: Command = (b"SET", self._value + key, value, b"PX", _milliseconds(seconds))
        if not lists:
            await self._link.ask(setting)
            return
        await self._link.ask((b"MULTI",), *self._listing(key, seconds, lists), setting, (b"EXEC",))

    async def replace(self, key: bytes, value: bytes, seconds: float) -> bool:
        """See gateway.contracts.Store."""
        answers = await self._link.ask((b"SET", self._value + key, value, b"XX", b"PX", _milliseconds(seconds)))
        return answers.values[0] is not None

    async def take(self, key: bytes) -> bytes | None:
        """See gateway.contracts.Store."""
        answers = await self._link.ask((b"GETDEL", self._value + key))
        taken: bytes | None = answers.values[0]
        if taken is None and answers.repeated:
            raise StateUnavailable("what was to be taken may be lost with an answer", retry_after=1.0)
        return taken

    async def drop(self, key: bytes) -> bool:
        """See gateway.contracts.Store."""
        answers = await self._link.ask((b"DEL", self._value + key))
        return answers.values[0] > 0 or answers.repeated

    async def listed(self, name: bytes) -> list[bytes]:
        """See gateway.contracts.Store."""
        found: dict[bytes, None] = {}
        start = 0
        # The newest first: what comes meanwhile moves a page into the next one, and nothing out of sight.
        while page := (await self._link.ask((b"ZREVRANGE", self._list + name, start, start + _PAGE - 1))).values[0]:
            there = (await self._link.ask(*((b"EXISTS", self._value + key) for key in page))).values
            found |= dict.fromkeys(key for key, exists in zip(page, there, strict=True) if exists)
            start += _PAGE
        return list(found)

    async def _get(self, key: bytes) -> bytes | None:
        value: bytes | None = (await self._link.ask((b"GET", key))).values[0]
        return value

    async def _renew_marker(self) -> None:
        _, marker = (await self._link.ask(*self._marker.renewal())).values
        if not self._marker.see(marker):
            raise StateUnavailable("Redis loses what it is told", retry_after=1.0)

    def _listing(self, key: bytes, seconds: float, lists: Sequence[bytes]) -> Iterator[Command]:
        """Name the key in the lists; a list forgets what has been in it for longer than anything lives."""
        now = self._clock()
        kept = max(seconds, LONGEST_LISTED)
        for name in lists:
            yield b"ZADD", self._list + name, b"%.3f" % (now + kept), key
            yield b"ZREMRANGEBYSCORE", self._list + name, b"-inf", b"%.3f" % now
            yield b"PEXPIRE", self._list + name, _milliseconds(kept)


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))

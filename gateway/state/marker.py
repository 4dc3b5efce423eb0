"""How a loss in Redis is noticed: a marker that names the server process and the time before which uses are unknown.

Redis can lose what it was told by a flush, a restart or a fail-over, and does not say so. A flush takes the marker
along; a restart and a fail-over are another process than the marker names. redis_store.py and redis_feed.py look at it.
"""

import math
import re
import secrets
import time
from collections.abc import Callable

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError

from gateway.state.redis_dial import Command, exchange

_VALUE = re.compile(rb"[0-9a-f-]+ [0-9a-f]+ ([0-9]+)")
_RUN_ID = re.compile(rb"^run_id:([0-9a-f]+)", re.MULTILINE)


class Marker:
    """The marker as this process knows it.

    Its value is three words: the server's `run_id`, random digits, and Unix seconds.

    Args:
        prefix: of every key.
        clock: wall clock, Unix seconds.

    Attributes:
        key: where it is in Redis.
        value: as it was seen last; empty before the first time. Another value: something was lost in between.
        unknown_before: Unix seconds; what was used before then may be forgotten.
    """

    def __init__(self, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self.key = f"{prefix}marker".encode()
        self.value = b""
        self.unknown_before = 0.0
        self._clock = clock

    async def greet(self, connection: AbstractConnection) -> None:
        """Look at the marker on a new connection, and write it anew where it names another server, or is not there.

        Raises:
            RedisError, OSError: the connection is of no use.
        """
        run_id = await _run_id(connection)
        (value,) = await exchange(connection, (b"GET", self.key))
        if value is None or value.partition(b" ")[0] != run_id or not self.see(value):
            self.see(await self._write(connection, run_id))

    def renewal(self) -> tuple[Command, Command]:
        """Two commands for a connection that lost the marker (a flush): write it unless somebody has, and read it."""
        value = self._value(self.value.partition(b" ")[0], math.ceil(self._clock()))
        return (b"SET", self.key, value, b"NX"), (b"GET", self.key)

    def see(self, value: bytes | None) -> bool:
        """Take note of the value that was read; False when it is not there, or is not ours."""
        if value is None or (found := _VALUE.fullmatch(value)) is None:
            return False
        if value != self.value:
            self.value = value
            self.unknown_before = max(self.unknown_before, float(found[1]))
        return True

    async def _write(self, connection: AbstractConnection, run_id: bytes) -> bytes:
        # Times are signed in whole seconds: after a loss the second of the loss itself is not believed. The first
        # marker that this process writes may be of a new store, from which nothing was lost.
        value = self._value(run_id, math.ceil(self._clock()) if self.value else int(self._clock()))
        await exchange(connection, (b"SET", self.key, value))
        return value

    def _value(self, run_id: bytes, second: int) -> bytes:
        return b"%s %s %d" % (run_id, secrets.token_hex(8).encode(), second)


async def _run_id(connection: AbstractConnection) -> bytes:
    """Which server process this is; `-` where it does not say."""
    try:
        (said,) = await exchange(connection, (b"INFO", b"server"))
    except NoPermissionError:
        return b"-"
    found = _RUN_ID.search(said)
    return found[1] if found else b"-"

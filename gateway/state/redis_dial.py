"""Connections to Redis, connected and signed in: to the address in the settings, or to the one that a Sentinel names.

redis_link.py keeps them. Every wait is bounded by whoever waits: redis-py's own time limits are off, because they use
`asyncio.wait_for`, which before Python 3.12 can swallow a cancellation, and with it the limit of the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from gateway.signin_settings import RedisSettings

Command = tuple[bytes | str | int, ...]
Dial = Callable[[], Awaitable[AbstractConnection]]
"""Makes a connection. Raises RedisError or OSError."""

WENT_WRONG = (RedisError, OSError, TimeoutError)
"""All that asking Redis can end with, besides an answer."""
_PLAIN: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None, "protocol": 2, "driver_info": None}
"""No limits of its own, and a protocol that needs no greeting."""


def dial_of(settings: RedisSettings) -> Dial:
    """How to reach the server."""
    options: dict[str, Any] = {**parse_url(settings.url.get_secret_value()), **_PLAIN}
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    if not settings.sentinels:
        return partial(_dial, kind, options)
    sentinels = [_host_and_port(one) for one in settings.sentinels]
    each = settings.timeout / (len(sentinels) + 1)  # a silent one leaves time for the others
    return partial(_dial_primary, kind, options, sentinels, settings.service or "", each)


async def exchange(connection: AbstractConnection, *commands: Command) -> list[Any]:
    """Send commands together and read an answer to each. After an exception the connection is of no use any more.

    Raises:
        RedisError, OSError: the connection was lost, or an answer is an error.
    """
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    answers = [await connection.read_response() for _ in commands]
    for answer in answers:
        if isinstance(answer, list):  # of a transaction: what went wrong in it
            for one in answer:
                if isinstance(one, RedisError):
                    raise one
    return answers


async def hang_up(connection: AbstractConnection) -> None:
    """Close a connection without waiting for the other side."""
    with suppress(*WENT_WRONG):
        await connection.disconnect(nowait=True)


async def _dial(kind: type[AbstractConnection], options: dict[str, Any]) -> AbstractConnection:
    connection = kind(**options)
    try:
        await connection.connect()
    except BaseException:
        await hang_up(connection)
        raise
    return connection


async def _dial_primary(
    kind: type[AbstractConnection],
    options: dict[str, Any],
    sentinels: Sequence[tuple[str, int]],
    service: str,
    each: float,
) -> AbstractConnection:
    """Ask one Sentinel after the other who the primary is, and have that one confirm it (its rule for clients)."""
    for sentinel in sentinels:
        with suppress(*WENT_WRONG):
            async with asyncio.timeout(each):
                host, port = await _primary(*sentinel, service)
            break
    else:
        raise RedisConnectionError(f"no Sentinel knows the primary of {service!r}")
    secure = issubclass(kind, SSLConnection)
    connection = await _dial(SSLConnection if secure else Connection, options | {"host": host, "port": port})
    try:
        (role,) = await exchange(connection, (b"ROLE",))
        if role[0] != b"master":
            raise RedisConnectionError(f"{host}:{port} is not the primary of {service!r} yet")
    except BaseException:
        await hang_up(connection)
        raise
    return connection


async def _primary(host: str, port: int, service: str) -> tuple[str, int]:
    sentinel = await _dial(Connection, _PLAIN | {"host": host, "port": port})
    try:
        (named,) = await exchange(sentinel, (b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service))
    finally:
        await hang_up(sentinel)
    if named is None:
        raise RedisConnectionError(f"the Sentinel does not watch {service!r}")
    return named[0].decode(), int(named[1])


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)

"""The feed of the deny set through a Redis Stream: every worker of every instance adds to it and follows it.

Each follower keeps the whole deny set. What Redis loses they write down again; while one of them does not hear from
Redis, it knows that it does not know. feed.py has the contract, identity/revocations.py the deny set.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from redis.asyncio.connection import AbstractConnection

from gateway.errors import StateUnavailable
from gateway.state.feed import DenySet
from gateway.state.marker import Marker
from gateway.state.redis_dial import WENT_WRONG, Command, exchange, hang_up
from gateway.state.redis_link import RedisLink
from gateway.withdrawals import LONGEST_LIFE, Withdrawal, withdrawals

FRESH = 1.0
"""Seconds after which a follower that has heard nothing does not trust its deny set any more."""
LISTEN = 0.2
"""Seconds that one question for news waits for some; well within FRESH."""
START = 5.0
"""Seconds that a start waits for what was withdrawn before; then the worker begins all the same, closed."""
_AGAIN = 0.2
"""Seconds from the loss of the connection to the next attempt."""
_TRIM = 60.0
"""Seconds between two times that one follower takes out what concerns nothing any more."""
_SETTLED = 1800.0
"""Seconds after which it is looked whether an entry still concerns anything; that of an ended session does not."""
_TURN = 2.0
"""Seconds that one follower has for writing down what Redis lost, before another looks whether it did."""
_PAGE = 1000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Withdrawal).decode
Key = tuple[str, str, str | None]


class RedisFeed:
    """Adds to the stream, and follows it on a connection of its own.

    Args:
        link: adds, and makes the connection.
        marker: tells when something was lost.
        prefix: of every key.
        deny_set: what is filled.
        clock: wall clock, Unix seconds.
        monotonic: seconds.
        log: the application log.
    """

    def __init__(
        self,
        link: RedisLink,
        marker: Marker,
        prefix: str,
        deny_set: DenySet,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        log: Any,
    ) -> None:
        self._link = link
        self._marker = marker
        self._stream = f"{prefix}withdrawals".encode()
        self._turn = f"{prefix}withdrawals:turn".encode()
        self._deny_set = deny_set
        self._clock = clock
        self._monotonic = monotonic
        self._log = log
        self._unsent: dict[Key, Withdrawal] = {}
        self._last = b"0-0"
        self._known_marker = b""
        self._look_again = float("inf")
        self._trim_at = 0.0
        self._looked_at = b"0-0"
        self._first_try = asyncio.Event()
        self._silent = False
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See gateway.state.feed.Feed. Until something was heard, the deny set is not complete."""
        self._deny_set.complete_until = float("-inf")
        self._following = asyncio.create_task(self._follow())
        with suppress(TimeoutError):
            async with asyncio.timeout(START):
                await self._first_try.wait()

    async def close(self) -> None:
        """See gateway.state.feed.Feed."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})

    async def withdraw(
        self,
        *,
        session: str | None = None,
        token_id: str | None = None,
        subject: str | None = None,
        issuer: str | None = None,
        at: float | None = None,
        until: float | None = None,
    ) -> None:
        """See gateway.state.feed.Feed."""
        at = self._clock() if at is None else at
        mine = list(withdrawals(session=session, token_id=token_id, subject=subject, issuer=issuer, at=at, until=until))
        telling: list[Withdrawal] = []
        try:
            telling += (one for one in mine if self._deny_set.add(one) or _key(one) in self._unsent)
            if telling:
                await self._link.ask(*map(self._adding, telling))
        except BaseException:  # also when whoever asked for it has left
            self._unsent |= {_key(one): one for one in telling}
            raise
        self._sent(telling)

    # ── following ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever it is: closed while nothing is heard, and on again
                self._tell_silent(error)
            self._first_try.set()
            await asyncio.sleep(_AGAIN)

    async def _listen(self) -> None:
        async with asyncio.timeout(FRESH):
            connection = await self._link.connect()
        try:
            while True:
                if self._known_marker != self._marker.value or self._monotonic() >= self._look_again:
                    await self._catch_up(connection)
                await self._send_unsent(connection)
                await self._trim(connection)
                await self._hear(connection)
        finally:
            await hang_up(connection)

    async def _hear(self, connection: AbstractConnection) -> None:
        """Wait for news for a moment; whatever was added before the question is known after its answer."""
        began = self._monotonic()
        async with asyncio.timeout(FRESH):
            marker, news = await exchange(
                connection,
                (b"GET", self._marker.key),
                (b"XREAD", b"COUNT", _PAGE, b"BLOCK", int(LISTEN * 1000), b"STREAMS", self._stream, self._last),
            )
        entries = news[0][1] if news else []
        self._take(entries)
        if not self._marker.see(marker):
            await self._renew_marker(connection)
        elif len(entries) < _PAGE and self._known_marker == self._marker.value:
            self._deny_set.complete_until = began + FRESH
            self._tell_heard()

    async def _renew_marker(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(FRESH):
            _, marker = await exchange(connection, *self._marker.renewal())
        self._marker.see(marker)

    async def _catch_up(self, connection: AbstractConnection) -> None:
        """Read everything that is there, and write down again what is missing there and known here."""
        marker, self._look_again = self._marker.value, float("inf")
        there: dict[Key, float] = {}
        self._last = b"0-0"
        began = self._monotonic()
        while entries := await self._page(connection):
            began = self._monotonic()
            for one in self._take(entries):
                there[_key(one)] = max(one.at, there.get(_key(one), 0.0))
        missing = [one for one in self._deny_set.entries() if there.get(_key(one), float("-inf")) < one.at]
        if missing and await self._is_our_turn(connection):
            await self._add(connection, missing)
        elif missing:
            self._look_again = self._monotonic() + _TURN
        self._known_marker = marker
        self._deny_set.complete_until = began + FRESH
        self._first_try.set()

    async def _page(self, connection: AbstractConnection) -> list[Any]:
        async with asyncio.timeout(FRESH):
            start = b"-" if self._last == b"0-0" else b"(" + self._last
            (entries,) = await exchange(connection, (b"XRANGE", self._stream, start, b"+", b"COUNT", _PAGE))
        page: list[Any] = entries
        return page

    def _take(self, entries: list[Any]) -> list[Withdrawal]:
        """Put what was read into the deny set."""
        taken = []
        for number, fields in entries:
            try:
                one = _decode(fields[1])
            except (
                msgspec.DecodeError,
                UnicodeDecodeError,
                IndexError,
                TypeError,
            ):  # somebody else writes into our stream
                self._log.error("an entry of the withdrawals cannot be read", entry=number.decode())
            else:
                self._deny_set.add(one)
                taken.append(one)
            self._last = number
        return taken

    async def _is_our_turn(self, connection: AbstractConnection) -> bool:
        async with asyncio.timeout(FRESH):
            (taken,) = await exchange(connection, (b"SET", self._turn, b"1", b"NX", b"PX", int(_TURN * 1000)))
        return taken is not None

    async def _send_unsent(self, connection: AbstractConnection) -> None:
        """Tell what could not be told when it was withdrawn."""
        if self._unsent:
            telling = list(self._unsent.values())
            await self._add(connection, telling)
            self._sent(telling)

    async def _add(self, connection: AbstractConnection, those: list[Withdrawal]) -> None:
        for start in range(0, len(those), _PAGE):
            async with asyncio.timeout(FRESH):
                await exchange(connection, *map(self._adding, those[start : start + _PAGE]))

    def _adding(self, one: Withdrawal) -> Command:
        return b"XADD", self._stream, b"*", b"w", _encode(one)

    def _sent(self, those: list[Withdrawal]) -> None:
        for one in those:
            unsent = self._unsent.get(_key(one))
            if unsent is not None and unsent.at <= one.at:
                del self._unsent[_key(one)]

    async def _trim(self, connection: AbstractConnection) -> None:
        """Take out what concerns nothing any more, a page at a time, by the server's clock, which numbers the entries.

        So the stream grows with what still holds, not with every session that ended in a day.
        """
        if self._monotonic() < self._trim_at:
            return
        async with asyncio.timeout(FRESH):
            (now,) = await exchange(connection, (b"TIME",))
            oldest, settled = (int((int(now[0]) - age) * 1000) for age in (LONGEST_LIFE, _SETTLED))
            _, page = await exchange(
                connection,
                (b"XTRIM", self._stream, b"MINID", b"~", oldest),
                (b"XRANGE", self._stream, b"(" + self._looked_at, settled, b"COUNT", _PAGE),
            )
            if over := [number for number, fields in page if _is_over(fields, int(now[0]))]:
                await exchange(connection, (b"XDEL", self._stream, *over))
        if page:
            self._looked_at = page[-1][0]
        self._trim_at = self._monotonic() + (_TRIM if len(page) < _PAGE else 0.0)

    # ── saying so ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _tell_silent(self, error: BaseException) -> None:
        if not self._silent:
            self._silent = True
            expected = isinstance(error, (*WENT_WRONG, StateUnavailable))
            told = f"{type(error).__name__}: {error}"
            self._log.error("withdrawals are not heard of", error=told, exc_info=None if expected else error)

    def _tell_heard(self) -> None:
        if self._silent:
            self._silent = False
            self._log.info("withdrawals are heard of again")


def _is_over(fields: list[Any], now: float) -> bool:
    try:
        return _decode(fields[1]).until <= now
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError, TypeError):  # told when it was heard
        return True


def _key(one: Withdrawal) -> Key:
    return one.kind, one.value, one.issuer

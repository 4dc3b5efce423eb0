"""Everybody's facts in memory, so that no decision waits for a database (gateway.facts.LedgerView).

following.py tells what changes. What is kept is bytes, as facts.py wrote them: a million people are nothing that the
garbage collector looks through. They are decoded when somebody is decided about.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from sqlalchemy import select

from gateway.errors import CannotDecide, Overloaded, StateUnavailable
from gateway.facts import Facts
from gateway.heap import at_rest
from gateway.ledger.acting import Office
from gateway.ledger.facts import read_facts
from gateway.ledger.following import CHUNK, Feed, Row, listening
from gateway.ledger.office_tables import FACTS
from gateway.ledger.parties import Parties
from gateway.model import Principal

MOST_WAITING = 64
"""People whose records are being made at the same time by one worker."""
TURN = 1.0
"""Seconds that somebody waits for her turn to have a record made; writing it takes less than another one."""

_AGAIN = 0.2
"""Seconds from the loss of the connection to the next attempt."""
_MOST_DECODED = 4096
_MOST_DECODED_BYTES = 4 * 2**20
"""Of the bodies; what is decoded of them takes up to seven times as much."""

Bodies = dict[str, dict[str, bytes]]
"""Facts by issuer and subject, as they were written."""


class LedgerMemory:
    """The ledger in memory (gateway.facts.LedgerView).

    Args:
        office: where acts begin; its database is followed.
        log: the application log.
        stale: seconds that decisions rest on what was last heard when the ledger cannot be asked.
    """

    def __init__(self, office: Office, log: Any, stale: float) -> None:
        self._parties = Parties(office)
        self._database = office.database
        self._monotonic = office.database.monotonic
        self._log = log
        self._stale = stale
        self._held: Bodies = {}
        self._seq = 0
        self._heard = -math.inf
        self._latest = -math.inf
        self._decoded: dict[bytes, Facts] = {}
        self._decoded_bytes = 0
        self._silent = False
        self._following: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None] | None = None
        self._registering: dict[tuple[str, str], asyncio.Task[Facts]] = {}
        self._turn = asyncio.Lock()

    # ── deciding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def facts(self, issuer: str, subject: str) -> Facts | None:
        """What is known of a person or unit; None when there is no record. No database is asked.

        As long as they do not change, the same object is likely to come again.

        Raises:
            StateUnavailable: nobody has heard from the ledger for too long; 503.
        """
        if self._monotonic() - self._heard > self._stale:
            raise StateUnavailable("ledger: not heard for too long", retry_after=1.0)
        subjects = self._held.get(issuer)
        body = None if subjects is None else subjects.get(subject)
        if body is None:
            return None
        known = self._decoded.get(body)
        return self._decode(body) if known is None else known

    def now(self, at: float) -> float:
        """The time to decide by: `at`, or the latest ever seen here: a clock that goes back revives nothing."""
        if at > self._latest:
            self._latest = at
        return self._latest

    def _decode(self, body: bytes) -> Facts:
        """Remembered by the body itself, so that what has changed is not found."""
        facts = read_facts(body)
        self._decoded_bytes += len(body)
        if len(self._decoded) >= _MOST_DECODED or self._decoded_bytes > _MOST_DECODED_BYTES:
            self._decoded.clear()
            self._decoded_bytes = len(body)
        self._decoded[body] = facts
        return facts

    # ── the first visit ───────────────────────────────────────────────────────────────────────────────────────────

    async def register(self, principal: Principal) -> Facts:
        """Make the record of somebody who is here for the first time, or find the one that is there.

        Many requests of one person make one record; a client that leaves takes it from nobody.

        Raises:
            Overloaded: MOST_WAITING people are being recorded already; 503.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        person = principal.issuer, principal.subject
        task = self._registering.get(person)
        if task is None:
            if len(self._registering) >= MOST_WAITING:
                raise Overloaded(f"ledger: {MOST_WAITING} first visits at once", retry_after=1.0)
            task = self._registering[person] = asyncio.get_running_loop().create_task(self._register(principal))
            task.add_done_callback(lambda done: self._forget_visit(person, done))
        return await asyncio.shield(task)

    def _forget_visit(self, person: tuple[str, str], done: asyncio.Task[Facts]) -> None:
        del self._registering[person]
        if not done.cancelled():
            done.exception()  # is looked at here in case that everybody who waited for it has left

    async def _register(self, principal: Principal) -> Facts:
        await self._take_turn()
        try:
            party = await self._parties.register(principal)
            question = select(FACTS).where(FACTS.c.party_id == party)
            async with self._database.reading() as connection:
                row = (await connection.execute(question)).one()
        finally:
            self._turn.release()
        if row.seq > self._seq:  # else it is held already, or what came after it
            _keep(self._held, [(row.issuer, row.subject, row.body, row.seq)])
        return self._decode(row.body)

    async def _take_turn(self) -> None:
        """One writes at a time: more would wait for each other in the database, on connections that others need."""
        try:
            async with asyncio.timeout(TURN):
                await self._turn.acquire()
        except TimeoutError:
            raise Overloaded("ledger: no turn to record a first visit", retry_after=1.0) from None

    # ── following ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self) -> None:
        """Read everything once and follow every change from now on. Whoever needs the view says so when it starts.

        Raises:
            CannotDecide: the ledger cannot be read now.
        """
        if self._first is None or self._following is None or self._following.done():
            self._first = asyncio.get_running_loop().create_future()
            self._following = asyncio.create_task(self._follow(self._first))
        await asyncio.shield(self._first)

    async def close(self) -> None:
        """Stop following; nothing is decided from now on."""
        tasks = {*self._registering.values(), *(() if self._following is None else (self._following,))}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._heard = -math.inf

    def status(self) -> dict[str, Any]:
        """Plain data for operators: how many people are held, up to which number, heard how many seconds ago."""
        since = self._monotonic() - self._heard
        return {
            "parties": sum(map(len, self._held.values())),
            "seq": self._seq,
            "heard_seconds": None if math.isinf(since) else round(since, 3),
            "current": since <= self._stale,
        }

    async def _follow(self, first: asyncio.Future[None]) -> None:
        reason = "closed"
        try:
            while True:
                try:
                    await self._listen(first)
                except Exception as error:  # noqa: BLE001 - whatever it is: closed while nothing is heard, and on again
                    reason = _reason(error)
                    if not first.done():
                        return
                    self._tell_silent(reason)
                await asyncio.sleep(_AGAIN)
        finally:
            if not first.done():
                first.set_exception(CannotDecide(reason))
                first.exception()  # is looked at here in case that everybody who waited for it has left

    async def _listen(self, first: asyncio.Future[None]) -> None:
        async with listening(self._database) as feed:
            if not await self._continues(feed):
                await self._load(feed)
            while True:
                asked = self._monotonic()
                if await feed.changed():
                    await self._catch_up(feed)
                self._heard = asked
                self._tell_heard()
                if not first.done():
                    first.set_result(None)
                await feed.pause()

    async def _continues(self, feed: Feed) -> bool:
        """Tell whether the newest that was read is still there: else it may be a copy with another story."""
        rows = await feed.after(self._seq - 1)
        if not rows or rows[0][3] != self._seq:
            return False
        issuer, subject, body, _ = rows[0]
        return self._held.get(issuer, {}).get(subject) == body

    async def _catch_up(self, feed: Feed) -> None:
        clock = await feed.clock()
        if clock < self._seq:
            self._log.warning("the ledger went back, all of it is read again", seq=self._seq, now=clock)
            await self._load(feed)
        elif clock > self._seq:
            async for rows in _chunks(feed, self._seq):
                _keep(self._held, rows)
                self._seq = rows[-1][3]

    async def _load(self, feed: Feed) -> None:
        """Read everything, beside what is held."""
        held: Bodies = {}
        seq = 0
        with at_rest():
            async for rows in _chunks(feed, 0):
                _keep(held, rows)
                seq = rows[-1][3]
        self.now(await feed.newest_change())  # the clock may have gone back while nobody was here to see it
        self._held, self._seq = held, seq

    def _tell_silent(self, reason: str) -> None:
        if not self._silent:
            self._silent = True
            self._log.warning("the ledger is not heard", reason=reason, closed_in=self._stale)

    def _tell_heard(self) -> None:
        if self._silent:
            self._silent = False
            self._log.info("the ledger is heard again", seq=self._seq)


async def _chunks(feed: Feed, seq: int) -> AsyncIterator[Sequence[Row]]:
    """Facts behind a number, piece by piece, up to the newest."""
    while rows := await feed.after(seq):
        yield rows
        if len(rows) < CHUNK:
            return
        seq = rows[-1][3]


def _keep(held: Bodies, rows: Iterable[Row]) -> None:
    for issuer, subject, body, _ in rows:
        try:
            held[issuer][subject] = body
        except KeyError:
            held[issuer] = {subject: body}


def _reason(error: Exception) -> str:
    """Why, without what the driver says: that may hold values."""
    return error.detail if isinstance(error, CannotDecide) else f"ledger: {type(error).__name__}"

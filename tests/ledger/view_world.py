"""What tests of the view share: views on one ledger, changes to be heard, and waiting for what has to come."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import msgspec
from sqlalchemy import insert, select, text, update

from gateway.errors import CannotDecide
from gateway.facts import Facts
from gateway.ledger.facts import read_facts
from gateway.ledger.office_tables import FACTS, FACTS_CLOCK, PARTIES
from gateway.model import Kind, Principal
from tests.ledger.office_world import ISSUER

PROMISED = 1.0
"""Seconds in which a change reaches every worker."""


async def until(holds, seconds: float = 5.0) -> float:
    """Wait until a condition holds; gives how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "it does not come true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def state_of(view, subject: str) -> str | None:
    facts = view.facts(ISSUER, subject)
    return None if facts is None else facts.state


async def move(office, party: str, state: str) -> None:
    """Bring a unit to another state, as staff would: again where others were faster for too long."""
    while True:
        with suppress(CannotDecide):
            async with office.by_itself() as act:
                await act.move(await act.party(party), state, "unit.moved")
            return


@asynccontextmanager
async def beside(*workers):
    """Keep these running during the block; what they raise is raised."""
    tasks = [asyncio.create_task(worker) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        said = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in said if not isinstance(one, asyncio.CancelledError)] == []


async def write_on_and_on(office, party: str) -> None:
    while True:
        await move(office, party, "applied")
        await move(office, party, "new")


async def decide_on_and_on(view, subject: str) -> None:
    """As much as a worker can, with a look at its sockets now and then."""
    while True:
        for _ in range(200):
            assert view.facts(ISSUER, subject) is not None
        await asyncio.sleep(0)


async def all_facts(ledger) -> dict[str, object]:
    """What the database says of everybody."""
    async with ledger.database.reading() as connection:
        return {row.subject: read_facts(row.body) for row in await connection.execute(select(FACTS))}


async def seed_many(ledger, count: int) -> None:
    """Units by the thousand, written at once: not as acts do it."""
    now = ledger.office.clock()
    numbers = range(1, count + 1)
    parties = [
        {"id": f"many-{number}", "kind": "legal", "issuer": ISSUER, "subject": many(number), "region": "350100",
         "state": "new", "registered_version": 0, "created_at": now, "changed_at": now, "version": 1}
        for number in numbers
    ]  # fmt: skip
    facts = [
        {"party_id": party["id"], "issuer": ISSUER, "subject": party["subject"], "seq": seq,
         "body": body_of(party["id"])}
        for seq, party in enumerate(parties, 1)
    ]  # fmt: skip
    async with ledger.database.writing() as connection:
        await connection.execute(insert(PARTIES), parties)
        await connection.execute(insert(FACTS), facts)
        await connection.execute(update(FACTS_CLOCK).values(seq=count))


def many(number: int) -> str:
    """Subject of one of many."""
    return f"91350100M{number:09d}"


def body_of(party: str) -> bytes:
    """Facts of a new unit, as they are written."""
    return msgspec.msgpack.encode(Facts(party, "legal", "new", "350100"))


async def forget_newest(ledger) -> None:
    """Have the ledger be as it was before its newest facts: what a copy that is restored looks like."""
    async with ledger.database.writing() as connection:
        seq = await connection.scalar(select(FACTS_CLOCK.c.seq))
        await connection.execute(text("DELETE FROM facts WHERE seq = :seq"), {"seq": seq})
        await connection.execute(update(FACTS_CLOCK).values(seq=seq - 1))


def visitor(subject: str) -> Principal:
    """A unit that has signed in at the province."""
    return Principal(ISSUER, subject, Kind.LEGAL, 3, 2e9)

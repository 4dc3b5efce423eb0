"""The view: what is in the ledger is in memory, everywhere within a second, and never older than it may be.

A file's failures are in test_view_file.py, a server's in test_view_server.py, first visits in test_view_visits.py.
"""

import asyncio

import pytest

from gateway.errors import StateUnavailable
from gateway.ledger.following import CHUNK
from gateway.ledger.view import LedgerMemory
from tests.ledger.office_world import ISSUER, seed_unit
from tests.ledger.view_world import (
    PROMISED,
    all_facts,
    beside,
    decide_on_and_on,
    forget_newest,
    many,
    move,
    seed_many,
    state_of,
    until,
    write_on_and_on,
)

ONE, OTHER, BUSY = "91350100M000100Y43", "91350100M000100A01", "91350100M000100B02"


async def test_nobody_is_decided_about_before_the_ledger_was_read(ledger):
    await seed_unit(ledger.office, ONE)
    with pytest.raises(StateUnavailable) as caught:
        ledger.view.facts(ISSUER, ONE)
    assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
    assert ledger.view.status() == {"parties": 0, "seq": 0, "heard_seconds": None, "current": False}


async def test_what_is_there_is_known_once_the_view_follows(ledger):
    party = await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    facts = ledger.view.facts(ISSUER, ONE)
    assert (facts.party, facts.kind, facts.state, facts.region) == (party, "legal", "new", "350100")
    assert ledger.view.facts(ISSUER, OTHER) is None
    assert ledger.view.facts("https://elsewhere.example", ONE) is None
    assert ledger.view.status() == {"parties": 1, "seq": 1, "heard_seconds": 0.0, "current": True}


async def test_a_change_reaches_every_worker_within_a_second_while_all_decide_and_another_writes(make_ledger):
    writer, *workers = [await make_ledger() for _ in range(3)]
    party, busy = await seed_unit(writer.office, ONE), await seed_unit(writer.office, BUSY)
    for worker in workers:
        await worker.view.follow()
    deciding = (decide_on_and_on(worker.view, BUSY) for worker in workers)
    async with beside(write_on_and_on(workers[0].office, busy), *deciding):
        for state in ("applied", "revoked"):
            await move(writer.office, party, state)
            seen = (until(lambda view=worker.view, state=state: state_of(view, ONE) == state) for worker in workers)
            assert max(await asyncio.gather(*seen)) < PROMISED


async def test_nothing_is_missed_and_nothing_older_wins_whoever_writes(make_ledger):
    ledgers = [await make_ledger() for _ in range(3)]
    view = ledgers[0].view
    parties = [await seed_unit(ledgers[0].office, f"91350100M00000000{number}") for number in range(3)]
    await view.follow()

    async def write(ledger, party):
        for state in ("applied", "new", "applied", "revoked"):
            await move(ledger.office, party, state)

    await asyncio.gather(*(write(ledger, party) for ledger, party in zip(ledgers, parties, strict=True)))
    await until(lambda: view.status()["seq"] == 3 + 3 * 4)
    assert {subject: view.facts(ISSUER, subject) for subject in await all_facts(ledgers[0])} == await all_facts(
        ledgers[0]
    )


async def test_many_who_begin_at_once_share_one_reading(make_ledger, log):
    ledger = await make_ledger()
    ledger.office.database = database = Counting(ledger.database)
    view = LedgerMemory(ledger.office, log, 5.0)
    await asyncio.gather(*(view.follow() for _ in range(20)))
    await view.follow()
    assert database.connections == 1
    await view.close()


class Counting:
    """A database that counts who listens to it."""

    def __init__(self, database):
        self._database = database
        self.connections = 0

    def beside(self):
        self.connections += 1
        return self._database.beside()

    def __getattr__(self, name):
        return getattr(self._database, name)


async def test_more_than_is_read_at_once_is_read_whole(make_ledger):
    ledger, other = await make_ledger(), await make_ledger()
    await other.view.follow()
    await seed_many(ledger, CHUNK + 3)
    await ledger.view.follow()
    await until(lambda: other.view.status()["seq"] == CHUNK + 3)
    for view in (ledger.view, other.view):
        assert view.status()["parties"] == CHUNK + 3
        assert state_of(view, many(CHUNK + 3)) == "new"


async def test_what_a_copy_from_yesterday_does_not_know_is_forgotten_when_it_is_put_back(ledger, log):
    await seed_unit(ledger.office, ONE)
    await seed_unit(ledger.office, OTHER)
    await ledger.view.follow()
    await forget_newest(ledger)
    await until(lambda: state_of(ledger.view, OTHER) is None)
    assert state_of(ledger.view, ONE) == "new"
    assert ledger.view.status()["seq"] == 1
    assert "went back" in str(log.calls)
    assert ONE not in str(log.calls)


async def test_what_is_not_heard_for_too_long_is_not_believed(ledger, clock):
    """The task that hears is stopped: nobody tells the view that it is old but the clock."""
    await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    ledger.view._following.cancel()
    await asyncio.wait({ledger.view._following})
    clock.advance(5.0)
    assert state_of(ledger.view, ONE) == "new"
    clock.advance(0.1)
    with pytest.raises(StateUnavailable):
        ledger.view.facts(ISSUER, ONE)
    assert ledger.view.status()["current"] is False


async def test_a_view_that_was_closed_decides_nothing_and_can_follow_again(ledger):
    await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    await ledger.view.close()
    with pytest.raises(StateUnavailable):
        ledger.view.facts(ISSUER, ONE)
    await ledger.view.follow()
    assert state_of(ledger.view, ONE) == "new"


# ── the time ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_clock_that_goes_back_does_not_take_the_time_with_it(ledger, clock):
    assert ledger.view.now(clock.wall) == clock.wall
    assert ledger.view.now(clock.wall - 3600) == clock.wall
    assert ledger.view.now(clock.wall + 1) == clock.wall + 1


async def test_a_clock_that_goes_back_while_nobody_runs_does_not_either(make_ledger, clock):
    """The history tells what time it was."""
    latest = clock.wall
    await seed_unit((await make_ledger()).office, ONE)
    clock.wall -= 3600
    begun_later = (await make_ledger()).view
    await begun_later.follow()
    assert begun_later.now(clock.wall) == latest


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_is_asked_for_again_is_not_decoded_again_until_something_changes(ledger):
    party = await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    first = ledger.view.facts(ISSUER, ONE)
    assert ledger.view.facts(ISSUER, ONE) is first
    await move(ledger.office, party, "applied")
    await until(lambda: state_of(ledger.view, ONE) == "applied")
    assert ledger.view.facts(ISSUER, ONE) is not first

"""The view over a file that is locked, full, gone or another one: what is known is decided by as long as it may be."""

import gc
import os
import sqlite3
import tracemalloc
from contextlib import closing

import pytest
from sqlalchemy import event

from gateway.errors import CannotDecide, Overloaded, StateUnavailable
from gateway.ledger import open_ledger
from tests.ledger.office_world import ISSUER, seed_unit
from tests.ledger.view_world import body_of, seed_many, state_of, until, visitor

ONE, OTHER = "91350100M000100Y43", "91350100M000100A01"


@pytest.fixture
def ledger_url(sqlite_url):
    return sqlite_url


@pytest.fixture
def other(tmp_path, ledger):
    """Another program's connection to the same file."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as connection:
        yield connection


async def heard_at(view, clock) -> None:
    """Wait until the view has heard from the ledger at what the clock says now."""
    await until(lambda: view.status()["heard_seconds"] == 0.0)


async def test_a_locked_file_is_heard_all_the_same(ledger, other, clock):
    await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    other.execute("BEGIN EXCLUSIVE")
    for _ in range(3):
        clock.advance(4.0)
        await heard_at(ledger.view, clock)
        assert state_of(ledger.view, ONE) == "new"


async def test_a_view_can_begin_while_the_file_is_locked(ledger, other, tmp_path, clock):
    await seed_unit(ledger.office, ONE)
    other.execute("BEGIN EXCLUSIVE")
    await ledger.view.follow()
    assert state_of(ledger.view, ONE) == "new"


async def test_a_full_disk_is_heard_all_the_same(ledger, clock):
    await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    await fill(ledger)
    clock.advance(4.0)
    await heard_at(ledger.view, clock)
    assert state_of(ledger.view, ONE) == "new"


async def fill(ledger) -> None:
    """No page more than there are, and write until they are used up."""

    def limit(connection, _):
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count = 1")  # means: as many as there are
        cursor.close()

    await ledger.database.engine.dispose()
    event.listen(ledger.database.engine.sync_engine, "connect", limit)
    with pytest.raises(CannotDecide) as caught:
        await seed_on_and_on(ledger.office)
    assert caught.value.detail == "ledger: SQLITE_FULL"


async def seed_on_and_on(office) -> None:
    for number in range(2000):
        await seed_unit(office, f"person-{number}")


async def test_without_the_file_decisions_end_after_a_while_and_begin_again_when_it_is_back(
    ledger, tmp_path, clock, log
):
    await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    os.rename(tmp_path / "ledger.db", tmp_path / "away.db")
    await until(lambda: "not heard" in str(log.calls))
    clock.advance(5.0)
    assert state_of(ledger.view, ONE) == "new"
    clock.advance(0.1)
    with pytest.raises(StateUnavailable):
        ledger.view.facts(ISSUER, ONE)
    os.rename(tmp_path / "away.db", tmp_path / "ledger.db")
    await until(lambda: ledger.view.status()["current"])
    assert state_of(ledger.view, ONE) == "new"
    assert "heard again" in str(log.calls)


async def test_a_file_that_comes_back_with_another_story_is_read_anew(ledger, tmp_path, log):
    """As many changes as before or more, but others: its number alone would not tell."""
    await seed_unit(ledger.office, ONE)
    await seed_unit(ledger.office, OTHER)
    await ledger.view.follow()
    os.rename(tmp_path / "ledger.db", tmp_path / "away.db")
    os.rename(tmp_path / "ledger.db-wal", tmp_path / "away.db-wal")
    await until(lambda: "not heard" in str(log.calls))
    await ledger.database.engine.dispose()
    with closing(sqlite3.connect(tmp_path / "away.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM facts WHERE subject = ?", (OTHER,))
        connection.execute("UPDATE facts SET seq = 3, body = ?", (body_of("another-story"),))
        connection.execute("UPDATE facts_clock SET seq = 3")
    os.rename(tmp_path / "away.db", tmp_path / "ledger.db")
    await until(lambda: "heard again" in str(log.calls))
    assert ledger.view.facts(ISSUER, ONE).party == "another-story"
    assert state_of(ledger.view, OTHER) is None


async def test_a_view_of_a_ledger_that_is_not_there_says_so_and_can_be_asked_again(ledger, tmp_path):
    os.rename(tmp_path / "ledger.db", tmp_path / "away.db")
    with pytest.raises(CannotDecide) as caught:
        await ledger.view.follow()
    assert "gone" in caught.value.detail
    os.rename(tmp_path / "away.db", tmp_path / "ledger.db")
    await ledger.view.follow()
    assert ledger.view.status()["current"]


async def test_a_ledger_that_is_not_open_cannot_be_followed(tmp_path):
    with pytest.raises(CannotDecide):
        await open_ledger("sqlite:///ledger.db", tmp_path).view.follow()


async def test_nobody_waits_longer_for_a_turn_than_a_moment(ledger):
    async with ledger.view._turn:
        with pytest.raises(Overloaded):
            await ledger.view.register(visitor(ONE))
    assert (await ledger.view.register(visitor(ONE))).state == "new"


async def test_a_unit_costs_its_facts_and_three_hundred_bytes(ledger):
    """docs/ledger.md states the bound; what was decoded is bounded by itself."""
    count = 5000
    await seed_many(ledger, count)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    await ledger.view.follow()
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    bodies = sum(len(body) for body in ledger.view._held[ISSUER].values())
    assert grown < bodies + 300 * count + 500_000
    for subject in list(ledger.view._held[ISSUER]):
        ledger.view.facts(ISSUER, subject)
    assert len(ledger.view._decoded) <= 4096

"""What is asked within a change, and at the beginning of a day, is found by an index, however much was decided."""

import re

import pytest
from sqlalchemy import event

from gateway.ledger import open_ledger
from gateway.ledger.applications import Applications
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from gateway.ledger.queues import Queues
from tests.ledger.grants_world import Scene, asked, claim, new_number

SHORT = {"facts_clock", "counted"}
"""A table of one row; and what a list counts of itself, MOST_COUNTED at most."""


@pytest.fixture
async def scene(sqlite_url, tmp_path, clock, log):
    """On a file, which says plainly how it goes about a question."""
    ledger = open_ledger(sqlite_url, tmp_path, clock=lambda: clock.wall, log=log)
    await ledger.start()

    async def office():
        return ledger.office

    yield await Scene(office, []).begin()
    await ledger.close()


@pytest.fixture
def questions(scene):
    """Everything that the database is asked, each once."""
    found: dict[str, object] = {}

    def remember(_connection, _cursor, statement, values, *_):
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            found[statement] = values

    event.listen(scene.office.database.engine.sync_engine, "before_cursor_execute", remember)
    return found


async def whole_tables(scene, questions) -> set[str]:
    """Tables that a question reads from one end to the other."""
    found = set()
    async with scene.office.database.reading() as connection:
        for statement, values in list(questions.items()):
            for row in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
                scan = re.fullmatch(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", row[3])
                if scan and not (scan[2] or "").endswith("_waiting"):
                    found.add(scan[1])
    return found - SHORT


async def test_no_change_and_no_look_at_a_unit_reads_a_whole_table(scene, questions):
    unit = await scene.unit()
    grant, binding = await scene.granted(unit), await scene.bound(unit, new_number())
    await scene.appeals.open(unit.owners[0], claim(new_number()))
    office = scene.office
    for lists in (scene.grants, scene.bindings, scene.appeals, scene.devices, Operators(office), Applications(office)):
        await lists.of_party(scene.clerk, unit.id)
    for lists in (scene.grants, scene.bindings, scene.appeals, scene.devices, Operators(office)):
        await lists.of(unit.owners[0])
    await scene.grants.of_operators(unit.owners[0], unit.operators)
    await Operators(office).present(scene.clerk, unit.id)
    await scene.devices.not_ended(scene.clerk, unit.id)
    await Parties(office).find(scene.clerk, unit.id)
    await scene.grants.end(scene.clerk, grant.id, "样例", grant.version)
    await scene.bindings.end(scene.reviewer, binding.id, "样例", binding.version)
    assert await whole_tables(scene, questions) == set()


async def test_what_waits_is_not_looked_for_among_what_was_decided(scene, questions):
    unit = await scene.unit()
    await scene.grants.propose(scene.clerk, unit.id, asked(unit))
    assert (await Queues(scene.office).pending(scene.reviewer)).grants.total == 1
    assert await whole_tables(scene, questions) == set()

"""kill -9 at any point of any change: what is there is whole, and the history says how it came to be."""

import asyncio
import json
import random
import signal
import sys
from collections import defaultdict
from contextlib import asynccontextmanager
from itertools import pairwise
from os import kill

import msgspec
from sqlalchemy import select

from gateway.errors import CannotDecide
from gateway.ledger.facts import read_facts, refresh_facts
from gateway.ledger.office_tables import BINDINGS, FACTS, GRANTS, PARTIES, SWITCHES
from gateway.ledger.tables import CHANGES

DEADLINE = 30.0
KILLS = {"sqlite": 14, "postgresql": 5}
STEPS_OF = {
    "proposed": [["proposed"]],
    "offered": [["proposed", "approved"]],
    "live": [["proposed", "approved", "accepted"], ["proposed", "approved"]],
    "ended": [
        ["proposed", "ended"],
        ["proposed", "approved", "ended"],
        ["proposed", "approved", "accepted", "ended"],
    ],
}
"""By the state of a grant or binding, what its history may say."""
MOVES = ("party.bound", "party.unbound")


@asynccontextmanager
async def worker(url: str):
    """See killed_worker.py."""
    arguments = [sys.executable, "-m", "tests.ledger.killed_worker", url]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        process.stdin.close()
        await asyncio.wait_for(process.wait(), DEADLINE)


async def kill_within(process, order: dict, steps: int, pause: float) -> None:
    """Have a child work, and kill it so long after so many steps."""
    process.stdin.write(json.dumps(order).encode() + b"\n")
    child = int(await process.stdout.readline())
    try:
        await process.stdout.readexactly(steps)
        await asyncio.sleep(pause)
    finally:
        kill(child, signal.SIGKILL)
    while await process.stdout.readline() != b"dead\n":
        pass


async def check_whole(office) -> None:
    """No half of anything: every row with its history, every history with its row, and the facts of the tables."""
    async with office.database.writing() as connection:
        changes = (await connection.execute(select(CHANGES).order_by(CHANGES.c.id))).all()
        told = defaultdict(list)
        for change in changes:
            told[change.entry].append(change)
        for table, noun in ((GRANTS, "grant"), (BINDINGS, "binding")):
            rows = (await connection.execute(select(table))).all()
            for row in rows:
                steps = [change.action.removeprefix(f"{noun}.") for change in told[row.id]]
                assert steps in STEPS_OF[row.state]
                assert row.version == len(steps)
            of_noun = {change.entry for change in changes if change.action.startswith(f"{noun}.")}
            assert of_noun == {row.id for row in rows}
        await check_parties(connection, told)
        await check_switches(connection, told)


async def check_parties(connection, told) -> None:
    for party in (await connection.execute(select(PARTIES))).all():
        states = [change.detail["after"] for change in told[party.id] if change.action in MOVES]
        assert party.state == (states[-1] if states else "reviewed")
        kept = read_facts(await connection.scalar(select(FACTS.c.body).where(FACTS.c.party_id == party.id)))
        await refresh_facts(connection, party.id)
        assert kept == read_facts(await connection.scalar(select(FACTS.c.body).where(FACTS.c.party_id == party.id)))


async def check_switches(connection, told) -> None:
    for switch in (await connection.execute(select(SWITCHES))).all():
        settings = [change.detail for change in told[switch.party_id] if change.action == "switch.set"]
        assert settings[-1]["after"] == switch.setting
        assert settings[-1]["item"] == switch.item
        assert all(one["after"] == following["before"] for one, following in pairwise(settings))


async def check_reopened(scene) -> None:
    """As the next worker finds it; of PostgreSQL, once the server has noticed that the last one is gone."""
    office = await scene.another_office()
    try:
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    return await check_whole(office)
                except CannotDecide:
                    continue
    finally:
        await office.database.close()


async def test_a_worker_that_is_killed_at_any_point_leaves_everything_whole(scene, stage):
    url, staff = stage
    kind, chance = url.partition(":")[0], random.Random(url.partition(":")[0])
    units = [await scene.unit() for _ in range(2)]
    order = {"staff": [msgspec.structs.asdict(one) for one in staff], "units": [unit.plain for unit in units]}
    async with worker(url) as process:
        for seed in range(KILLS[kind]):
            await kill_within(process, order | {"seed": seed}, chance.randrange(3), chance.random() * 0.03)
            await check_reopened(scene)
    async with scene.office.database.reading() as connection:
        done = set(await connection.scalars(select(CHANGES.c.action)))
    assert {"grant.proposed", "grant.approved", "binding.proposed", "binding.approved"} <= done

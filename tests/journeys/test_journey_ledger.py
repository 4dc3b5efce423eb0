"""A ledger behind a real edge of two workers: a change reaches both under load, and its faults are 503 and no more.

Each on SQLite and on PostgreSQL; what a full disk does is in tests/ledger, as nobody else can fill a worker's file.
"""

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager, closing
from itertools import count

import asyncpg
import pytest
import pytest_asyncio
from edge_of_workers import DEADLINE, Edge, System

from gateway.ledger import open_ledger
from tests.ledger.office_world import ISSUER, seed_unit
from tests.ledger.view_world import PROMISED, beside, move

pytestmark = pytest.mark.asyncio(loop_scope="module")

STALE = 2.0
"""Seconds; a worker that hears half a second late, on a busy machine, is not meant."""
HEALED = 5.0
"""Seconds after its return in which everything works again."""
AT_ONCE = 4
"""Requests that are under way: of one at a time, the same worker might get all."""
PASSED = 200, ""
SUSPENDED = 403, "unit-suspended"
NOT_WRITTEN = 503, "cannot-decide"
NOT_HEARD = 503, "state-unavailable"
ITEM = {
    "code": "item-1",
    "name": "样例事项",
    "category": "test",
    "audience": ["legal"],
    "system": "counting",
    "operations": [{"method": "POST", "path": "/private/{n}"}],
    "channels": ["web"],
    "reauthorize": ["first-visit"],
}
FIRST_VISIT = {"name": "first-visit", "use": "plugins.reauthorizers.first_visit:FirstVisit"}


class File:
    """SQLite, and what can happen to its file.

    Args:
        folder: of the edge.
        content: a new ledger.
    """

    url = "sqlite:///ledger.db"

    def __init__(self, folder, content):
        self.folder = folder
        self._path = folder / "ledger.db"
        self._path.write_bytes(content)

    @asynccontextmanager
    async def locked(self):
        with closing(sqlite3.connect(self._path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield

    @asynccontextmanager
    async def away(self):
        elsewhere = self._path.rename(self._path.with_suffix(".away"))
        yield
        elsewhere.rename(self._path)


class Server:
    """PostgreSQL, and what can happen to it.

    Args:
        server: it runs.
        url: of a new ledger.
        folder: of the edge.
    """

    def __init__(self, server, url, folder):
        self._server = server
        self.url = url
        self.folder = folder

    @asynccontextmanager
    async def locked(self):
        other = await asyncpg.connect(self.url)
        try:
            await other.execute("BEGIN")
            await other.execute("LOCK TABLE parties IN EXCLUSIVE MODE")
            yield
        finally:
            await other.close()

    @asynccontextmanager
    async def away(self):
        await asyncio.to_thread(self._server.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(self._server.start)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def database(request, tmp_path_factory, new_ledger):
    """A new ledger, in the folder of the edge or on a server."""
    folder = tmp_path_factory.mktemp("edge")
    if request.param == "sqlite":
        yield File(folder, new_ledger)
        return
    server = request.getfixturevalue("postgres_server")
    server.ensure()
    url = server.new_database()
    yield Server(server, url, folder)
    server.ensure()
    server.give_back(url)


class World:
    """The edge, and another process's ledger on the same database.

    Args:
        edge: runs.
        system: behind it.
        office: of the ledger.
        database: of both.
    """

    def __init__(self, edge, system, office, database):
        self.edge = edge
        self.office = office
        self.database = database
        self._system = system
        self._numbers = count(1)

    async def ask(self, unit, path="/private/0"):
        """The status and the code (empty when it passed) for an operator of a unit."""
        now = int(time.time())
        said = {"iat": now - 10, "exp": now + 600, "jti": f"jti-{unit}", "sid": f"sid-{unit}", "act": {"sub": "op-1"}}
        token = self._system.signer.token(iss=ISSUER, sub=unit, subject_type="legal", **said)
        status, body = await self.edge.ask(path, token)
        return status, body.get("code", "")

    async def until_both(self, unit, wanted, meanwhile=(PASSED,)):
        """Ask until both workers have answered like this; what else may come meanwhile is said.

        Each request has a path of its own: what others asked, and may be recorded only now, is no answer to these.
        """
        answered = set()
        async with asyncio.timeout(DEADLINE):
            while self._workers_of(answered) != {0, 1}:
                paths = [f"/private/{next(self._numbers)}" for _ in range(AT_ONCE)]
                answers = await asyncio.gather(*(self.ask(unit, path) for path in paths))
                assert set(answers) <= {wanted, *meanwhile}
                answered |= {path for path, answer in zip(paths, answers, strict=True) if answer == wanted}

    def _workers_of(self, paths):
        return {record["worker"] for record in self.edge.records() if record["url.path"] in paths}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database):
    async with System().running() as system:
        edge = Edge(database.folder, system, ledger=database.url, ledger_stale=f"{STALE:.0f}s")
        edge.write(items=[ITEM], reauthorizers=[FIRST_VISIT])
        ledger = open_ledger(database.url, database.folder)
        await ledger.start()
        try:
            async with edge.running():
                yield World(edge, system, ledger.office, database)
        finally:
            await ledger.close()


async def test_a_suspension_reaches_both_workers_within_a_second_under_load(world):
    party = await seed_unit(world.office, "unit-1", state="bound")
    await world.until_both("unit-1", PASSED)
    seen = []

    async def ask_on():
        while True:
            asked_at = time.monotonic()
            seen.append((asked_at, await world.ask("unit-1")))

    async with beside(*(ask_on() for _ in range(4))):
        await move(world.office, party, "suspended")
        moved_at = time.monotonic()
        await world.until_both("unit-1", SUSPENDED)
    assert max((at for at, (status, _) in seen if status == 200), default=0.0) - moved_at < PROMISED
    assert {answer for _, answer in seen} <= {PASSED, SUSPENDED}


async def test_while_it_is_locked_who_is_known_passes_and_who_is_new_is_told_to_come_later(world):
    await seed_unit(world.office, "unit-2", state="bound")
    await world.until_both("unit-2", PASSED)
    async with world.database.locked():
        assert await world.ask("unit-new") == NOT_WRITTEN
        assert await world.ask("unit-2") == PASSED
    assert await world.ask("unit-new") == PASSED


async def test_without_it_nobody_passes_after_a_while_and_everybody_does_when_it_is_back(world):
    """Before that while is over who is known passes, and who is new does not."""
    await seed_unit(world.office, "unit-3", state="bound")
    await world.until_both("unit-3", PASSED)
    async with world.database.away():
        assert await world.ask("unit-newer") in (NOT_WRITTEN, NOT_HEARD)
        await world.until_both("unit-3", NOT_HEARD)
        assert await world.ask("unit-newer") == NOT_HEARD
    async with asyncio.timeout(HEALED):
        for unit in ("unit-3", "unit-newer"):
            await world.until_both(unit, PASSED, meanwhile=(NOT_HEARD, NOT_WRITTEN))

"""Fixtures of the ledger tests: ledgers on one database, SQLite and PostgreSQL, as several workers have them."""

from contextlib import AsyncExitStack

import pytest
import structlog

from gateway.ledger import open_ledger
from tests.ledger.grants_world import Scene
from tests.plugin_world import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> structlog.testing.CapturingLogger:
    return structlog.testing.CapturingLogger()


@pytest.fixture
def sqlite_url(tmp_path, new_ledger) -> str:
    """A new ledger in `ledger.db` of the test's folder."""
    (tmp_path / "ledger.db").write_bytes(new_ledger)
    return "sqlite:///ledger.db"


@pytest.fixture
def postgresql_url(new_database) -> str:
    """A new ledger in PostgreSQL; mark the test `needs("postgres")`."""
    return new_database()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def ledger_url(request) -> str:
    """A new ledger: the test runs once on each database. A file about one of them has its own fixture of this name."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def make_ledger(tmp_path, clock, log, ledger_url):
    """Makes started ledgers on one database; each is what one worker has."""
    async with AsyncExitStack() as stack:

        async def make():
            ledger = open_ledger(ledger_url, tmp_path, clock=lambda: clock.wall, monotonic=lambda: clock.mono, log=log)
            await ledger.start()
            stack.push_async_callback(ledger.close)
            return ledger

        yield make


@pytest.fixture
async def ledger(make_ledger):
    return await make_ledger()


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def stage(request, tmp_path_factory, new_ledger):
    """A ledger for the scenes of one file, and its staff: each makes units of its own and needs no new ledger."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("scenes") / "ledger.db"
        file.write_bytes(new_ledger)
        yield f"sqlite:///{file}", []
    else:
        server = request.getfixturevalue("postgres_server")
        url = server.new_database()
        yield url, []
        server.ensure()
        server.drop_database(url)


@pytest.fixture
async def scene(stage, tmp_path, clock, log):
    url, staff = stage
    async with AsyncExitStack() as stack:

        async def open_office():
            ledger = open_ledger(url, tmp_path, clock=lambda: clock.wall, log=log)
            await ledger.start()
            stack.push_async_callback(ledger.close)
            return ledger.office

        yield await Scene(open_office, staff).begin()

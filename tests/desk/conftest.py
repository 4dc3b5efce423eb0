"""Fixtures of the desk: one world, its listener, browsers."""

import asyncio

import pytest
from desk_world import Browser, World
from my_world import MyWorld, opened_world


def pytest_collection_modifyitems(items):
    """aiohttp-session keeps its session in a request under a plain name, which aiohttp would rather see typed."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world, aiohttp_client):
    return await aiohttp_client(world.application)


@pytest.fixture
def browser(client) -> Browser:
    return Browser(client)


@pytest.fixture(scope="session")
def staffed_ledger(new_ledger, tmp_path_factory) -> tuple[bytes, list]:
    """A ledger's SQLite file with staff in it, and that staff."""
    folder, staff = tmp_path_factory.mktemp("staffed"), []
    (folder / "ledger.db").write_bytes(new_ledger)

    async def employ():
        async with opened_world(folder, staff):
            pass

    asyncio.run(employ())
    return (folder / "ledger.db").read_bytes(), staff


@pytest.fixture
async def my_world(tmp_path, staffed_ledger) -> MyWorld:
    """A desk with self-service. Who wants its `client` and `browser` calls it `world`."""
    content, staff = staffed_ledger
    (tmp_path / "ledger.db").write_bytes(content)
    async with opened_world(tmp_path, staff) as made:
        yield made

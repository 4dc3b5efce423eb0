"""Fixtures of the desk: one world, its listener, browsers."""

import pytest
from desk_world import Browser, World


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

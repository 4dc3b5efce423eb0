"""Two edges for all tests of this folder that leave them as they were: of one worker alone, of two with a Redis."""

import tempfile
from pathlib import Path

import pytest
import pytest_asyncio
from redis_world import running_redis

from tests.reach.reach_world import reaching


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def alone(tmp_path_factory):
    """One worker, which shares nothing."""
    async with reaching(tmp_path_factory.mktemp("alone")) as reach:
        yield reach


@pytest.fixture(scope="session")
def redis():
    """What the two workers share; what it has acknowledged survives a kill."""
    with tempfile.TemporaryDirectory(prefix="tg-redis-") as folder, running_redis(Path(folder), durable=True) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def two(tmp_path_factory, redis):
    """Two workers with a Redis."""
    async with reaching(tmp_path_factory.mktemp("two"), workers=2, redis=redis.url) as reach:
        yield reach

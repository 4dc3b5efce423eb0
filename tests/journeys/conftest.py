"""A visitor for each journey; the sandbox itself is shared by all tests (tests/conftest.py)."""

import aiohttp
import pytest
from sign_in_world import People

from sandbox.visitor import DEADLINE, Visitor


@pytest.fixture
async def visitor(sandbox):
    """Somebody who asks the sandbox."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        yield Visitor(sandbox.places, session)


@pytest.fixture
async def people(sandbox):
    """People with browsers, in a sandbox of two departments."""
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield People(sandbox.places, session)

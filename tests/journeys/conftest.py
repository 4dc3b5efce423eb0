"""A visitor for each journey; the sandbox itself is shared by all tests (tests/conftest.py)."""

import aiohttp
import pytest

from sandbox.visitor import DEADLINE, Visitor


@pytest.fixture
async def visitor(sandbox):
    """Somebody who asks the sandbox."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        yield Visitor(sandbox.places, session)

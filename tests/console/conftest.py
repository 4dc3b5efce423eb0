"""Fixtures of the back office's tests."""

import pytest
import pytest_asyncio

from tests.console.console_world import open_world


@pytest.fixture(scope="session")
def new_file(new_ledger) -> bytes:
    """A ledger's file as migrations make it."""
    return new_ledger


@pytest.fixture
async def world(tmp_path, new_file):
    """A back office over a new ledger."""
    async with open_world(tmp_path, new_file) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_world(tmp_path_factory, new_file):
    """One for all tests of a module, which need `asyncio(loop_scope="module")`; each brings its own staff and units."""
    async with open_world(tmp_path_factory.mktemp("console"), new_file) as opened:
        yield opened

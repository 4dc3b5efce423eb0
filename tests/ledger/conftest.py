"""Fixtures of the ledger tests: ledgers on one file, as several workers have them."""

import asyncio
from contextlib import AsyncExitStack

import pytest
import structlog

from gateway.ledger import open_ledger
from tests.plugin_world import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> structlog.testing.CapturingLogger:
    return structlog.testing.CapturingLogger()


@pytest.fixture(scope="session")
def new_file(tmp_path_factory) -> bytes:
    """A ledger's file as migrations make it, made once."""
    folder = tmp_path_factory.mktemp("ledger")
    asyncio.run(open_ledger("sqlite:///ledger.db", folder).upgrade())
    return (folder / "ledger.db").read_bytes()


@pytest.fixture
async def make_ledger(tmp_path, clock, log, new_file):
    """Makes started ledgers on one file; each is what one worker has."""
    (tmp_path / "ledger.db").write_bytes(new_file)
    async with AsyncExitStack() as stack:

        async def make():
            ledger = open_ledger(
                "sqlite:///ledger.db", tmp_path, clock=lambda: clock.wall, monotonic=lambda: clock.mono, log=log
            )
            await ledger.start()
            stack.push_async_callback(ledger.close)
            return ledger

        yield make


@pytest.fixture
async def ledger(make_ledger):
    return await make_ledger()

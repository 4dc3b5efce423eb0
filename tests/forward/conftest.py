"""Every test here runs on both event loops: uvloop, which the gateway uses, and asyncio's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop
from forward_world import System, Trip


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def system() -> AsyncIterator[System]:
    """A business system that answers as its script says."""
    async with System() as made:
        yield made


@pytest.fixture
async def trip(system: System) -> AsyncIterator[Trip]:
    """An upstream with that system as its only target."""
    async with Trip(system.url) as made:
        yield made

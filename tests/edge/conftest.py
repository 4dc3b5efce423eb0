"""Edges for the tests here; edge_world.py has the pieces. The long tables run on uvloop, which the gateway uses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import uvloop
from edge_world import Edge

_TABLES = {"test_edge_refusals", "test_edge_targets", "test_edge_fuzz"}


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}
    if item.path.stem in _TABLES:
        del factories["asyncio"]
    return factories


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """An edge with the usual limits."""
    async with Edge() as made:
        yield made


@pytest.fixture
async def make_edge() -> AsyncIterator[Callable[..., Any]]:
    """Makes edges with other limits; each ends with the test."""
    made: list[Edge] = []

    async def make(**limits: Any) -> Edge:
        made.append(await Edge(**limits).__aenter__())
        return made[-1]

    yield make
    for one in made:
        await one.__aexit__()

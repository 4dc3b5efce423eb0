"""Sinks that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.records.sink import Sink


@pytest.fixture
def make_sink() -> Iterator[Callable[..., Sink]]:
    """Makes sinks that are closed after the test, without waiting for a target that takes nothing."""
    made: list[Sink] = []

    def make(target: str | Path, limit: int = 1024) -> Sink:
        made.append(Sink(target if isinstance(target, str) else f"file:{target}", limit))
        return made[-1]

    yield make
    for sink in made:
        sink.close(0.0)

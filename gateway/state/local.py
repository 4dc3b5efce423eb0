"""The store and the feed of a worker that shares nothing with others (`state: memory`). shared.py is the other kind."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from gateway.contracts import Store
from gateway.state.feed import DenySet, Feed, LocalFeed
from gateway.state.memory import MemoryStore


class State(Protocol):
    """What one worker has of the state, whoever shares it."""

    @property
    def store(self) -> Store:
        """What is kept and what was used once."""
        ...

    @property
    def feed(self) -> Feed:
        """Where to say what is withdrawn."""
        ...

    async def start(self) -> None:
        """Learn what was withdrawn. Never fails: until it knows, nobody passes."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain data for operators."""
        ...


class LocalState:
    """Kept in this process (State).

    Args:
        deny_set: what the feed fills.
        clock: wall clock, Unix seconds.
        monotonic: seconds.

    Attributes:
        store: see MemoryStore.
        feed: see LocalFeed.
    """

    def __init__(
        self,
        deny_set: DenySet,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = MemoryStore(monotonic=monotonic, clock=clock)
        self.feed = LocalFeed(deny_set, clock)

    async def start(self) -> None:
        """See State."""

    async def close(self) -> None:
        """See State."""

    def status(self) -> dict[str, Any]:
        """See State."""
        return {"unknown_before": self.store.unknown_before}

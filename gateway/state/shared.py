"""The shared store, its feed and the rates, as one worker has them with `state: redis`. lending.py makes them."""

import time
from collections.abc import Callable
from typing import Any

from gateway.signin_settings import RedisSettings
from gateway.state.feed import DenySet
from gateway.state.marker import Marker
from gateway.state.redis_feed import RedisFeed
from gateway.state.redis_link import RedisLink
from gateway.state.redis_rates import Counts, RedisRates
from gateway.state.redis_store import RedisStore


class SharedState:
    """What one worker has of the state that all share. It connects when it is started, or first asked.

    Args:
        settings: where Redis is.
        deny_set: what the feed fills.
        counts: this worker's counts against the rates; None where nobody counts.
        workers: of this instance.
        clock: wall clock, Unix seconds.
        monotonic: seconds.
        log: the application log.

    Attributes:
        store: see RedisStore.
        feed: see RedisFeed.
    """

    def __init__(
        self,
        settings: RedisSettings,
        deny_set: DenySet,
        counts: Counts | None = None,
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        log: Any,
    ) -> None:
        marker = Marker(settings.prefix, clock)
        self._link = RedisLink(settings, marker.greet, log, monotonic)
        self.store = RedisStore(self._link, marker, settings.prefix, clock)
        self.feed = RedisFeed(self._link, marker, settings.prefix, deny_set, clock=clock, monotonic=monotonic, log=log)
        self._rates = None
        if counts is not None:
            self._rates = RedisRates(self._link, settings.prefix, counts, workers, clock, log=log)

    async def start(self) -> None:
        """Learn what was withdrawn, and follow; a Redis that is away is waited for in the background."""
        await self.feed.start()
        if self._rates is not None:
            await self._rates.start()

    async def close(self) -> None:
        """Stop following, and end all connections."""
        await self.feed.close()
        if self._rates is not None:
            await self._rates.close()
        await self._link.close()

    def status(self) -> dict[str, Any]:
        """Plain data for operators."""
        return self.store.status()

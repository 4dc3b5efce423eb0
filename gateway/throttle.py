"""Rates and requests in flight: per client, channel, subject and item. The counting is done by the `limits` library.

A throttle without a rate costs nothing. pipeline.py asks before and after it knows who sends the request.
"""

import time
from collections.abc import Callable

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from gateway.errors import Overloaded, RateLimited


class Rates:
    """Counts against rates; one per worker, kept across reloads, so that a reload gives nobody a new allowance."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._parsed: dict[str, RateLimitItem] = {}
        self._clock = clock

    def spend(self, rate: str, *key: str) -> None:
        """Count one request.

        Args:
            rate: for example `30/minute`.
            key: what is counted, most general first.

        Raises:
            RateLimited: the rate is used up; says when it is not any more.
        """
        item = self._parsed.get(rate)
        if item is None:
            item = self._parsed[rate] = parse(rate)
        if not self._limiter.hit(item, *key):
            wait = self._limiter.get_window_stats(item, *key).reset_time - self._clock()
            raise RateLimited(f"{rate} for {key[0]} is used up", retry_after=max(1.0, wait))


class Throttle:
    """The limits of one item.

    Args:
        rates: the worker's counters.
        code: item code.
        rate: requests for the item, everybody together; None does not limit.
        subject_rate: requests of one person for the item; None does not limit.
        in_flight: requests for the item at once; None does not limit.
    """

    __slots__ = ("_code", "_in_flight", "_most", "_rate", "_rates", "_subject_rate")

    def __init__(
        self,
        rates: Rates,
        code: str,
        rate: str | None = None,
        subject_rate: str | None = None,
        in_flight: int | None = None,
    ) -> None:
        self._rates = rates
        self._code = code
        self._rate = rate
        self._subject_rate = subject_rate
        self._most = in_flight
        self._in_flight = 0

    def admit(self) -> None:
        """Count a request for the item.

        Raises:
            RateLimited.
        """
        if self._rate is not None:
            self._rates.spend(self._rate, "item", self._code)

    def admit_subject(self, issuer: str, subject: str) -> None:
        """Count a request of this person for the item.

        Raises:
            RateLimited.
        """
        if self._subject_rate is not None:
            self._rates.spend(self._subject_rate, "subject", issuer, subject, self._code)

    def __enter__(self) -> None:
        """Take one of the item's places for as long as the request is carried.

        Raises:
            Overloaded: none is free.
        """
        if self._most is not None and self._in_flight >= self._most:
            raise Overloaded(f"{self._most} requests for the item in flight", retry_after=1.0)
        self._in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._in_flight -= 1

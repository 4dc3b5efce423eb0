"""Rates and requests in flight: per client, channel, subject and item. `limits` has the strategy, windows.py counts.

A throttle without a rate costs nothing. pipeline.py asks before and after it knows who sends the request, and
edge/server.py counts connections by the same `client_key`. state/redis_rates.py tells what other workers counted.
"""

import math
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from limits import RateLimitItem, parse
from limits.strategies import SlidingWindowCounterRateLimiter

from gateway.errors import Overloaded, RateLimited
from gateway.windows import Spent, Windows

MOST_KEYS = 100_000
"""Keys of one kind that one worker counts at once: some 35 MB when full."""
_TRANSLATED = IPv6Network("64:ff9b::/96")


@lru_cache(maxsize=16_384)
def client_key(address: str) -> str:
    """Whom to count an address as.

    An IPv6 customer has a /64 at least (RFC 6177, RIPE-690), so counting single addresses would count nobody. An IPv4
    address is itself, also when it is written as IPv6: IPv4-mapped (RFC 4291 §2.5.5.2) or translated (RFC 6052 §2.1).

    Args:
        address: as the socket or X-Forwarded-For had it; what is no address (`unix`) is its own key.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    plain = parsed.ipv4_mapped or (IPv4Address(int(parsed) & 0xFFFFFFFF) if parsed in _TRANSLATED else None)
    return str(plain) if plain is not None else f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


class Rates:
    """Counts against rates; one per worker, kept across reloads, so that a reload gives nobody a new allowance.

    The strategy is the sliding window counter of `limits`: the window before counts by the share of it that is still
    within reach. A fixed window lets twice the rate through around its end, a log of every request costs memory by the
    request; this lets one request more than the rate through at once, and costs two numbers per key. A request that is
    refused is not counted: who hammers is not locked out for good.

    Args:
        clock: seconds that never go back.
        most_keys: keys counted at once of each kind (the first part of a key). Kinds are apart, so that a flood of
            addresses displaces no person and no item.
        shared: whether others count the same: then windows begin at the same moment everywhere, and what is counted
            is noted until it was told to them.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, most_keys: int = MOST_KEYS, *, shared: bool = False
    ) -> None:
        self._clock = clock
        self._most_keys = most_keys
        self._ahead = time.time() - clock() if shared else None
        self._among = 1
        self._parsed: dict[str, RateLimitItem] = {}
        self._kinds: dict[str, tuple[Windows, SlidingWindowCounterRateLimiter]] = {}

    def spend(self, rate: str, *key: str) -> None:
        """Count one request.

        Args:
            rate: for example `30/minute`.
            key: what is counted; its kind first.

        Raises:
            RateLimited: the rate is used up; says when it is not any more.
            Overloaded: too many keys are used up to count a new one.
        """
        item = self._parsed.get(rate)
        if item is None:
            item = self._parsed[rate] = parse(rate)
        windows, limiter = self._kinds.get(key[0]) or self._new_kind(key[0])
        if not limiter.hit(item, *key):
            wait = windows.wait(item.key_for(*key), item.amount)
            raise RateLimited(f"{rate} for {key[0]} is used up", retry_after=max(1.0, math.ceil(wait)))

    def collect(self) -> list[Spent]:
        """What was counted since the last time, to be told to the others."""
        return [spent for kind, (windows, _) in self._kinds.items() for spent in windows.collect(kind)]

    def learn(self, spent: Spent, total: int, before: int | None) -> None:
        """Take over what all have counted.

        Args:
            spent: as `collect` gave it.
            total: requests in its window, ours included.
            before: requests in the window before; None when that is known already.
        """
        window = spent.window
        if window.start == spent.start:
            window.count = total + window.untold
            window.told = True
            window.before = window.before if before is None else before

    def give_back(self, those: Iterable[Spent]) -> None:
        """Keep what could not be told for the next time."""
        for spent in those:
            self._kinds[spent.kind][0].give_back(spent)

    def divide(self, among: int) -> None:
        """Allow here so many times less, because nobody can say what the others count; 1 allows everything again."""
        self._among = among
        for windows, _ in self._kinds.values():
            windows.among = among

    def _new_kind(self, kind: str) -> tuple[Windows, SlidingWindowCounterRateLimiter]:
        windows = Windows(self._clock, self._most_keys, self._ahead)
        windows.among = self._among
        made = self._kinds[kind] = windows, SlidingWindowCounterRateLimiter(windows)
        return made


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
            self._rates.spend(self._subject_rate, "subject", self._code, issuer, subject)

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

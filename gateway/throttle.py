"""Rates and requests in flight: per client, channel, subject and item. `limits` has the strategy; the counts are here.

A throttle without a rate costs nothing. pipeline.py asks before and after it knows who sends the request, and
edge/server.py counts connections by the same `client_key`.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from limits import RateLimitItem, parse
from limits.storage.base import SlidingWindowCounterSupport, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from gateway.errors import Overloaded, RateLimited

MOST_KEYS = 100_000
"""Keys of one kind that one worker counts at once: some 35 MB when full."""
_LOOKS = 4
"""Keys looked at for each new one. More than one, so what is over leaves faster than new ones come."""
_GRAIN = 1e-6
"""Requests. Who comes back exactly when told is not refused for a rounding error."""
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
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_keys: int = MOST_KEYS) -> None:
        self._clock = clock
        self._most_keys = most_keys
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

    def _new_kind(self, kind: str) -> "tuple[Windows, SlidingWindowCounterRateLimiter]":
        windows = Windows(self._clock, self._most_keys)
        made = self._kinds[kind] = windows, SlidingWindowCounterRateLimiter(windows)
        return made


class Window:
    """The count of one key.

    Attributes:
        start: when it began, by the clock. Each key has its own, so clients are not let in all at the same moment.
        length: seconds.
        before: requests in the window before.
        count: requests in this one.
        used_up: whether the rate was when it was counted last.
    """

    __slots__ = ("before", "count", "length", "start", "used_up")

    def __init__(self, start: float, length: float) -> None:
        self.start = start
        self.length = length
        self.before = 0
        self.count = 0
        self.used_up = False

    def advance(self, now: float) -> None:
        """Begin the next window when this one is over."""
        over = now - self.start
        if over < self.length:
            return
        if over < 2 * self.length:
            self.start += self.length
            self.before, self.count = self.count, 0
        else:
            self.start = now
            self.before = self.count = 0

    def spent(self, now: float) -> int:
        """Whole requests that weigh on it now."""
        if not self.before:
            return self.count
        weight = self.before * (self.start + self.length - now) / self.length
        return self.count + int(max(0.0, weight - _GRAIN))

    def wait(self, now: float, limit: int) -> float:
        """Seconds until it weighs less than the limit."""
        left = self.start + self.length - now
        if self.count >= limit:
            return left
        return max(0.0, left - (limit - self.count) * self.length / self.before) if self.before else 0.0


class Windows(Storage, SlidingWindowCounterSupport):
    """The counts of one kind of key, for the strategies of `limits`, in place of its MemoryStorage.

    That one has a thread that walks all keys every 10 ms. This one looks at a few of the oldest keys whenever a new one
    comes, and forgets those whose two windows are over; when it is full also one that has not used up its rate. But
    doubt closes: nobody gets a new allowance by making others come, so a key whose rate is used up stays, and a new
    one that finds only such is refused. Not safe for threads.

    Args:
        clock: seconds that never go back.
        most: keys at once.
    """

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        super().__init__()
        self._clock = clock
        self._most = most
        self._windows: OrderedDict[str, Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._windows)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count requests if the limit allows.

        Raises:
            Overloaded: it is full of keys whose rate is used up.
        """
        now = self._clock()
        window = self._windows.get(key) or self._begin(key, expiry, now)
        window.advance(now)
        spent = window.spent(now) + amount
        window.used_up = spent >= limit
        if spent > limit:
            return False
        window.count += amount
        return True

    def wait(self, key: str, limit: int) -> float:
        """Seconds until one more request of this key is allowed."""
        window, now = self._windows.get(key), self._clock()
        if window is None:
            return 0.0
        window.advance(now)
        return window.wait(now, limit)

    def _begin(self, key: str, expiry: float, now: float) -> Window:
        self._forget(now)
        if len(self._windows) >= self._most:
            raise Overloaded(f"{len(self._windows)} keys are counted and used up", retry_after=1.0)
        window = self._windows[key] = Window(now, expiry)
        return window

    def _forget(self, now: float) -> None:
        """Look at the oldest: what is over leaves, and when it is full one more; the others go to the end."""
        windows = self._windows
        for _ in range(min(_LOOKS, len(windows))):
            key, window = windows.popitem(last=False)
            over = now - window.start >= 2 * window.length
            if not over and (window.used_up or len(windows) + 1 < self._most):
                windows[key] = window

    # ── what else a storage of `limits` can be asked ──────────────────────────────────────────────────────────────

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """Nothing here fails in a way that `limits` would have to translate."""
        return ()

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count of the window before and seconds that it still weighs, count of this one and seconds to its end."""
        window, now = self._windows.get(key), self._clock()
        if window is None:
            return 0, 0.0, 0, float(expiry)
        window.advance(now)
        left = window.start + window.length - now
        return window.before, left if window.before else 0.0, window.count, left

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        self.clear(key)

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count requests whatever the limit; gives the count of the window."""
        now = self._clock()
        window = self._windows.get(key) or self._begin(key, expiry, now)
        window.advance(now)
        window.count += amount
        return window.count

    def get(self, key: str) -> int:
        """Requests in the window of a key."""
        return self.get_sliding_window(key, 0)[2]

    def get_expiry(self, key: str) -> float:
        """When the window of a key ends, by the clock."""
        return self._clock() + self.get_sliding_window(key, 0)[3]

    def check(self) -> bool:
        """Tell that memory is there."""
        return True

    def reset(self) -> int:
        """Forget all; gives how many they were."""
        forgotten = len(self._windows)
        self._windows.clear()
        return forgotten

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._windows.pop(key, None)


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

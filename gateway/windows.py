"""The counts of requests in sliding windows, for the strategies of `limits`. Each worker has its own; throttle.py asks.

Where workers count together, their windows begin at the same moments, and each notes what it has not told the others.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import crc32

from limits.storage.base import SlidingWindowCounterSupport, Storage

from gateway.errors import Overloaded

_LOOKS = 4
"""Keys looked at for each new one. More than one, so what is over leaves faster than new ones come."""
_GRAIN = 1e-6
"""Requests, or seconds. Who comes back exactly when told is not refused for a rounding error."""


class Window:
    """The count of one key.

    Attributes:
        start: when it began, by the clock. Each key has its own, so clients are not let in all at the same moment.
        length: seconds.
        before: requests in the window before.
        count: requests in this one.
        used_up: whether the rate was when it was counted last.
        untold: requests of these that the other workers have not been told of.
        told: whether they have been told of any in this window.
    """

    __slots__ = ("before", "count", "length", "start", "told", "untold", "used_up")

    def __init__(self, start: float, length: float) -> None:
        self.start = start
        self.length = length
        self.before = 0
        self.count = 0
        self.used_up = False
        self.untold = 0
        self.told = False

    def advance(self, now: float) -> None:
        """Begin the next window when this one is over."""
        over = now - self.start + _GRAIN
        if over < self.length:
            return
        self.before = self.count if over < 2 * self.length else 0
        self.count = 0
        self.told = False
        self.start += over // self.length * self.length

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


class Spent(NamedTuple):
    """Requests that the other workers have not been told of.

    Attributes:
        kind: the first part of what they were counted by.
        key: all of it, and the rate.
        window: where they were counted.
        start: when that began, by the clock.
        number: of the window, the same in every worker.
        amount: how many they are.
        known: whether the window before, and that there is this one, is known to all.
    """

    kind: str
    key: str
    window: Window
    start: float
    number: int
    amount: int
    known: bool


class Windows(Storage, SlidingWindowCounterSupport):
    """The counts of one kind of key, for the strategies of `limits`, in place of its MemoryStorage.

    That one has a thread that walks all keys every 10 ms. This one looks at a few of the oldest keys whenever a new one
    comes, and forgets those whose two windows are over; when it is full also one that has not used up its rate. But
    doubt closes: nobody gets a new allowance by making others come, so a key whose rate is used up stays, and a new
    one that finds only such is refused. Not safe for threads.

    Args:
        clock: seconds that never go back.
        most: keys at once.
        ahead: seconds that a clock which all workers have is ahead of ours; None when nobody counts the same.

    Attributes:
        among: how many times less is allowed.
        untold: by key, the windows with requests that the others have not been told of.
    """

    def __init__(self, clock: Callable[[], float], most: int, ahead: float | None = None) -> None:
        super().__init__()
        self.among = 1
        self.untold: dict[str, Window] = {}
        self._clock = clock
        self._most = most
        self._ahead = ahead
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
        if self.among > 1:
            limit = self._share(limit)
        window.used_up = spent >= limit
        if spent > limit:
            return False
        window.count += amount
        if self._ahead is not None:
            window.untold += amount
            self.untold[key] = window
        return True

    def collect(self, kind: str) -> Iterator[Spent]:
        """What the others have not been told of; it counts as told from now on."""
        untold, self.untold = self.untold, {}
        for key, window in untold.items():
            amount, window.untold = window.untold, 0
            number = round((window.start + (self._ahead or 0.0) - _phase(key, window.length)) / window.length)
            yield Spent(kind, key, window, window.start, number, amount, window.told)

    def give_back(self, spent: Spent) -> None:
        """Keep what could not be told, unless its window is over or forgotten: then nobody needs it any more."""
        window = self._windows.get(spent.key)
        if window is spent.window and window.start == spent.start:
            window.untold += spent.amount
            self.untold[spent.key] = window

    def _share(self, limit: int) -> int:
        return max(1, limit // self.among)

    def wait(self, key: str, limit: int) -> float:
        """Seconds until one more request of this key is allowed."""
        window, now = self._windows.get(key), self._clock()
        if window is None:
            return 0.0
        window.advance(now)
        return window.wait(now, self._share(limit))

    def _begin(self, key: str, expiry: float, now: float) -> Window:
        self._forget(now)
        if len(self._windows) >= self._most:
            raise Overloaded(f"{len(self._windows)} keys are counted and used up", retry_after=1.0)
        window = self._windows[key] = Window(self._start(key, expiry, now), expiry)
        return window

    def _start(self, key: str, length: float, now: float) -> float:
        """When the window of a key begins: now, or where it does so in every worker."""
        if self._ahead is None:
            return now
        shift = _phase(key, length) - self._ahead
        return (now - shift) // length * length + shift

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


def _phase(key: str, length: float) -> float:
    """Where between two rounds of the clock the windows of a key begin, so that not all of them do so together."""
    return crc32(key.encode()) % 1000 / 1000 * length

"""What was kept and what was used once, in this process: the `Store` of contracts.py for one worker.

Nothing is forgotten early: a store that is full says that it cannot tell. Times are monotonic, so a clock that jumps
revives nothing. redis_store.py is the same for several workers.
"""

import time
from collections.abc import Callable, Sequence

from gateway.errors import StateUnavailable
from gateway.expiry import Expiry

_MOST_BYTES = 256 << 20
"""Bytes of keys and values at once: what clients have us keep (logins, forms) is bounded by its size as well."""


class Kept:
    """One entry: what is kept, until when (monotonic seconds), and the lists that name it."""

    __slots__ = ("lists", "until", "value")

    def __init__(self, value: bytes, until: float, lists: Sequence[bytes] = ()) -> None:
        self.value = value
        self.until = until
        self.lists = lists


class MemoryStore:
    """Remembers until the time is over. Constant time per call, taken over many.

    Args:
        capacity: most uses remembered at once; about 350 bytes each.
        monotonic: seconds, never running backwards.
        values: most values kept at once.
        most_bytes: and most bytes of them and their keys.
        clock: wall clock, Unix seconds.

    Attributes:
        unknown_before: when this store began, in whole seconds: what was used before is not known here.
    """

    def __init__(
        self,
        capacity: int = 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        values: int = 200_000,
        most_bytes: int = _MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.unknown_before = float(int(clock()))
        self._used = _Table(capacity, monotonic)
        self._values = _Table(values, monotonic, most_bytes)

    async def first_use(self, key: bytes, seconds: float) -> bool:
        """See gateway.contracts.OnceStore."""
        if self._used.get(key) is not None:
            return False
        self._used.put(key, b"", seconds)
        return True

    async def read(self, key: bytes) -> bytes | None:
        """See gateway.contracts.Store."""
        kept = self._values.get(key)
        return None if kept is None else kept.value

    async def write(self, key: bytes, value: bytes, seconds: float, *, lists: Sequence[bytes] = ()) -> None:
        """See gateway.contracts.Store."""
        kept = self._values.get(key)
        self._values.put(key, value, seconds, tuple({*lists, *(kept.lists if kept else ())}))

    async def replace(self, key: bytes, value: bytes, seconds: float) -> bool:
        """See gateway.contracts.Store."""
        kept = self._values.get(key)
        if kept is None:
            return False
        self._values.put(key, value, seconds, kept.lists)
        return True

    async def take(self, key: bytes) -> bytes | None:
        """See gateway.contracts.Store."""
        kept = self._values.pop(key)
        return None if kept is None else kept.value

    async def drop(self, key: bytes) -> bool:
        """See gateway.contracts.Store."""
        return self._values.pop(key) is not None

    async def listed(self, name: bytes) -> list[bytes]:
        """See gateway.contracts.Store."""
        return self._values.listed(name)

    def __len__(self) -> int:
        """Uses that are remembered."""
        return len(self._used)


class _Table:
    """Entries that end, and the lists that name them. Never more than its capacity."""

    def __init__(self, capacity: int, monotonic: Callable[[], float], most_bytes: int = _MOST_BYTES) -> None:
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._held = 0
        self._monotonic = monotonic
        self._entries: dict[bytes, Kept] = {}
        self._lists: dict[bytes, dict[bytes, None]] = {}
        self._expiry: Expiry[bytes] = Expiry()

    def get(self, key: bytes) -> Kept | None:
        kept = self._entries.get(key)
        return kept if kept is not None and kept.until >= self._monotonic() else None

    def put(self, key: bytes, value: bytes, seconds: float, lists: Sequence[bytes] = ()) -> None:
        now = self._monotonic()
        for ended in self._expiry.over(now):
            self._remove(ended)
        replaced = self._entries.get(key)
        held = self._held + len(key) + len(value) - (0 if replaced is None else len(key) + len(replaced.value))
        if (replaced is None and len(self._entries) >= self._capacity) or held > self._most_bytes:
            raise StateUnavailable(f"{len(self._entries)} entries are kept, no room for another")
        self._remove(key)
        self._held += len(key) + len(value)
        kept = self._entries[key] = Kept(value, now + max(seconds, 0.0), lists)
        self._expiry.add(key, kept.until)
        for name in lists:
            self._lists.setdefault(name, {})[key] = None

    def pop(self, key: bytes) -> Kept | None:
        kept = self.get(key)
        self._remove(key)
        return kept

    def listed(self, name: bytes) -> list[bytes]:
        return [key for key in self._lists.get(name, ()) if self.get(key) is not None]

    def __len__(self) -> int:
        return len(self._entries)

    def _remove(self, key: bytes) -> None:
        kept = self._entries.pop(key, None)
        if kept is None:
            return
        self._held -= len(key) + len(kept.value)
        self._expiry.discard(key, kept.until)
        for name in kept.lists:
            named = self._lists[name]
            del named[key]
            if not named:
                del self._lists[name]

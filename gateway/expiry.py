"""What ends when, by whole seconds: a wheel in which adding, taking out and finding what is over cost the same always.

What keeps a great many things for a while stands on it: state/memory.py and identity/revocations.py.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Expiry(Generic[K]):
    """Keys under the second in which they end. Times are monotonic seconds, so a clock that jumps ends nothing."""

    def __init__(self) -> None:
        self._seconds: dict[int, set[K]] = {}
        self._next: int | None = None

    def add(self, key: K, end: float) -> None:
        """Note a key that ends then, which is not before the time last given to `over`."""
        self._seconds.setdefault(int(end), set()).add(key)

    def discard(self, key: K, end: float) -> None:
        """Forget a key that was noted with this end."""
        keys = self._seconds.get(int(end))
        if keys is not None:
            keys.discard(key)
            if not keys:
                del self._seconds[int(end)]

    def over(self, now: float) -> Iterator[K]:
        """Give and forget the keys whose second has passed: up to a second after their end."""
        current = int(now)
        if self._next is None:
            self._next = current
        if current == self._next:
            return
        passed = range(self._next, current)
        # After a long silence there are fewer noted seconds than passed ones.
        due = passed if len(passed) <= len(self._seconds) else [at for at in self._seconds if at < current]
        self._next = current
        for second in due:
            yield from self._seconds.pop(second, ())

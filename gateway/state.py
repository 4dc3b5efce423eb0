"""What has been used once, kept in this process: the `OnceStore` of contracts.py for one worker.

Nothing is forgotten early: a store that is full says that it cannot tell. Times are monotonic, so a clock that jumps
revives nothing.
"""

import time
from collections import deque
from collections.abc import Callable

from gateway.errors import CannotDecide


class MemoryOnce:
    """Remembers keys until their time is over. Constant time per call, taken over many.

    Args:
        capacity: most keys at once; about 250 bytes each.
        monotonic: seconds, never running backwards.
    """

    def __init__(self, capacity: int = 1_000_000, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._capacity = capacity
        self._monotonic = monotonic
        self._used: set[bytes] = set()
        # One queue per length of time: within a queue what came first also ends first. Lengths come from configuration.
        self._queues: dict[float, deque[tuple[float, bytes]]] = {}

    async def first_use(self, key: bytes, seconds: float) -> bool:
        """Note the key for so many seconds; False when it was noted before and its time is not over.

        Raises:
            CannotDecide: the store is full.
        """
        now = self._monotonic()
        self._forget(now)
        if key in self._used:
            return False
        if len(self._used) >= self._capacity:
            raise CannotDecide(f"{self._capacity} keys are remembered, no room for another")
        self._used.add(key)
        self._queues.setdefault(seconds, deque()).append((now + seconds, key))
        return True

    def __len__(self) -> int:
        return len(self._used)

    def _forget(self, now: float) -> None:
        for queue in self._queues.values():
            while queue and queue[0][0] < now:
                self._used.remove(queue.popleft()[1])

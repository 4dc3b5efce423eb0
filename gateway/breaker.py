"""A circuit breaker: after some failures in a row ask nobody for a while, then let one probe find out.

Used where another system may be down: forward/upstream.py and the verifiers that ask the province.
"""

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Counts failures in a row. Closed: everybody may ask. Open: nobody. Half open: one probe at a time.

    Args:
        failures: failures in a row that open it.
        pause: seconds it stays open before a probe.
        clock: monotonic seconds.
    """

    __slots__ = ("_clock", "_closed_at", "_failed", "_failures", "_pause", "_probing", "_reopens_at")

    def __init__(self, failures: int, pause: float, clock: Callable[[], float] = monotonic) -> None:
        self._failures = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._reopens_at = 0.0
        self._closed_at = float("-inf")
        self._probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._failed < self._failures:
            return "closed"
        return "open" if self._clock() < self._reopens_at else "half-open"

    def admits(self) -> bool:
        """Tell whether a call may be made now. Whoever is admitted reports how it went, whatever happens."""
        if self._failed < self._failures:
            return True
        if self._probing or self._clock() < self._reopens_at:
            return False
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The call went well: close."""
        if self._failed:
            self._failed = 0
            self._closed_at = self._clock()
        self._probing = False

    def failed(self, began: float | None = None) -> None:
        """The call failed: one more, and open when that was one too many.

        Args:
            began: when the call began, monotonic seconds. One that began before the breaker closed again says nothing
                of how the system is now. None counts it in any case.
        """
        if began is not None and began < self._closed_at:
            return
        self._probing = False
        self._failed += 1
        if self._failed >= self._failures:
            self._reopens_at = self._clock() + self._pause

    def abandoned(self) -> None:
        """The call ended without telling anything, for example because its client left."""
        self._probing = False

    @property
    def retry_after(self) -> float:
        """Seconds until the next probe; 0.0 when calls are admitted."""
        return max(0.0, self._reopens_at - self._clock()) if self._failed >= self._failures else 0.0

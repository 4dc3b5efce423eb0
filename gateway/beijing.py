"""北京时间, the one time of China: people and records read it, days begin by it, whatever the machine is set to.

There has been no summer time since 1991. Times of before, which platforms may send, are read in the zone of
platforms/signing.py.
"""

import time
from datetime import date, datetime, timedelta, timezone

BEIJING = timezone(timedelta(hours=8))

_AHEAD = 8 * 3600
_DAY = 86400.0
_LAST = datetime.max.replace(tzinfo=BEIJING).timestamp() - 1
_MILLISECONDS = tuple(f".{number:03d}+08:00" for number in range(1000))


def local_time(at: float) -> str:
    """A moment (Unix seconds) as people read it, without seconds; beyond the last day of all calendars its end."""
    return datetime.fromtimestamp(min(at, _LAST), BEIJING).strftime("%Y-%m-%d %H:%M")


def written_time(at: float) -> str:
    """A moment (Unix seconds) to the second, with the zone, as commands print it: `2026-11-23 14:29:30+08:00`.

    Raises:
        ValueError, OverflowError, OSError: no calendar has it.
    """
    return datetime.fromtimestamp(at, BEIJING).isoformat(" ", "seconds")


def minute_of(at: float) -> int:
    """Minutes since midnight at this time (Unix seconds)."""
    return int(at + _AHEAD) // 60 % 1440


def day_of(at: float) -> date:
    """The day at this time (Unix seconds)."""
    return datetime.fromtimestamp(at, BEIJING).date()


def begin_of(day: date) -> float:
    """When a day begins, Unix seconds."""
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING).timestamp()


def end_of(day: date) -> float:
    """When a day ends and the next one begins, Unix seconds. None is longer or shorter than another."""
    return begin_of(day) + _DAY


class Timestamps:
    """RFC 3339 with milliseconds, as records have it. The part before them is written once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._written = ""

    def __call__(self, at: float) -> str:
        """Write a moment (Unix seconds)."""
        second = int(at)
        if second != self._second:
            self._second = second
            self._written = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + _AHEAD))
        return self._written + _MILLISECONDS[int((at - second) * 1000)]

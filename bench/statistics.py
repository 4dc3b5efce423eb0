"""What a handful of repeated measurements says: a middle, and how far the rest lies from it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements with the lowest and highest of them.

    With three to ten rounds the extremes say more, and promise less, than a standard deviation.
    """

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one value; raises ValueError for none."""
        if not values:
            raise ValueError("nothing was measured")
        return cls(statistics.median(values), min(values), max(values), len(values))


def pairwise(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Divide round by round, so that what slowed the machine in one round slows both sides of its ratio.

    Raises:
        ValueError: the sides differ in rounds, there is none, or a divisor is not positive.
    """
    if any(value <= 0 for value in under):
        raise ValueError("a ratio needs positive divisors")
    return Spread.of([top / bottom for top, bottom in zip(over, under, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """Tell the smallest value that at least `percent` of all values do not exceed (nearest rank).

    Raises:
        ValueError: no values, or `percent` is outside 0 < percent <= 100.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values and 0 < percent <= 100")
    rank = -(-len(values) * percent // 100)
    return sorted(values)[int(rank) - 1]

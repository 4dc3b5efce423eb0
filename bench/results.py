"""What a run has to say, as values: the measures fill them, `report.py` and `chart.py` print them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.statistics import Spread


@dataclass(frozen=True, slots=True)
class Column:
    """One figure that a measure takes, and how it is printed."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant or variant: its figures by column key, or the flaw that makes them invalid."""

    name: str
    work: str
    version: str
    figures: Mapping[str, Spread]
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rows put against each other round by round.

    Attributes:
        text: what is compared.
        spread: the ratio, or the difference in `unit`.
        unit: "×" for a ratio, else the unit of the difference.
        reach: the goal of the performance plan; None where there is none.
        sense: whether the figure has to be at least or at most its goal.
    """

    text: str
    spread: Spread
    unit: str = "×"
    reach: float | None = None
    sense: Literal["≥", "≤"] = "≥"

    @property
    def reached(self) -> bool | None:
        """Whether the median meets the goal; None without a goal."""
        if self.reach is None:
            return None
        meets: Callable[[float, float], bool] = operator.ge if self.sense == "≥" else operator.le
        return meets(self.spread.median, self.reach)


@dataclass(frozen=True, slots=True)
class Section:
    """The result of one measure."""

    name: str
    question: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    comparisons: Sequence[Comparison]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run."""

    machine: Mapping[str, str]
    options: Mapping[str, str | int]
    sections: Sequence[Section]
    left_out: Mapping[str, str]
    """What was not measured, and why."""
    warnings: Sequence[str] = field(default=())

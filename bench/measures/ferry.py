"""What the way through the gatekeeper costs: processor time of both units together against the direct way."""

from __future__ import annotations

from functools import partial

from bench.contestants.launcher import Shape
from bench.context import Bench
from bench.measures.base import UNDER_LOAD, under_load
from bench.results import Column, Section

_COLUMNS = (
    *(column for column in UNDER_LOAD if column.key != "resident_mib"),
    Column("outer_us", "of it edge", 1),
    Column("inner_us", "gatekeeper", 1),
)


class Ferry:
    """The same item, once direct and once through outer unit, socket carrier and inner unit."""

    name = "ferry"
    question = "What does the ferry cost on top of the direct way?"

    def run(self, bench: Bench) -> Section | None:
        """Put both ways under the same load in turn; all processes of a way share one core."""
        variants = bench.shapes({"direct": Shape(via="direct"), "ferry": Shape(via="ferry")})
        if not variants:
            return None
        trials = bench.interleave(variants, partial(under_load, bench))
        ratios = trials.ratio(
            "ferry / direct, CPU of outer + inner per request", "cpu_us", "ferry", "direct", at_most=1.6
        )
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), ratios)

"""Whether Tongguan stays as fast when there is more of everything: items in the catalogue, grants in the ledger."""

from __future__ import annotations

from functools import partial

from bench.contestants.launcher import Shape
from bench.context import Bench
from bench.measures.base import UNDER_LOAD, under_load
from bench.results import Section


class Items:
    """Ten items against ten thousand."""

    name = "items"
    question = "Does a large catalogue slow a request down?"

    def run(self, bench: Bench) -> Section | None:
        """Put both sizes under the same load in turn."""
        shapes = {"10 items": Shape(items=10), "10,000 items": Shape(items=10_000)}
        return _compare(bench, self, shapes, at_least=0.97)


class Grants:
    """A thousand grants against a million, warm."""

    name = "grants"
    question = "Does a large ledger slow a request down?"

    def run(self, bench: Bench) -> Section | None:
        """Put both sizes under the same load in turn."""
        shapes = {"1,000 grants": Shape(grants=1000), "1,000,000 grants": Shape(grants=1_000_000)}
        return _compare(bench, self, shapes, at_least=0.95)


def _compare(bench: Bench, measure: Items | Grants, shapes: dict[str, Shape], at_least: float) -> Section | None:
    variants = bench.shapes(shapes)
    if not variants:
        return None
    trials = bench.interleave(variants, partial(under_load, bench))
    small, large = shapes
    ratios = trials.ratio(f"{large} / {small}", "rate", large, small, at_least=at_least)
    return Section(measure.name, measure.question, UNDER_LOAD, trials.rows(UNDER_LOAD), ratios)

"""Requests per second of everyone, one core each, as much load as it takes."""

from __future__ import annotations

from functools import partial

from bench.context import Bench
from bench.measures.base import UNDER_LOAD, under_load
from bench.results import Section

_GOALS = {"envoy": 1.0, "nginx": 0.40, "aiohttp-usual": 2.7, "fastify-jwt": 6.0}


class Throughput:
    """The table of contestants, and the ratio of Tongguan to each of them."""

    name = "throughput"
    question = "How many requests a second does one core carry?"

    def run(self, bench: Bench) -> Section | None:
        """Put all contestants under the same closed-loop load in turn."""
        variants = bench.named(*(contestant.name for contestant in bench.contestants))
        if not variants:
            return None
        trials = bench.interleave(variants, partial(under_load, bench))
        ratios = [
            comparison
            for variant in variants
            if variant.name != "tongguan"
            for comparison in trials.ratio(
                f"tongguan / {variant.name}", "rate", "tongguan", variant.name, at_least=_GOALS.get(variant.name)
            )
        ]
        return Section(self.name, self.question, UNDER_LOAD, trials.rows(UNDER_LOAD), ratios)

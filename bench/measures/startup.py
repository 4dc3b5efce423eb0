"""How long after its start a gateway answers."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from bench.contestants.launcher import Shape
from bench.context import Bench
from bench.processes import Running, fetch
from bench.results import Column, Section
from bench.trials import Figures, FlawError, Variant
from bench.world import PATH

_COLUMNS = (Column("seconds", "s to the first answer", 2),)
_MANY = "10,000 items"


class Startup:
    """From the start of the first process to the first 200, small and large."""

    name = "startup"
    question = "How long does a start take?"

    def run(self, bench: Bench) -> Section | None:
        """Start both sizes in turn."""
        variants = bench.shapes({"10 items": Shape(items=10), _MANY: Shape(items=10_000)})
        if not variants:
            return None
        trials = bench.interleave(variants, partial(_take, bench))
        goal = trials.bound("start with 10,000 items", "seconds", _MANY, "s", at_most=2.0)
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), goal)


def _take(bench: Bench, variant: Variant, running: Running, workdir: Path) -> Figures:
    del variant, workdir
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status, _ = fetch(running.port, PATH, bench.world.issuer.headers)
        if status == 200:
            return {"seconds": time.monotonic() - running.started}
        time.sleep(0.01)
    raise FlawError("listens, but does not answer with 200 within 10 s")

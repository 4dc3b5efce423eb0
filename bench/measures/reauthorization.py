"""What deciding by the ledger costs: a chain of four by itself, and a large ledger against a small one on the path."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.chains import CHAIN, time_chain
from bench.contestants.launcher import Shape
from bench.contestants.tongguan_files import GUIDE
from bench.context import Bench
from bench.ledgers import GRANTS_OF_UNIT, UNITS, make_ledger, operator_of
from bench.load import Credential
from bench.measures.base import UNDER_LOAD, under_load
from bench.processes import Running
from bench.results import Comparison, Section
from bench.statistics import Spread
from bench.trials import Figures, Variant
from bench.world import JWKS_PATH, World, bearer, make_issuer, start_backend

_SMALL, _LARGE, _QUICK_LARGE = 1000, 1_000_000, 10_000
_ASKED, _QUICK_ASKED = 50_000, 5000
_NOTES = (
    f"Every unit is bound and has {GRANTS_OF_UNIT} grants; operators of {len(UNITS)} units ask in turn.",
    f"On the path and by itself: {', '.join(CHAIN)}.",
    "Memory is the supervisor's and the worker's together.",
)


class Reauthorization:
    """Units' operators, decided about by four re-authorizers of the product over a ledger in a file."""

    name = "reauthorization"
    question = "What does deciding by the ledger cost, and does a large ledger slow a request down?"

    def run(self, bench: Bench) -> Section | None:
        """Time the chain in this process; then put both sizes under the same load in turn."""
        sizes = {f"{count:,} grants": count for count in (_SMALL, _QUICK_LARGE if bench.quick else _LARGE)}
        if bench.tongguan is None:
            return None
        bench.announce("filling ledgers")
        ledgers = {name: make_ledger(bench.scratch / f"ledger-{count}", GUIDE, count) for name, count in sizes.items()}
        small, large = ledgers
        chain = _time_chain(bench, ledgers[large])
        with _world(bench) as world:
            among = replace(bench, world=world)
            variants = among.shapes({name: Shape(ledger=path) for name, path in ledgers.items()})
            trials = among.interleave(variants, partial(_take, among))
        goals = [
            chain,
            *trials.ratio(f"{large} / {small}", "rate", large, small, at_least=0.95),
            *trials.ratio(f"{small} / {large}, CPU per request", "cpu_us", small, large),
            *trials.difference(f"memory, {large} less {small}", "resident_mib", large, small, "MiB"),
        ]
        return Section(self.name, self.question, UNDER_LOAD, trials.rows(UNDER_LOAD), goals, _NOTES)


def _time_chain(bench: Bench, ledger: Path) -> Comparison:
    bench.announce("the chain by itself")
    asked = _QUICK_ASKED if bench.quick else _ASKED
    taken = [asyncio.run(time_chain(ledger, GUIDE, asked)) for _ in range(bench.rounds)]
    return Comparison(f"{len(CHAIN)} re-authorizers, warm", Spread.of(taken), "µs", 10.0, "≤")


@contextmanager
def _world(bench: Bench) -> Iterator[World]:
    """The same surroundings with an issuer whose tokens are of units' operators."""
    directory = bench.scratch / "operators"
    directory.mkdir()
    issuer = make_issuer(directory, UNITS, {subject: operator_of(subject) for subject in UNITS})
    backend = start_backend(directory / "backend", bench.world.cores.load, jwks=issuer.jwks)
    try:
        address = f"http://127.0.0.1:{backend.port}{JWKS_PATH}"
        yield replace(bench.world, issuer=issuer, upstream_port=backend.port, jwks_url=address)
    finally:
        backend.stop()


def _take(bench: Bench, variant: Variant, running: Running, workdir: Path) -> Figures:
    return under_load(bench, variant, running, workdir, _credentials(bench.world))


def _credentials(world: World) -> Sequence[Credential]:
    return [field for token in world.issuer.tokens for field in bearer(token).items()]

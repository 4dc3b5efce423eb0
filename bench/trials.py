"""Runs variants in turn, round after round (A B A B …), and keeps every figure by variant and round."""

from __future__ import annotations

import http.client
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.contestants.base import Contestant
from bench.processes import Running, StartError, fetch, free_port
from bench.results import Column, Comparison, Row
from bench.statistics import Spread, pairwise
from bench.world import BODY, PATH, World

Figures = Mapping[str, float]
Start = Callable[[World, Path, int], Running]
Announce = Callable[[str], None]


class FlawError(Exception):
    """What was just measured must not be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the things that a measure puts side by side."""

    name: str
    work: str
    version: str
    checks_token: bool
    start: Start

    @classmethod
    def of(cls, contestant: Contestant) -> Variant:
        """Measure a contestant as it comes."""
        checks = contestant.checks_token
        return cls(contestant.name, contestant.work, contestant.version(), checks, contestant.start)


@dataclass(slots=True)
class Trials:
    """Figures by variant, one entry a round; a flawed variant has its reason instead."""

    variants: Sequence[Variant]
    taken: dict[str, list[Figures]] = field(default_factory=dict)
    flaws: dict[str, str] = field(default_factory=dict)

    def rows(self, columns: Sequence[Column]) -> list[Row]:
        """Summarise each variant over its rounds."""
        return [self._row(variant, columns) for variant in self.variants]

    def _row(self, variant: Variant, columns: Sequence[Column]) -> Row:
        flaw, name = self.flaws.get(variant.name), variant.name
        figures = {} if flaw else {column.key: Spread.of(self.values(name, column.key)) for column in columns}
        return Row(name, variant.work, variant.version, figures, flaw)

    def values(self, name: str, key: str) -> list[float]:
        """Tell the figures of one variant, in the order of the rounds."""
        return [figures[key] for figures in self.taken[name]]

    def sound(self, *names: str) -> bool:
        """Whether all these variants were measured without a flaw."""
        return all(name in self.taken and name not in self.flaws for name in names)

    def ratio(
        self, text: str, key: str, over: str, under: str, *, at_least: float | None = None, at_most: float | None = None
    ) -> list[Comparison]:
        """Divide one variant by another; nothing when one of them is flawed or was not measured."""
        if not self.sound(over, under) or min(self.values(under, key)) <= 0:
            return []
        spread = pairwise(self.values(over, key), self.values(under, key))
        reach = at_least if at_most is None else at_most
        return [Comparison(text, spread, "×", reach, "≥" if at_most is None else "≤")]

    def difference(
        self, text: str, key: str, of: str, less: str, unit: str, *, at_most: float | None = None
    ) -> list[Comparison]:
        """Subtract one variant from another; nothing when one of them is flawed or was not measured."""
        if not self.sound(of, less):
            return []
        pairs = zip(self.values(of, key), self.values(less, key), strict=True)
        return [Comparison(text, Spread.of([left - right for left, right in pairs]), unit, at_most, "≤")]

    def bound(self, text: str, key: str, name: str, unit: str, at_most: float) -> list[Comparison]:
        """Hold one figure of one variant against an absolute goal."""
        if not self.sound(name):
            return []
        return [Comparison(text, Spread.of(self.values(name, key)), unit, at_most, "≤")]


def interleave(
    variants: Sequence[Variant],
    rounds: int,
    world: World,
    scratch: Path,
    take: Callable[[Variant, Running, Path], Figures],
    announce: Announce,
) -> Trials:
    """Start, measure and stop each variant once a round; a flawed one is not started again."""
    trials = Trials(variants, {variant.name: [] for variant in variants})
    for number in range(1, rounds + 1):
        for variant in variants:
            announce(f"{variant.name}, round {number} of {rounds}")
            if variant.name not in trials.flaws:
                _try_once(trials, variant, world, scratch, take)
    return trials


def _try_once(
    trials: Trials,
    variant: Variant,
    world: World,
    scratch: Path,
    take: Callable[[Variant, Running, Path], Figures],
) -> None:
    try:
        with standing(variant.start, world, scratch) as (running, workdir):
            trials.taken[variant.name].append(take(variant, running, workdir))
    except (FlawError, StartError, OSError, http.client.HTTPException) as exc:
        trials.flaws[variant.name] = str(exc) or repr(exc)


@contextmanager
def standing(start: Start, world: World, scratch: Path) -> Iterator[tuple[Running, Path]]:
    """Keep a variant running for a while, in a directory of its own that goes away with it."""
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        running = start(world, Path(directory), free_port())
        try:
            yield running, Path(directory)
        finally:
            running.stop()


def check_conduct(variant: Variant, world: World, port: int) -> None:
    """See that it forwards our request, and that it refuses one without a token if it says so.

    Raises:
        FlawError: it does something else, so its figures would compare different work.
    """
    status, body = fetch(port, PATH, world.issuer.headers)
    if (status, body) != (200, BODY):
        raise FlawError(f"answered {status} with {len(body)} bytes instead of the back end's answer")
    if variant.checks_token:
        status, _ = fetch(port, PATH, {})
        if status != 401:
            raise FlawError(f"answered {status} instead of 401 to a request without a token")

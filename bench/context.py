"""What a measure is given for one run: the surroundings, the contestants that can run, and how long to take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.contestants.base import Contestant
from bench.contestants.launcher import Launcher, Shape
from bench.processes import Running
from bench.results import Section
from bench.trials import Announce, Figures, Trials, Variant, interleave
from bench.world import World


@dataclass(frozen=True, slots=True)
class Bench:
    """One run.

    Attributes:
        world: back end, issuer and cores.
        scratch: a directory that is removed at the end.
        seconds: how long each burst of load lasts.
        rounds: how often each contestant has its turn.
        quick: small sizes, to see that everything works; the figures mean little.
        contestants: everyone who can run here and was not left out, Tongguan included.
        tongguan: Tongguan in any shape; None when it cannot run here or was left out.
    """

    world: World
    scratch: Path
    seconds: int
    rounds: int
    quick: bool
    contestants: Sequence[Contestant]
    tongguan: Launcher | None
    announce: Announce

    def named(self, *names: str) -> list[Variant]:
        """Take those of the contestants that have one of these names, in the order of the names."""
        present = {contestant.name: contestant for contestant in self.contestants}
        return [Variant.of(present[name]) for name in names if name in present]

    def shapes(self, shapes: dict[str, Shape]) -> list[Variant]:
        """Make a variant of each shape of Tongguan, by name; none when Tongguan is not there."""
        gateway = self.tongguan
        if gateway is None:
            return []
        return [
            Variant(name, gateway.work, "", gateway.checks_token, launching(gateway, shape))
            for name, shape in shapes.items()
        ]

    def interleave(
        self,
        variants: Sequence[Variant],
        take: Callable[[Variant, Running, Path], Figures],
        *,
        most_rounds: int = 100,
        world: World | None = None,
    ) -> Trials:
        """Take the figures of all variants, round after round; in another world, if one is given."""
        rounds = min(self.rounds, most_rounds)
        return interleave(variants, rounds, world or self.world, self.scratch, take, self.announce)


def launching(gateway: Launcher, shape: Shape) -> Callable[[World, Path, int], Running]:
    """Fix the shape of a gateway, so that it starts as any contestant does."""

    def start(world: World, workdir: Path, port: int) -> Running:
        return gateway.launch(shape, world, workdir, port)

    return start


class Measure(Protocol):
    """One question, and how it is answered."""

    name: str
    question: str

    def run(self, bench: Bench) -> Section | None:
        """Measure; None when nothing that could be asked is present."""

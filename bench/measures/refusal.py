"""How fast Tongguan says no, and how soon it says yes again after a fault has ended."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.contestants.launcher import LIMITED_PATH, Shape
from bench.context import Bench
from bench.processes import Process, Running, fetch
from bench.results import Column, Section
from bench.statistics import percentile
from bench.trials import Figures, FlawError, Start, Variant
from bench.world import PATH, World, start_backend

_REFUSALS = 500
_RECOVERY_DEADLINE = 60.0
_PROBE_SECONDS = 0.05
_COLUMNS = (
    Column("limited_p50_ms", "429, p50 ms", 2),
    Column("limited_p99_ms", "429, p99 ms", 2),
    Column("down_p50_ms", "back end down, p50 ms", 2),
    Column("down_p99_ms", "back end down, p99 ms", 2),
    Column("recovery_s", "s to the first 200 after it is back", 2),
)


class Refusal:
    """A rate limit that is used up, and a back end that dies and comes back."""

    name = "refusal"
    question = "How fast is a refusal, and how long does a fault outlive its cause?"

    def run(self, bench: Bench) -> Section | None:
        """Give each round a back end of its own, which may then be stopped."""
        variants = [
            replace(variant, start=_with_own_backend(variant.start)) for variant in bench.shapes({"tongguan": Shape()})
        ]
        if not variants:
            return None
        trials = bench.interleave(variants, partial(_take, bench.world), most_rounds=3)
        goals = [
            *trials.bound("429, p99", "limited_p99_ms", "tongguan", "ms", at_most=10.0),
            *trials.bound("back end down, p99", "down_p99_ms", "tongguan", "ms", at_most=10.0),
            *trials.bound("recovery", "recovery_s", "tongguan", "s", at_most=5.0),
        ]
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), goals)


@dataclass(frozen=True, slots=True)
class Mortal:
    """A gateway together with the only back end it has."""

    gateway: Running
    backend: Process

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    @property
    def pids(self) -> Sequence[int]:
        """The gateway's processes."""
        return self.gateway.pids

    @property
    def started(self) -> float:
        """When the gateway was started."""
        return self.gateway.started

    def stop(self) -> None:
        """End both."""
        self.gateway.stop()
        self.backend.stop()


def _with_own_backend(start: Start) -> Start:
    def start_both(world: World, workdir: Path, port: int) -> Running:
        backend = start_backend(workdir / "backend", world.cores.load)
        try:
            gateway = start(replace(world, upstream_port=backend.port), workdir, port)
        except BaseException:
            backend.stop()
            raise
        return Mortal(gateway, backend)

    return start_both


def _take(world: World, variant: Variant, running: Running, workdir: Path) -> Figures:
    del variant, workdir
    if not isinstance(running, Mortal):
        raise TypeError("this measure starts a back end of its own")
    limited = _refusals(world, running.port, LIMITED_PATH, {429})
    running.backend.stop()
    down = _refusals(world, running.port, PATH, {502, 503, 504})
    running.backend.start()
    return {
        "limited_p50_ms": percentile(limited, 50),
        "limited_p99_ms": percentile(limited, 99),
        "down_p50_ms": percentile(down, 50),
        "down_p99_ms": percentile(down, 99),
        "recovery_s": _recovery(world, running.port),
    }


def _refusals(world: World, port: int, path: str, statuses: set[int]) -> list[float]:
    """Ask one after the other on one connection; tell the milliseconds of each refusal, the first few aside."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    taken: list[float] = []
    try:
        for number in range(_REFUSALS):
            begin = time.perf_counter()
            connection.request("GET", path, headers=world.issuer.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status in statuses:
                taken.append((time.perf_counter() - begin) * 1000)
            elif number > 10:
                raise FlawError(f"{path} was answered with {answer.status}, not one of {sorted(statuses)}")
    finally:
        connection.close()
    return taken


def _recovery(world: World, port: int) -> float:
    begin = time.monotonic()
    while (waited := time.monotonic() - begin) < _RECOVERY_DEADLINE:
        status, _ = fetch(port, PATH, world.issuer.headers)
        if status == 200:
            return time.monotonic() - begin
        time.sleep(_PROBE_SECONDS)
    raise FlawError(f"no 200 within {waited:.0f} s after the back end was back")

"""What a contestant adds to a direct call's latency at a rate that leaves it time to spare."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import paced
from bench.context import Bench
from bench.processes import Running, pinned, usage
from bench.results import Column, Comparison, Section
from bench.statistics import percentile
from bench.trials import Figures, FlawError, Trials, Variant, check_conduct
from bench.world import PATH, World

RATE = 2000
_WARM_UP = 1.0
_DIRECT = "direct call"
_COLUMNS = (
    Column("p50_us", "p50 µs"),
    Column("p99_us", "p99 µs"),
    Column("most_us", "longest µs"),
    Column("cpu_us", "CPU µs/request", 1),
)


class Latency:
    """Fixed times of asking, latency counted from the time a request was due."""

    name = "latency"
    question = f"What does each add to a direct call at a fixed {RATE:,} requests a second?"

    def run(self, bench: Bench) -> Section | None:
        """Compare Tongguan with Envoy and nginx, and all with no proxy at all."""
        peers = bench.named("tongguan", "envoy", "nginx")
        if not peers:
            return None
        direct = Variant(_DIRECT, "answers", "", False, lambda world, *_: Unproxied(world.upstream_port))
        trials = bench.interleave([direct, *peers], partial(_take, bench))
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), _comparisons(trials, peers))


@dataclass(frozen=True, slots=True)
class Unproxied:
    """The back end itself, which is already running and stays so."""

    port: int
    pids: Sequence[int] = ()
    started: float = 0.0

    def stop(self) -> None:
        """Leave the back end alone."""


def _comparisons(trials: Trials, peers: Sequence[Variant]) -> list[Comparison]:
    added = [
        comparison
        for peer in peers
        for key in ("p50_us", "p99_us")
        for comparison in trials.difference(f"{peer.name} adds, {key[:3]}", key, peer.name, _DIRECT, "µs")
    ]
    against = [
        *trials.difference("tongguan above envoy, p50", "p50_us", "tongguan", "envoy", "µs", at_most=100),
        *trials.difference("tongguan above envoy, p99", "p99_us", "tongguan", "envoy", "µs", at_most=1000),
    ]
    return added + against


def _take(bench: Bench, variant: Variant, running: Running, workdir: Path) -> Figures:
    del workdir
    check_conduct(variant, bench.world, running.port)
    before = usage(running.pids).cpu_seconds
    tally = _pace(bench.world, running.port, bench.seconds + _WARM_UP)
    spent = usage(running.pids).cpu_seconds - before
    if tally["bad_status"] or tally["unanswered"]:
        raise FlawError(f"{tally['bad_status']} answers were not 2xx, {tally['unanswered']} did not come")
    latencies = tally["latencies_us"]
    return {
        "p50_us": percentile(latencies, 50),
        "p99_us": percentile(latencies, 99),
        "most_us": max(latencies),
        "cpu_us": spent / (RATE * (bench.seconds + _WARM_UP)) * 1e6,
    }


def _pace(world: World, port: int, seconds: float) -> paced.Tally:
    fields = {"Host": f"127.0.0.1:{port}", **world.issuer.headers}
    lines = [f"GET {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    order: paced.Order = {
        "port": port,
        "request": "\r\n".join(lines),
        "rate": RATE,
        "seconds": seconds,
        "warmup": _WARM_UP,
    }
    command = [*pinned(world.cores.load), sys.executable, paced.__file__]
    ended = subprocess.run(
        command, input=json.dumps(order), capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    if ended.returncode:
        raise FlawError(ended.stderr.strip().rpartition("\n")[2])
    tally: paced.Tally = json.loads(ended.stdout)
    return tally

"""Figures that several measures take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.context import Bench
from bench.load import Credential, burst
from bench.processes import Running, usage
from bench.results import Column
from bench.trials import Figures, FlawError, Variant, check_conduct

WARM_UP_SECONDS = 1

UNDER_LOAD = (
    Column("rate", "requests/s"),
    Column("p50_ms", "p50 ms", 2),
    Column("p99_ms", "p99 ms", 2),
    Column("cpu_us", "CPU µs/request", 1),
    Column("resident_mib", "memory MiB", 1),
)


def under_load(
    bench: Bench, variant: Variant, running: Running, workdir: Path, credentials: Sequence[Credential] = ()
) -> Figures:
    """Saturate a contestant for the run's seconds, after it has shown that it does its work and has warmed up.

    Processor time is told for the first of its processes (``outer_us``), for the others (``inner_us``) and for all.

    Args:
        bench: the run.
        variant: what is measured.
        running: its processes.
        workdir: a directory of this turn.
        credentials: who asks; see `bench.load.burst`.

    Raises:
        FlawError: it does not do what it says, or not every answer was a 2xx.
    """
    check_conduct(variant, bench.world, running.port)
    burst(bench.world, running.port, WARM_UP_SECONDS, workdir, credentials=credentials)
    first, *further = running.pids
    before, before_inner = usage([first]), usage(further)
    seen = burst(bench.world, running.port, bench.seconds, workdir, credentials=credentials)
    after, after_inner = usage([first]), usage(further)
    if seen.flaw:
        raise FlawError(seen.flaw)
    outer_us = (after.cpu_seconds - before.cpu_seconds) / seen.requests * 1e6
    inner_us = (after_inner.cpu_seconds - before_inner.cpu_seconds) / seen.requests * 1e6
    return {
        "rate": seen.rate,
        "p50_ms": seen.p50_ms,
        "p99_ms": seen.p99_ms,
        "cpu_us": outer_us + inner_us,
        "outer_us": outer_us,
        "inner_us": inner_us,
        "resident_mib": (after.resident_bytes + after_inner.resident_bytes) / 2**20,
    }

"""Where a run took place: without this, no figure means anything to anybody else."""

from __future__ import annotations

import os
import platform
import re
import timeit
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contestants.base import version_from
from bench.world import Cores

_TIMES = 20_000
_CALM = 0.3
"""Load average for the last minute up to which a machine counts as idle."""


def facts() -> Mapping[str, str]:
    """Describe the processor, the kernel and what makes the load, as they are now."""
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "python's pace": f"{_pace() * 1e9:.0f} ns for a dictionary of three",
        "wrk": version_from(["wrk", "--version"]),
        "load average before": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def warnings(cores: Cores) -> Sequence[str]:
    """Say what makes the figures doubtful before a single one was taken."""
    found = []
    if cores.shared:
        found.append("Only one core: load and contestant compete for it, so the ratios are too kind to slow ones.")
    if os.getloadavg()[0] > _CALM:
        found.append(f"Load average {os.getloadavg()[0]:.2f} before the start: something else is running here.")
    return found


def _pace() -> float:
    """Seconds that a small piece of Python takes: builds of one version differ by a third."""
    return min(timeit.repeat("dict(a=1, b=[2], c=(3, 4))", number=_TIMES, repeat=5)) / _TIMES


def _cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()

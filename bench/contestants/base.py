"""What a contestant is; each of the modules beside this one holds one."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bench.processes import Running
from bench.world import World

PEERS = Path(__file__).resolve().parent.parent / "peers"


class Contestant(Protocol):
    """A server that forwards requests and can be measured."""

    name: str
    work: str
    """What it does with a request, for the tables: "forwards", "forwards, verifies, records"."""
    checks_token: bool
    """Whether it must refuse a request without a token; the bench asks it to, before it measures."""

    def missing(self) -> str | None:
        """Say why it cannot run here, with what to install; None when it can."""

    def version(self) -> str:
        """Tell the version of what is measured; only called when nothing is missing."""

    def start(self, world: World, workdir: Path, port: int) -> Running:
        """Listen on `port`, with one worker or thread, on the contestant core, and forward to the back end.

        Raises:
            StartError: it did not come up.
        """


def needs_program(program: str, package: str) -> str | None:
    """Say that a Debian package is needed, unless its program is there."""
    return None if shutil.which(program) else f"{program} is not installed (Debian package {package})"


def version_from(command: Sequence[str]) -> str:
    """Find the first version number in what a command prints; "unknown" when there is none."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    found = re.search(r"\d+\.\d+(?:\.\d+)?", ended.stdout + ended.stderr)
    return found.group() if found else "unknown"

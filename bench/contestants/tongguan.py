"""Tongguan itself, as a department would run it: supervisor, workers, and behind a ferry the gatekeeper."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.contestants.launcher import Shape
from bench.contestants.tongguan_files import write_edge, write_gatekeeper
from bench.processes import Process, Running, StartError, fetch, free_port
from bench.world import World

_ROOT = Path(__file__).resolve().parent.parent.parent
_READY_SECONDS = 30.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Units:
    """The edge, and the gatekeeper where there is one; the edge is asked."""

    edge: Process
    gatekeeper: Process

    @property
    def port(self) -> int:
        """Where the edge listens."""
        return self.edge.port

    @property
    def pids(self) -> Sequence[int]:
        """The edge's supervisor, whose children are the workers, and the gatekeeper."""
        return (*self.edge.pids, *self.gatekeeper.pids)

    @property
    def started(self) -> float:
        """When the gatekeeper, which is started first, was started."""
        return self.gatekeeper.started

    def stop(self) -> None:
        """End both, from the outside in."""
        self.edge.stop()
        self.gatekeeper.stop()


class Tongguan:
    """One worker; every check on, every request recorded in a file; a token is verified once and then remembered."""

    name = "tongguan"
    work = "forwards, verifies, re-authorizes, records"
    checks_token = True

    def missing(self) -> str | None:
        """Need nothing: the bench runs in the environment that Tongguan is installed in."""
        return None

    def version(self) -> str:
        """Ask the installed distribution."""
        return version("tongguan")

    def start(self, world: World, workdir: Path, port: int) -> Running:
        """Start the usual shape; raises StartError."""
        return self.launch(Shape(), world, workdir, port)

    def launch(self, shape: Shape, world: World, workdir: Path, port: int) -> Running:
        """Write the files of this shape and start its processes; raises StartError."""
        management, ferry = free_port(), free_port()
        config = write_edge(shape, world, workdir, port, management, ferry)
        edge = _process(world, workdir, port, "--config", str(config), "serve")
        running: Running = edge
        try:
            if shape.via == "ferry":
                gatekeeper = _process(world, workdir, ferry, "gatekeeper", str(write_gatekeeper(world, workdir, ferry)))
                running = Units(edge, gatekeeper)
                gatekeeper.start()
            edge.start()
            _wait_until_ready(edge, management)
        except BaseException:
            running.stop()
            raise
        return running


def _process(world: World, workdir: Path, port: int, *arguments: str) -> Process:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    # The workers do not look into the folder they are started in, and need the bench's own re-authorizer.
    # An installed gateway has its bytecode; where Python is told to write none, each start would compile it anew.
    env = {"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    return Process(command, world.cores.contestant, port, workdir / f"{port}.log", env=env)


def _wait_until_ready(edge: Process, management: int) -> None:
    """Wait until a worker answers and every link to a gatekeeper is up.

    Raises:
        StartError: that did not happen in time.
    """
    deadline = time.monotonic() + _READY_SECONDS
    try:
        # The supervisor listens before its workers are there: one request waits for them, and no polling slows them.
        fetch(edge.port, "/", {}, timeout=_READY_SECONDS)
        while not _linked(management):
            if time.monotonic() > deadline:
                raise StartError("tongguan has no link to its gatekeeper")
            time.sleep(_POLL_SECONDS)
    except OSError as exc:
        said = edge.log.read_text(errors="replace").strip()[-600:]
        raise StartError(f"tongguan does not answer ({exc!r}): {said}") from None


def _linked(management: int) -> bool:
    status = json.loads(fetch(management, "/status", {})[1])
    systems = [system for worker in status["workers"] for system in worker.get("systems", {}).values()]
    return all(system.get("link", "up") == "up" for system in systems)

"""mitmproxy in reverse mode."""

from __future__ import annotations

from pathlib import Path

from bench.contestants.base import needs_program, version_from
from bench.processes import Process
from bench.world import World


class Mitmproxy:
    """`mitmdump`, quiet, no flow kept on disk."""

    name = "mitmproxy"
    work = "forwards"
    checks_token = False

    def missing(self) -> str | None:
        """Need the mitmdump program; `packages.txt` leaves it out because of its many dependencies."""
        return needs_program("mitmdump", "mitmproxy")

    def version(self) -> str:
        """Ask the program."""
        return version_from(["mitmdump", "--version"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Start it in reverse mode; raises StartError."""
        command = ["mitmdump", "--quiet", "--mode", f"reverse:{world.upstream}", "--listen-host", "127.0.0.1"]
        command += ["--listen-port", str(port), "--set", f"confdir={workdir}"]
        return Process(command, world.cores.contestant, port, workdir / "log").start()

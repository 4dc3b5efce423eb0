"""Two proxies in Python: the one people usually write, and the least that Python can do."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from bench.contestants.base import PEERS
from bench.processes import Process
from bench.world import World


class UsualAiohttp:
    """`peers/aiohttp_proxy.py`: an aiohttp application that calls a `ClientSession`, on uvloop."""

    name = "aiohttp-usual"
    work = "forwards"
    checks_token = False
    script = "aiohttp_proxy.py"
    package = "aiohttp"

    def missing(self) -> str | None:
        """Need nothing that Tongguan does not install."""
        return None

    def version(self) -> str:
        """Tell the version of the library it is built on."""
        return version(self.package)

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Run the script; raises StartError."""
        command = [sys.executable, str(PEERS / self.script), str(port), str(world.upstream_port)]
        return Process(command, world.cores.contestant, port, workdir / "log").start()


class RawAsyncio(UsualAiohttp):
    """`peers/raw_proxy.py`: asyncio protocols and httptools on both sides, and not one check."""

    name = "python-floor"
    script = "raw_proxy.py"
    package = "httptools"

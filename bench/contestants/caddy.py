"""Caddy as a pass-through with its JSON access log."""

from __future__ import annotations

import json
from pathlib import Path

from bench.contestants.base import needs_program, version_from
from bench.processes import Process
from bench.world import World


class Caddy:
    """One scheduler thread for Go code (GOMAXPROCS=1), plain HTTP, no administration endpoint."""

    name = "caddy"
    work = "forwards, records"
    checks_token = False

    def missing(self) -> str | None:
        """Need the caddy program."""
        return needs_program("caddy", "caddy")

    def version(self) -> str:
        """Ask the program."""
        return version_from(["caddy", "version"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Write its configuration and start it; raises StartError."""
        config = workdir / "caddy.json"
        config.write_text(json.dumps(_config(world, workdir, port)))
        return Process(
            ["caddy", "run", "--config", str(config)],
            world.cores.contestant,
            port,
            workdir / "caddy.log",
            # Caddy keeps state below its home directory.
            env={"GOMAXPROCS": "1", "HOME": str(workdir), "XDG_DATA_HOME": str(workdir)},
        ).start()


def _config(world: World, workdir: Path, port: int) -> dict[str, object]:
    upstream = {"handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{world.upstream_port}"}]}
    server = {
        "listen": [f"127.0.0.1:{port}"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [upstream]}],
        "logs": {"default_logger_name": "access"},
    }
    access = {
        "writer": {"output": "file", "filename": str(workdir / "access.log"), "roll": False},
        "encoder": {"format": "json"},
        "include": ["http.log.access.access"],
    }
    return {
        "admin": {"disabled": True},
        "logging": {"logs": {"access": access, "default": {"exclude": ["http.log.access"]}}},
        "apps": {"http": {"servers": {"edge": server}}},
    }

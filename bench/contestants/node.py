"""Three proxies from npm, installed below `peers/node`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from bench.contestants.base import PEERS, needs_program, version_from
from bench.processes import Process
from bench.world import World

_HERE = PEERS / "node"
_OLDEST_NODE = 20


class Fastify:
    """fastify with @fastify/http-proxy."""

    name = "fastify"
    work = "forwards"
    checks_token = False
    script = "fastify_proxy.mjs"
    package = "fastify"

    def missing(self) -> str | None:
        """Need Node and the packages of `peers/node`."""
        if reason := needs_program("node", "nodejs"):
            return reason
        found = version_from(["node", "--version"])
        if not re.match(r"\d", found) or int(found.split(".")[0]) < _OLDEST_NODE:
            return f"node {found} is older than {_OLDEST_NODE}"
        return None if self._manifest().exists() else "its npm packages are not installed (npm ci in bench/peers/node)"

    def _manifest(self) -> Path:
        return _HERE / "node_modules" / self.package / "package.json"

    def version(self) -> str:
        """Tell the version of the framework; `package-lock.json` fixes the others."""
        return str(json.loads(self._manifest().read_text())["version"])

    def start(self, world: World, workdir: Path, port: int) -> Process:
        """Run the script; raises StartError."""
        command = ["node", str(_HERE / self.script), str(port), world.upstream, *self.arguments(world, workdir)]
        env = {"NODE_ENV": "production"}
        return Process(command, world.cores.contestant, port, workdir / "log", env=env).start()

    def arguments(self, world: World, workdir: Path) -> Sequence[str]:
        """Tell what the script needs besides its port and the back end: nothing."""
        del world, workdir
        return ()


class FastifyJwt(Fastify):
    """The same with jsonwebtoken and pino in front."""

    name = "fastify-jwt"
    work = "forwards, verifies, records"
    checks_token = True
    script = "fastify_jwt_proxy.mjs"

    def arguments(self, world: World, workdir: Path) -> Sequence[str]:
        """Give it the issuer to trust and a log file."""
        issuer = world.issuer
        return (str(issuer.public_key), issuer.issuer, issuer.audience, str(workdir / "access.log"))


class Express(Fastify):
    """express with http-proxy-middleware."""

    name = "express"
    script = "express_proxy.mjs"
    package = "express"

"""A real `tongguan serve` with two workers, the province's keys and a business system that counts, for the journeys.

No app channel and no rates: what several workers cannot share yet (configuration/static_rules.py) is left out.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from plugin_world import Signer
from record_files import records_in

DEADLINE = 45.0
HOST = "edge.test"
ISSUER = "https://id.province.example"
PATHS = ("/open/{n}", "/slow/{n}", "/private/{n}")
CODE = "11440100696927671X344201181700{}"


class System:
    """A business system in the external zone and the province's key set, on one port.

    Attributes:
        deliveries: how often each request arrived, by its `n`.
        released: set to let it answer what is slow.
        address: where both are.
        signer: makes the province's tokens.
    """

    def __init__(self):
        self.signer = Signer("ES256", "key-1")
        self.deliveries = Counter()
        self.released = asyncio.Event()
        self.address = ""

    @asynccontextmanager
    async def running(self):
        application = web.Application()
        application.add_routes([web.get("/jwks", self._keys), web.post("/{kind}/{n}", self._answer)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    def token(self, name):
        """A token of the province whose `jti` is this name."""
        now = int(time.time())
        return self.signer.token(iss=ISSUER, iat=now - 10, exp=now + 600, jti=name, sid=f"sid-{name}")

    async def _keys(self, _):
        return web.json_response({"keys": [self.signer.jwk()]})

    async def _answer(self, request):
        self.deliveries[request.match_info["n"]] += 1
        if request.match_info["kind"] == "slow":
            await self.released.wait()
        return web.json_response({"n": request.match_info["n"]})


class Edge:
    """One `tongguan serve` in a folder of its own.

    Args:
        folder: for its files.
        system: what is behind it.
        further: keys of gateway.yaml beside the usual ones.

    Attributes:
        public, management: base URLs, as the ready line gives them.
    """

    def __init__(self, folder, system, **further):
        self.folder = folder
        self._system = system
        self._further = further

    def write(self, *paths, **further):
        """Write policy.yaml anew: it offers these paths, or PATHS, to anybody, and /private to natural persons only.

        Further keys take the places of the usual ones.
        """
        items = [self._item(number, path) for number, path in enumerate(paths or PATHS)]
        verifier = {
            "name": "province-jwt",
            "use": "plugins.verifiers.province_jwt:ProvinceJwt",
            "config": {"issuer": ISSUER, "audience": "dept-hrss", "jwks": f"{self._system.address}/jwks"},
        }
        policy = {
            "channels": [{"name": "web", "use": "plugins.channels.web:Web"}],
            "verifiers": [verifier],
            "systems": [{"name": "counting", "via": "direct", "targets": [self._system.address], "identity": "none"}],
            "items": items,
        }
        self.replace(json.dumps(policy | further))

    def replace(self, policy):
        """Put another policy.yaml in the place of the one that is there, at once."""
        beside = self.folder / "policy.new"
        beside.write_text(policy)
        beside.replace(self.folder / "policy.yaml")

    def _item(self, number, path):
        return {
            "code": CODE.format(number),
            "name": path,
            "category": "test",
            "audience": ["natural"] if path.startswith("/private") else ["anyone"],
            "system": "counting",
            "operations": [{"method": "POST", "path": path}],
            "channels": ["web"],
            "reauthorize": [],
        }

    @asynccontextmanager
    async def running(self):
        """Run it until the end of the block."""
        self._write_static()
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "--config", str(self.folder / "gateway.yaml"), "serve"),
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PSEUDONYM_KEY": "0123456789abcdef", "IDENTITY_KEY": _private_key()},
        )
        try:
            async with asyncio.timeout(DEADLINE):
                await self._ready()
            yield self
        finally:
            await self._end()

    def _write_static(self):
        settings = {
            "department": "dept-hrss",
            "listen": "127.0.0.1:0",
            "management": "127.0.0.1:0",
            "hosts": [HOST],
            "scheme": "http",
            "workers": 2,
            "policy": "policy.yaml",
            "drain": "5s",
            "identity": {"key": {"$env": "IDENTITY_KEY"}, "kid": "1"},
            "records": {
                "access": f"file:{self.folder}/access.jsonl",
                "application": f"file:{self.folder}/application.jsonl",
                "pseudonym_key": {"$env": "PSEUDONYM_KEY"},
            },
        }
        (self.folder / "gateway.yaml").write_text(json.dumps(settings | self._further))

    async def _ready(self):
        said = []
        while line := (await self.process.stderr.readline()).decode():
            said.append(line)
            if found := re.search(r"serves on (\S+), management on (\S+),", line):
                self.public, self.management = f"http://{found[1]}", f"http://{found[2]}"
                return
        raise AssertionError("".join(said))

    async def _end(self):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(DEADLINE):
                await self.process.communicate()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    async def ask(self, path, token=None, method="POST", **further):
        """Ask on a connection of its own, which either worker may get; gives status and body. `further`: more fields.

        POST, since the client would repeat a GET in silence.
        """
        fields = {"Host": HOST} | ({"Authorization": f"Bearer {token}"} if token else {}) | further
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(DEADLINE)
            ) as session,
            session.request(method, self.public + path, headers=fields) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def manage(self, path, method="GET", **options):
        """Ask the management listener; gives status and body."""
        async with aiohttp.ClientSession() as session, session.request(method, self.management + path, **options) as it:
            return it.status, await it.json()

    async def status(self):
        return (await self.manage("/status"))[1]

    async def until(self, condition):
        """Ask /status until the condition holds; gives the status."""
        async with asyncio.timeout(DEADLINE):
            while True:
                status = await self.status()
                if condition(status):
                    return status
                await asyncio.sleep(0.02)

    async def recorded(self, condition, name="access"):
        """Wait until the condition holds of what its processes have written; gives that."""
        async with asyncio.timeout(DEADLINE):
            while True:
                found = self.records(name)
                if condition(found):
                    return found
                await asyncio.sleep(0.02)

    def records(self, name="access"):
        """What its processes have written so far, as data."""
        return records_in(self.folder / f"{name}.jsonl")


def _private_key():
    key = ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@asynccontextmanager
async def edge_of_two(folder):
    """A system that counts, and an edge of two workers in front of it that offers PATHS."""
    async with System().running() as system:
        edge = Edge(folder, system)
        edge.write()
        async with edge.running():
            yield edge, system

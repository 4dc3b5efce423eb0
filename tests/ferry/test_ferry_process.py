"""The whole way, on real sockets: outer unit → socket carrier → the gatekeeper's process → HTTP → business system."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE

import jwt
import pytest
from aiohttp import web
from ferry_world import KEY, declaration, outer_settings, request, signer, until
from record_files import records_in

from gateway.errors import ContentBlocked, GatekeeperBusy, GatekeeperTimeout, UpstreamUnavailable
from gateway.ferry.carriers import SocketCarrier
from gateway.forward.ferry import FerryForwarder
from gateway.inward import IdentitySigner
from gateway.units import Address

COMMAND = """\
import sys
from pathlib import Path
from gateway.ferry.inner_process import main_gatekeeper

sys.exit(main_gatekeeper(Path(sys.argv[1])))
"""
CONFIG = """\
listen: unix:{folder}/ferry.sock
key: {{$env: FERRY_TEST_KEY}}
records: file:{folder}/ferry.log
application: file:{folder}/application.log
systems:
  - name: medical
    targets: ["http://127.0.0.1:{port}"]
routes:
  - {{id: settlement, system: medical, method: GET, path: "/settlements/{{settlement_id}}", query: [year]}}
  - id: declare
    system: medical
    method: POST
    path: /declarations
    request: {{content_types: [application/json]}}
    answer: {{content_types: [application/json], fields: [location]}}
"""


class Business:
    """A business system over HTTP that checks the identity it is given."""

    def __init__(self, keys: IdentitySigner) -> None:
        self.deliveries: list[str] = []
        self.hold: asyncio.Event | None = None
        self._keys = keys

    async def answer(self, asked: web.Request) -> web.Response:
        self.deliveries.append(asked.headers["X-Request-Id"])
        if self.hold is not None:
            await self.hold.wait()
        body = await asked.read()
        [key] = jwt.PyJWKSet.from_dict(self._keys.public_jwks()).keys
        claims = jwt.decode(asked.headers["Tongguan-Identity"], key.key, algorithms=["EdDSA"], audience="medical")
        assert claims["body_sha256"] == hashlib.sha256(body).hexdigest()
        assert (claims["method"], claims["jti"]) == (asked.method, asked.headers["X-Request-Id"])
        answer = {"target": asked.raw_path, "sub": claims["sub"], "got": json.loads(body) if body else None}
        return web.json_response(answer, headers={"Location": "/declarations/1", "X-Inner": "host-7"})


class Crossing:
    """Everything on the way, and the gatekeeper's process to kill."""

    def __init__(self, folder, business: Business, outer: FerryForwarder) -> None:
        self.folder = folder
        self.business = business
        self.outer = outer
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        environment = {**os.environ, "FERRY_TEST_KEY": KEY}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", COMMAND, str(self.folder / "gatekeeper.yaml"), env=environment, stdout=PIPE
        )
        await until(lambda: self.outer.status()["link"] == "up", 20)

    async def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 15)

    async def ask(self, outbound):
        async with self.outer.send(outbound) as reply:
            return reply

    def records(self) -> list[dict]:
        return records_in(self.folder / "ferry.log")


@pytest.fixture
async def crossing(tmp_path):
    keys = signer()
    business = Business(keys)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", business.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    (tmp_path / "gatekeeper.yaml").write_text(CONFIG.format(folder=tmp_path, port=port))
    carrier = SocketCarrier(Address(path=str(tmp_path / "ferry.sock")))
    outer = FerryForwarder(outer_settings(response_fields=("location",)), carrier, keys)
    await outer.start()
    made = Crossing(tmp_path, business, outer)
    await made.start()
    yield made
    if business.hold is not None:
        business.hold.set()
    await made.end(signal.SIGKILL)
    await outer.stop()
    await runner.cleanup()


async def test_a_request_crosses_and_its_answer_comes_back(crossing):
    asked = declaration(timeout=10.0)
    reply = await crossing.ask(asked)
    assert json.loads(reply.whole) == {"target": "/declarations", "sub": "citizen-1", "got": {"name": "retirement"}}
    assert dict(reply.fields)[b"location"] == b"/declarations/1"
    assert b"x-inner" not in dict(reply.fields)
    read = await crossing.ask(request(query="year=2026", timeout=10.0))
    assert json.loads(read.whole)["target"] == "/settlements/S-1?year=2026"
    with pytest.raises(ContentBlocked):
        await crossing.ask(declaration(body=b'{"a":NaN}', timeout=10.0))
    assert await crossing.end() == 0
    records = crossing.records()
    assert [(line["route"], line["outcome"]) for line in records] == [
        ("declare", "delivered"),
        ("settlement", "delivered"),
        ("declare", "refused"),
    ]
    assert records[0]["trace.id"] == asked.visit.inbound.id
    assert records[2]["code"] == "content-blocked"
    assert "citizen-1" not in (crossing.folder / "ferry.log").read_text()


async def test_a_gatekeeper_killed_while_the_system_works_leaves_the_outcome_unknown_and_sends_nothing_again(crossing):
    crossing.business.hold = asyncio.Event()
    asked = declaration(timeout=20.0)
    task = asyncio.create_task(crossing.ask(asked))
    await until(lambda: crossing.business.deliveries)
    await crossing.end(signal.SIGKILL)
    with pytest.raises(GatekeeperTimeout):
        await asyncio.wait_for(task, 5)
    with pytest.raises(GatekeeperBusy):
        await crossing.ask(request())
    crossing.business.hold.set()
    crossing.business.hold = None
    await crossing.start()
    assert (await crossing.ask(request(timeout=10.0))).status == 200
    assert crossing.business.deliveries.count(asked.visit.inbound.id) == 1


async def test_a_gatekeeper_told_to_stop_finishes_what_is_under_way(crossing):
    crossing.business.hold = asyncio.Event()
    task = asyncio.create_task(crossing.ask(declaration(timeout=20.0)))
    await until(lambda: crossing.business.deliveries)
    crossing.process.send_signal(signal.SIGTERM)
    with pytest.raises(GatekeeperBusy):
        await _probe_until_refused(crossing)
    crossing.business.hold.set()
    assert (await task).status == 200
    assert await asyncio.wait_for(crossing.process.wait(), 15) == 0


async def _probe_until_refused(crossing: Crossing) -> None:
    """Further requests: held like the first until the gatekeeper drains, refused from then on."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(GatekeeperTimeout):
                await crossing.ask(request(timeout=0.1))


async def test_a_system_that_is_down_is_a_503_and_nothing_was_executed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "gatekeeper.yaml").write_text(CONFIG.format(folder=tmp_path, port=port))
    outer = FerryForwarder(outer_settings(), SocketCarrier(Address(path=str(tmp_path / "ferry.sock"))), signer())
    await outer.start()
    made = Crossing(tmp_path, Business(signer()), outer)
    try:
        await made.start()
        with pytest.raises(UpstreamUnavailable):
            await made.ask(declaration(timeout=5.0))
    finally:
        await made.end(signal.SIGKILL)
        await outer.stop()


async def test_a_gatekeeper_that_hangs_answers_504_in_time(crossing):
    assert crossing.process is not None
    crossing.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(GatekeeperTimeout):
        await crossing.ask(declaration(timeout=0.5))
    assert time.monotonic() - began < 2.0
    crossing.process.send_signal(signal.SIGCONT)
    await until(lambda: crossing.outer.status()["late"] == 1)
    assert (await crossing.ask(request(timeout=10.0))).status == 200


async def test_what_the_unit_itself_says_is_apart_from_the_records_and_json_too(crossing):
    """Nothing of it is on standard output, where `records: stdout` would stand."""
    await crossing.ask(request(timeout=10.0))
    assert await crossing.end() == 0
    said = records_in(crossing.folder / "application.log")
    assert said[0]["event"] == "the gatekeeper's inner unit listens"
    assert {line["part"] for line in said} == {"gatekeeper"}
    assert len(crossing.records()) == 1
    assert (await crossing.process.stdout.read(), crossing.records()[0]["outcome"]) == (b"", "delivered")

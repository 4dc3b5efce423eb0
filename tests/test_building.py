"""A policy's parts over their lives: made, started, kept over reloads, stopped when the last request has ended."""

import asyncio
import json
import logging
import socket

import pytest
import structlog
from forward.forward_world import eventually
from structlog.testing import CapturingLogger

from gateway.app import EdgeProcess
from gateway.building import Build, PartBroken
from gateway.chain import Rejected, Remembered, VerdictMemory
from gateway.configuration.loading import policy_from, static_from
from gateway.errors import ConfigurationError, CredentialRejected
from gateway.lending import lend
from gateway.model import Kind, Principal
from tests.building_parts import Life
from tests.configuration.conftest import identity

__all__ = ["identity"]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def life():
    Life.told.clear()
    return Life.told


@pytest.fixture
def static(identity, tmp_path):
    return static_from(
        json.dumps(
            {
                "department": "dept-hrss",
                "listen": "127.0.0.1:0",
                "management": "127.0.0.1:0",
                "hosts": ["gov.example"],
                "identity": {"key": identity, "kid": "1"},
                "records": {
                    "pseudonym_key": "p" * 16,
                    "access": f"file:{tmp_path}/access.log",
                    "application": f"file:{tmp_path}/application.log",
                },
            }
        ).encode()
    )


def policy(*channels: dict, target: str = "http://127.0.0.1:9", verifiers: tuple[str, ...] = ()) -> bytes:
    """A guide that anyone may read, through channels that are told `config`."""
    item = {
        "code": "guides", "name": "办事指南", "category": "guides", "audience": ["anyone"], "system": "guides",
        "operations": [{"method": "GET", "path": "/guides"}], "channels": ["web"], "reauthorize": [],
    }  # fmt: skip
    return json.dumps(
        {
            "channels": [
                {"name": name, "use": "tests.building_parts:Gate", "config": config}
                for name, config in zip(("web", "app"), channels, strict=False)
            ],
            "verifiers": [{"name": name, "use": "tests.building_parts:Started"} for name in verifiers],
            "systems": [{"name": "guides", "via": "direct", "targets": [target]}],
            "items": [item],
        }
    ).encode()


class Log(CapturingLogger):
    """A bound logger that keeps what it is told."""

    def bind(self, **_):
        return self


def build(static, *channels: dict, log=None) -> Build:
    return Build(lend(static, None, log or Log()), policy_from(policy(*channels)), 1, None)


def test_a_part_that_cannot_be_made_refuses_the_policy_and_says_which_it_is(static):
    with pytest.raises(PartBroken) as caught:
        build(static, {"fails": "made"})

    assert caught.value.problems == ["channel 'web' (tests.building_parts:Gate) cannot be made: KeyError('column')"]
    assert (caught.value.key, caught.value.name) == ("channels", "web")


async def test_a_part_that_cannot_start_stops_those_before_it(static, life):
    with pytest.raises(ConfigurationError) as caught:
        await build(static, {"label": "a"}, {"label": "b", "fails": "start"}).start()

    assert caught.value.problems == ["channel 'app' (tests.building_parts:Gate) cannot start: OSError('no table')"]
    assert life == ["start a", "start b", "stop a", "stop b"]


async def test_a_start_that_is_cancelled_stops_what_was_started(static, life):
    starting = asyncio.create_task(build(static, {"label": "a"}, {"label": "b", "fails": "hang"}).start())
    await eventually(lambda: "start b" in life)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert life == ["start a", "start b", "stop a", "stop b"]


def test_a_channel_and_a_verifier_of_one_name_both_have_a_say_in_the_status(static):
    settings = policy_from(policy({"label": "a"}, verifiers=("web", "other")))
    parts = Build(lend(static, None, Log()), settings, 1, None).status()["parts"]
    assert parts == {"web": {"label": "a", "running": False}, "other": {"running": False}}


async def test_what_fails_to_stop_is_logged_and_the_others_are_stopped(static, life):
    log = Log()
    made = build(static, {"label": "a", "fails": "stop"}, {"label": "b"}, log=log)
    await made.start()
    await made.stop()

    assert {"stop a", "stop b"} <= set(life)
    [said] = log.calls
    assert (said.method_name, said.kwargs["part"]) == ("error", "web")
    assert str(said.kwargs["exc_info"]) == "held"


class Held:
    """A business system that answers once it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.go = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.go.set()
        self._server.close()

    async def _serve(self, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        await self.go.wait()
        writer.write(OK)
        await writer.drain()
        writer.close()


@pytest.fixture
async def edge(static):
    """A worker's edge that looks often whether a policy still carries; the process's log is put back."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    before = structlog.get_config()
    made = EdgeProcess(static, 0, retire_tick=0.005)
    try:
        yield made
        await made.drain(0.1)
    finally:
        structlog.configure(**before)
        logging.captureWarnings(False)
        root.handlers, root.level = handlers, level


async def use(edge, snapshot: bytes, generation: int) -> None:
    await edge.prepare(snapshot, generation, "8d1f02d7a6b3")
    edge.commit(generation)


async def ask(address) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /guides HTTP/1.1\r\nhost: gov.example\r\nconnection: close\r\n\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_a_part_lives_as_long_as_a_request_of_any_policy_that_has_it(edge, life):
    """Generations 1 and 2 share the part, 3 has it no more, and a request of generation 1 is still under way."""
    async with Held() as system:
        listener = socket.create_server(("127.0.0.1", 0))
        await use(edge, policy({"label": "a"}, target=system.url), 1)
        await edge.serve([listener])
        asking = asyncio.create_task(ask(listener.getsockname()))
        await eventually(lambda: system.asked)
        await use(edge, policy({"label": "a"}, {"label": "short"}, target=system.url), 2)
        await use(edge, policy({"label": "b"}, target=system.url), 3)
        await asyncio.sleep(0.05)  # ten looks
        assert "stop a" not in life
        system.go.set()
        assert b"200 OK" in await asking
        await eventually(lambda: "stop a" in life)
    assert "stop b" not in life


async def test_a_drain_stops_replaced_parts_as_well(edge, life):
    async with Held() as system:
        listener = socket.create_server(("127.0.0.1", 0))
        await use(edge, policy({"label": "a"}, target=system.url), 1)
        await edge.serve([listener])
        asking = asyncio.create_task(ask(listener.getsockname()))
        await eventually(lambda: system.asked)
        await use(edge, policy({"label": "b"}, target=system.url), 2)
        await edge.drain(0.05)
        await asking
    assert life.count("stop a") == life.count("stop b") == 1


async def test_what_was_prepared_and_abandoned_is_stopped_and_what_it_shares_is_not(edge, life):
    await use(edge, policy({"label": "a"}), 1)
    await edge.prepare(policy({"label": "a"}, {"label": "b"}), 2, "8d1f02d7a6b3")
    edge.abandon(2)
    await eventually(lambda: "stop b" in life)
    assert "stop a" not in life


def test_verdicts_of_verifiers_that_are_gone_are_forgotten(static):
    made = Build(lend(static, None, Log()), policy_from(policy({}, verifiers=("desk", "bank"))), 1, None)
    desk, bank = sorted(made.verifiers, key=lambda one: one.name, reverse=True)
    memory, person = VerdictMemory(), Principal("desk", "x", Kind.NATURAL, 3, 4e9)
    memory.keep_good(b"both", Remembered(person, desk, (desk, bank), 4e9, 0))
    memory.keep_good(b"one", Remembered(person, desk, (desk,), 4e9, 0))
    memory.keep_bad(b"both", Rejected(CredentialRejected("x"), desk, (desk, bank), 4e9))

    memory.forget_verifiers(frozenset({desk}))

    assert (memory.good(b"both"), memory.bad(b"both")) == (None, None)
    assert memory.good(b"one") is not None


async def test_the_deny_set_is_measured(edge):
    """How full it is, and whether it knows everything: before it closes to everybody, somebody can see it coming."""
    await edge.command("revoke", {"sid": "s-1", "sub": "u-1", "iss": "https://id.example"})
    told = edge.metrics()
    assert told["tongguan_deny_set_entries"] == [((), 2.0)]
    assert told["tongguan_deny_set_current"] == [((), 1.0)]
    edge._lent.revocations.complete_until = float("-inf")
    assert edge.metrics()["tongguan_deny_set_current"] == [((), 0.0)]

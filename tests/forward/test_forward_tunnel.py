"""WebSocket through: the switch, and bytes both ways at the pace of the slower end."""

import asyncio

import pytest
from forward_world import DEADLINE, System, Talk, Trip, answers, eventually

from gateway.errors import Undelivered
from gateway.forward.tunnel import Tunnel as WireTunnel
from gateway.model import Tunnel

SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
)


def _open(tunnel: Tunnel | None) -> Tunnel:
    assert tunnel is not None
    return tunnel


async def test_bytes_pass_both_ways_and_those_with_the_head_come_first(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(SWITCH + b"early")
        while data := await talk.reader.read(100):
            await talk.say(data.upper())

    system.script = script
    async with trip.send(upgrade="websocket", fields=[(b"sec-websocket-key", b"k")]) as reply:
        tunnel = _open(reply.tunnel)
        assert (reply.status, reply.whole, reply.fields) == (101, None, [(b"sec-websocket-accept", b"x")])
        assert await tunnel.read() == b"early"
        await tunnel.write(b"hello")
        assert await tunnel.read() == b"HELLO"
        assert trip.target()["connections"] == 0, "a tunnel takes no place among the connections"
    assert trip.target()["connections"] == 0
    assert b"\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n" in system.heads[0]


async def test_the_end_of_the_system_is_the_end_of_the_tunnel(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(SWITCH, b"bye")

    system.script = script
    async with trip.send(upgrade="websocket") as reply:
        tunnel = _open(reply.tunnel)
        assert await tunnel.read() == b"bye"
        assert await tunnel.read() == b""
        await tunnel.write(b"nobody is there")
        tunnel.close()
        tunnel.close()
    assert trip.target()["connections"] == 0


async def test_closing_wakes_a_reader(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(SWITCH)
        await talk.ended()

    system.script = script
    async with trip.send(upgrade="websocket") as reply:
        tunnel = _open(reply.tunnel)
        reading = asyncio.create_task(tunnel.read())
        await asyncio.sleep(0)
        tunnel.close()
        assert await reading == b""


async def test_a_tunnel_may_be_silent_longer_than_a_request(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(SWITCH)
        await asyncio.sleep(0.3)
        await talk.say(b"late")

    system.script = script
    async with trip.send(upgrade="websocket", timeout=0.1, idle=0.1) as reply:
        assert await _open(reply.tunnel).read() == b"late"


async def test_another_answer_to_an_upgrade_is_an_ordinary_one(system: System, trip: Trip) -> None:
    system.script = answers(b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno")
    async with trip.send(upgrade="websocket") as reply:
        assert (reply.status, reply.whole, reply.tunnel) == (426, b"no", None)


@pytest.mark.parametrize(
    "answer",
    [SWITCH.replace(b"WebSocket", b"h2c"), SWITCH.replace(b"Upgrade: WebSocket\r\n", b"")],
    ids=["another protocol", "no protocol"],
)
async def test_a_switch_to_something_else_is_502(system: System, trip: Trip, answer: bytes) -> None:
    system.script = answers(answer)
    with pytest.raises(Undelivered):
        await trip.fetch(upgrade="websocket")
    assert trip.target()["connections"] == 0


async def test_a_tunnel_waits_for_a_slow_reader(system: System, trip: Trip) -> None:
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.hear()
        await talk.say(SWITCH)
        for _ in range(512):
            talk.writer.write(b"x" * 65536)
            await talk.writer.drain()
            sent += 65536

    system.script = script
    async with trip.send(upgrade="websocket") as reply:
        await eventually(lambda: sent)
        await asyncio.sleep(0.1)
        assert sent < 24 << 20
        received = 0
        while data := await _open(reply.tunnel).read():
            received += len(data)
        assert received == 32 << 20


async def test_a_tunnel_waits_for_a_slow_system(system: System, trip: Trip) -> None:
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(SWITCH)
        await go.wait()
        await talk.reader.readexactly(32 << 20)
        await talk.say(b"all")

    written = 0

    async def write(tunnel: Tunnel) -> None:
        nonlocal written
        for _ in range(512):
            await tunnel.write(b"x" * 65536)
            written += 65536

    system.script = script
    async with trip.send(upgrade="websocket") as reply:
        tunnel = _open(reply.tunnel)
        writing = asyncio.create_task(write(tunnel))
        await eventually(lambda: written)
        await asyncio.sleep(0.1)
        assert written < 24 << 20
        go.set()
        await writing
        assert await tunnel.read() == b"all"


async def test_what_was_written_before_a_tunnel_was_closed_still_arrives(system: System, trip: Trip) -> None:
    """A client sends its last words and leaves, while the system is slow."""
    go, arrived, written = asyncio.Event(), asyncio.Event(), 0
    received = 0

    async def script(talk: Talk) -> None:
        nonlocal received
        await talk.hear()
        await talk.say(SWITCH)
        await go.wait()
        while data := await talk.reader.read(1 << 20):
            received += len(data)
        arrived.set()

    async def write(tunnel: Tunnel) -> None:
        nonlocal written
        while True:
            written += 65536
            await tunnel.write(b"x" * 65536)

    system.script = script
    async with trip.send(upgrade="websocket") as reply:
        tunnel = _open(reply.tunnel)
        assert isinstance(tunnel, WireTunnel)
        writing = asyncio.create_task(write(tunnel))
        await eventually(lambda: not tunnel._writable.is_set())
        writing.cancel()
    go.set()
    async with asyncio.timeout(DEADLINE):
        await arrived.wait()
    assert received == written


async def test_a_system_that_takes_nothing_is_not_waited_for() -> None:
    class Stuck(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__()
            self.journal: list[str] = []

        def close(self) -> None:
            self.journal.append("close")

        def abort(self) -> None:
            self.journal.append("abort")

    transport = Stuck()
    WireTunnel(transport, b"", lambda: None, linger=0.0).close()
    await eventually(lambda: transport.journal == ["close", "abort"])

"""Several targets, targets that fail, and how they come back."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from forward_world import OK, Pieces, System, Talk, Trip, answers, eventually

from gateway.errors import Undelivered, UpstreamTimeout, UpstreamUnavailable
from gateway.forward.pool import dial
from gateway.units import Address

OUT_OF_ORDER = b"HTTP/1.1 503 Down\r\ncontent-length: 3\r\n\r\nbad"
BROKEN = b"HTTP/1.1 500 Broken\r\ncontent-length: 3\r\n\r\nbad"


def _nobody() -> str:
    """A target at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_system_that_is_down_is_503_and_nothing_was_executed() -> None:
    async with Trip(_nobody()) as trip:
        with pytest.raises(UpstreamUnavailable) as caught:
            await trip.fetch("POST", body=Pieces(b"abc", length=3))
        assert (caught.value.status, caught.value.outcome) == (503, "refused")
        assert trip.target()["connections"] == 0


@contextlib.contextmanager
def _full() -> Iterator[str]:
    """A target whose queue of connections is full, so that the handshake stays unanswered."""
    with contextlib.ExitStack() as held:
        full = held.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


async def test_a_system_that_does_not_accept_in_time_is_503_and_counts() -> None:
    with _full() as target:
        async with Trip(target, connect_timeout="100ms", breaker={"failures": 1}) as trip:
            with pytest.raises(UpstreamUnavailable):
                await trip.fetch()
            assert (trip.target()["connections"], trip.target()["breaker"]) == (0, "open")


async def test_a_request_whose_own_time_runs_out_while_connecting_says_nothing_of_the_target() -> None:
    """504, and nothing was executed: an impatient item must not take a system away from all the others."""
    with _full() as target:
        async with Trip(target, connect_timeout="5s", breaker={"failures": 1}) as trip:
            for timeout in (0.05, 0.0, -1.0):
                with pytest.raises(UpstreamTimeout) as caught:
                    await trip.fetch(timeout=timeout)
                assert (caught.value.status, caught.value.outcome) == (504, "refused")
            assert (trip.target()["connections"], trip.target()["breaker"]) == (0, "closed")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_another_target_is_asked_when_one_cannot_be_reached(system: System, method: str) -> None:
    """Whatever the method: nothing was executed."""
    async with Trip(_nobody(), system.url) as trip:
        attempts: list[int] = []
        for _ in range(4):
            body = Pieces(b"abc", length=3) if method == "POST" else Pieces(length=0)
            assert await trip.fetch(method, body=body, attempts=lambda: attempts.append(1)) == (200, b"ok")
        assert len(attempts) == 4
    assert len(system.heads) == 4


async def test_a_500_does_not_close_the_system_for_everybody(system: System) -> None:
    """It may be one caller's doing; whoever can cause it must not be able to shut others out."""
    system.script = answers(BROKEN)
    async with Trip(system.url) as trip:
        for _ in range(8):
            assert await trip.fetch() == (500, b"bad")
        assert trip.target()["breaker"] == "closed"


async def test_five_failures_in_a_row_open_the_breaker_and_one_probe_closes_it(system: System) -> None:
    """Until then each answer passes through unchanged."""
    now = 0.0
    system.script = answers(OUT_OF_ORDER)
    async with Trip(system.url, clock=lambda: now) as trip:
        for _ in range(5):
            assert await trip.fetch() == (503, b"bad")
        with pytest.raises(UpstreamUnavailable) as caught:
            await trip.fetch()
        assert (caught.value.retry_after, trip.target()["breaker"]) == (3.0, "open")
        now = 11.0
        system.script = answers(OK)
        assert trip.target()["breaker"] == "half-open"
        assert await trip.fetch() == (503, b"bad")  # the idle connection still plays the old script
        now = 22.0
        await trip.upstream.stop()
        assert await trip.fetch() == (200, b"ok")
        assert trip.target()["breaker"] == "closed"
    assert len(system.heads) == 7


@pytest.mark.parametrize("fault", ["hang", "garbage", "reset", "down"])
async def test_each_kind_of_failure_counts(system: System, fault: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        if fault == "garbage":
            await talk.say(b"garbage\r\n\r\n")
        elif fault == "reset":
            talk.reset()
        else:
            await talk.ended()

    system.script = script
    breaker = {"failures": 3, "pause": "10s"}
    async with Trip(_nobody() if fault == "down" else system.url, breaker=breaker) as trip:
        for _ in range(3):
            with pytest.raises(Undelivered):
                await trip.fetch(timeout=0.06)
        assert trip.target()["breaker"] == "open"


async def test_a_probe_whose_client_leaves_lets_another_one_probe(system: System) -> None:
    now = 0.0

    async def hang(talk: Talk) -> None:
        await talk.hear()
        await talk.ended()

    system.scripts = [hang, hang]
    async with Trip(system.url, clock=lambda: now, breaker={"failures": 1, "pause": "10s"}) as trip:
        task = asyncio.create_task(trip.fetch(timeout=5.0))
        await eventually(lambda: len(system.heads) == 1)
        now = 6.0
        with pytest.raises(UpstreamTimeout):
            await task
        now = 20.0
        probe = asyncio.create_task(trip.fetch())
        await eventually(lambda: len(system.heads) == 2)
        with pytest.raises(UpstreamUnavailable):
            await trip.fetch()
        probe.cancel()
        await asyncio.wait([probe])
        assert await trip.fetch() == (200, b"ok")


async def test_the_target_with_the_fewest_requests_is_asked() -> None:
    hold = asyncio.Event()

    async def slow(talk: Talk) -> None:
        await talk.hear()
        await hold.wait()
        await talk.say(OK)

    async with System() as one, System() as other, Trip(one.url, other.url) as trip:
        one.script = slow
        tasks = [asyncio.create_task(trip.fetch()) for _ in range(2)]
        await eventually(lambda: one.heads and other.heads)
        for _ in range(6):
            await trip.fetch()
        hold.set()
        await asyncio.gather(*tasks)
        assert (len(one.heads), len(other.heads)) == (1, 7)


async def test_idle_targets_take_turns() -> None:
    async with System() as one, System() as other, Trip(one.url, other.url) as trip:
        for _ in range(10):
            await trip.fetch()
        assert (len(one.heads), len(other.heads)) == (5, 5)


async def test_a_target_that_fails_its_checks_is_left_out_until_it_passes_them() -> None:
    good = True

    async def script(talk: Talk) -> None:
        while True:
            head = await talk.hear()
            await talk.say(OK if good or not head.startswith(b"GET /healthz ") else BROKEN)

    health = {"path": "/healthz", "interval": "20ms", "timeout": "1s"}
    async with System() as one, System() as other:
        one.script = script
        async with Trip(one.url, other.url, health=health) as trip:
            assert trip.target(0)["healthy"]
            good = False
            await eventually(lambda: not trip.target(0)["healthy"])
            assert trip.target(1)["healthy"]
            for _ in range(4):
                await trip.fetch(target=b"/asked")
            assert not [head for head in one.heads if head.startswith(b"GET /asked")]
            good = True
            await eventually(lambda: trip.target(0)["healthy"])
        assert [call.args[0] for call in trip.log.calls] == ["target out", "target back"]


async def test_a_check_that_breaks_is_told_and_made_again() -> None:
    """Whatever it was: a target must not stay in use, or out of it, because nobody looks any more."""
    broken = True

    async def unsure(address: Address, protocol: asyncio.Protocol) -> None:
        if broken:
            raise RuntimeError("no loop would say this")
        await dial(address, protocol)

    health = {"path": "/healthz", "interval": "10ms", "timeout": "1s", "unhealthy": 2, "healthy": 1}
    async with System() as one, Trip(one.url, dial=unsure, health=health) as trip:
        await eventually(lambda: not trip.target()["healthy"])
        broken = False
        await eventually(lambda: trip.target()["healthy"])
        told = [call.args[0] for call in trip.log.calls]
        assert (told[:3], told[-1]) == (["a check broke", "a check broke", "target out"], "target back")


async def test_no_healthy_target_is_503() -> None:
    health = {"path": "/healthz", "interval": "10ms", "timeout": "1s", "unhealthy": 1}
    async with Trip(_nobody(), health=health) as trip:
        await eventually(lambda: not trip.target()["healthy"])
        with pytest.raises(UpstreamUnavailable) as caught:
            await trip.fetch()
        assert caught.value.retry_after


async def test_a_unix_socket_is_a_target(tmp_path: Path) -> None:
    path = tmp_path / "system.sock"
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with Trip(f"unix:{path}") as trip:
        assert await trip.fetch() == (200, b"ok")
    server.close()
    assert heads == [b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"]


async def test_ipv6_is_a_target() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        await writer.drain()
        await reader.read()
        writer.close()

    heads: list[bytes] = []
    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    port = server.sockets[0].getsockname()[1]
    async with Trip(f"http://[::1]:{port}") as trip:
        assert await trip.fetch() == (200, b"ok")
    server.close()
    assert [b"GET / HTTP/1.1\r\nhost: [::1]:%d\r\n\r\n" % port] == heads

"""Faults between the units: nothing is executed twice, nobody gets another's answer, and it heals by itself."""

import asyncio
import random

import pytest
from ferry_world import Reply, System, declaration, inner_settings, outer_settings, request, until, world

from gateway.errors import GatekeeperBusy, GatekeeperTimeout, Undelivered
from gateway.ferry.carriers import SocketCarrier
from gateway.units import Address


class Chaos(SocketCarrier):
    """A carrier whose links a test can kill, as a pulled cable would."""

    def kill(self) -> None:
        for link in tuple(self._links):
            link.abort()


@pytest.fixture
async def chaotic(tmp_path):
    async def work(call) -> Reply:
        await asyncio.sleep(random.uniform(0, 0.004))
        return Reply(body=b'{"id":"%b"}' % dict(call.fields)[b"x-request-id"])

    carrier = Chaos(Address(path=str(tmp_path / "ferry.sock")))
    outer = SocketCarrier(Address(path=str(tmp_path / "ferry.sock")))
    async with world(system=System(work), carrier=carrier, outer_carrier=outer) as made:
        yield made


async def test_under_random_link_faults_nothing_is_executed_twice_and_every_outcome_is_told(chaotic):
    """Answered requests were executed once; shed ones never; of the others nobody knows, and it was at most once."""
    outcomes: dict[str, str] = {}

    async def one(number: int) -> None:
        outbound = declaration(timeout=3.0) if number % 2 else request(timeout=3.0)
        asked = outbound.visit.inbound.id
        try:
            reply = await chaotic.ask(outbound)
            assert reply.whole == b'{"id":"%b"}' % asked.encode()
            outcomes[asked] = "answered"
        except GatekeeperBusy:
            outcomes[asked] = "shed"
        except GatekeeperTimeout:
            outcomes[asked] = "unknown"

    async def kill() -> None:
        for _ in range(15):
            await asyncio.sleep(random.uniform(0.005, 0.03))
            chaotic.carrier.kill()

    async def load() -> None:
        for batch in range(60):
            await asyncio.gather(*(one(batch * 10 + n) for n in range(10)))

    await asyncio.gather(kill(), load())
    deliveries = {asked.decode(): count for asked, count in chaotic.system.deliveries().items()}
    assert len(outcomes) == 600
    assert max(deliveries.values()) == 1
    assert all(deliveries.get(asked) == 1 for asked, outcome in outcomes.items() if outcome == "answered")
    assert not any(asked in deliveries for asked, outcome in outcomes.items() if outcome == "shed")
    assert {"answered", "shed", "unknown"} >= set(outcomes.values())
    assert chaotic.outer.status()["depth"] == 0


async def test_a_killed_link_is_made_again_within_seconds(chaotic):
    for _ in range(3):
        links = chaotic.outer.status()["links"]
        chaotic.carrier.kill()
        await until(lambda: chaotic.outer.status()["links"] > links, 5)  # noqa: B023 - used in this turn only
        assert (await chaotic.ask(request())).status == 200


async def test_a_gatekeeper_that_comes_back_is_found(tmp_path):
    address = Address(path=str(tmp_path / "ferry.sock"))
    async with world(carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address)) as made:
        boot = made.outer.status()["boot"]
        await made.inner.stop()
        await made.linked(up=False)
        with pytest.raises(GatekeeperBusy):
            await made.ask(request())
        async with world(carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address)) as again:
            await until(lambda: made.outer.status()["link"] == "up")
            assert made.outer.status()["boot"] == again.inner.boot != boot
            assert (await made.ask(request())).status == 200


@pytest.mark.parametrize("position", [0, 3, 10, 14, 18, 30, -1])
async def test_a_byte_spoiled_on_the_way_breaks_the_link_and_not_the_unit(tmp_path, position):
    """Something between the units changes one byte of a frame: it is not executed, the reason is counted."""
    address = Address(path=str(tmp_path / "ferry.sock"))
    async with world(carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address)) as made:
        link = next(iter(made.outer._carrier._links))
        put = link.put

        def spoiled(data: bytes) -> None:
            changed = bytearray(data)
            changed[position] ^= 0x10
            put(bytes(changed) + bytes(64 << 10))

        link.put = spoiled
        with pytest.raises(GatekeeperTimeout):
            await made.ask(declaration(timeout=1.0))
        assert made.system.received == []
        await made.linked()
        assert (await made.ask(request())).status == 200


async def test_one_slow_request_does_not_hold_up_the_others():
    async def behave(call) -> Reply:
        if call.method == "POST":
            await release.wait()
        return Reply()

    release = asyncio.Event()
    async with world(system=System(behave)) as made:
        slow = asyncio.create_task(made.ask(declaration()))
        assert [(await made.ask(request())).status for _ in range(20)] == [200] * 20
        release.set()
        await slow


async def test_large_messages_cross_both_ways(tmp_path):
    """Larger than any buffer on the way, among small ones."""

    async def behave(call) -> Reply:
        return Reply(body=await call.body.whole() or b"{}")

    address = Address(path=str(tmp_path / "ferry.sock"))
    body = b'"' + b"x" * (900 << 10) + b'"'
    async with world(
        system=System(behave), carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address)
    ) as made:
        replies = await asyncio.gather(
            *(made.ask(declaration(body=body, timeout=10)) for _ in range(5)), *(made.ask(request()) for _ in range(20))
        )
    assert [reply.whole for reply in replies] == [body] * 5 + [b"{}"] * 20


async def test_a_queue_of_bytes_that_does_not_move_sheds_new_requests(tmp_path):
    """The gatekeeper stopped reading: beyond two messages of waiting bytes nothing more is taken on."""
    address = Address(path=str(tmp_path / "ferry.sock"))
    settings = outer_settings(message="512KiB")
    async with world(carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address), outer=settings) as made:
        for link in made.carrier._links:
            link._transport.pause_reading()
        body = b'"' + b"x" * (400 << 10) + b'"'
        tasks = [asyncio.create_task(made.ask(declaration(body=body, timeout=0.3))) for _ in range(50)]
        await asyncio.sleep(0)
        assert 1 << 20 < made.outer.status()["waiting_bytes"] < 2 << 20
        results = await asyncio.gather(*tasks, return_exceptions=True)
        shed = [result for result in results if isinstance(result, GatekeeperBusy)]
        assert len(shed) > 40
        assert all("bytes wait" in result.detail for result in shed)
        assert {type(result) for result in results} == {GatekeeperTimeout, GatekeeperBusy}


async def test_answers_that_the_outer_unit_does_not_take_do_not_pile_up(tmp_path):
    """The outer unit stopped reading: the inner unit holds its places instead of its answers, then ends the link."""

    async def behave(call) -> Reply:
        return Reply(body=b'"' + b"x" * (300 << 10) + b'"')

    address = Address(path=str(tmp_path / "ferry.sock"))
    inner = inner_settings(message="512KiB")
    async with world(
        system=System(behave), carrier=SocketCarrier(address), outer_carrier=SocketCarrier(address), inner=inner
    ) as made:
        for link in made.outer._carrier._links:
            link._transport.pause_reading()
        [conversation] = made.inner._conversations
        tasks = [asyncio.create_task(made.ask(request(timeout=1.5))) for _ in range(30)]
        waiting = []

        def ended() -> bool:
            waiting.append(conversation.waiting)
            return conversation.ended.done()

        await until(ended)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert conversation.ended.result() == "stalled"
        assert len(made.system.received) == 30
        assert max(waiting) < 3 << 20


async def test_an_expired_request_is_not_executed_when_the_gatekeeper_wakes_up():
    """Counted from its arrival: a request that waited in the inner unit's own queue is refused."""
    now = [0.0]

    async with world() as made:
        made.inner._monotonic = lambda: now.__setitem__(0, now[0] + 1.5) or now[0]
        with pytest.raises((GatekeeperTimeout, Undelivered)):
            await made.ask(declaration(timeout=1.0))
        assert made.system.received == []
        assert made.records[0].code == "expired"

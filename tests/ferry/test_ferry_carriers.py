"""Every carrier keeps the same contract."""

import asyncio

import pytest
from ferry_world import until

from gateway.errors import ConfigurationError
from gateway.ferry.carriers import MemoryCarrier, SocketCarrier, carrier_of
from gateway.settings import CarrierSettings
from gateway.units import Address


class Taker:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.link = None
        self.taken = b""
        self.reasons: list[str] = []

    def linked(self, link) -> None:
        self.link = link

    def take(self, data: bytes) -> None:
        self.taken += data

    def lost(self, reason: str) -> None:
        self.reasons.append(reason)


class Ends:
    """A carrier's two ends; for memory both are the same object."""

    def __init__(self, kind: str, path) -> None:
        self.kind = kind
        if kind == "memory":
            self.inner = MemoryCarrier()
        else:
            address = Address(path=str(path / "ferry.sock")) if kind == "unix" else Address(host="127.0.0.1")
            self.inner = SocketCarrier(address)
        self.takers: list[Taker] = []

    def taker(self) -> Taker:
        self.takers.append(Taker())
        return self.takers[-1]

    async def link(self) -> tuple[Taker, Taker]:
        if not self.takers:
            await self.inner.listen(self.taker)
        self.outer = self.inner if self.kind == "memory" else SocketCarrier(self.inner.address)
        taker = Taker()
        count = len(self.takers)
        await self.outer.connect(taker)
        await until(lambda: len(self.takers) > count and self.takers[-1].link is not None)
        return taker, self.takers[-1]

    async def close(self) -> None:
        await self.inner.close()
        if hasattr(self, "outer"):
            await self.outer.close()


@pytest.fixture(params=["memory", "unix", "tcp"])
async def ends(request, tmp_path):
    made = Ends(request.param, tmp_path)
    yield made
    await made.close()


async def test_bytes_arrive_whole_and_in_order_in_both_directions(ends):
    outer, inner = await ends.link()
    for number in range(200):
        outer.link.put(b"in %d;" % number)
        inner.link.put(b"out %d;" % number)
    await until(lambda: outer.taken.endswith(b"out 199;") and inner.taken.endswith(b"in 199;"))
    assert inner.taken == b"".join(b"in %d;" % number for number in range(200))
    assert outer.taken == b"".join(b"out %d;" % number for number in range(200))


async def test_several_links_do_not_mix(ends):
    one, first = await ends.link()
    two, second = await ends.link()
    one.link.put(b"one")
    two.link.put(b"two")
    await until(lambda: first.taken == b"one" and second.taken == b"two")


async def test_both_sides_are_told_once_when_a_link_ends(ends):
    outer, inner = await ends.link()
    outer.link.close()
    outer.link.close()
    await until(lambda: outer.reasons and inner.reasons)
    inner.link.close()
    await asyncio.sleep(0)
    assert len(outer.reasons) == len(inner.reasons) == 1


async def test_nothing_can_be_put_on_a_link_that_has_ended(ends):
    outer, inner = await ends.link()
    outer.link.close()
    await until(lambda: outer.reasons and inner.reasons)
    for side in (outer, inner):
        with pytest.raises(OSError, match="ended"):
            side.link.put(b"x")


async def test_closing_the_carrier_ends_its_links(ends):
    outer, inner = await ends.link()
    await ends.inner.close()
    await until(lambda: outer.reasons and inner.reasons)


async def test_connecting_to_nobody_fails(ends, tmp_path):
    nobody = MemoryCarrier() if ends.kind == "memory" else SocketCarrier(Address(path=str(tmp_path / "none.sock")))
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        await nobody.connect(Taker())


async def test_waiting_to_drain_returns_at_once_when_nothing_waits(ends):
    outer, _ = await ends.link()
    await asyncio.wait_for(outer.link.drained(), 1)


async def test_a_reader_that_stops_makes_the_writer_wait_and_resuming_lets_it_go_on(tmp_path):
    """The socket carrier's back-pressure: bytes wait, are counted, and go when the other side reads again."""
    ends = Ends("unix", tmp_path)
    outer, inner = await ends.link()
    inner.link._transport.pause_reading()
    outer.link.put(bytes(8 << 20))
    assert outer.link.waiting > 1 << 20
    waiting = asyncio.ensure_future(outer.link.drained())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    inner.link._transport.resume_reading()
    await asyncio.wait_for(waiting, 5)
    await until(lambda: len(inner.taken) == 8 << 20)
    await ends.close()


async def test_waiting_to_drain_ends_with_the_link(tmp_path):
    ends = Ends("unix", tmp_path)
    outer, inner = await ends.link()
    inner.link._transport.pause_reading()
    outer.link.put(bytes(8 << 20))
    waiting = asyncio.ensure_future(outer.link.drained())
    await asyncio.sleep(0)
    await ends.close()
    await asyncio.wait_for(waiting, 5)


async def test_two_units_cannot_listen_on_one_address(tmp_path):
    ends = Ends("unix", tmp_path)
    await ends.link()
    with pytest.raises(ConfigurationError, match="in use"):
        await SocketCarrier(ends.inner.address).listen(Taker)
    await ends.close()


def test_the_configuration_names_the_carrier():
    made = carrier_of(CarrierSettings.model_validate({"kind": "socket", "address": "127.0.0.1:9500"}))
    assert isinstance(made, SocketCarrier)
    assert str(made.address) == "127.0.0.1:9500"
    assert isinstance(carrier_of(CarrierSettings(kind="memory")), MemoryCarrier)


def test_a_socket_carrier_without_an_address_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="address"):
        carrier_of(CarrierSettings(kind="socket"))

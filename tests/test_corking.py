"""Writes of one turn of the loop leave at its end, connection by connection, and nothing is lost or overtaken."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.corking import Cork, CorkedTransport
from gateway.forward.tunnel import Tunnel


class Wire(asyncio.Transport):
    """Notes what is done to it, in order; the journal is shared. One that is gone raises, as uvloop's does."""

    gone = False

    def __init__(self, journal: list, name: str = "a") -> None:
        super().__init__()
        self._journal = journal
        self._name = name

    def write(self, data):
        if self.gone:
            raise RuntimeError("the handler is closed")
        self._journal.append((self._name, bytes(data)))

    def close(self):
        self._journal.append((self._name, "close"))

    def abort(self):
        self._journal.append((self._name, "abort"))

    def write_eof(self):
        self._journal.append((self._name, "eof"))


async def test_what_is_written_in_one_turn_leaves_together_when_it_is_over():
    journal, cork = [], Cork()
    one, other = (CorkedTransport(Wire(journal, name), cork) for name in "ab")
    one.write(b"1")
    other.write(b"2")
    one.write(b"3")
    assert journal == []
    await asyncio.sleep(0)
    assert journal == [("a", b"1"), ("b", b"2"), ("a", b"3")]


async def test_the_next_turn_has_a_write_of_its_own():
    journal = []
    transport = CorkedTransport(Wire(journal), Cork())
    for piece in (b"1", b"2"):
        transport.write(piece)
        await asyncio.sleep(0)
    assert journal == [("a", b"1"), ("a", b"2")]


@pytest.mark.parametrize("end", ["close", "abort", "write_eof"])
async def test_whatever_ends_a_connection_comes_after_what_was_written(end):
    journal = []
    transport = CorkedTransport(Wire(journal), Cork())
    transport.write(b"answer")
    getattr(transport, end)()
    assert journal == [("a", b"answer"), ("a", end.removeprefix("write_"))]
    await asyncio.sleep(0)
    assert len(journal) == 2


async def test_a_large_piece_is_not_held_and_takes_what_was_written_before_along():
    journal = []
    transport = CorkedTransport(Wire(journal), Cork())
    transport.write(b"head")
    transport.write(b"x" * 16384)
    assert journal == [("a", b"head"), ("a", b"x" * 16384)]


@pytest.mark.parametrize("odd", ["text", 5, None])
async def test_what_is_not_bytes_raises_where_it_is_written_and_costs_nobody_anything(odd):
    journal, cork = [], Cork()
    transports = [CorkedTransport(Wire(journal, name), cork) for name in "abc"]
    transports[0].write(b"1")
    with pytest.raises(TypeError):
        transports[1].write(odd)
    transports[2].write(b"3")
    await asyncio.sleep(0)
    assert journal == [("a", b"1"), ("c", b"3")]


async def test_what_its_owner_changes_after_writing_has_left_as_it_was():
    journal, piece = [], bytearray(b"1")
    transport = CorkedTransport(Wire(journal), Cork())
    transport.write(piece)
    piece[:] = b"2"
    await asyncio.sleep(0)
    assert journal == [("a", b"1")]


async def test_a_connection_that_is_gone_takes_nothing_from_the_others():
    journal, cork, lost = [], Cork(), Wire([])
    transports = [CorkedTransport(wire, cork) for wire in (lost, Wire(journal))]
    for transport in transports:
        transport.write(b"1")
    lost.gone = True
    await asyncio.sleep(0)
    assert journal == [("a", b"1")]


@given(sizes=st.lists(st.integers(1, 500) | st.integers(16_000, 17_000), max_size=200))
def test_every_byte_leaves_once_and_in_order_and_little_is_held(sizes):
    async def play() -> None:
        journal: list = []
        transport = CorkedTransport(Wire(journal), Cork())
        written = b""
        for number, size in enumerate(sizes):
            piece = bytes([number % 256]) * size
            written += piece
            transport.write(piece)
            assert len(written) - sum(len(data) for _, data in journal) < 128 * 16384
        await asyncio.sleep(0)
        assert b"".join(data for _, data in journal) == written

    asyncio.run(play())


async def test_a_tunnel_sends_what_is_held_before_it_ends_with_the_system():
    journal = []
    tunnel = Tunnel(CorkedTransport(Wire(journal), Cork()), b"", lambda: None)
    await tunnel.write(b"the last frame")
    tunnel.eof_received()
    assert journal == [("a", b"the last frame"), ("a", "close")]

"""Request lines that the parser takes and RFC 9112 does not: found wherever they come, and never forwarded."""

import asyncio

import pytest
from edge_world import post, request

ODD = [b"GET /guides/9 RTSP/1.0", b"GET  /guides/9 HTTP/1.1", b"GET /guides/9   HTTP/1.1"]
REST = b"\r\nHost: gw.example\r\n\r\n"


async def _is_refused(edge, wire, before):
    """So many answers, then the refusal and the end; what is odd has not reached the system."""
    statuses = [(await wire.answer()).status for _ in range(before)]
    assert statuses == [200] * before
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"], answer.closes) == (400, "request-malformed", True)
    assert await wire.ended()
    assert len(edge.system.seen) == before
    assert "/guides/9" not in {seen.path for seen in edge.system.seen}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("before", [0, 1, 31, 32, 33, 70])
async def test_an_odd_line_is_refused_however_many_requests_come_before_it(edge, before, odd):
    """The parser holds back what is more than its queue takes, and tells of it without its bytes."""
    wire = await (await edge.wire()).send(request() * before + odd + REST)
    await _is_refused(edge, wire, before)


@pytest.mark.parametrize("odd", ODD)
async def test_a_body_cannot_vouch_for_the_line_behind_it(edge, odd):
    wire = await edge.wire()
    await wire.send(post("/forms", b"GET /guides/9 HTTP/1.1\r\n\r\n") + odd + REST)
    await _is_refused(edge, wire, 1)


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_line_behind_a_body_that_is_held_back_is_refused(edge, odd):
    """A body that is larger than what is read ahead makes the parser wait, too."""
    wire = await (await edge.wire()).send(post("/forms", b"x" * 200_000) + odd + REST)
    await _is_refused(edge, wire, 1)


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_line_that_begins_in_the_packet_before_is_refused(edge, odd):
    """The first answer tells that the first packet was read."""
    wire = await (await edge.wire()).send(request() + odd[:7])
    assert (await wire.answer()).status == 200
    edge.system.seen.clear()
    await wire.send(odd[7:] + REST)
    await _is_refused(edge, wire, 0)


async def test_an_odd_line_that_comes_in_pieces_while_another_request_waits_is_refused(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    for piece in (b"GET /guides/9 RT", b"SP/1.0", REST):
        await wire.send(piece)
        await asyncio.sleep(0.01)
    edge.system.gate.set()
    await _is_refused(edge, wire, 1)


async def test_empty_lines_between_requests_mean_nothing(edge):
    wire = await edge.wire()
    await wire.send(b"\r\n" + request() + b"\r\n\r\n" + post("/forms", b"hello") + b"\r\n" + request())
    assert [(await wire.answer()).status for _ in range(3)] == [200] * 3

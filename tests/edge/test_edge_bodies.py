"""Bodies both ways: framing, 100 Continue, early answers, answers that break off."""

import asyncio

import pytest
from edge_world import chunked, post, request
from path_world import FakeReply, eventually, streamed

from gateway.errors import Undelivered

BIG = bytes(range(256)) * 800


@pytest.mark.parametrize("raw", [
    pytest.param(post("/forms", BIG), id="content-length"),
    pytest.param(chunked("/forms", BIG), id="one chunk"),
    pytest.param(chunked("/forms", *(BIG[at : at + 997] for at in range(0, len(BIG), 997))), id="many chunks"),
    pytest.param(chunked("/forms", BIG[:7], BIG[7:], end=b"000;name=value\r\n\r\n"), id="an extension"),
    pytest.param(chunked("/forms", BIG, end=b"0\r\nX-Checksum: 1\r\nTongguan-Identity: x\r\n\r\n"), id="trailers"),
])  # fmt: skip
async def test_a_body_arrives_whole(edge, raw):
    wire = await edge.wire()
    for at in range(0, len(raw), 50_001):
        await wire.send(raw[at : at + 50_001])
    answer = await wire.answer()
    assert answer.body == b"POST /forms\n" + BIG
    [seen] = edge.system.seen
    assert b"x" not in {value for _, value in seen.fields}
    assert edge.records[0].received == len(BIG)


@pytest.mark.parametrize("name", ["Content-Length", "Host", "Transfer-Encoding", "Authorization", "Trailer"])
async def test_a_forbidden_trailer_changes_nothing(edge, name):
    """Refused or ignored (RFC 9110 §6.5.1): in no case does it reach the system."""
    wire = await (await edge.wire()).send(chunked("/forms", b"hello", end=f"0\r\n{name}: 7\r\n\r\n".encode()))
    assert (await wire.answer()).status in {200, 400}
    assert all(value != b"7" for seen in edge.system.seen for _, value in seen.fields)


@pytest.mark.parametrize("together", [True, False])
async def test_a_trailer_never_becomes_a_field_of_the_next_request(edge, together):
    """The parser would make it one, so that a chunked request is the last one of its connection."""
    raw = chunked("/forms", b"hello", end=b"0\r\nUser-Agent: smuggled\r\n\r\n")
    wire = await (await edge.wire()).send(raw + (request() if together else b""))
    assert (await wire.answer()).closes
    assert await wire.ended()
    assert all(b"smuggled" not in value for seen in edge.system.seen for _, value in seen.fields)
    assert edge.system.begun == 1


async def test_a_body_is_handed_on_as_it_comes(edge):
    pieces = asyncio.Queue()

    async def script(seen, outbound):
        async for piece in outbound.body.chunks():
            pieces.put_nowait(piece)
        return FakeReply(200)

    edge.system.script, edge.system.reads = script, False
    wire = await (await edge.wire()).send(chunked("/forms", b"first", end=b""))
    assert await asyncio.wait_for(pieces.get(), 2) == b"first"
    await wire.send(b"6\r\nsecond\r\n0\r\n\r\n")
    assert await asyncio.wait_for(pieces.get(), 2) == b"second"
    assert (await wire.answer()).status == 200


async def test_compressed_bodies_are_carried_as_they_are(edge):
    answer = await edge.ask(post("/forms", b"\x1f\x8b not even gzip", "Content-Encoding: gzip"))
    assert answer.body == b"POST /forms\n\x1f\x8b not even gzip"
    assert edge.system.seen[0].values(b"content-encoding") == [b"gzip"]


async def test_continue_is_said_when_the_body_is_wanted(edge):
    wire = await (await edge.wire()).send(request("POST /forms", "Expect: 100-continue", "Content-Length: 5"))
    assert (await wire.answer()).status == 100
    answer = await (await wire.send(b"hello")).answer()
    assert (answer.status, answer.body) == (200, b"POST /forms\nhello")
    assert "expect" not in {name for name, _ in edge.system.seen[0].fields}
    assert (await (await wire.send(request())).answer()).status == 200


async def test_continue_is_not_said_when_the_body_has_come_already(edge):
    answer = await edge.ask(post("/forms", b"hello", "Expect: 100-continue"))
    assert (answer.status, answer.body) == (200, b"POST /forms\nhello")


async def test_continue_is_not_said_to_http_1_0(edge):
    wire = await (await edge.wire()).send(request("POST /forms HTTP/1.0", "Expect: 100-continue", "Content-Length: 5"))
    await edge.system.until(1)
    answer = await (await wire.send(b"hello")).answer()
    assert (answer.status, answer.body) == (200, b"POST /forms\nhello")


@pytest.mark.parametrize("target", ["/nowhere", "/mine", "/small"])
async def test_continue_is_not_said_when_the_request_is_refused(edge, target):
    wire = await (await edge.wire()).send(request(f"POST {target}", "Expect: 100-continue", "Content-Length: 500"))
    answer = await wire.answer()
    assert answer.status in {404, 401, 413}
    assert answer.closes
    assert await wire.ended()
    assert edge.system.begun == 0


async def test_a_body_that_nobody_wanted_does_not_become_the_next_request(edge):
    wire = await (await edge.wire()).send(request("POST /nowhere", "Content-Length: 100", body=request()[:40]))
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (404, False)
    await wire.send(b"x" * 60 + request("GET /guides/2"))
    assert (await wire.answer()).body == b"GET /guides/2\n"
    assert edge.system.begun == 1


async def test_after_a_large_unwanted_body_the_connection_ends_and_the_answer_can_be_read(edge):
    wire = await (await edge.wire()).send(request("POST /nowhere", "Content-Length: 200000", body=b"x" * 30_000))
    await wire.send(b"x" * 30_000)
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (404, True)
    assert await wire.ended()


async def test_a_client_that_goes_on_sending_an_unwanted_body_is_cut_off(edge):
    wire = await (await edge.wire()).send(request("POST /nowhere", "Content-Length: 9999999"))
    assert (await wire.answer()).closes
    with pytest.raises((ConnectionError, TimeoutError)):
        await wire.send(b"x" * 6_000_000)
    await eventually(lambda: not edge.server.connections)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_has_no_framing(edge, status):
    edge.system.answers(FakeReply(status, [(b"etag", b'"1"')], b""))
    wire = await (await edge.wire()).send(request() * 2)
    for _ in range(2):
        answer = await wire.answer()
        assert answer.status == status
        assert answer.values("content-length") + answer.values("transfer-encoding") == []


async def test_head_has_the_framing_of_get_and_no_body(edge):
    edge.system.answers(FakeReply(200, [], b"hello"))
    wire = await (await edge.wire()).send(request("HEAD /guides/1") * 2)
    for _ in range(2):
        assert (await wire.answer("HEAD")).value("content-length") == "5"


async def test_a_whole_answer_is_one_write(edge):
    edge.system.answers(FakeReply(200, [], b"x" * 4000))
    wire = await (await edge.wire()).send(request())
    data = await wire.receive()
    assert data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert data.endswith(b"\r\n\r\n" + b"x" * 4000)


async def test_a_streaming_answer_is_chunked_and_leaves_the_connection_usable(edge):
    edge.system.answers(streamed(b"one", b"", b"two", BIG))
    wire = await (await edge.wire()).send(request() * 2)
    for _ in range(2):
        answer = await wire.answer()
        assert answer.value("transfer-encoding") == "chunked"
        assert answer.body == b"onetwo" + BIG


async def test_a_streaming_answer_of_known_length_says_it(edge):
    edge.system.answers(streamed(b"one", b"two", length=6))
    wire = await (await edge.wire()).send(request() * 2)
    for _ in range(2):
        answer = await wire.answer()
        assert (answer.value("content-length"), answer.body) == ("6", b"onetwo")


async def test_a_streaming_answer_ends_with_the_connection_for_http_1_0(edge):
    edge.system.answers(streamed(b"one", b"two"))
    answer = await edge.ask(request("GET /guides/1 HTTP/1.0"))
    assert answer.values("transfer-encoding") + answer.values("content-length") == []
    assert (answer.closes, answer.body) == (True, b"onetwo")


async def test_pieces_are_sent_as_they_come(edge):
    pieces = asyncio.Queue()

    async def hand_out():
        while piece := await pieces.get():
            yield piece

    edge.system.answers(FakeReply(whole=None, pieces=hand_out))
    wire = await (await edge.wire()).send(request())
    pieces.put_nowait(b"data: 1\n\n")
    data = await wire.receive()
    while b"data: 1" not in data:
        data += await wire.receive()
    pieces.put_nowait(b"")
    assert (await wire.receive()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(("version", "reply"), [
    ("1.1", streamed(b"half", Undelivered("broke off"))),
    ("1.0", streamed(b"half", Undelivered("broke off"))),
    ("1.1", streamed(b"half", Undelivered("broke off"), length=100)),
    ("1.1", streamed(b"half", length=100)),
    ("1.1", streamed(b"much too long", length=4)),
    ("1.1", streamed(b"half", RuntimeError("a bug"))),
])  # fmt: skip
async def test_an_answer_that_breaks_off_does_not_look_complete(edge, version, reply):
    """The connection is reset: no last chunk, and no clean end where the end of the connection is the end."""
    edge.system.answers(reply)
    wire = await (await edge.wire()).send(request(f"GET /guides/1 HTTP/{version}"))
    assert await wire.broken_off()
    assert not wire.heard.endswith(b"0\r\n\r\n")
    assert wire.heard.count(b"HTTP/1.1") <= 1
    assert [(record.code, record.outcome) for record in edge.records][:1] in (
        [("upstream-invalid", "unknown")],
        [("internal-error", "delivered")],
    )
    assert edge.system.begun == 1


async def test_an_answer_can_be_sent_before_the_body_has_come(edge):
    edge.system.reads = False
    edge.system.answers(FakeReply(403, [], b"no"))
    wire = await (await edge.wire()).send(request("POST /forms", "Content-Length: 200000", body=b"x" * 1000))
    answer = await wire.answer()
    assert (answer.status, answer.closes, answer.body) == (403, True, b"no")
    assert await wire.ended()

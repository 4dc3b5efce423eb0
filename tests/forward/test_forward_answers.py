"""What a system may answer, and what of it is refused (docs/security.md; hardening of the answer side)."""

import asyncio

import httptools
import pytest
from forward_world import OK, System, Talk, Trip, answers, answers_then_closes, read_until_broken

from gateway.errors import Undelivered, UpstreamTimeout

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


async def test_a_small_answer_is_whole(trip: Trip) -> None:
    async with trip.send() as reply:
        assert (reply.status, reply.whole, reply.length) == (200, b"ok", 2)


async def test_the_fields_of_an_answer_lose_what_belongs_to_the_hop_or_to_us(system: System, trip: Trip) -> None:
    system.script = answers(
        HEAD + b"Content-Type: text/plain\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Tongguan-Identity: forged\r\nX-Forwarded-For: 1.2.3.4\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Upgrade: h2c\r\nContent-Length: 2\r\n\r\nok"
    )
    async with trip.send() as reply:
        expected = [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        assert expected == reply.fields


@pytest.mark.parametrize("pieces", [[OK], [OK[:3], OK[3:20], OK[20:-1], OK[-1:]], [bytes([byte]) for byte in OK]])
async def test_it_does_not_matter_how_an_answer_is_cut(system: System, trip: Trip, pieces: list[bytes]) -> None:
    system.script = answers(*pieces)
    assert await trip.fetch() == (200, b"ok")
    assert await trip.fetch() == (200, b"ok")
    assert system.connections == 1


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500, 503, 599])
async def test_a_status_passes_unchanged(system: System, trip: Trip, status: int) -> None:
    system.script = answers(b"HTTP/1.1 %d Some Reason\r\ncontent-length: 3\r\n\r\nabc" % status)
    assert (status, b"abc") == await trip.fetch()


REFUSED = {
    "garbage": b"\x00\x01\x02 no http at all\r\n\r\n",
    "HTTP/0.9": b"just text",
    "another protocol": b"RTSP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
    "a blank line first": b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "status 000": b"HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n",
    "status 099": b"HTTP/1.1 099 None\r\ncontent-length: 0\r\n\r\n",
    "status 600": b"HTTP/1.1 600 None\r\ncontent-length: 0\r\n\r\n",
    "status 999": b"HTTP/1.1 999 None\r\ncontent-length: 0\r\n\r\n",
    "status 20": b"HTTP/1.1 20 None\r\ncontent-length: 0\r\n\r\n",
    "a switch nobody asked for": b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "a bare 101": b"HTTP/1.1 101 S\r\n\r\n",
    "LF only": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "LF after one field": HEAD + b"content-length: 0\n\r\n",
    "a folded line": HEAD + b"a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "a space before the colon": HEAD + b"content-length : 0\r\n\r\n",
    "a name with a space": HEAD + b"bad name: 0\r\ncontent-length: 0\r\n\r\n",
    "a control character": HEAD + b"a: b\x0bc\r\ncontent-length: 0\r\n\r\n",
    "NUL": HEAD + b"a: b\x00c\r\ncontent-length: 0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    "a list of lengths": HEAD + b"content-length: 2, 3\r\n\r\nabc",
    "a signed length": HEAD + b"content-length: +2\r\n\r\nab",
    "a huge length": HEAD + b"content-length: 99999999999999999999\r\n\r\nab",
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
    "gzip, chunked": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "identity coding": HEAD + b"transfer-encoding: identity\r\n\r\nabc",
    "chunks on HTTP/1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk with the head": CHUNKED + b"zz\r\nabc",
    "a header block over 64 KiB at once": HEAD + b"a: " + b"x" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "many interim answers": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3000,
}


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_not_proper_http_is_502(system: System, trip: Trip, answer: bytes) -> None:
    """The connection ends with it, and the next request is served by another one."""
    system.scripts = [answers(answer)]
    with pytest.raises(Undelivered) as caught:
        await trip.fetch()
    assert Undelivered is type(caught.value)
    assert trip.target()["connections"] == 0
    assert await trip.fetch() == (200, b"ok")


def test_the_parser_refuses_each_byte_that_may_not_be_in_a_name_or_a_value() -> None:
    """The reader relies on it instead of looking at each value again (RFC 9110 §5.1, §5.5)."""
    controls = {*range(0x20), 0x7F} - {0x09}
    token = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert set(range(256)) - controls == {byte for byte in range(256) if _parses(b"a: x%by" % bytes([byte]))}
    assert token == {byte for byte in range(256) if byte != ord(":") and _parses(b"a%bb: x" % bytes([byte]))}


def _parses(line: bytes) -> bool:
    class Complete:
        done = False

        def on_message_complete(self) -> None:
            self.done = True

    seen = Complete()
    try:
        httptools.HttpResponseParser(seen).feed_data(HEAD + line + b"\r\ncontent-length: 0\r\n\r\n")
    except httptools.HttpParserError:
        return False
    return seen.done


async def test_a_header_block_without_end_is_502(system: System, trip: Trip) -> None:
    system.script = answers(HEAD, *[b"a: " + b"x" * 8000 + b"\r\n"] * 12)
    with pytest.raises(Undelivered):
        await trip.fetch()


async def test_interim_answers_are_swallowed(system: System, trip: Trip) -> None:
    system.script = answers(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: x-b\r\n\r\n",
        b"HTTP/1.1 150 Odd\r\n\r\n" + HEAD + b"x-b: 1\r\ncontent-length: 2\r\n\r\nok",
    )
    async with trip.send() as reply:
        assert (reply.status, reply.whole, reply.fields) == (200, b"ok", [(b"x-b", b"1")])
    assert await trip.fetch() == (200, b"ok")
    assert system.connections == 1


@pytest.mark.parametrize("framing", [b"content-length: 1234", b"transfer-encoding: chunked"])
async def test_an_answer_to_head_has_no_body_and_keeps_its_length(system: System, trip: Trip, framing: bytes) -> None:
    system.script = answers(HEAD + framing + b"\r\n\r\n")
    for _ in range(2):
        async with trip.send("HEAD") as reply:
            assert reply.whole == b""
            assert (1234 if b"length" in framing else None) == reply.length
    assert system.connections == 1


async def test_a_body_after_an_answer_to_head_costs_the_connection(system: System, trip: Trip) -> None:
    system.script = answers(OK)
    assert await trip.fetch("HEAD") == (200, b"")
    assert trip.target()["connections"] == 0


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", [b"", b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n"])
async def test_204_and_304_have_no_body(system: System, trip: Trip, status: int, framing: bytes) -> None:
    system.script = answers(b"HTTP/1.1 %d X\r\n%b\r\n" % (status, framing))
    assert (status, b"") == await trip.fetch()
    assert (status, b"") == await trip.fetch()
    assert system.connections == 1


async def test_chunks_are_joined_and_trailers_dropped(system: System, trip: Trip) -> None:
    """Nothing of the trailers reaches the next answer on the connection either."""
    system.script = answers(CHUNKED + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nx-late: 1\r\nset-cookie: a=b\r\n\r\n")
    for _ in range(2):
        async with trip.send() as reply:
            assert (reply.whole, reply.length, reply.fields) == (b"abcde", 5, [])
    assert system.connections == 1


async def test_trailers_without_end_break_the_answer_off(system: System, trip: Trip) -> None:
    system.script = answers(CHUNKED + b"3\r\nabc\r\n", b"0\r\n", *[b"a: " + b"x" * 8000 + b"\r\n"] * 12)
    with pytest.raises(Undelivered):
        await trip.fetch()


async def test_a_chunk_extension_without_end_breaks_the_answer_off(system: System, trip: Trip) -> None:
    system.script = answers(CHUNKED + b"3\r\nabc\r\n", b"5;", *[b"x" * 8000] * 12)
    with pytest.raises(Undelivered):
        await trip.fetch()


async def test_an_answer_without_length_ends_with_the_connection(system: System, trip: Trip) -> None:
    system.script = answers_then_closes(HEAD + b"\r\nabc", b"def")
    async with trip.send() as reply:
        assert (reply.whole, reply.length) == (None, None)
        assert b"".join([piece async for piece in reply.chunks()]) == b"abcdef"


async def test_an_answer_without_length_that_is_reset_is_not_complete(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(HEAD + b"\r\nabc")
        talk.reset()

    system.script = script
    with pytest.raises(Undelivered):
        await trip.fetch()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "begun", [b"", b"HT", HEAD, HEAD + b"content-length: 10\r\n\r\nabc"], ids=["nothing", "two bytes", "line", "body"]
)
async def test_an_answer_cut_off_before_anything_was_handed_on_is_502(
    system: System, trip: Trip, how: str, begun: bytes
) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(begun)
        if how == "reset":
            talk.reset()

    system.script = script
    with pytest.raises(Undelivered) as caught:
        await trip.fetch()
    assert caught.value.status == 502
    assert len(system.heads) == 1


@pytest.mark.parametrize(
    "rest", [b"", b"5\r\nab", b"zz\r\n", b"3\r\nabcX"], ids=["end", "short", "bad size", "bad end"]
)
async def test_a_break_while_streaming_is_never_a_clean_end(system: System, trip: Trip, rest: bytes) -> None:
    system.script = answers_then_closes(CHUNKED + b"3\r\nabc\r\n", rest)
    async with trip.send() as reply:
        got = await read_until_broken(reply)
    assert b"".join(got).startswith(b"abc")
    assert trip.target()["connections"] == 0


async def test_a_hanging_system_is_504(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.ended()

    system.script = script
    with pytest.raises(UpstreamTimeout):
        await trip.fetch(timeout=0.1)
    assert trip.target()["connections"] == 0


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"content-length: 1000\r\n\r\n"], ids=["line", "head", "body"])
async def test_a_dripping_system_is_504(system: System, trip: Trip, start: bytes) -> None:
    """Progress does not move the deadline, neither in the head nor in a small body."""

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(start)
        for byte in b"HTTP/1.1 200 " + b"O" * 900 if not start else b"a" * 900:
            await talk.say(bytes([byte]))

    system.script = script
    with pytest.raises(UpstreamTimeout):
        await trip.fetch(timeout=0.15)


async def test_a_stream_may_last_longer_than_the_timeout_but_not_pause_longer_than_idle(
    system: System, trip: Trip
) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(CHUNKED)
        for _ in range(5):
            await asyncio.sleep(0.1)
            await talk.say(b"1\r\na\r\n")
        await talk.ended()

    system.script = script
    async with trip.send(timeout=0.2, idle=0.25) as reply:
        got = await read_until_broken(reply)
    assert len(got) == 5


async def test_an_event_is_handed_on_when_it_comes(system: System, trip: Trip) -> None:
    """Server-sent events: the head before the first event, each event before the next."""
    heard = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(HEAD + b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(3):
            await heard.wait()
            heard.clear()
            await talk.say(b"9\r\ndata: %d\n\n\r\n" % number)
        await talk.say(b"0\r\n\r\n")

    system.script = script
    async with trip.send() as reply:
        assert (reply.whole, reply.length) == (None, None)
        heard.set()
        async for piece in reply.chunks():
            assert piece.startswith(b"data: ")
            heard.set()
    assert trip.target()["connections"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 2000\r\n\r\n" + b"x" * 2000,
        CHUNKED + b"7d0\r\n" + b"x" * 2000 + b"\r\n0\r\n\r\n",
        HEAD + b"\r\n" + b"x" * 2000,
    ],
    ids=["announced", "chunked", "unframed"],
)
async def test_an_answer_over_the_limit_is_502(system: System, answer: bytes) -> None:
    system.script = answers(answer)
    async with Trip(system.url, response_limit="1KiB") as trip:
        with pytest.raises(Undelivered, match="too large"):
            await trip.fetch()


async def test_a_stream_over_the_limit_is_broken_off(system: System) -> None:
    chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
    system.script = answers(CHUNKED, chunk, chunk, chunk)
    async with Trip(system.url, response_limit="1KiB") as trip, trip.send() as reply:
        got = await read_until_broken(reply)
        assert sum(map(len, got)) <= 1024

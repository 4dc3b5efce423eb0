"""What a system is sent: the head, bodies whole and streaming, early answers, and a client that leaves."""

import asyncio

import pytest
from forward_world import OK, Endless, Pieces, System, Talk, Trip, eventually
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BodyTooLarge, ClientGone, InternalError, Undelivered
from gateway.forward.request import UpstreamRequest, head_lines, message
from gateway.model import NO_BODY


async def test_the_target_and_the_fields_are_sent_byte_by_byte(system: System, trip: Trip) -> None:
    await trip.fetch("GET", b"/a%2Fb?q=%20;x", fields=[(b"accept", b"*/*"), (b"x-a", b"\xe4"), (b"x-a", b"2")])
    host = b"host: 127.0.0.1:%d\r\n" % system.port
    fields = b"accept: */*\r\nx-a: \xe4\r\nx-a: 2\r\n\r\n"
    assert [b"GET /a%2Fb?q=%20;x HTTP/1.1\r\n" + host + fields] == system.heads


async def test_the_configured_host_is_sent(system: System) -> None:
    async with Trip(system.url, host="guides.example.gov.cn") as trip:
        await trip.fetch()
    assert b"\r\nhost: guides.example.gov.cn\r\n" in system.heads[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_missing_body_is_announced_where_one_is_usual(system: System, trip: Trip, method: str) -> None:
    await trip.fetch(method)
    assert b"\r\ncontent-length: 0\r\n" in system.heads[0]


@given(st.binary(max_size=40), st.sampled_from(["name", "value", "target"]))
def test_nothing_can_start_a_line_of_its_own(data: bytes, where: str) -> None:
    """Every head has exactly the lines that were meant, or is refused."""
    name, value, target = (data if where == place else b"ok" for place in ("name", "value", "target"))
    request = UpstreamRequest("GET", target, [(name, value)], NO_BODY, 1.0)
    if b"\r" in data or b"\n" in data:
        with pytest.raises(InternalError):
            head_lines(request)
    else:
        assert message(head_lines(request), b"host: h").count(b"\r\n") == 4


async def test_a_head_that_cannot_be_sent_takes_no_connection(trip: Trip) -> None:
    with pytest.raises(InternalError):
        await trip.fetch(fields=[(b"x-account", b"1\r\nx-admin: 1")])
    assert trip.target()["connections"] == 0


async def test_a_small_body_leaves_with_its_head(system: System, trip: Trip) -> None:
    got = []

    async def script(talk: Talk) -> None:
        got.append(await talk.reader.read(65536))
        await talk.say(OK)

    system.script = script
    await trip.fetch("POST", body=Pieces(b"a" * 10, b"b" * 10, length=20))
    assert got[0].endswith(b"\r\ncontent-length: 20\r\n\r\n" + b"a" * 10 + b"b" * 10)


async def test_a_large_body_streams_with_its_length(system: System, trip: Trip) -> None:
    got = []

    async def script(talk: Talk) -> None:
        while True:
            got.append((await talk.hear()).partition(b"\r\n\r\n")[2])
            await talk.say(OK)

    system.script = script
    pieces = [bytes([number]) * 50_000 for number in range(8)]
    for _ in range(2):
        assert await trip.fetch("PUT", body=Pieces(*pieces, length=400_000)) == (200, b"ok")
    assert [b"".join(pieces)] * 2 == got
    assert system.connections == 1


async def test_a_body_without_length_is_chunked(system: System, trip: Trip) -> None:
    """An empty piece does not end it."""
    got = []

    async def script(talk: Talk) -> None:
        await talk.hear()
        got.append(await talk.reader.readuntil(b"\r\n0\r\n\r\n"))
        await talk.say(OK)
        await talk.hear()
        await talk.say(OK)

    system.script = script
    assert await trip.fetch("POST", body=Pieces(b"abc", b"", b"d" * 17, length=None)) == (200, b"ok")
    assert got == [b"3\r\nabc\r\n11\r\n" + b"d" * 17 + b"\r\n0\r\n\r\n"]
    assert b"\r\ntransfer-encoding: chunked\r\n" in system.heads[0]
    assert await trip.fetch() == (200, b"ok")
    assert system.connections == 1


async def test_a_body_waits_for_a_system_that_does_not_read(system: System, trip: Trip) -> None:
    body = Pieces(*[b"x" * 65536] * 1024, length=64 << 20)
    read = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await read.wait()
        await talk.reader.readexactly(64 << 20)
        await talk.say(OK)

    system.script = script
    async with asyncio.TaskGroup() as group:
        task = group.create_task(trip.fetch("POST", body=body, timeout=30))
        await eventually(lambda: body.taken > 1)
        await asyncio.sleep(0.1)
        assert body.taken < 600
        read.set()
    assert task.result() == (200, b"ok")


@pytest.mark.parametrize("error", [BodyTooLarge("too large"), ClientGone()])
async def test_a_body_that_does_not_arrive_ends_the_request(system: System, trip: Trip, error: Exception) -> None:
    """Its own error comes out, the system sees no complete request, and the target is not blamed."""
    got = []

    async def script(talk: Talk) -> None:
        got.append(await talk.reader.read())

    system.script = script
    with pytest.raises(type(error)):
        await trip.fetch("POST", body=Pieces(b"abc", length=None, error=error))
    assert (trip.target()["connections"], trip.target()["breaker"]) == (0, "closed")
    await eventually(lambda: got)
    assert not got[0].endswith(b"0\r\n\r\n")


async def test_a_small_body_that_does_not_arrive_reaches_nobody(system: System, trip: Trip) -> None:
    with pytest.raises(BodyTooLarge):
        await trip.fetch("POST", body=Pieces(b"abc", length=10, error=BodyTooLarge("too large")))
    assert system.connections == 0


async def test_a_body_shorter_than_announced_is_never_complete(trip: Trip) -> None:
    with pytest.raises(InternalError):
        await trip.fetch("POST", body=Pieces(b"abc", length=100_000))
    assert trip.target()["connections"] == 0


async def test_an_early_answer_is_delivered_and_ends_the_body(system: System, trip: Trip) -> None:
    """413 before the body is there: the answer passes, the body stops, the connection is not used again."""

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nlong")
        await talk.ended()

    system.scripts = [script]
    assert await trip.fetch("POST", body=Endless()) == (413, b"long")
    assert trip.target()["connections"] == 0
    assert await trip.fetch() == (200, b"ok")


async def test_an_early_answer_may_stream(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(
            b"HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\nab\r\n", b"2\r\ncd\r\n0\r\n\r\n"
        )
        await talk.ended()

    system.script = script
    assert await trip.fetch("POST", body=Endless()) == (400, b"abcd")
    assert trip.target()["connections"] == 0


async def test_an_early_answer_that_ends_with_the_stream_is_complete_then(system: System, trip: Trip) -> None:
    """The system sends no more and takes no more: what is left of the body could never leave."""
    full, told = asyncio.Event(), asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await full.wait()
        await talk.say(b"HTTP/1.0 413 Too Large\r\n\r\nlong")
        talk.writer.write_eof()
        await told.wait()

    system.script = script
    body = Pieces(*[b"x" * 65536] * 512, length=32 << 20)
    fetching = asyncio.create_task(trip.fetch("POST", body=body))
    await eventually(lambda: any(one._drained for one in trip.upstream._targets[0].pool._connections))
    full.set()
    assert await fetching == (413, b"long")
    told.set()


@pytest.mark.parametrize("stage", ["head", "body", "upload"])
async def test_a_client_that_leaves_frees_everything(system: System, trip: Trip, stage: str) -> None:
    gone = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        system.heard(b"")
        if stage == "body":
            await talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await talk.ended()
        gone.set()

    async def ask() -> None:
        await trip.fetch("POST" if stage == "upload" else "GET", body=Endless() if stage == "upload" else NO_BODY)

    system.script = script
    task = asyncio.create_task(ask())
    await eventually(lambda: system.heads)
    await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    async with asyncio.timeout(5):
        await gone.wait()
    assert (trip.target()["connections"], trip.target()["busy"], trip.target()["breaker"]) == (0, 0, "closed")


async def test_leaving_an_answer_unread_ends_the_connection(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 1000)
        await talk.ended()

    system.script = script
    async with trip.send() as reply:
        assert (reply.whole, reply.length) == (None, 1_000_000)
        assert trip.target()["busy"] == 1
    assert trip.target()["connections"] == 0


async def test_a_large_answer_waits_for_a_slow_reader(system: System, trip: Trip) -> None:
    """64 MiB: the system cannot send them before they are read, and the reader misses none."""
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.hear()
        talk.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 << 20))
        for _ in range(1024):
            talk.writer.write(b"x" * 65536)
            await talk.writer.drain()
            sent += 65536
        await talk.ended()

    system.script = script
    async with trip.send(idle=0.2) as reply:
        await asyncio.sleep(0.4)  # longer than the idle limit: the system must not be blamed for our reader
        assert sent < 24 << 20
        assert sum([len(piece) async for piece in reply.chunks()]) == 64 << 20
    assert trip.target()["connections"] == 1


async def test_stopping_ends_what_is_under_way(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.ended()

    system.script = script
    task = asyncio.create_task(trip.fetch())
    await eventually(lambda: system.heads)
    await trip.upstream.stop()
    with pytest.raises(Undelivered):
        await task

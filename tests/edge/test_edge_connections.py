"""A connection's life: requests in order, half-closed ends, clients that leave, switched protocols."""

import asyncio

import pytest
from edge_world import post, request
from path_world import FakeReply, FakeTunnel, eventually, streamed

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13")


async def test_a_hundred_pipelined_requests_are_answered_in_order(edge):
    raw = b"".join(request(f"GET /guides/{number}") for number in range(100))
    wire = await (await edge.wire()).send(raw)
    for number in range(100):
        assert (await wire.answer()).body == f"GET /guides/{number}\n".encode()
    assert len({record.id for record in edge.records}) == 100


async def test_requests_that_wait_for_nothing_do_not_hold_up_other_clients(edge):
    """Each gives way to the others: who pipelines a thousand refusals could stop a worker for seconds."""
    greedy, other = await edge.wire(), await edge.wire()
    await eventually(lambda: len(edge.server.connections) == 2)
    await greedy.send(request("GET /nowhere") * 900)
    await other.send(request())
    assert (await other.answer()).status == 200
    assert len(edge.records) < 900
    assert [(await greedy.answer()).status for _ in range(900)] == [404] * 900


async def test_answers_that_the_client_does_not_take_do_not_pile_up(edge):
    wire = await edge.wire()
    await eventually(lambda: edge.server.connections)
    [connection] = edge.server.edge_connections()
    connection.pause_writing()
    await wire.send(request("GET /nowhere") * 20)
    await edge.records.until(1)
    await (await edge.wire()).send(request())
    await edge.system.until(1)
    assert len([record for record in edge.records if record.code == "item-unknown"]) == 1
    connection.resume_writing()
    assert [(await wire.answer()).status for _ in range(20)] == [404] * 20


async def test_pipelining_after_a_late_body_loses_nothing(edge):
    """The parser's count of waiting requests runs one ahead once a body came after its head."""
    wire = await (await edge.wire()).send(request("POST /forms", "Content-Length: 5"))
    await edge.system.until(1)
    await wire.send(b"hello")
    assert (await wire.answer()).status == 200
    await wire.send(b"".join(request(f"GET /guides/{number}") for number in range(33)))
    for number in range(33):
        assert (await wire.answer()).body == f"GET /guides/{number}\n".encode()


async def test_pipelined_requests_with_bodies_are_told_apart(edge):
    raw = b"".join(post("/forms", b"GET /guides/%d HTTP/1.1\r\n\r\n" % number) + request() for number in range(30))
    wire = await (await edge.wire()).send(raw)
    for number in range(30):
        assert (await wire.answer()).body == b"POST /forms\nGET /guides/%d HTTP/1.1\r\n\r\n" % number
        assert (await wire.answer()).body == b"GET /guides/1\n"


async def test_a_request_may_come_byte_by_byte(edge):
    wire = await edge.wire()
    for byte in post("/forms", b"hello"):
        await wire.send(bytes([byte]))
    assert (await wire.answer()).body == b"POST /forms\nhello"


async def test_another_protocol_is_refused_also_when_its_line_comes_in_pieces(edge):
    wire = await edge.wire()
    for piece in (b"GET /guides/1 RT", b"SP/1.1\r\nHost: gw.ex", b"ample\r\n\r\n"):
        await wire.send(piece)
        await asyncio.sleep(0.01)
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"]) == (400, "request-malformed")
    assert edge.system.begun == 0


async def test_another_protocol_is_refused_also_behind_a_request(edge):
    raw = request() + b"GET /guides/2 RTSP/1.1\r\nHost: gw.example\r\n\r\n" + request("GET /guides/3")
    wire = await (await edge.wire()).send(raw)
    assert (await wire.answer()).body == b"GET /guides/1\n"
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"], answer.closes) == (400, "request-malformed", True)
    assert await wire.ended()
    assert [seen.path for seen in edge.system.seen] == ["/guides/1"]


async def test_a_body_may_speak_of_other_protocols(edge):
    body = b"GET /guides/2 RTSP/1.0  twice  over\r\n\r\n"
    wire = await edge.wire()
    for piece in (post("/forms", body)[:30], post("/forms", body)[30:] + request()[:20], request()[20:]):
        await wire.send(piece)
        await asyncio.sleep(0.01)
    assert (await wire.answer()).body == b"POST /forms\n" + body
    assert (await wire.answer()).body == b"GET /guides/1\n"


async def test_a_bad_request_behind_good_ones_ends_the_connection(edge):
    wire = await (await edge.wire()).send(request())
    assert (await wire.answer()).status == 200
    await wire.send(b"\x00\r\n\r\n" + request())
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (400, True)
    assert await wire.ended()
    assert [record.code for record in edge.records] == [None, "request-malformed"]


@pytest.mark.parametrize("raw", [request(), request() * 3, post("/forms", b"hello") * 2])
async def test_a_client_that_sends_no_more_gets_its_answers(edge, raw):
    wire = await (await edge.wire()).send(raw)
    wire.finish()
    assert (await wire.rest()).count(b"HTTP/1.1 200 OK") == raw.count(b"Host")


async def test_an_end_that_comes_together_with_the_request_does_not_take_its_answer(edge):
    """Both are told to the connection before its task has had a turn."""
    wire = await edge.wire()
    await eventually(lambda: edge.server.connections)
    [connection] = edge.server.edge_connections()
    connection.data_received(request())
    assert connection.eof_received() is True
    assert (await wire.answer()).status == 200
    assert await wire.ended()


async def test_a_client_that_sends_no_more_gets_a_late_answer(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    wire.finish()
    edge.system.gate.set()
    assert (await wire.answer()).status == 200
    assert await wire.ended()


async def test_a_body_that_ends_too_early_is_forwarded_nowhere(edge):
    wire = await (await edge.wire()).send(request("POST /forms", "Content-Length: 50", body=b"hello"))
    await edge.system.until(1)
    wire.finish()
    await wire.rest()
    await edge.records.until(1)
    assert edge.records[0].client_gone
    assert edge.system.seen == []


async def test_a_body_that_ends_too_early_behind_another_request_is_forwarded_nowhere(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request() + request("POST /forms", "Content-Length: 50", body=b"hello"))
    await edge.system.until(1)
    wire.finish()
    edge.system.gate.set()
    assert (await wire.answer()).status == 200
    await wire.rest()
    assert [seen.method for seen in edge.system.seen] == ["GET"]


async def test_a_client_that_leaves_takes_its_request_along(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    wire.reset()
    await edge.records.until(1)
    assert (edge.system.left, edge.records[0].client_gone, edge.records[0].status) == (1, True, 0)


async def test_a_client_that_closes_plainly_takes_its_request_along_too(edge):
    """An ordinary close looks like a half-closed end at first: a moment later it counts as leaving."""
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    wire.close()
    await edge.records.until(1)
    assert (edge.system.left, edge.records[0].client_gone, edge.records[0].status) == (1, True, 0)


async def test_a_client_that_leaves_during_an_answer_ends_it(edge):
    async def endless():
        while True:
            yield b"x" * 10_000
            await asyncio.sleep(0)

    edge.system.answers(FakeReply(whole=None, pieces=endless))
    wire = await (await edge.wire()).send(request())
    await wire.receive()
    wire.reset()
    await edge.records.until(1)
    assert edge.records[0].client_gone


@pytest.mark.parametrize("raw", [b"", b"GET", request()[:-2], request("POST /forms", "Content-Length: 9", body=b"x")])
async def test_connections_that_are_broken_off_leave_nothing_behind(edge, raw):
    tasks = len(asyncio.all_tasks())
    for _ in range(50):
        wire = await edge.wire()
        if raw:
            await wire.send(raw)
        wire.reset()
    assert (await edge.ask(request())).status == 200
    await eventually(lambda: not edge.server.connections)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    assert edge.pipeline.in_flight == 0
    assert edge.server._clients == {}


@pytest.mark.parametrize("fields", [["Connection: close"], ["Connection: x, Close"]])
async def test_a_client_that_asks_for_the_end_gets_it(edge, fields):
    wire = await (await edge.wire()).send(request("GET /guides/1", *fields))
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await wire.ended()


@pytest.mark.parametrize("line", ["GET /guides/1", "GET /guides/1 HTTP/1.0"])
async def test_behind_a_request_that_asks_for_the_end_nothing_is_executed(edge, line):
    """Bytes that come together with it are an error to the parser, which then gives up the request as well."""
    wire = await (await edge.wire()).send(request(line, "Connection: close") + request("GET /guides/2"))
    assert (await wire.answer()).closes
    assert await wire.ended()
    assert "/guides/2" not in [seen.path for seen in edge.system.seen]


async def test_http_1_0_gets_one_answer(edge):
    wire = await (await edge.wire()).send(request("GET /guides/1 HTTP/1.0", "Connection: keep-alive"))
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await wire.ended()


# ── switched protocols ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_switched_connection_carries_bytes_both_ways(edge):
    tunnel = FakeTunnel()
    edge.system.answers(FakeReply(101, [(b"sec-websocket-accept", b"x")], None, tunnel=tunnel))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE) + b"early")
    answer = await wire.answer()
    assert answer.status == 101
    assert (answer.value("connection"), answer.value("upgrade")) == ("upgrade", "websocket")
    assert answer.value("sec-websocket-accept") == "x"
    assert await wire.receive() == b"EARLY"
    for word in (b"one", b"two"):
        assert await (await wire.send(word)).receive() == word.upper()
    [seen] = edge.system.seen
    assert seen.values(b"sec-websocket-key") == [KEY.encode()]
    wire.close()
    await edge.records.until(1)
    assert tunnel.closed
    assert edge.records[0].code is None
    assert (edge.records[0].status, edge.records[0].received, edge.records[0].sent) == (101, 11, 11)


async def test_bytes_in_a_tunnel_are_not_requests(edge):
    edge.system.answers(FakeReply(101, [], None, tunnel=FakeTunnel()))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE) + request())
    assert (await wire.answer()).status == 101
    assert await wire.receive() == request().upper()
    assert edge.system.begun == 1


async def test_when_the_system_ends_a_tunnel_the_client_is_told(edge):
    tunnel = FakeTunnel()
    edge.system.answers(FakeReply(101, [], None, tunnel=tunnel))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE))
    assert (await wire.answer()).status == 101
    tunnel.waiting.put_nowait(b"")
    assert await wire.ended()
    assert tunnel.closed


async def test_a_tunnel_that_breaks_ends_both_sides(edge):
    class Breaking(FakeTunnel):
        async def read(self):
            await super().read()
            raise OSError("broke")

    tunnel = Breaking()
    edge.system.answers(FakeReply(101, [], None, tunnel=tunnel))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE))
    assert (await wire.answer()).status == 101
    assert await (await wire.send(b"x")).ended()
    assert tunnel.closed


async def test_a_client_that_ends_a_tunnel_while_the_system_is_slow_is_noticed(edge):
    gate = asyncio.Event()

    class Slow(FakeTunnel):
        async def write(self, data):
            await gate.wait()

    tunnel = Slow()
    edge.system.answers(FakeReply(101, [], None, tunnel=tunnel))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE) + b"x")
    assert (await wire.answer()).status == 101
    wire.finish()
    await asyncio.sleep(0.02)
    gate.set()
    await edge.records.until(1)
    assert tunnel.closed


async def test_a_declined_switch_is_an_answer_and_the_end(edge):
    edge.system.answers(FakeReply(403, [], b"no"))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE) + request())
    answer = await wire.answer()
    assert (answer.status, answer.closes, answer.body) == (403, True, b"no")
    assert await wire.ended()
    assert edge.system.begun == 1


@pytest.mark.parametrize("fields", [
    UPGRADE, ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    ("Connection: Upgrade", "Upgrade: tcp"), ("Connection: upgrade", "Upgrade: TLS/1.0"), ("Upgrade: h2c",),
])  # fmt: skip
async def test_elsewhere_a_switch_is_not_offered(edge, fields):
    """The request is answered as if nothing had been asked, and nothing behind it is read as a request or a tunnel."""
    wire = await (await edge.wire()).send(request("GET /guides/1", *fields))
    answer = await wire.answer()
    assert (answer.status, answer.body) == (200, b"GET /guides/1\n")
    names = {name for name, _ in edge.system.seen[0].fields}
    assert not names & {b"upgrade", b"connection", b"http2-settings", b"sec-websocket-key"}


async def test_an_upgrade_to_http_2_is_never_followed(edge):
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    wire = await (await edge.wire()).send(request("GET /guides/1", *fields) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert (await wire.answer()).closes
    assert await wire.ended()
    assert edge.system.begun == 1


async def test_events_reach_a_client_until_it_leaves(edge):
    edge.system.answers(streamed(*(b"data: %d\n\n" % number for number in range(5))))
    answer = await edge.ask(request())
    assert answer.body.count(b"data:") == 5


async def test_two_spaces_in_a_body_or_a_field_are_no_request_line(edge):
    """The check for odd request lines looks at lines, not at whatever stands in the same packet."""
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    raw = request("POST /forms", "User-Agent: two  spaces", "Content-Length: 4", body=b"a  b")
    await wire.send(raw[:-6])
    await asyncio.sleep(0)
    await wire.send(raw[-6:])
    edge.system.gate.set()
    assert [(await wire.answer()).status for _ in range(2)] == [200, 200]


async def test_a_silent_tunnel_is_ended(make_edge):
    """A WebSocket that nobody uses must not hold its place for ever."""
    edge = await make_edge(tunnel_idle=0.15)
    tunnel = FakeTunnel()
    edge.system.answers(FakeReply(101, [], None, tunnel=tunnel))
    wire = await (await edge.wire()).send(request("GET /chat", *UPGRADE))
    assert (await wire.answer()).status == 101
    await eventually(lambda: not edge.server.connections)

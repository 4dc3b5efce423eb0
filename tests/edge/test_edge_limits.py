"""Limits and deadlines, with small numbers: slow clients, many of them, much from them."""

import asyncio

import pytest
from edge_world import chunked, request
from path_world import FakeReply, eventually

from gateway.edge.body import Budget, WireBody
from gateway.errors import BodyTooLarge, RequestTimeout
from gateway.exchange import Exchange
from gateway.policy import Entrance, Policy
from gateway.units import parse_network

GOOD = "Authorization: Bearer good"


@pytest.mark.parametrize("piece", [b"GET /guides/1 HTTP/1.1\r\nHost: gw.example\r\nX-Drip: ", b"\r\n\r\n", b"G"])
async def test_a_slow_header_block_is_ended_although_it_goes_on(make_edge, piece):
    """The deadline counts from the first byte; a byte now and then does not move it."""
    edge = await make_edge(header_timeout=0.15)
    wire = await (await edge.wire()).send(piece)

    async def drip():
        while True:
            await asyncio.sleep(0.03)
            await wire.send(b"\r\n" if piece == b"\r\n\r\n" else b"E" if piece == b"G" else b"a")

    dripping = asyncio.create_task(drip())
    try:
        answer = await wire.answer()
    except (ConnectionError, EOFError):
        pytest.fail("closed without an answer")
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)
    if piece == b"G":
        assert answer.status in {400, 408}  # GEEE is no method, and that is seen before
    else:
        assert (answer.status, answer.problem["code"]) == (408, "request-timeout")
    assert answer.closes
    assert await wire.ended()
    assert len(edge.records) == 1


async def test_a_header_block_that_stalls_later_on_the_connection_is_ended_too(make_edge):
    edge = await make_edge(header_timeout=0.15)
    wire = await (await edge.wire()).send(request())
    assert (await wire.answer()).status == 200
    answer = await (await wire.send(request()[:30])).answer()
    assert (answer.status, answer.problem["code"]) == (408, "request-timeout")
    assert await wire.ended()


@pytest.mark.parametrize("raw", [b"", request()])
async def test_an_idle_connection_is_closed_without_a_word(make_edge, raw):
    edge = await make_edge(idle=0.1)
    wire = await edge.wire()
    if raw:
        assert (await (await wire.send(raw)).answer()).status == 200
    assert await wire.ended()
    assert len(edge.records) == bool(raw)


async def test_a_connection_that_waits_for_its_answer_is_not_idle(make_edge):
    edge = await make_edge(idle=0.05)
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await asyncio.sleep(0.2)
    edge.system.gate.set()
    assert (await wire.answer()).status == 200


@pytest.mark.parametrize("head", [request("POST /forms", "Content-Length: 50"), chunked("/forms", b"a", end=b"")])
async def test_a_slow_body_is_ended_and_forwarded_nowhere(make_edge, head):
    edge = await make_edge(body_timeout=0.15)
    wire = await (await edge.wire()).send(head)
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"]) == (408, "request-timeout")
    assert await wire.ended()
    assert edge.system.seen == []
    assert [record.code for record in edge.records] == ["request-timeout"]


class Payload:
    """A body that never ends."""

    def __init__(self):
        self.total_raw_bytes = 0
        self.error = None

    def is_eof(self):
        return False

    def set_exception(self, error):
        self.error = error

    async def readany(self):
        return b""


@pytest.mark.parametrize(("seconds", "received", "ended"), [
    (4.9, 0, False), (6.0, 240, False), (6.0, 239, True), (15.0, 2400, False), (15.0, 2399, True), (31.0, 10**6, True),
])  # fmt: skip
async def test_a_body_has_to_come_at_a_least_rate_after_five_seconds(seconds, received, ended):
    payload = Payload()
    exchange = Exchange("0" * 32, 0.0, "192.0.2.1")
    body = WireBody(payload, None, exchange, Budget(100), lambda: None, 30.0, 240, clock=lambda: 100.0)
    body.admit(10)
    body.expire(10**6)
    assert payload.error is None, "nobody has asked for it yet"
    assert await body.whole() == b""
    payload.total_raw_bytes = received
    body.expire(100.0 + seconds)
    assert isinstance(payload.error, RequestTimeout) == ended


async def test_a_body_without_admission_may_not_have_a_byte():
    body = WireBody(Payload(), 1, Exchange("0" * 32, 0.0, ""), Budget(100), lambda: None, 30.0, 240)
    with pytest.raises(BodyTooLarge):
        body.admit(0)


async def test_bodies_held_whole_share_one_budget(make_edge):
    """What cannot be held is refused with 503, and its room is free again when a request is over."""
    edge = await make_edge(buffered=1000)
    edge.system.gate = asyncio.Event()
    first = await (await edge.wire()).send(request("POST /forms", "Content-Length: 800", body=b"x" * 800))
    await edge.system.until(1)
    second = await edge.ask(request("POST /forms", "Content-Length: 800", body=b"x" * 800))
    assert (second.status, second.problem["code"]) == (503, "overloaded")
    edge.system.gate.set()
    assert (await first.answer()).status == 200
    assert (await edge.ask(request("POST /forms", "Content-Length: 800", body=b"x" * 800))).status == 200
    assert edge.server.budget.held == 0


async def test_a_client_that_does_not_read_is_dropped(make_edge):
    edge = await make_edge(write_stall=0.15)
    edge.system.answers(FakeReply(200, [], b"x" * 8_000_000))
    wire = await (await edge.wire(receive_buffer=4096)).send(request())
    await eventually(lambda: edge.system.begun == 1 and not edge.server.connections)
    await edge.records.until(1)
    assert edge.records[0].client_gone
    wire.close()


async def test_a_client_that_reads_slowly_but_reads_is_served(make_edge):
    edge = await make_edge(write_stall=0.3)
    edge.system.answers(FakeReply(200, [], b"x" * 400_000))
    wire = await (await edge.wire(receive_buffer=65536)).send(request())
    received = 0
    while received < 400_000:
        received += len(await wire.receive(40_000))
        await asyncio.sleep(0.02)
    await edge.records.until(1)
    assert edge.records[0].code is None


async def test_beyond_the_connection_limit_nobody_is_accepted_until_somebody_leaves(make_edge):
    edge = await make_edge(connections=3)
    wires = [await edge.wire() for _ in range(3)]
    await eventually(lambda: len(edge.server.connections) == 3)
    waiting = await (await edge.wire()).send(request())
    await asyncio.sleep(0.05)
    assert edge.system.begun == 0
    wires[0].close()
    assert (await waiting.answer()).status == 200


async def test_near_the_connection_limit_connections_are_not_kept(make_edge):
    edge = await make_edge(connections=10)
    wires = [await edge.wire() for _ in range(8)]
    assert not (await (await wires[0].send(request())).answer()).closes
    wires.append(await edge.wire())
    await eventually(lambda: len(edge.server.connections) == 9)
    assert (await (await wires[0].send(request())).answer()).closes
    assert await wires[0].ended()


async def test_one_client_cannot_have_all_connections(make_edge):
    edge = await make_edge(connections_per_client=2)
    wires = [await edge.wire() for _ in range(2)]
    await eventually(lambda: len(edge.server.connections) == 2)
    assert await (await edge.wire()).ended()
    assert edge.server.refused_connections == 1
    wires[0].close()
    await eventually(lambda: len(edge.server.connections) == 1)
    assert (await edge.ask(request())).status == 200


async def test_a_trusted_proxy_may_have_many_connections(make_edge):
    edge = await make_edge(connections_per_client=2, trusted=(parse_network("127.0.0.1"),))
    for _ in range(3):
        await edge.wire()
    assert (await edge.ask(request())).status == 200


async def test_peers_of_a_unix_socket_may_have_many_connections(make_edge, tmp_path):
    """They are local and all look alike: who may open the socket the file system has decided."""
    edge = await make_edge(path=tmp_path / "edge", connections_per_client=2)
    for _ in range(5):
        await edge.wire()
    assert (await edge.ask(request())).status == 200
    assert edge.server.refused_connections == 0


class Peer:
    """As much of a connection as the server counts."""

    def __init__(self, peer):
        self.peer = peer


async def test_one_network_of_ipv6_is_one_client(make_edge):
    edge = await make_edge(connections_per_client=2)
    peers = [Peer("2001:db8::1"), Peer("2001:db8::2"), Peer("::ffff:192.0.2.1"), Peer("192.0.2.1")]
    for peer in peers:
        edge.server.connection_made(peer, object())
    more = ["2001:db8::3", "2001:db8:0:1::3", "192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"]
    assert [edge.server._has_enough(peer) for peer in more] == [True, False, True, True, False]
    assert edge.server.refused_connections == 3
    for peer in peers:
        edge.server.connection_lost(peer)
    assert edge.server._clients == {}


async def test_clients_of_one_ipv6_network_share_their_rate(make_edge):
    edge = await make_edge(trusted=(parse_network("127.0.0.1"),))
    edge.pipeline.policy = Policy(2, edge.policy().router, [Entrance(edge.channel)], "5/minute")
    statuses = [
        (await edge.ask(request("GET /guides/1", f"X-Forwarded-For: 2001:db8::{number:x}"))).status
        for number in range(1, 21)
    ]
    assert (statuses.count(200), statuses.count(429)) == (5, 15)


async def test_beyond_the_requests_in_flight_the_answer_is_503_at_once(make_edge):
    edge = await make_edge(in_flight=2)
    edge.system.gate = asyncio.Event()
    wires = [await (await edge.wire()).send(request()) for _ in range(2)]
    await edge.system.until(2)
    answer = await edge.ask(request())  # while the others still wait
    assert (answer.status, answer.problem["code"], answer.value("retry-after")) == (503, "overloaded", "1")
    edge.system.gate.set()
    for wire in wires:
        assert (await wire.answer()).status == 200
    assert (await edge.ask(request())).status == 200
    assert edge.system.begun == 3


async def test_beyond_the_requests_of_one_item_others_go_on(edge):
    edge.system.gate = asyncio.Event()
    held = await (await edge.wire()).send(request("GET /narrow"))
    await edge.system.until(1)
    answer = await edge.ask(request("GET /narrow"))
    assert (answer.status, answer.problem["code"]) == (503, "overloaded")
    other = await (await edge.wire()).send(request())
    edge.system.gate.set()
    assert (await held.answer()).status == (await other.answer()).status == 200


@pytest.mark.parametrize(("target", "times"), [("/rated", 2), ("/personal", 1)])
async def test_a_rate_that_is_used_up_says_when_to_come_back(edge, target, times):
    wire = await edge.wire()
    for _ in range(times):
        assert (await (await wire.send(request(f"GET {target}", GOOD))).answer()).status == 200
    answer = await (await wire.send(request(f"GET {target}", GOOD))).answer()
    assert (answer.status, answer.problem["code"]) == (429, "rate-limited")
    assert 1 <= int(answer.value("retry-after")) <= 3600
    assert edge.system.begun == times


@pytest.mark.parametrize("where", ["everything", "channel", "channel and client"])
async def test_rates_hold_for_clients_and_channels(edge, where):
    entrance = Entrance(
        edge.channel,
        rate="2/hour" if where == "channel" else None,
        client_rate="2/hour" if where == "channel and client" else None,
    )
    limit = "2/hour" if where == "everything" else None
    edge.pipeline.policy = Policy(2, edge.policy().router, [entrance], limit)
    statuses = [(await edge.ask(request())).status for _ in range(3)]
    assert statuses == [200, 200, 429]


async def test_a_connection_ends_after_so_many_requests(make_edge):
    edge = await make_edge(requests_per_connection=3)
    wire = await (await edge.wire()).send(request() * 4)
    assert [(await wire.answer()).closes for _ in range(3)] == [False, False, True]
    assert await wire.ended()
    assert edge.system.begun == 3


async def test_a_connection_ends_when_it_is_old(make_edge):
    edge = await make_edge(connection_age=0.1)
    wire = await (await edge.wire()).send(request())
    assert not (await wire.answer()).closes
    await asyncio.sleep(0.2)
    assert (await (await wire.send(request())).answer()).closes


async def test_idle_connections_cost_no_request_and_no_timer_each(edge):
    tasks = len(asyncio.all_tasks())
    for _ in range(200):
        await edge.wire()
    await eventually(lambda: len(edge.server.connections) == 200)
    assert len(asyncio.all_tasks()) <= tasks + 200
    assert (await edge.ask(request())).status == 200


async def test_a_reauthorizer_that_hangs_costs_the_items_time_and_no_more(edge):
    """Nobody is let through by it, and it holds no place of a request for longer."""
    edge.reauthorizer.gate = asyncio.Event()
    answer = await (await (await edge.wire()).send(request("GET /hurried", GOOD))).answer()
    assert (answer.status, answer.problem["code"], answer.closes) == (503, "cannot-decide", True)
    await edge.records.until(1)
    assert edge.records[0].reason == "reauthorize took all of the item's time"
    assert (edge.system.begun, edge.pipeline.in_flight) == (0, 0)


async def test_a_client_that_leaves_while_it_is_decided_is_no_fault_of_a_part(edge):
    edge.reauthorizer.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request("GET /mine", GOOD))
    await eventually(lambda: edge.reauthorizer.asked)
    wire.close()
    await edge.records.until(1)
    assert (edge.records[0].client_gone, edge.records[0].code) == (True, None)

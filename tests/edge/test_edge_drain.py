"""The end of a worker: what is in flight finishes, what is idle is closed, what remains is told."""

import asyncio

import pytest
from edge_world import request
from path_world import FakeReply, FakeTunnel, eventually

HANDSHAKE = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")


async def test_what_is_in_flight_finishes_and_its_connection_ends(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    draining = asyncio.create_task(edge.server.drain(5.0))
    await asyncio.sleep(0.02)
    edge.system.gate.set()
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await wire.ended()
    async with asyncio.timeout(2):
        await draining


async def test_idle_connections_are_closed_soon(edge):
    fresh, used = await edge.wire(), await (await edge.wire()).send(request())
    assert (await used.answer()).status == 200
    await eventually(lambda: len(edge.server.connections) == 2)
    async with asyncio.timeout(2):
        await edge.server.drain(5.0)
    assert await fresh.ended()
    assert await used.ended()


async def test_a_half_sent_request_does_not_hold_a_worker_up(edge):
    wire = await (await edge.wire()).send(request()[:20])
    await eventually(lambda: len(edge.server.connections) == 1)
    async with asyncio.timeout(2):
        await edge.server.drain(5.0)
    assert await wire.ended()


async def test_nobody_new_is_accepted(edge):
    """Who comes while the rest finishes is refused at once; in the queue she would wait for nobody, and be reset."""
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    draining = asyncio.create_task(edge.server.drain(5.0))
    await eventually(lambda: edge.listener.fileno() < 0)
    with pytest.raises(ConnectionRefusedError):
        await edge.wire()
    edge.system.gate.set()
    assert (await wire.answer()).status == 200
    await draining


async def test_after_the_deadline_the_rest_is_answered_503(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request())
    await edge.system.until(1)
    draining = asyncio.create_task(edge.server.drain(0.1))
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"], answer.closes) == (503, "draining", True)
    assert await wire.ended()
    await draining
    assert [record.code for record in edge.records] == ["draining"]


@pytest.mark.parametrize("kind", ["stream", "tunnel"])
async def test_after_the_deadline_what_has_begun_is_broken_off(edge, kind):
    async def endless():
        yield b"x"
        await asyncio.Event().wait()

    tunnel = FakeReply(101, [], None, tunnel=FakeTunnel())
    edge.system.answers(FakeReply(whole=None, pieces=endless) if kind == "stream" else tunnel)
    fields = ["Connection: Upgrade", "Upgrade: websocket", *HANDSHAKE] if kind == "tunnel" else []
    wire = await (await edge.wire()).send(request("GET /chat", *fields))
    await wire.receive(12)
    draining = asyncio.create_task(edge.server.drain(0.1))
    with pytest.raises(ConnectionResetError):
        await wire.rest()
    await draining
    assert edge.pipeline.in_flight == 0


async def test_a_request_that_comes_while_draining_is_the_last_of_its_connection(edge):
    edge.system.gate = asyncio.Event()
    wire = await (await edge.wire()).send(request() + request("GET /guides/2"))
    await edge.system.until(1)
    draining = asyncio.create_task(edge.server.drain(5.0))
    await asyncio.sleep(0.02)
    edge.system.gate.set()
    assert (await wire.answer()).closes
    assert await wire.ended()
    wire.close()
    assert edge.system.begun == 1
    await draining


async def test_an_idle_connection_may_bring_one_more_request(edge):
    """It may be on its way when the draining begins: a client that is never idle for long loses none."""
    wire = await (await edge.wire()).send(request())
    assert not (await wire.answer()).closes
    draining = asyncio.create_task(edge.server.drain(5.0))
    await eventually(lambda: edge.listener.fileno() < 0)
    answer = await (await wire.send(request())).answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await wire.ended()
    await draining


async def test_a_request_that_arrives_just_before_is_answered_and_the_last_one(edge):
    """Its bytes are there and its turn has not come when the draining begins."""
    wire = await edge.wire()
    await eventually(lambda: edge.server.connections)
    [connection] = edge.server.edge_connections()
    await eventually(lambda: connection._waiter is not None)
    draining = asyncio.create_task(edge.server.drain(5.0))
    connection.data_received(request())
    answer = await wire.answer()
    assert (answer.status, answer.closes) == (200, True)
    assert await wire.ended()
    await draining

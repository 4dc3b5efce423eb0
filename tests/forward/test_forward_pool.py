"""Connections: which are used again, how many there are, who waits, and how often a request is sent (retry rule)."""

import asyncio

import pytest
from forward_world import OK, Pieces, System, Talk, Trip, answers, answers_then_closes, eventually

from gateway.errors import Undelivered, UpstreamUnavailable


async def test_a_connection_is_used_again(system: System, trip: Trip) -> None:
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert await trip.fetch(method) == (200, b"ok")
    assert system.connections == 1


NOT_AGAIN = {
    "the system closes": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "bytes are left": OK + b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
    "half a line is left": OK + b"HT",
}


@pytest.mark.parametrize("answer", NOT_AGAIN.values(), ids=NOT_AGAIN.keys())
async def test_a_connection_is_not_used_again_when(system: System, trip: Trip, answer: bytes) -> None:
    system.script = answers(answer)
    for _ in range(2):
        assert await trip.fetch() == (200, b"ok")
        assert trip.target()["connections"] == 0


async def test_bytes_on_an_idle_connection_close_it(system: System, trip: Trip) -> None:
    """Whatever they are, they answer no request of ours."""
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.say(OK)
        await go.wait()
        await talk.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await talk.ended()

    system.scripts = [script]
    await trip.fetch()
    assert trip.target()["connections"] == 1
    go.set()
    await eventually(lambda: trip.target()["connections"] == 0)
    assert await trip.fetch() == (200, b"ok")


async def test_the_last_used_connection_is_the_next(system: System, trip: Trip) -> None:
    """So that those that are not needed become old and are closed."""
    await asyncio.gather(*[trip.fetch() for _ in range(4)])
    assert trip.target()["connections"] == 4
    for _ in range(8):
        await trip.fetch()
    assert system.connections == 4


async def test_an_idle_connection_is_closed_in_time(system: System) -> None:
    async with Trip(system.url, idle_timeout="100ms") as trip:
        await asyncio.gather(*[trip.fetch() for _ in range(3)])
        await eventually(lambda: trip.target()["connections"] == 0)


async def _answers_once_and_resets(talk: Talk) -> None:
    await talk.hear()
    await talk.say(OK)
    await talk.reader.readexactly(1)
    talk.reset()


async def _stale(system: System, trip: Trip) -> None:
    """Leave an idle connection that the system ends when the next request arrives on it."""
    system.scripts = [_answers_once_and_resets]
    await trip.fetch()


async def test_a_get_on_a_stale_connection_is_sent_once_more(system: System, trip: Trip) -> None:
    await _stale(system, trip)
    attempts: list[int] = []
    assert await trip.fetch(attempts=lambda: attempts.append(1)) == (200, b"ok")
    assert (len(attempts), system.connections) == (2, 2)
    assert trip.upstream.status()["retries"] == 1
    assert trip.target()["breaker"] == "closed"


async def test_a_get_is_sent_twice_at_most(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        talk.reset()

    await _stale(system, trip)
    system.script = script
    attempts: list[int] = []
    with pytest.raises(Undelivered):
        await trip.fetch(attempts=lambda: attempts.append(1))
    assert len(attempts) == 2


async def test_a_get_on_a_new_connection_is_sent_once(system: System, trip: Trip) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        talk.reset()

    system.script = script
    with pytest.raises(Undelivered):
        await trip.fetch()
    assert len(system.heads) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_never_sent_twice(system: System, trip: Trip, method: str) -> None:
    """A connection that ends after the request was written: nobody knows what was executed."""
    await _stale(system, trip)
    attempts: list[int] = []
    with pytest.raises(Undelivered) as caught:
        await trip.fetch(method, attempts=lambda: attempts.append(1))
    assert (len(attempts), caught.value.status, caught.value.outcome) == (1, 502, "unknown")


async def test_a_get_with_a_body_is_never_sent_twice(system: System, trip: Trip) -> None:
    await _stale(system, trip)
    with pytest.raises(Undelivered):
        await trip.fetch("GET", body=Pieces(b"abc", length=3))


async def test_retry_never_sends_once(system: System) -> None:
    async with Trip(system.url, retry="never") as trip:
        await _stale(system, trip)
        with pytest.raises(Undelivered):
            await trip.fetch()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_connection_closed_while_idle_fails_nobody(system: System, trip: Trip, method: str) -> None:
    """Even when its end has reached the socket but not yet the event loop: a POST looks before it takes one."""
    talks: list[Talk] = []

    async def script(talk: Talk) -> None:
        talks.append(talk)
        await talk.hear()
        await talk.say(OK)
        await talk.ended()

    system.scripts = [script]
    await trip.fetch(method)
    talks[0].finish()
    assert await trip.fetch(method) == (200, b"ok")
    assert len(system.heads) == 2


async def test_a_post_does_not_use_a_connection_that_has_been_idle_for_long(system: System) -> None:
    """Systems close connections after seconds of idleness: a second is the most that is believed."""
    now = 0.0
    async with Trip(system.url, clock=lambda: now) as trip:
        await trip.fetch("POST")
        await trip.fetch("POST")
        assert system.connections == 1
        now = 1.5
        await trip.fetch("POST")
        assert system.connections == 2
        now = 3.0
        await trip.fetch("GET")
        assert system.connections == 2


async def test_the_budget_bounds_how_often_requests_are_repeated(system: System, trip: Trip) -> None:
    """Ten at first, then one in ten requests."""
    system.script = _answers_once_and_resets
    failed = 0
    for _ in range(30):
        try:
            await trip.fetch()
        except Undelivered:
            failed += 1
    assert failed > 0
    assert 10 <= trip.upstream.status()["retries"] <= 13


async def test_more_requests_than_connections_wait_their_turn(system: System) -> None:
    async with Trip(system.url, connections=2, waiting=100) as trip:
        results = await asyncio.gather(*[trip.fetch() for _ in range(50)])
        assert results == [(200, b"ok")] * 50
        assert (trip.target()["connections"], trip.target()["busy"]) == (2, 0)
    assert system.connections == 2


async def test_who_waited_longest_is_served_first(system: System) -> None:
    async with Trip(system.url, connections=1) as trip:
        await asyncio.gather(*[trip.fetch(target=b"/%d" % number) for number in range(20)])
    assert [b"GET /%d HTTP/1.1" % number for number in range(20)] == [head.split(b"\r\n")[0] for head in system.heads]


async def test_beyond_the_queue_the_answer_is_503_at_once(system: System) -> None:
    async def script(talk: Talk) -> None:
        await talk.hear()
        await talk.ended()

    system.script = script
    async with Trip(system.url, connections=1, waiting=1) as trip:
        tasks = [asyncio.create_task(trip.fetch(timeout=0.2)) for _ in range(2)]
        await eventually(lambda: trip.target()["waiting"] == 1)
        with pytest.raises(UpstreamUnavailable) as caught:
            await trip.fetch()
        assert caught.value.retry_after
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [error.status for error in results if isinstance(error, Undelivered)] == [504, 503]
        assert (trip.target()["busy"], trip.target()["waiting"], trip.target()["breaker"]) == (0, 0, "closed")


async def test_who_leaves_the_queue_takes_nothing_along(system: System) -> None:
    """Cancelled in any order, before and after their turn: the others are served, and no slot is lost."""
    async with Trip(system.url, connections=1) as trip:
        tasks = [asyncio.create_task(trip.fetch()) for _ in range(30)]
        for number, task in enumerate(tasks):
            if number % 3 == 1:
                task.cancel()
            elif number % 3 == 2:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {True} == {result == (200, b"ok") or isinstance(result, asyncio.CancelledError) for result in results}
        assert results.count((200, b"ok")) >= 10
        assert await trip.fetch() == (200, b"ok")
        assert (trip.target()["busy"], trip.target()["waiting"]) == (0, 0)


async def test_a_failed_connection_lets_the_next_one_try(system: System) -> None:
    system.scripts = [answers_then_closes(b"garbage")]
    async with Trip(system.url, connections=1) as trip:
        results = await asyncio.gather(*[trip.fetch() for _ in range(3)], return_exceptions=True)
    assert [
        result.status if isinstance(result, Undelivered) else result[0]
        for result in results
        if not isinstance(result, BaseException) or isinstance(result, Undelivered)
    ] == [502, 200, 200]


async def test_random_cancellation_leaves_nothing_behind(system: System) -> None:
    """Every request ends, and every counter returns to zero, whatever was cancelled when."""
    system.script = answers(OK[:20], OK[20:])
    async with Trip(system.url, connections=4, waiting=100) as trip:
        for turn in range(20):
            tasks = [asyncio.create_task(trip.fetch("POST" if turn % 2 else "GET")) for _ in range(12)]
            for wait in range(turn):
                await asyncio.sleep(0.0005 if wait % 2 else 0)
            for task in tasks[turn % 3 :: 2]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (trip.target()["busy"], trip.target()["waiting"]) == (0, 0)
        assert trip.target()["connections"] <= 4
        assert await trip.fetch() == (200, b"ok")

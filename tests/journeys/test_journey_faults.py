"""What goes wrong around the gateway, on real processes: doubt closes, nothing is sent twice, and it all recovers."""

import asyncio
import os
import signal
import time

import pytest
from sandbox_world import furnished, settled

from sandbox.story import CONTRIBUTIONS, DECLARATIONS, GUIDE
from sandbox.visitor import Visitor

SYSTEM = "social-insurance"
RECEIVED = ("GET", "/sandbox/received")


@pytest.mark.parametrize("fault", ["down", "slow", "error", "html", "redirect", "huge", "garbage", "empty"])
async def test_a_province_that_cannot_be_understood_is_503_and_never_401(visitor, fault):
    """Whatever it answers: the person is not told that the login is bad, and nothing passes."""
    token = await visitor.token("citizen-1", "opaque")
    await visitor.fault("introspect", fault, seconds=10)
    try:
        answer = await visitor.ask("GET", CONTRIBUTIONS, token=token)
        answer.must_be(503, "province-unreachable")
        assert int(answer.fields["Retry-After"]) >= 1
    finally:
        await visitor.fault("introspect", "none")


async def test_after_many_failures_everything_works_again_within_five_seconds(visitor):
    """The breaker that has opened lets a probe through and closes."""
    tokens = [await visitor.token("citizen-1", "opaque") for _ in range(7)]
    await visitor.fault("introspect", "down")
    for token in tokens:
        (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(503, "province-unreachable")
    await visitor.fault("introspect", "none")
    since = time.monotonic()
    await visitor.until("recovery", lambda answer: answer.status == 200, "GET", CONTRIBUTIONS, token=tokens[0])
    assert time.monotonic() - since < 5


async def test_keys_that_the_province_changes_are_learnt_without_a_restart(visitor):
    """A token under a new key is good at once, one under a withdrawn key is bad."""
    old = await visitor.token("citizen-1")
    (await visitor.ask("POST", "/sandbox/keys/rotate", to="province")).must_be(200)
    new = await visitor.token("citizen-1")
    for token in (old, new):
        (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(200)


async def spoil(visitor, fault, system=SYSTEM, **more):
    answer = await visitor.ask("POST", "/sandbox/faults", to=system, json={"fault": fault} | more)
    answer.must_be(200)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("garbage", 502, "upstream-invalid"),
        ("status-000", 502, "upstream-invalid"),
        ("switching", 502, "upstream-invalid"),
        ("truncate", 502, "upstream-invalid"),
        ("reset", 502, "upstream-invalid"),
        ("huge", 502, "upstream-invalid"),
        ("error", 500, ""),
    ],
)
async def test_a_business_system_that_answers_nonsense_is_502_and_its_own_errors_pass(visitor, fault, status, code):
    """The client is never told that it was wrong, and sees no half answer."""
    token = await visitor.token("citizen-1")
    await spoil(visitor, fault)
    try:
        (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(status, code)
    finally:
        await spoil(visitor, "none")
    (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(200)


async def test_requests_beyond_the_items_limit_are_refused_at_once(visitor):
    """32 are under way and hang; what comes on top is turned away in no time, and the others end with 504."""
    token = await visitor.token("citizen-1")
    await spoil(visitor, "hang")
    try:
        async with asyncio.TaskGroup() as group:
            hanging = [group.create_task(visitor.ask("GET", CONTRIBUTIONS, token=token)) for _ in range(32)]
            await visitor.until(
                "32 in flight",
                lambda answer: answer.data["workers"][0]["in_flight"] == 32,
                *("GET", "/status"),
                to="management",
            )
            since = time.monotonic()
            refused = [await visitor.ask("GET", CONTRIBUTIONS, token=token) for _ in range(8)]
            took = time.monotonic() - since
            (await visitor.ask("GET", GUIDE)).must_be(200)
        await settled(visitor.places, [task.result() for task in hanging])
    finally:
        await spoil(visitor, "none")
    assert {(answer.status, answer.code) for answer in refused} == {(503, "overloaded")}
    assert all("Retry-After" in answer.fields for answer in refused)
    assert took < 1.0
    assert {task.result().status for task in hanging} == {504}
    await visitor.until("recovery", lambda answer: answer.status == 200, "GET", CONTRIBUTIONS, token=token)


async def test_a_full_queue_before_the_gatekeeper_sheds_at_once(tmp_path):
    """With room for four, the fifth is told to come back; the business system never saw it."""

    def narrow(places):
        policy = places.edge / "policy.yaml"
        text = policy.read_text()
        policy.write_text(text.replace("- name: social-insurance ", "- name: social-insurance\n    queue: 4 "))

    names = ("edge", "gatekeeper", "province", SYSTEM)
    async with furnished(tmp_path, *names, change=narrow) as (places, children, session):
        visitor = Visitor(places, session)
        token = await visitor.token("citizen-1")
        await spoil(visitor, "hang")
        hanging = [asyncio.create_task(visitor.ask("GET", CONTRIBUTIONS, token=token)) for _ in range(4)]
        await visitor.until("four under way", four_under_way, "GET", "/status", to="management")
        for _ in range(3):
            (await visitor.ask("GET", CONTRIBUTIONS, token=token)).must_be(503, "gatekeeper-busy")
        inside = await visitor.until("the four are inside", four_received, *RECEIVED, to=SYSTEM)
        received = inside.data["deliveries"]
        assert not any(task.done() for task in hanging)
        await children[SYSTEM].stop()  # else they would hang for five seconds more
        await asyncio.wait(hanging)
        assert len(received) == 4
        assert set(received.values()) == {1}


def four_received(answer):
    return len(answer.data["deliveries"]) >= 4


def four_under_way(answer):
    return answer.data["workers"][0]["systems"][SYSTEM]["depth"] == 4


async def test_a_gatekeeper_that_is_killed_costs_only_what_was_under_way(tmp_path):
    """Handed over means unknown: 504, delivered once, never again. Public items go on. A new one is found by itself."""
    names = ("edge", "gatekeeper", "province", "assistant", "pension")
    async with furnished(tmp_path, *names) as (places, children, session):
        visitor = Visitor(places, session)
        token = await visitor.token("unit-1")
        await spoil(visitor, "hang", "pension")
        handed_over = asyncio.create_task(visitor.ask("POST", DECLARATIONS, token=token, json={"person": "sample"}))
        await visitor.until("it arrives", lambda answer: answer.data["declarations"] == 1, *RECEIVED, to="pension")
        await kill(children["gatekeeper"])
        (await handed_over).must_be(504, "gatekeeper-timeout")
        await spoil(visitor, "none", "pension")
        shed = await visitor.ask("POST", DECLARATIONS, token=token, json={"person": "sample"})
        shed.must_be(503, "gatekeeper-busy")
        (await visitor.ask("GET", GUIDE)).must_be(200)
        await children["gatekeeper"].start()
        await visitor.until(
            "the link is up again", lambda answer: answer.status == 201, "POST", DECLARATIONS, token=token, json={}
        )
        received = (await visitor.ask(*RECEIVED, to="pension")).data
        assert received["declarations"] == 2
        assert set(received["deliveries"].values()) == {1}


async def kill(child):
    """kill -9 by its id, and wait for the end."""
    os.kill(child.pid, signal.SIGKILL)
    assert await child.gone() == -signal.SIGKILL

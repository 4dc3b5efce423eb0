"""Calls over a socket pair: every call ends, whatever the other side does."""

import asyncio
import socket

import pytest

from gateway.errors import ConfigurationError
from gateway.processes.control import AT_ONCE, CallFailed, open_link


async def answer(name, arguments):
    if name == "refuse":
        raise ConfigurationError(["policy.yaml:1 no", "policy.yaml:2 neither"])
    if name == "odd":
        return object()
    if name == "never":
        await asyncio.Event().wait()
    if name == "echo":
        return arguments
    raise KeyError(name)


@pytest.fixture
async def link():
    ours, theirs = socket.socketpair()
    near, far = await open_link(ours, answer), await open_link(theirs, answer)
    yield near, far
    near.close()
    far.close()
    await near.ended()
    await far.ended()


async def test_bytes_come_back_as_they_went(link):
    """Snapshots are bytes and may be long."""
    near, _ = link
    data = {"snapshot": bytes(range(256)) * 10_000, "generation": 7}
    assert await near.call("echo", data, timeout=5) == data


async def test_both_sides_may_ask_at_the_same_time(link):
    """Answers find their own calls."""
    near, far = link
    calls = [(side, n) for side in (near, far) for n in range(20)]
    answers = await asyncio.gather(*(side.call("echo", {"n": n}, timeout=5) for side, n in calls))
    assert [one["n"] for one in answers] == [n for _, n in calls]


async def test_problems_of_a_configuration_cross_as_they_are(link):
    """One line each."""
    with pytest.raises(ConfigurationError) as refused:
        await link[0].call("refuse", timeout=5)
    assert refused.value.problems == ["policy.yaml:1 no", "policy.yaml:2 neither"]


@pytest.mark.parametrize(("name", "said"), [("unheard-of", "KeyError"), ("odd", "object")])
async def test_what_breaks_on_the_other_side_is_said(link, name, said):
    """An unknown call, a result that is no plain data: the caller hears of it and the link goes on."""
    with pytest.raises(CallFailed, match=said):
        await link[0].call(name, timeout=5)
    assert await link[0].call("echo", {}, timeout=5) == {}


async def test_a_call_without_an_answer_ends_at_its_deadline_and_a_gone_peer_ends_it_at_once(link):
    """Nobody waits for ever."""
    near, far = link
    with pytest.raises(TimeoutError):
        await near.call("never", timeout=0.05)
    waiting = asyncio.create_task(near.call("never", timeout=30))
    await near.call("echo", timeout=5)
    far.close()
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await near.call("echo", timeout=5)


async def test_calls_under_way_are_bounded(link):
    """A peer that answers nothing cannot make us hold more and more."""
    near, _ = link
    waiting = [asyncio.create_task(near.call("never", timeout=30)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    with pytest.raises(CallFailed, match="under way already"):
        await near.call("echo", timeout=5)
    near.close()
    assert all(isinstance(it, ConnectionError) for it in await asyncio.gather(*waiting, return_exceptions=True))


async def test_nonsense_ends_the_link():
    """A message that is too long or no message at all is the last one."""
    for nonsense in (b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}"):
        ours, theirs = socket.socketpair()
        near = await open_link(ours, answer)
        with theirs:
            theirs.sendall(nonsense)
            async with asyncio.timeout(5):
                await near.ended()
        assert near.closed

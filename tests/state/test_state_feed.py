"""The feed of the deny set: heard everywhere within a second, never forgotten, and closed while it is not heard of."""

import asyncio
import json
import time

import pytest
from redis_world import running_redis
from state_world import SharedWorker, principal

from gateway.errors import StateUnavailable
from gateway.identity.revocations import Revocations
from gateway.state import LocalFeed
from gateway.state.redis_feed import FRESH, START
from gateway.withdrawals import Withdrawal

pytestmark = pytest.mark.needs("redis-server")


async def length(server, holds):
    """Wait until so many entries are in the stream."""
    async with asyncio.timeout(10):
        while not holds(server.ask("XLEN", "tongguan:withdrawals")):  # noqa: ASYNC110 - another program's counter
            await asyncio.sleep(0.02)


async def test_a_single_process_hears_at_once():
    revocations = Revocations()
    feed = LocalFeed(revocations)
    await feed.start()
    await feed.withdraw(session="s-1", subject="u-1", issuer="https://id.example")
    assert revocations.deny(principal(session="s-1"))
    assert revocations.deny(principal(subject="u-1"))
    assert not revocations.deny(principal(subject="u-1", issuer="https://elsewhere.example"))
    assert revocations.current()


async def test_every_worker_hears_of_it_within_a_second(redis_server):
    settings = redis_server.settings()
    took = []
    async with SharedWorker(settings) as one, SharedWorker(settings) as two, SharedWorker(settings) as three:
        for number in range(20):
            sid, began = f"s-{number}", time.monotonic()
            await (one, two)[number % 2].state.feed.withdraw(session=sid)
            for worker in (one, two, three):
                await worker.until(lambda: worker.denies(session=sid))  # noqa: B023 - awaited here
            took.append(time.monotonic() - began)
    assert sorted(took)[-2] < 1.0, "one of twenty may have met a machine that had something else to do"


async def test_a_worker_that_starts_knows_what_was_withdrawn_before(redis_server):
    settings = redis_server.settings()
    async with SharedWorker(settings) as one:
        await one.state.feed.withdraw(token_id="t-1", issuer="https://id.example")
    async with SharedWorker(settings) as two:
        assert two.revocations.current()
        assert two.denies(token_id="t-1")
        assert not two.denies(token_id="t-1", issuer="https://elsewhere.example")


async def test_what_is_known_already_is_not_told_again(redis_server):
    settings = redis_server.settings()
    async with SharedWorker(settings) as one, SharedWorker(settings) as two:
        at = time.time()
        await one.state.feed.withdraw(session="s-1", at=at)
        await two.until(lambda: two.denies(session="s-1"))
        await two.state.feed.withdraw(session="s-1", at=at)
        assert redis_server.ask("XLEN", "tongguan:withdrawals") == 1


async def test_a_worker_that_hears_nothing_does_not_trust_itself_and_recovers(redis_server):
    async with SharedWorker(redis_server.settings()) as worker:
        await worker.state.feed.withdraw(session="s-1")
        assert worker.revocations.current()
        redis_server.freeze()
        frozen = time.monotonic()
        await worker.until(lambda: not worker.revocations.current())
        assert worker.revocations.complete_until <= frozen + FRESH
        redis_server.resume()
        assert await worker.until(worker.revocations.current) < 5.0
        assert worker.denies(session="s-1")


async def test_a_withdrawal_while_redis_is_away_counts_here_and_reaches_the_others_later(redis_server):
    settings = redis_server.settings()
    async with SharedWorker(settings) as one, SharedWorker(settings) as two:
        redis_server.kill()
        with pytest.raises(StateUnavailable):
            await one.state.feed.withdraw(session="s-1")
        assert one.denies(session="s-1")
        with pytest.raises(StateUnavailable):
            await one.state.feed.withdraw(session="s-1")
        redis_server.start()
        assert await two.until(lambda: two.denies(session="s-1")) < 5.0
        assert await two.until(two.revocations.current) < 5.0


@pytest.mark.parametrize("loss", ["restart", "flush"])
async def test_what_redis_loses_is_written_down_again_by_those_who_know_it(redis_server, loss):
    settings, now = redis_server.settings(), time.time()
    async with SharedWorker(settings) as one, SharedWorker(settings) as two:
        for number in range(1500):
            one.revocations.add(Withdrawal("jti", f"early-{number}", now, now + 600))
        await one.state.feed.withdraw(session="s-1", subject="u-1")
        await two.until(lambda: two.denies(session="s-1"))
        if loss == "restart":
            redis_server.kill()
            redis_server.start()
        else:
            redis_server.flush()
        await length(redis_server, lambda entries: entries >= 1502)
        async with SharedWorker(settings) as later:
            assert later.revocations.current()
            assert later.denies(session="s-1")
            assert later.denies(subject="u-1")
            assert later.denies(token_id="early-1499")
        assert two.denies(token_id="early-0"), "what one of them knew before the loss, all know after it"


async def test_entries_that_were_lost_with_a_fail_over_come_back(tmp_path):
    """The replica that takes over has all but the last entries: the marker is there, and names another server."""
    with running_redis(tmp_path, durable=True) as server:
        settings = server.settings()
        async with SharedWorker(settings) as one, SharedWorker(settings) as two:
            await one.state.feed.withdraw(session="s-1")
            await one.state.feed.withdraw(session="s-2")
            await two.until(lambda: two.denies(session="s-2"))
            last = server.ask("XREVRANGE", "tongguan:withdrawals", "+", "-", "COUNT", 1)[0][0]
            server.ask("XDEL", "tongguan:withdrawals", last)
            server.kill()
            server.start()
            await length(server, lambda entries: entries == 2)


async def test_ten_thousand_entries_are_known_soon_after_the_start(redis_server):
    settings, now = redis_server.settings(), time.time()
    async with SharedWorker(settings) as one:
        for number in range(10_000):
            one.revocations.add(Withdrawal("sid", f"s-{number}", now, now + 600, "https://id.example"))
        redis_server.flush()
        await length(redis_server, lambda entries: entries >= 10_000)
    async with SharedWorker(settings) as two:
        assert two.revocations.current(), "a start waits for five seconds, and then begins closed"
        assert len(two.revocations) == 10_000
        assert two.denies(session="s-9999")


async def test_a_worker_that_starts_without_redis_is_closed_until_it_is_there(redis_server):
    redis_server.kill()
    began = time.monotonic()
    async with SharedWorker(redis_server.settings()) as worker:
        assert time.monotonic() - began < START, "it does not wait for what is not there"
        assert not worker.revocations.current()
        redis_server.start()
        assert await worker.until(worker.revocations.current) < 5.0


async def test_an_entry_that_nobody_can_read_stops_nobody(redis_server):
    settings = redis_server.settings()
    redis_server.ask("XADD", "tongguan:withdrawals", "*", "w", b"\xff")
    redis_server.ask("XADD", "tongguan:withdrawals", "*", "other", json.dumps({"kind": "sid"}))
    async with SharedWorker(settings) as worker:
        await worker.state.feed.withdraw(session="s-1")
        assert worker.revocations.current()
        assert ("error", "an entry of the withdrawals cannot be read") in worker.log.said


async def test_a_deny_set_without_room_closes(redis_server):
    settings = redis_server.settings()
    async with SharedWorker(settings) as one, SharedWorker(settings) as full:
        full.revocations._most = 1
        await one.state.feed.withdraw(session="s-1")
        await one.state.feed.withdraw(session="s-2")
        await full.until(lambda: not full.revocations.current())
        assert one.revocations.current()


MANY = """
for n = 0, 2499 do
  redis.call('XADD', KEYS[1], ARGV[1] .. '-' .. n + 1, 'w', string.format(n % 5 == 0 and ARGV[2] or ARGV[3], n))
end
"""
"""Writes 2,500 entries of that time (Unix milliseconds); every fifth one still holds."""


class Odd(Revocations):
    """A deny set that breaks, as nobody expects, while it is told to."""

    broken = False

    def add(self, withdrawal):
        if self.broken:
            raise RuntimeError("not expected")
        return super().add(withdrawal)


async def test_what_nobody_expected_closes_a_worker_and_ends_nothing(redis_server):
    """It follows again once that is over, and has missed nothing; said once, with what is needed to find it."""
    settings = redis_server.settings()
    async with SharedWorker(settings) as one, SharedWorker(settings, deny_set=Odd()) as odd:
        odd.revocations.broken = True
        await one.state.feed.withdraw(session="s-1")
        await odd.until(lambda: not odd.revocations.current())
        odd.revocations.broken = False
        await odd.until(odd.revocations.current)
        assert odd.denies(session="s-1")
    about_it = [said for said in odd.log.said if "withdrawals" in said[1]]
    assert about_it == [("error", "withdrawals are not heard of"), ("info", "withdrawals are heard of again")]


async def test_entries_that_concern_nothing_any_more_are_taken_out_and_others_stay(redis_server):
    """An ended session's for one: so the stream does not keep every logout of a day."""
    now = time.time()
    held, over = (
        json.dumps({"kind": "jti", "value": "t-%d", "at": now - 3600, "until": until})
        for until in (now + 600, now - 60)
    )
    redis_server.ask("EVAL", MANY, 1, "tongguan:withdrawals", int((now - 3600) * 1000), held, over)
    settings = redis_server.settings()
    async with SharedWorker(settings) as worker:
        await worker.state.feed.withdraw(token_id="new", until=now - 1)
        await worker.state.feed.withdraw(token_id="newer")
        await length(redis_server, lambda entries: entries == 501)
        assert worker.denies(token_id="t-0")
        async with SharedWorker(settings) as later:
            assert all(later.denies(token_id=one) for one in ("t-0", "t-2495", "newer"))


async def test_entries_older_than_any_token_are_taken_out(redis_server):
    settings = redis_server.settings()
    for at in range(300):
        redis_server.ask("XADD", "tongguan:withdrawals", f"{1000 + at}-0", "w", b"{}")
    async with SharedWorker(settings) as worker:
        await worker.state.feed.withdraw(session="s-1")
        await length(redis_server, lambda entries: 1 <= entries <= 150)
        async with SharedWorker(settings) as later:
            assert later.denies(session="s-1")


async def test_two_workers_end_a_session_everywhere_even_while_redis_restarts_again_and_again(tmp_path):
    with running_redis(tmp_path, durable=False) as server:
        settings = server.settings()
        async with SharedWorker(settings) as one, SharedWorker(settings) as two:
            withdrawn = []
            for round_ in range(3):
                for number in range(20):
                    sid = f"s-{round_}-{number}"
                    withdrawn.append(sid)
                    if number == 10:
                        server.kill()
                    try:
                        await one.state.feed.withdraw(session=sid)
                    except StateUnavailable:
                        assert one.denies(session=sid)
                server.start()
                await two.until(two.revocations.current)
                await two.until(lambda: all(two.denies(session=sid) for sid in withdrawn))

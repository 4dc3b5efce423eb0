"""Redis away, hanging, restarted and flushed (hardening §5.3): closed while in doubt, right before and after."""

import asyncio
import time

import pytest
from redis_world import running_pair, running_redis
from state_world import SharedWorker

from gateway.errors import StateUnavailable

pytestmark = pytest.mark.needs("redis-server")


class Load:
    """Asks one worker's store for ever, and holds every answer against what it knows.

    Attributes:
        answered: answers, right ones.
        refused: calls that ended with StateUnavailable.
        wrong: what should not have been answered.
        slowest: seconds of the slowest call.
    """

    def __init__(self, store, *, durable):
        self.store = store
        self.durable = durable
        self.answered = self.refused = 0
        self.wrong = []
        self.slowest = 0.0
        self._number = 0

    async def run(self, callers):
        await asyncio.gather(*(self._caller() for _ in range(callers)))

    async def _caller(self):
        while True:
            self._number += 1
            key = b"%d" % self._number
            await self._uses(key)
            await self._values(key)

    async def _uses(self, key):
        signed_at = time.time()
        first = await self._ask(self.store.first_use(key, 60))
        if first is False:
            self.wrong.append(f"{key}: nobody had used it")
        if first is True:
            second = await self._ask(self.store.first_use(key, 60))
            if second is True and signed_at >= self.store.unknown_before:
                self.wrong.append(f"{key}: used twice")

    async def _values(self, key):
        if await self._ask(self.store.write(key, key, 60)) is StateUnavailable:
            return
        kept = await self._ask(self.store.read(key))
        if kept not in (key, StateUnavailable) and (self.durable or kept is not None):
            self.wrong.append(f"{key}: read {kept}")
        taken = await self._ask(self.store.take(key))
        if taken not in (key, StateUnavailable) and (self.durable or taken is not None):
            self.wrong.append(f"{key}: took {taken}")
        if taken == key and await self._ask(self.store.take(key)) not in (None, StateUnavailable):
            self.wrong.append(f"{key}: taken twice")

    async def _ask(self, call):
        began = time.monotonic()
        try:
            answer = await call
        except StateUnavailable:
            self.refused += 1
            await asyncio.sleep(0.001)
            return StateUnavailable
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.answered += 1
        return answer

    async def refusals(self):
        """Wait until it is refused after this moment."""
        before = self.refused
        async with asyncio.timeout(5):
            while self.refused == before:  # noqa: ASYNC110 - counters announce no change
                await asyncio.sleep(0.005)

    async def answers(self, seconds=5.0):
        """Wait for a right answer after this moment; gives the seconds that it took."""
        began, before = time.monotonic(), self.answered
        async with asyncio.timeout(seconds):
            while self.answered == before:  # noqa: ASYNC110 - counters announce no change
                await asyncio.sleep(0.005)
        return time.monotonic() - began


async def under_load(server, durable, faults, settings=None):
    """Run faults while 20 callers ask; gives the load, stopped."""
    async with SharedWorker(settings or server.settings()) as worker:
        load = Load(worker.store, durable=durable)
        running = asyncio.create_task(load.run(20))
        try:
            await load.answers()
            await faults(load)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert not isinstance(running.exception() if not running.cancelled() else None, Exception)
        load.log = worker.log.said
    return load


@pytest.mark.parametrize("durable", [True, False])
async def test_killed_and_restarted_under_load_it_answers_nothing_wrong_and_recovers_at_once(tmp_path, durable):
    with running_redis(tmp_path, durable=durable) as server:

        async def faults(load):
            for _ in range(3):
                server.kill()
                await load.refusals()
                await asyncio.to_thread(server.start)
                assert await load.answers() < 5.0

        load = await under_load(server, durable, faults)
    assert load.wrong == []
    assert load.refused > 0
    assert load.slowest < 5.0, "every call has an end"


async def test_what_the_store_kept_through_a_kill_is_there_again(tmp_path):
    with running_redis(tmp_path, durable=True) as server:
        async with SharedWorker(server.settings()) as worker:
            for number in range(100):
                await worker.store.write(b"%d" % number, b"session", 600, lists=[b"all"])
            server.kill()
            with pytest.raises(StateUnavailable):
                await worker.store.read(b"1")
            server.start()
            await asyncio.sleep(0)
            listed = await eventually(lambda: worker.store.listed(b"all"))
            assert len(listed) == 100
            assert await worker.store.read(b"99") == b"session"


async def eventually(ask, seconds=5.0):
    """The first answer that is no StateUnavailable."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await ask()
            except StateUnavailable:
                await asyncio.sleep(0.01)


async def test_a_redis_that_hangs_is_given_up_quickly_and_then_costs_nothing(redis_server):
    """Bounds are far from what it takes, and from what waiting in turn would: 20 s, and then 10 s."""
    async with SharedWorker(redis_server.settings(timeout="100ms")) as worker:
        await eventually(lambda: worker.store.write(b"k", b"v", 60))
        redis_server.freeze()
        began = time.monotonic()
        results = await asyncio.gather(*(worker.store.read(b"k") for _ in range(200)), return_exceptions=True)
        assert all(isinstance(one, StateUnavailable) for one in results)
        assert time.monotonic() - began < 5, "they wait together"
        began = time.monotonic()
        for _ in range(100):
            with pytest.raises(StateUnavailable):
                await worker.store.read(b"k")
        assert time.monotonic() - began < 5, "a hundred refusals may hold a few probes, not a hundred waits"
        redis_server.resume()
        assert await eventually(lambda: worker.store.read(b"k")) == b"v"


async def test_an_outage_is_logged_once_and_its_end_too(redis_server):
    async with SharedWorker(redis_server.settings()) as worker:
        await worker.store.read(b"k")
        redis_server.kill()
        for _ in range(20):
            with pytest.raises(StateUnavailable):
                await worker.store.read(b"k")
        redis_server.start()
        await eventually(lambda: worker.store.read(b"k"))
        for _ in range(20):
            await worker.store.read(b"k")
        about_the_store = [level for level, text in worker.log.said if "shared state" in text]
        assert about_the_store == ["error", "info"]


async def test_more_callers_than_connections_wait_for_one_within_the_budget(redis_server):
    async with SharedWorker(redis_server.settings(connections=2)) as worker:
        await worker.store.write(b"k", b"v", 60)
        assert await asyncio.gather(*(worker.store.read(b"k") for _ in range(100))) == [b"v"] * 100
        connected = redis_server.ask("CLIENT", "LIST").splitlines()
        assert len(connected) <= 2 + 1 + 1, "two for commands, one that follows, and this question's own"


async def test_a_caller_that_leaves_harms_nobody(redis_server):
    """Its connection would hold an answer that nobody reads; the next caller must not take it for its own."""
    async with SharedWorker(redis_server.settings(connections=1)) as worker:
        await worker.store.write(b"a", b"of a", 60)
        await worker.store.write(b"b", b"of b", 60)
        for _ in range(50):
            leaving = asyncio.create_task(worker.store.read(b"a"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            leaving.cancel()
            assert await worker.store.read(b"b") == b"of b"


@pytest.mark.parametrize("durable", [True, False])
async def test_after_a_restart_what_was_signed_before_it_is_too_old(tmp_path, durable):
    """Even a store that writes everything down may have lost the last moments, and a fail-over may have."""
    with running_redis(tmp_path, durable=durable) as server:
        async with SharedWorker(server.settings()) as worker, SharedWorker(server.settings()) as other:
            signed_at = time.time()
            assert await worker.store.first_use(b"k", 60)
            assert signed_at >= worker.store.unknown_before
            server.kill()
            server.start()
            again = await eventually(lambda: worker.store.first_use(b"k", 60))
            assert not again or signed_at < worker.store.unknown_before
            assert signed_at < worker.store.unknown_before
            await eventually(lambda: other.store.first_use(b"other", 60))
            assert abs(other.store.unknown_before - worker.store.unknown_before) < 0.01, "they agree on when that was"
            assert await worker.store.first_use(b"later", 60)
            assert worker.store.unknown_before <= time.time() + 1, "a request of the next second passes"


async def test_after_a_flush_what_was_signed_before_it_is_too_old(redis_server):
    async with SharedWorker(redis_server.settings()) as worker:
        signed_at = time.time()
        assert await worker.store.first_use(b"k", 60)
        redis_server.flush()
        assert await worker.store.first_use(b"k", 60), "the store has forgotten it,"
        assert signed_at < worker.store.unknown_before, "and says so before anybody acts on it"


async def test_a_worker_that_starts_later_knows_of_no_loss(redis_server):
    async with SharedWorker(redis_server.settings()) as worker:
        await worker.store.first_use(b"k", 60)
        async with SharedWorker(redis_server.settings(), clock=lambda: time.time() + 1000) as later:
            await later.store.first_use(b"l", 60)
            assert later.store.unknown_before == worker.store.unknown_before


async def test_an_answer_that_is_an_error_is_no_answer(redis_server):
    redis_server.ask("SET", "tongguan:list:x", "no list")
    async with SharedWorker(redis_server.settings()) as worker:
        with pytest.raises(StateUnavailable):
            await worker.store.write(b"k", b"v", 60, lists=[b"x"])
        with pytest.raises(StateUnavailable):
            await worker.store.listed(b"x")
        assert await worker.store.read(b"other") is None


async def test_redis_that_is_full_is_no_place_to_write(redis_server):
    async with SharedWorker(redis_server.settings()) as worker:
        await worker.store.write(b"k", b"v", 60)
        redis_server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StateUnavailable):
            await worker.store.first_use(b"n", 60)
        assert await worker.store.read(b"k") == b"v"


async def test_a_fail_over_under_load_is_followed_and_noticed(tmp_path):
    """The replica may lack the last moments: what was signed before it took over is too old, sessions may be gone."""
    with running_pair(tmp_path) as (primary, settings):
        known = {}

        async def faults(load):
            known["before"] = load.store.unknown_before
            primary.kill()
            known["at"], began = time.time(), time.monotonic()
            await load.refusals()
            await load.answers(10)
            known["took"] = time.monotonic() - began

        load = await under_load(primary, False, faults, settings)
        assert load.wrong == []
        assert known["took"] < 5.0
        assert load.store.unknown_before >= int(known["at"]) > known["before"] - 1


async def test_withdrawals_follow_a_fail_over(tmp_path):
    with running_pair(tmp_path) as (primary, settings):
        async with SharedWorker(settings) as one, SharedWorker(settings) as two:
            await one.state.feed.withdraw(session="s-1")
            primary.kill()
            await two.until(lambda: not two.revocations.current())
            assert await two.until(two.revocations.current, 10.0) < 5.0
            await eventually(lambda: one.state.feed.withdraw(session="s-2"))
            await two.until(lambda: two.denies(session="s-2"), 2.0)
            async with SharedWorker(settings) as later:
                assert later.denies(session="s-1")


async def test_a_silent_sentinel_leaves_time_for_the_others(tmp_path, unused_tcp_port):
    async def silent(_, writer):
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", unused_tcp_port)
    with running_pair(tmp_path) as (primary, settings):
        sentinels = (f"127.0.0.1:{unused_tcp_port}", *settings.sentinels)
        async with SharedWorker(primary.settings(url="redis://x", sentinels=sentinels, service="pair")) as worker:
            await worker.store.write(b"k", b"v", 60)
            assert await worker.store.read(b"k") == b"v"
    server.close()


@pytest.mark.parametrize("marker", [b"", b"- x 1", b"\xff"])
async def test_a_marker_that_is_not_ours_is_written_anew(redis_server, marker):
    redis_server.ask("SET", "tongguan:marker", marker)
    async with SharedWorker(redis_server.settings()) as worker:
        assert await worker.store.first_use(b"k", 60)
        assert worker.store.unknown_before > 0

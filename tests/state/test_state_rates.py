"""Rates that several workers count together: exact but for a moment, and neither open nor closed without Redis."""

import asyncio

import pytest
from state_world import SharedWorker

from gateway.errors import RateLimited
from gateway.state.redis_rates import TELL
from gateway.throttle import Rates

pytestmark = pytest.mark.needs("redis-server")


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


class Counting(SharedWorker):
    """A worker that counts, on a clock of its own."""

    def __init__(self, settings, workers=2, kind=Rates):
        self.clock = Clock(1_000.0)
        self.rates = kind(self.clock, shared=True)
        self.rates._ahead = 1_800_000_000.0 - self.clock.now
        super().__init__(settings, counts=self.rates, workers=workers)

    def admitted(self, times, rate="30/minute", client="192.0.2.1"):
        return sum(self.passes(rate, client) for _ in range(times))

    def passes(self, rate="30/minute", client="192.0.2.1"):
        try:
            self.rates.spend(rate, "client", client)
        except RateLimited:
            return False
        return True

    async def told(self):
        """Wait until this worker has told and heard everything."""
        await self.state._rates.reconcile()


@pytest.fixture
async def workers(redis_server):
    async with Counting(redis_server.settings()) as one, Counting(redis_server.settings()) as two:
        yield one, two


async def test_what_one_has_let_through_the_other_does_not(workers):
    one, two = workers
    assert one.admitted(20) == 20
    await one.told()
    assert two.admitted(1) == 1
    await two.told()
    assert two.admitted(20) == 9
    await two.told()
    await one.told()
    assert two.admitted(5) == 0


async def test_clients_are_counted_apart(workers):
    one, two = workers
    assert one.admitted(30) == 30
    await one.told()
    assert two.admitted(30, client="192.0.2.2") == 30


async def test_the_window_before_weighs_in_every_worker(workers):
    one, two = workers
    begin = one.rates._kinds
    assert one.admitted(30) == 30
    await one.told()
    (window,) = begin["client"][0]._windows.values()
    turn = window.start + window.length
    for worker in workers:
        worker.clock.now = turn + 6.0
    assert two.admitted(1) == 1, "nothing is known of this client here,"
    await two.told()
    assert two.admitted(30) == 3, "and now it is: nine tenths of what was spent in the window before"


async def test_over_many_windows_two_workers_let_through_hardly_more_than_the_rate(redis_server):
    async with Counting(redis_server.settings()) as one, Counting(redis_server.settings()) as two:
        through = 0
        for _ in range(300):  # five minutes, a request to each worker and a reconciliation every second
            through += one.admitted(1) + two.admitted(1)
            await one.told()
            await two.told()
            one.clock.now = two.clock.now = one.clock.now + 1.0
        assert 130 <= through <= 165


async def test_without_redis_each_worker_allows_its_share(redis_server):
    async with Counting(redis_server.settings(), workers=2) as one, Counting(redis_server.settings(), workers=2) as two:
        redis_server.kill()
        await one.told()
        await two.told()
        assert one.admitted(100) + two.admitted(100) == 30
        redis_server.start()
        async with asyncio.timeout(5):
            while one.state._rates._counts._among != 1:
                await one.told()
                await asyncio.sleep(TELL)
        assert one.admitted(100, client="192.0.2.9") == 30


async def test_what_was_counted_during_an_outage_is_told_after_it(redis_server):
    async with Counting(redis_server.settings()) as one, Counting(redis_server.settings()) as two:
        redis_server.kill()
        await one.told()
        assert one.admitted(10) == 10
        redis_server.start()
        async with asyncio.timeout(5):
            while one.rates._kinds["client"][0].untold:
                await one.told()
                await asyncio.sleep(TELL)
        assert two.admitted(1) == 1
        await two.told()
        assert two.admitted(30) == 19


async def test_workers_of_other_instances_are_counted(redis_server):
    async with Counting(redis_server.settings(), workers=1) as one, Counting(redis_server.settings(), workers=1) as two:
        await one.told()
        redis_server.kill()
        await one.told()
        assert one.admitted(100) == 15
        assert two.passes()


async def test_counts_are_told_without_being_asked_to(workers):
    one, two = workers
    assert one.admitted(30) == 30
    async with asyncio.timeout(5):
        while two.passes():  # noqa: ASYNC110 - what is waited for is another worker's own loop
            await asyncio.sleep(TELL / 2)


class Odd(Rates):
    """Counts that break, as nobody expects, when they are collected."""

    broken = False

    def collect(self):
        if self.broken:
            raise RuntimeError("not expected")
        return super().collect()


async def test_what_nobody_expected_does_not_end_the_telling(redis_server):
    """Meanwhile each allows its share, and it is said once."""
    async with Counting(redis_server.settings(), kind=Odd) as one:
        one.rates.broken = True
        await one.until(lambda: one.state._rates._broken)
        assert one.admitted(100) == 15
        one.rates.broken = False
        await one.until(lambda: not one.state._rates._broken)
        assert one.admitted(100, client="192.0.2.9") == 30
        assert [text for _, text in one.log.said].count("rates are not told to other workers") == 1


async def test_many_clients_are_told_of_in_several_exchanges(workers):
    one, two = workers
    for number in range(2500):
        one.rates.spend("3/minute", "client", f"client-{number}")
    await one.told()
    for number in (0, 999, 1000, 2499):
        assert two.admitted(1, "3/minute", f"client-{number}") == 1
    await two.told()
    for number in (0, 999, 1000, 2499):
        assert two.admitted(3, "3/minute", f"client-{number}") == 1


async def test_an_outage_piles_up_nothing_that_nobody_needs_any_more(redis_server):
    async with Counting(redis_server.settings()) as one:
        redis_server.kill()
        await one.told()
        for minute in range(5):
            for number in range(100):
                one.rates.spend("3/minute", "client", f"client-{minute}-{number}")
            await one.told()
            one.clock.now += 120
            await one.told()
        one.passes()
        await one.told()
        assert len(one.rates._kinds["client"][0].untold) <= 101

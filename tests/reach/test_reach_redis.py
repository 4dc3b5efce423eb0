"""Redis misbehaves: each row of the table of faults, at both workers, under load.

503 where nobody can tell, never 401 for a good session; what was withdrawn, and acknowledged, never passes again.
"""

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis_world import running_pair

from tests.reach.reach_asking import Asking, held_by
from tests.reach.reach_channels import from_app
from tests.reach.reach_line import DEADLINE
from tests.reach.reach_world import CLOSED, PASSES, RECOVERY, REJECTED, REVOKED, reaching

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("redis-server")]

GONE = {REVOKED, REJECTED}
RATE = 40
"""Requests a minute that /limited takes."""
REPLAYED, SKEWED = (401, "replayed"), (401, "clock-skew")


async def sign_out(reach, person):
    """Sign somebody out; gives status and code."""
    return (await reach.ask("/sso/logout", "POST", **person.page)).told


async def call(asked):
    """Send a request with the app channel's signature, on a line or on a new one; gives it, and status and code."""
    message = from_app()
    return message, (await asked.ask(message.path, "POST", message.body, **message.fields)).told


class Leavers:
    """People who sign out one after the other for as long as it goes on; each is asked for again and again afterwards.

    Attributes:
        ended: by name: when the sign-out was acknowledged, monotonic seconds.
        refused: what they were told while they could not.
        acknowledged: set whenever somebody has.
    """

    def __init__(self, reach, asking, people):
        self.ended = {}
        self.refused = set()
        self.acknowledged = asyncio.Event()
        self._reach = reach
        self._asking = asking
        self._people = people

    @asynccontextmanager
    async def leaving(self):
        task = asyncio.create_task(self._leave())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _leave(self):
        for number, person in enumerate(self._people):
            name = f"leaver {number}"
            self._asking.held[name] = ("/all/1", person.session)
            await self._asking.rounds(2)  # every worker believes the session
            while (told := await sign_out(self._reach, person)) != PASSES:
                self.refused.add(told)
                await asyncio.sleep(0.05)
            self.ended[name] = time.monotonic()
            self.acknowledged.set()

    async def another(self):
        """Wait until somebody else has left."""
        self.acknowledged.clear()
        async with asyncio.timeout(DEADLINE):
            await self.acknowledged.wait()

    def check(self):
        """Whose sign-out was acknowledged does not pass."""
        assert self.ended
        for name, since in self.ended.items():
            assert PASSES not in self._asking.all_told(name, since=since), name


@asynccontextmanager
async def under_load(reach, leavers=15):
    """Somebody who stays, somebody who has left, and those who leave meanwhile, all asking."""
    people = [await reach.sign_in() for _ in range(leavers + 2)]
    stays = {name: one for name, one in (await held_by(reach, people[0])).items() if "other" not in name}
    left = {f"left: {name}": one for name, one in (await held_by(reach, people[1])).items() if "opaque" not in name}
    assert await sign_out(reach, people[1]) == PASSES
    assert (await reach.edge.manage("/revocations", "POST", json={"sid": people[1].sid}))[0] == 200
    asking = Asking(reach, stays | left | {"public": ("/open/1", {})})
    async with asking.running(), Leavers(reach, asking, people[2:]).leaving() as leaving:
        yield asking, stays, leaving
    for name in left:
        assert asking.all_told(name) <= {*GONE, CLOSED}, name
    for name in stays:
        assert asking.all_told(name) <= {PASSES, CLOSED}, name
    assert asking.all_told("public") == {PASSES}
    assert leaving.refused <= {CLOSED}
    leaving.check()


async def test_killed_and_restarted_under_load_nobody_passes_wrongly_and_no_session_is_lost(two, redis):
    """Protected items 503, public ones serve; five seconds after it is back everything is as it was."""
    async with under_load(two) as (asking, stays, leaving):
        await asyncio.to_thread(redis.kill)
        await asking.until(CLOSED, names=stays)
        await asking.rounds(20)
        await asyncio.to_thread(redis.start)
        recovery = await asking.until(PASSES, names=stays)
        await leaving.another()
        await asking.rounds(5)
    assert leaving.refused == {CLOSED}
    assert recovery < RECOVERY


@pytest.mark.parametrize("how", ["paused", "frozen"])
async def test_slow_costs_nobody_more_than_the_budget_and_nobody_passes_wrongly(two, redis, how):
    """CLIENT PAUSE, and a server that hangs: 200 or 503, in time; five seconds after its end all is well."""
    async with under_load(two) as (asking, stays, leaving):
        await asyncio.to_thread(redis.pause, 1500) if how == "paused" else redis.freeze()
        await asking.until(CLOSED, names=stays)
        await asking.rounds(10)
        if how == "paused":
            await asyncio.to_thread(redis.ask, "PING")  # is answered when the pause is over
        else:
            redis.resume()
        recovery = await asking.until(PASSES, names=stays)
        await leaving.another()
    assert recovery < RECOVERY
    assert asking.slowest < 1.5


async def test_down_for_rate_limits_each_worker_allows_its_share(two, redis):
    """Neither open nor closed: of a flood no more passes than the rate, and something does."""
    lines = await two.lines_of_workers()
    person = await two.sign_in()
    await asyncio.to_thread(redis.kill)
    try:
        await two.edge.until(every_breaker_is_open)  # nobody but the counting asks, so it knows
        told = [await told_on(line, "/limited/1") for _ in range(2 * RATE) for line in lines]
    finally:
        await asyncio.to_thread(redis.start)
    assert set(told) == {PASSES, (429, "rate-limited")}
    assert RATE // 2 <= told.count(PASSES) <= RATE
    await two.until(lambda: two.told("/all/1", **person.session), PASSES)


def every_breaker_is_open(status):
    return all(one["shared_state"]["breaker"] != "closed" for one in status["workers"])


async def told_on(line, path, fields=None):
    return (await line.ask(path, **(fields or {}))).told


async def test_down_or_flushed_for_nonces_nothing_that_was_signed_before_is_believed(two, redis):
    """Closed while it is down; after a loss what was signed before is refused, and what is signed now passes once."""
    used = await passes_once(two)
    await asyncio.to_thread(redis.kill)
    try:
        await two.until(lambda: told_by_call(two), CLOSED)
    finally:
        await asyncio.to_thread(redis.start)
    used_later = await passes_once(two)
    await again(two, used)
    await asyncio.to_thread(redis.flush)
    assert SKEWED in await again(two, used_later)
    await passes_once(two)


async def told_by_call(reach):
    return (await call(reach))[1]


async def passes_once(reach):
    """What is signed after the second of a loss passes at every worker, and only once. Gives the last one."""
    for line in await reach.lines_of_workers():
        message, told = await call(line)
        while told != PASSES:
            assert told in (CLOSED, SKEWED)
            await asyncio.sleep(0.05)
            message, told = await call(line)
    assert await again(reach, message) == {REPLAYED}
    return message


async def again(reach, message):
    """What is told to a repeated request, by every worker; it passes at none."""
    lines = await reach.lines_of_workers()
    told = {(await line.ask(message.path, "POST", message.body, **message.fields)).told for line in lines}
    assert told <= {REPLAYED, SKEWED}
    return told


async def test_flushed_what_was_withdrawn_stays_withdrawn_and_who_was_signed_in_signs_in_again(two, redis):
    """The workers write down again what Redis lost; a session that it lost is a 401, and a new one works."""
    person, other = await two.sign_in(), await two.sign_in()
    held = await held_by(two, person)
    jwt = {name: one for name, one in held.items() if name.startswith("jwt")}
    assert (await two.edge.manage("/revocations", "POST", json={"sid": person.sid}))[0] == 200
    async with Asking(two, jwt).running() as asking:
        await asyncio.to_thread(redis.flush)
        await two.until(lambda: asyncio.to_thread(is_written_down, redis, person.sid), True)
        await asking.rounds(5)
    for name in jwt:
        assert asking.all_told(name) <= {REVOKED, CLOSED}
    token = await two.ask("/sso/token", "POST", **other.page)
    assert token.told == (401, "token-missing")
    assert await two.told("/all/1", **(await two.sign_in()).session) == PASSES


def is_written_down(redis, sid):
    return any(sid.encode() in fields[b"w"] for _, fields in redis.ask("XRANGE", "tongguan:withdrawals", "-", "+"))


async def test_fail_over_under_load_nobody_passes_wrongly_and_a_lost_session_is_signed_in_anew(tmp_path_factory):
    """The primary dies, the Sentinel makes the replica the primary; what that one has not heard of yet is a 401."""
    with tempfile.TemporaryDirectory(prefix="tg-redis-") as folder, running_pair(Path(folder)) as (primary, settings):
        shared = settings.model_dump(mode="json") | {"url": "redis://x"}
        async with (
            reaching(tmp_path_factory.mktemp("pair"), workers=2, redis=shared) as reach,
            under_load(reach) as (asking, stays, leaving),
        ):
            await asyncio.to_thread(primary.kill)
            await asking.until(CLOSED, names=stays)
            await asking.until(PASSES, names=stays)
            await leaving.another()
            assert await reach.told("/all/1", **(await reach.sign_in()).session) == PASSES

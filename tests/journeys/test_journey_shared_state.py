"""Two workers and a real Redis: a logout reaches each of them within a second, and a lost store lets nobody in."""

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
import pytest_asyncio
from redis_world import running_redis
from sandbox_world import DEADLINE, furnished
from sign_in_world import CONTRIBUTIONS, VISITS, WITHIN, People

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.needs("redis-server"),
    pytest.mark.timeout(120),
]

B = "medical-edge"
AT_ONCE = 8
"""Requests of each credential that are under way: of one at a time, the same worker would get all."""
RECOVERY = 5.0
"""Seconds after Redis is back in which everything works again."""
QUIET = 1.0
"""Seconds without a 503 after which no more are expected."""


@asynccontextmanager
async def shared_world(folder):
    """The second department on two workers with Redis, the first one on one worker, the province, a system each."""
    with tempfile.TemporaryDirectory(prefix="tg-redis-") as place, running_redis(Path(place), durable=True) as server:

        def share(places):
            (places.medical / "secrets" / "redis.url").write_text(server.url)
            gateway = places.medical_yaml
            shared = "workers: 2\nstate: redis\nredis: {url: {$file: secrets/redis.url}}\n"
            gateway.write_text(gateway.read_text() + shared)

        names = ("edge", B, "gatekeeper", "province", "social-insurance", "outpatient")
        async with furnished(folder, *names, change=share) as (places, _, session):
            yield People(places, session), server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    """One such world for all; the test that takes its Redis away gives it back."""
    async with shared_world(tmp_path_factory.mktemp("shared")) as both:
        yield both


class Told(NamedTuple):
    """One answer: when its request was sent and when it was there (monotonic), its status, the request's id."""

    sent: float
    answered: float
    status: int
    id: str


class Asking:
    """Asks one department again and again on new connections, so that either worker gets it, and notes the answers.

    Attributes:
        answers: see Told.
    """

    def __init__(self, url, headers):
        self._url = url
        self._headers = headers
        self.answers = []
        self._running = True

    async def run(self):
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            while self._running:
                await asyncio.gather(*(self._ask(session) for _ in range(AT_ONCE)))
                await asyncio.sleep(0.05)

    async def _ask(self, session):
        sent = time.monotonic()
        async with session.get(self._url, headers=self._headers) as answer:
            self.answers.append(Told(sent, time.monotonic(), answer.status, answer.headers["X-Request-Id"]))

    def stop(self):
        self._running = False

    def last(self, status):
        """When the last request with this answer was sent."""
        return max((one.sent for one in self.answers if one.status == status), default=0.0)

    def ids(self, wanted):
        """Request ids of those with this answer."""
        return {one.id for one in self.answers if one.status == wanted}

    def until(self, moment):
        """Request ids and statuses of what was answered before a moment; what was under way then may be told either."""
        return {one.id: one.status for one in self.answers if one.answered < moment}

    def since(self, moment):
        """Request ids and statuses of what was sent after a moment."""
        return {one.id: one.status for one in self.answers if one.sent > moment}


async def asked_by_all(url, credentials, during):
    """Ask with each of these header fields while `during` runs; gives what each was told."""
    askers = {name: Asking(url, {"Accept": "application/json"} | fields) for name, fields in credentials.items()}
    async with asyncio.TaskGroup() as group:
        for asker in askers.values():
            group.create_task(asker.run())
        try:
            await during(askers)
        finally:
            for asker in askers.values():
                asker.stop()
    return askers


async def held_by(people, user="citizen-1"):
    """A session at B, a token of A, and a JWT of the same login, as header fields."""
    person = people.person()
    await person.sign_in("edge", user=user)
    await person.sign_in(B)
    token = await person.token_of("edge")
    login = (await people.province("/sandbox/sessions"))[-1]
    query = {"user": user, "client": "dept-medical", "format": "jwt", "sid": login["sid"]}
    signed = (await people.province("/sandbox/token", **query))["token"]
    cookie = person.browser.cookies["__Host-sid-medical"]
    return (
        person,
        login["sid"],
        {
            "session": {"Cookie": f"__Host-sid-medical={cookie}"},
            "token": {"Authorization": f"Bearer {token}"},
            "jwt": {"Authorization": f"Bearer {signed}"},
        },
    )


async def recorded(people, ids):
    """The records of these requests, as far as they are written."""
    return [one for one in await people.records(B) if one["trace.id"] in ids]


async def workers_of(people, answers):
    """Which workers gave these answers."""
    ids = set(answers)
    async with asyncio.timeout(5):
        while len(found := await recorded(people, ids)) < len(ids):  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.05)
    return {one["worker"] for one in found}


async def told_by_both(people, askers, status):
    """Wait until each of them has been told this by both workers."""
    async with asyncio.timeout(DEADLINE):
        for asker in askers.values():
            while {one["worker"] for one in await recorded(people, asker.ids(status))} != {0, 1}:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["province", "department"])
async def test_a_logout_reaches_every_worker_within_a_second(shared, how):
    """The session in Redis, the token of the other department, and a JWT that carries its own proof: all at once."""
    people, _ = shared
    person, sid, credentials = await held_by(people)
    ended = 0.0

    async def log_out(askers):
        nonlocal ended
        await told_by_both(people, askers, 200)  # both remember all three
        ended = time.monotonic()
        if how == "province":
            await people.province("/sandbox/logout", "POST", sid=sid)
        else:
            await person.sign_out("edge")
        await told_by_both(people, askers, 401)
        await asyncio.sleep(ended + WITHIN - time.monotonic())  # whoever passes again until then is noticed

    askers = await asked_by_all(person.url(B, VISITS), credentials, log_out)
    for name, asker in askers.items():
        before = asker.until(ended)
        assert set(before.values()) == {200}, name
        assert await workers_of(people, before) == {0, 1}
        after = asker.since(asker.last(200))
        assert set(after.values()) == {401}, name
        assert asker.last(200) - ended < WITHIN, f"{name} still passed after {asker.last(200) - ended:.3f} s"
        assert await workers_of(people, after) == {0, 1}


async def test_without_the_store_nobody_passes_wrongly_and_with_it_everything_is_as_before(shared):
    """Killed under load: 503, never 200 for what was withdrawn, never a 401 for a good session; back within 5 s."""
    people, server = shared
    person, _, credentials = await held_by(people)
    _, dead_sid, dead = await held_by(people, "citizen-2")
    await people.province("/sandbox/logout", "POST", sid=dead_sid)
    good = set(credentials)
    credentials |= {f"dead {name}": fields for name, fields in dead.items()}
    back = 0.0

    async def lose(askers):
        nonlocal back
        await told_by_both(people, {name: asker for name, asker in askers.items() if name in good}, 200)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(2.5)
        await asyncio.to_thread(server.start)
        back = time.monotonic()
        while (now := time.monotonic()) - max(asker.last(503) for asker in askers.values()) < QUIET:
            assert now - back < RECOVERY + QUIET
            await asyncio.sleep(0.05)

    askers = await asked_by_all(person.url(B, VISITS), credentials, lose)
    for name, asker in askers.items():
        statuses = {one.status for one in asker.answers}
        if name.startswith("dead"):
            assert statuses <= {401, 503}, name
        else:
            assert statuses == {200, 503}, name
            assert asker.last(503) - back < RECOVERY, f"{name} not back after {asker.last(503) - back:.2f} s"


async def test_a_session_of_one_worker_is_one_of_the_other(shared):
    """Signed in through whichever worker; asked of both. And what is at home in process still works beside it."""
    people, _ = shared
    person, _, credentials = await held_by(people)

    async def both(askers):
        await told_by_both(people, askers, 200)

    askers = await asked_by_all(person.url(B, VISITS), {"session": credentials["session"]}, both)
    answers = askers["session"].since(0.0)
    assert set(answers.values()) == {200}
    assert await workers_of(people, answers) == {0, 1}
    assert await person.with_session("edge", CONTRIBUTIONS) == (200, "")

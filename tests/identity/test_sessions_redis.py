"""Sessions in a real Redis, two workers: what one begins the other knows, what one ends is over; Redis goes away."""

import asyncio

import pytest
import structlog

from gateway.chain import VerdictMemory, VerifierChain
from gateway.contracts import PartContext
from gateway.errors import CredentialRejected, StateUnavailable
from gateway.exchange import Exchange
from gateway.identity.logins import LoginTransactions, new_login
from gateway.identity.revocations import Revocations
from gateway.identity.sessions import SignInSessions
from gateway.model import Credential, Kind
from gateway.state.shared import SharedState
from gateway.tokens.bearer import SESSION_MARK
from plugins.verifiers.session import Session, SessionConfig
from tests.identity.session_world import UNMISTAKABLE, person, settings, sign_in, unmistakable_sign_in
from tests.redis_world import RedisServer

pytestmark = pytest.mark.needs("redis-server")


class Worker:
    """Sessions, logins and a verifier chain of one worker, over Redis."""

    def __init__(self, server: RedisServer) -> None:
        log = structlog.testing.CapturingLogger()
        self.revocations = Revocations()
        self.state = SharedState(server.settings(), self.revocations, log=log)
        told = settings()
        self.sessions = SignInSessions(self.state.store, told, self.revocations, self.state.feed.withdraw)
        self.logins = LoginTransactions(self.state.store, told)
        context = PartContext("session", None, self.state.store, log=log, sessions=self.sessions)
        self.chain = VerifierChain([Session(SessionConfig(), context)], VerdictMemory(), self.revocations)

    async def who(self, session: str) -> str:
        token = Credential("web", SESSION_MARK + session)
        return (await self.chain.verify(token, Exchange("0" * 32, 0.0, "192.0.2.1"))).subject

    async def until(self, session: str, error: type[Exception] | None) -> None:
        """Ask for the session until it is answered like this."""
        async with asyncio.timeout(5):
            while True:
                try:
                    await self.who(session)
                    said = None
                except Exception as raised:  # noqa: BLE001 - which one it is, is what is waited for
                    said = type(raised)
                if said is error or (error is not None and said is not None and issubclass(said, error)):
                    return
                await asyncio.sleep(0.01)


@pytest.fixture
async def workers(redis_server):
    pair = [Worker(redis_server) for _ in range(2)]
    for worker in pair:
        await worker.state.start()
    yield pair
    for worker in pair:
        await worker.state.close()


async def test_what_one_worker_begins_the_other_knows(workers):
    here, there = workers
    session, known = await here.sessions.begin(sign_in())
    assert await there.sessions.open(session) == known
    assert await there.who(session) == "u-1"
    token, _ = await there.sessions.issue_token(session)
    assert (await here.sessions.introspect(token)).subject == "u-1"


async def test_what_one_worker_ends_is_over_on_the_other_within_a_second_whatever_it_remembers(workers):
    here, there = workers
    session, _ = await here.sessions.begin(sign_in())
    assert await there.who(session) == "u-1"
    await here.sessions.end(session)
    async with asyncio.timeout(1):
        await there.until(session, CredentialRejected)


async def test_a_notice_ends_all_sessions_of_a_person_everywhere(workers):
    here, there = workers
    begun = [(await worker.sessions.begin(sign_in(person(session=None))))[0] for worker in workers * 2]
    other, _ = await here.sessions.begin(sign_in(person(subject="u-2", session=None)))
    assert await there.sessions.end_matching(person().issuer, subject="u-1") == 4
    assert [await here.sessions.open(session) for session in begun] == [None] * 4
    assert await here.who(other) == "u-2"
    assert (await here.sessions.listing())[1] == 1


async def test_nothing_of_a_session_can_be_read_in_redis(workers, redis_server):
    session, known = await workers[0].sessions.begin(unmistakable_sign_in())
    await workers[0].sessions.issue_token(session)
    keys = redis_server.ask("KEYS", "*")
    values = [redis_server.ask("GET", key) for key in keys if redis_server.ask("TYPE", key) == b"string"]
    lists = [redis_server.ask("ZRANGE", key, 0, -1) for key in keys if redis_server.ask("TYPE", key) == b"zset"]
    everything = repr([keys, values, lists]).encode()
    assert len(values) > 2
    for secret in (session, known.handle, *UNMISTAKABLE):
        assert repr(secret.encode())[2:-1].encode() not in everything


async def test_fifty_callbacks_on_two_workers_make_one_exchange(workers):
    login = new_login("province", Kind.NATURAL, "https://gw.example.gov.cn/sso/callback/province", 0.0)
    await workers[0].logins.begin(login, "/", "browser", 600.0)
    exchanged: list[int] = []

    async def exchange(_: object) -> str:
        exchanged.append(1)
        await asyncio.sleep(0)
        return "session"

    calls = [workers[n % 2].logins.finish(login.state, "browser", "province", {}, exchange) for n in range(50)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert len(exchanged) == 1
    assert outcomes.count("session") == 25


async def test_a_redis_that_is_killed_is_503_and_never_a_logout(workers, redis_server):
    """What Redis lost is a new login afterwards; while it is away nobody can say that."""
    here, there = workers
    session, _ = await here.sessions.begin(sign_in())
    assert await here.who(session) == "u-1"
    redis_server.kill()
    for asked in (here.sessions.open(session), here.sessions.begin(sign_in()), here.sessions.end(session)):
        with pytest.raises(StateUnavailable):
            await asked
    await here.until(session, StateUnavailable)
    redis_server.start()
    await there.until(session, CredentialRejected)


async def test_a_redis_that_hangs_loses_no_session(workers, redis_server):
    here, there = workers
    session, _ = await here.sessions.begin(sign_in())
    redis_server.freeze()
    with pytest.raises(StateUnavailable):
        await there.sessions.open(session)
    redis_server.resume()
    await there.until(session, None)
    await here.until(session, None)

"""Logins under way: each finished once, in the browser that began it; whatever goes wrong exchanges nothing twice."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest

from gateway.errors import (
    InternalError,
    Overloaded,
    SignInMalformed,
    SignInRefused,
    StateUnavailable,
    VerifierUnavailable,
)
from gateway.identity.logins import LARGEST_FORM, LINGER, KeptForm, LoginTransactions, Pending, new_login
from gateway.model import Kind
from gateway.signin import ChannelAccount, Login
from gateway.state import MemoryStore
from tests.identity.session_world import Steps, settings
from tests.plugin_world import Clock

CALLBACK = "https://gw.example.gov.cn/sso/callback/province"
BROWSER = "secret-in-this-browsers-cookie"
ANSWER = {"code": "code-1"}
SENDER = ("https://kept.province.example", Kind.NATURAL, "subject-of-one-person", None)
FORM = KeptForm("/claims", "a=1", b"amount=1&csrf_token=x", SENDER)


@dataclass
class Exchange:
    """Stands in for redeeming a code: counts, waits where it is told to, and answers or fails."""

    error: Exception | None = None
    gate: asyncio.Event | None = None
    seen: list[Pending] = field(default_factory=list)
    reached: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def __call__(self, pending: Pending) -> str:
        self.seen.append(pending)
        self.reached.release()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return f"session {len(self.seen)}"


class Desk:
    """One worker's logins over a store in this process."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = Steps(MemoryStore(monotonic=lambda: self.clock.mono))
        self.logins = self.worker()
        self.exchange = Exchange()

    def worker(self, most: int = 1024) -> LoginTransactions:
        return LoginTransactions(self.store, settings(), lambda: self.clock.mono, most)

    async def begin(self, browser: str = BROWSER, platform: str = "province", **more) -> Login:
        login = new_login(platform, Kind.NATURAL, CALLBACK, self.clock.wall)
        await self.logins.begin(login, "/medical/settlements", browser, 600.0, **more)
        return login

    def finish(self, state: str | None, browser=BROWSER, platform="province", answer=None, logins=None):
        logins = logins or self.logins
        return logins.finish(state, browser, platform, ANSWER if answer is None else answer, self.exchange)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_login_comes_back_with_all_that_was_noted(desk):
    login = await desk.begin(session="S" * 43)
    assert await desk.finish(login.state) == "session 1"
    (pending,) = desk.exchange.seen
    assert (pending.login, pending.return_to) == (login, "/medical/settlements")
    assert pending.session == "S" * 43


async def test_secrets_of_a_login_are_its_own(desk):
    first, second = await desk.begin(), await desk.begin()
    secrets = {first.state, first.nonce, first.secret, second.state, second.nonce, second.secret}
    assert len(secrets) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets), "some platforms take nothing else"


async def test_fifty_callbacks_at_once_make_one_exchange_and_have_one_outcome(desk):
    login = await desk.begin()
    desk.exchange.gate = asyncio.Event()
    callbacks = [asyncio.ensure_future(desk.finish(login.state)) for _ in range(50)]
    await desk.exchange.reached.acquire()
    desk.exchange.gate.set()
    assert await asyncio.gather(*callbacks) == ["session 1"] * 50
    assert len(desk.exchange.seen) == 1


async def test_fifty_callbacks_on_two_workers_make_one_exchange(desk):
    """On the worker that came second they learn that the login is over."""
    login = await desk.begin()
    workers = [desk.logins, desk.worker()]
    outcomes = await asyncio.gather(
        *(desk.finish(login.state, logins=workers[n % 2]) for n in range(50)), return_exceptions=True
    )
    assert len(desk.exchange.seen) == 1
    assert outcomes.count("session 1") == 25
    assert sum(isinstance(outcome, SignInMalformed) for outcome in outcomes) == 25


async def test_a_callback_that_is_repeated_a_moment_later_has_the_same_outcome(desk):
    login = await desk.begin()
    assert await desk.finish(login.state) == await desk.finish(login.state)
    desk.clock.advance(LINGER)
    with pytest.raises(SignInMalformed):
        await desk.finish(login.state)
    assert len(desk.exchange.seen) == 1


async def test_whoever_leaves_stops_nothing(desk):
    """The browser reloads while the code is being exchanged: the exchange goes on, and the reload has its outcome."""
    login = await desk.begin()
    desk.exchange.gate = asyncio.Event()
    first = asyncio.ensure_future(desk.finish(login.state))
    await desk.exchange.reached.acquire()
    first.cancel()
    second = asyncio.ensure_future(desk.finish(login.state))
    await asyncio.sleep(0)
    desk.exchange.gate.set()
    assert await second == "session 1"
    assert len(desk.exchange.seen) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "A" * 43},
        {"state": ""},
        {"state": None, "browser": "another browser"},
        {"browser": "another browser"},
        {"browser": ""},
        {"platform": "national"},
    ],
)
async def test_a_stranger_finishes_nothing_and_destroys_nothing(desk, wrong):
    login = await desk.begin()
    with pytest.raises(SignInMalformed):
        await desk.finish(**({"state": login.state} | wrong))
    assert desk.exchange.seen == []
    assert await desk.finish(login.state) == "session 1"


async def test_a_stranger_who_repeats_a_callback_is_not_given_its_outcome(desk):
    login = await desk.begin()
    await desk.finish(login.state)
    with pytest.raises(SignInMalformed):
        await desk.finish(login.state, browser="another browser")


async def test_one_login_takes_one_answer(desk):
    login = await desk.begin()
    await desk.finish(login.state)
    with pytest.raises(SignInMalformed):
        await desk.finish(login.state, answer={"code": "code-2"})
    assert len(desk.exchange.seen) == 1


async def test_where_no_state_comes_back_the_browsers_latest_login_at_the_platform_is_meant(desk):
    await desk.begin()
    desk.clock.advance(1)
    latest = await desk.begin()
    await desk.begin(platform="national")
    await desk.begin(browser="another browser")
    await desk.finish(None)
    assert [pending.login for pending in desk.exchange.seen] == [latest]


async def test_several_logins_of_one_browser_do_not_disturb_each_other(desk):
    first, second = await desk.begin(), await desk.begin()
    await desk.finish(second.state)
    await desk.finish(first.state)
    assert [pending.login for pending in desk.exchange.seen] == [second, first]


async def test_a_visitor_who_takes_too_long_begins_again(desk):
    login = await desk.begin()
    desk.clock.advance(601)
    with pytest.raises(SignInMalformed):
        await desk.finish(login.state)


@pytest.mark.parametrize("error", [SignInRefused("no"), VerifierUnavailable("away"), RuntimeError("broken")])
async def test_an_exchange_that_fails_fails_for_all_and_is_not_tried_again(desk, error):
    login = await desk.begin()
    desk.exchange.error = error
    outcomes = await asyncio.gather(*(desk.finish(login.state) for _ in range(5)), return_exceptions=True)
    outcomes.append((await asyncio.gather(desk.finish(login.state), return_exceptions=True))[0])
    expected = type(error) if not isinstance(error, RuntimeError) else InternalError
    assert {type(outcome) for outcome in outcomes} == {expected}
    assert len({id(outcome) for outcome in outcomes}) == 6, "each has an error of its own"
    assert len(desk.exchange.seen) == 1


async def test_what_broke_can_be_found_in_the_log(desk):
    login = await desk.begin()
    desk.exchange.error = RuntimeError("broken")
    with pytest.raises(InternalError) as caught:
        await desk.finish(login.state)
    assert caught.value.__cause__ is desk.exchange.error


async def test_a_store_that_is_away_takes_no_login_away(desk):
    login = await desk.begin()
    desk.store.down = True
    with pytest.raises(StateUnavailable):
        await desk.finish(login.state)
    desk.store.down = False
    assert await desk.finish(login.state) == "session 1"


async def test_guesses_fill_nothing(desk):
    logins = desk.worker(most=4)
    for n in range(20):
        with pytest.raises(SignInMalformed):
            await desk.finish(f"{n:043}", logins=logins)
    assert not logins._flights


async def test_more_at_once_than_a_worker_takes_on_are_turned_away(desk):
    logins = desk.worker(most=2)
    desk.exchange.gate = asyncio.Event()
    begun = [await desk.begin() for _ in range(3)]
    running = [asyncio.ensure_future(desk.finish(login.state, logins=logins)) for login in begun[:2]]
    await desk.exchange.reached.acquire()
    await desk.exchange.reached.acquire()
    with pytest.raises(Overloaded):
        await desk.finish(begun[2].state, logins=logins)
    desk.exchange.gate.set()
    await asyncio.gather(*running)
    assert await desk.finish(begun[2].state, logins=logins) == "session 3", "what only lingered made room"


async def test_stopping_waits_for_exchanges(desk):
    login = await desk.begin()
    finishing = asyncio.ensure_future(desk.finish(login.state))
    await asyncio.sleep(0)
    await desk.logins.stop()
    assert len(desk.exchange.seen) == 1
    await finishing


async def test_a_ticket_that_nobody_began_is_exchanged_once_among_all_workers(desk):
    exchanged: list[int] = []

    async def exchange() -> str:
        exchanged.append(1)
        await asyncio.sleep(0)
        return "session"

    calls = [desk.logins.exchange_once("province ST-1", exchange, caller="192.0.2.1") for _ in range(10)]
    assert await asyncio.gather(*calls) == ["session"] * 10
    for again in (
        desk.logins.exchange_once("province ST-1", exchange, caller="192.0.2.9"),
        desk.worker().exchange_once("province ST-1", exchange, caller="192.0.2.1"),
    ):
        with pytest.raises(SignInMalformed):
            await again
    assert len(exchanged) == 1


async def test_a_ticket_of_nobody_who_could_be_known_again_has_one_outcome_for_one_callback(desk):
    """Where nothing tells callers apart, whoever else has the ticket is given nothing."""
    desk.exchange.gate = asyncio.Event()
    first = asyncio.ensure_future(desk.logins.exchange_once("ST-1", lambda: desk.exchange(None), caller=None))
    await desk.exchange.reached.acquire()
    with pytest.raises(SignInMalformed):
        await desk.logins.exchange_once("ST-1", lambda: desk.exchange(None), caller=None)
    desk.exchange.gate.set()
    assert await first == "session 1"
    with pytest.raises(SignInMalformed):
        await desk.logins.exchange_once("ST-1", lambda: desk.exchange(None), caller=None)


async def test_a_form_is_kept_until_it_is_taken(desk):
    kept = await desk.logins.keep_form(FORM)
    assert await desk.worker().read_form(kept) == FORM
    assert await desk.worker().take_form(kept) == FORM
    assert await desk.logins.read_form(kept) is None
    assert await desk.logins.take_form(kept) is None


async def test_a_form_is_kept_ten_minutes(desk):
    kept = await desk.logins.keep_form(FORM)
    desk.clock.advance(601)
    assert await desk.logins.read_form(kept) is None


async def test_a_form_that_is_too_large_is_not_kept(desk):
    def form(size: int) -> KeptForm:
        return KeptForm("/claims", "", b"x" * size, SENDER)

    assert await desk.logins.keep_form(form(LARGEST_FORM)) is not None
    assert await desk.logins.keep_form(form(LARGEST_FORM + 1)) is None


async def test_an_account_is_kept_until_it_is_taken_and_is_no_form(desk):
    account = ChannelAccount("wechat", "wx1", "openid-1")
    kept = await desk.logins.keep_account(account)
    assert await desk.logins.take_form(kept) is None
    assert await desk.logins.take_account(kept) == account
    assert await desk.logins.take_account(kept) is None


async def test_what_opens_an_accounts_data_is_not_kept_with_it(desk):
    kept = await desk.logins.keep_account(ChannelAccount("wechat", "wx1", "openid-1", secret=b"session-key"))
    assert await desk.logins.take_account(kept) == ChannelAccount("wechat", "wx1", "openid-1")


async def test_an_account_that_a_browser_brought_is_linked_in_that_browser(desk):
    """Nobody else takes it, and nobody else destroys it."""
    account = ChannelAccount("wechat", "wx1", "openid-1")
    kept = await desk.logins.keep_account(account, BROWSER)
    assert await desk.logins.take_account(kept) is None
    assert await desk.logins.take_account(kept, "another browser") is None
    assert await desk.worker().take_account(kept, BROWSER) == account


@pytest.mark.parametrize("odd", ["\udcff", "\x00", "\ud800" * 9])
async def test_text_that_is_no_text_finishes_nothing(desk, odd):
    with pytest.raises(SignInMalformed):
        await desk.finish(odd, browser=odd, answer={odd: odd})
    assert await desk.logins.take_account(odd, odd) is None


async def test_nothing_of_it_can_be_read_in_the_store(desk):
    login = await desk.begin(session="S" * 43)
    kept = await desk.logins.keep_form(FORM)
    table = desk.store.store._values
    everything = b"\n".join([*table._entries, *(kept.value for kept in table._entries.values()), *table._lists])
    for secret in (login.state, login.nonce, login.secret, BROWSER, "S" * 43, "amount", kept, "/medical", SENDER[2]):
        assert secret.encode() not in everything


async def test_nothing_secret_is_shown_in_logs(desk):
    login = await desk.begin(session="S" * 43)
    await desk.finish(login.state)
    shown = repr(desk.exchange.seen) + repr(FORM)
    assert not any(secret in shown for secret in (login.state, login.nonce, login.secret, "S" * 43, "amount"))

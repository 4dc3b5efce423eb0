"""Sign-in sessions: begun, used, changed and ended; nothing is lost by accident and nothing comes back to life."""

import asyncio
import json
from functools import partial

import pytest
from msgspec.structs import replace

from gateway.errors import CredentialRejected, StateUnavailable
from gateway.identity.notices import read_signed_notice
from gateway.model import Kind
from gateway.signin import ChannelAccount
from gateway.tokens.bearer import SESSION_MARK
from gateway.withdrawals import Withdrawal
from tests.identity.session_world import (
    KEYS,
    UNMISTAKABLE,
    House,
    cancelled_at,
    person,
    sign_in,
    unmistakable_sign_in,
)
from tests.plugin_world import ISSUER, NOW


@pytest.fixture
def house() -> House:
    return House()


UNIT = replace(person(), subject="unit-1", kind=Kind.LEGAL, operator="u-1")


# ── what a session says ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_says_who_signed_in_and_when(house):
    session, known = await house.sessions.begin(sign_in())
    opened = await house.sessions.open(session)
    assert opened == known
    who = opened.principal
    assert (who.issuer, who.subject, who.assurance, who.session) == (ISSUER, "u-1", 3, "province-sid-1")
    assert (who.token_id, who.issued_at, who.authenticated_at) == (known.handle, NOW, NOW - 5.0)
    assert opened.sign_in == sign_in()


async def test_what_was_ended_while_it_changed_stays_ended(house):
    """A logout, or another change, at the same moment: of the new sessions none lives on that nobody would end."""
    session, _ = await house.sessions.begin(sign_in())
    house.store.before = lambda _: asyncio.sleep(0)  # every step of the store lets the others go on
    outcomes = await asyncio.gather(
        *(house.sessions.change(session, UNIT) for _ in range(5)), house.sessions.end(session), return_exceptions=True
    )
    changed = [outcome[0] for outcome in outcomes[:5] if isinstance(outcome, tuple)]
    living = [one for one in changed if await house.sessions.open(one) is not None]
    assert len(living) <= 1
    assert all(isinstance(outcome, tuple | CredentialRejected) for outcome in outcomes[:5])


async def test_without_a_session_at_the_province_the_handle_is_its_name(house):
    _, known = await house.sessions.begin(sign_in(person(session=None)))
    assert known.principal.session == known.principal.token_id == known.handle
    assert len(known.handle) == 16


async def test_ids_are_256_random_bits(house):
    ids = {(await house.sessions.begin(sign_in()))[0] for _ in range(50)}
    assert len(ids) == 50
    assert {len(session) for session in ids} == {43}


@pytest.mark.parametrize("session", ["", "x", "A" * 43, "A" * 42 + "=", "A" * 44, "é" * 43, "A" * 42 + "\n"])
async def test_an_id_that_never_was_opens_nothing(house, session):
    await house.sessions.begin(sign_in())
    assert await house.sessions.open(session) is None


async def test_nothing_of_a_session_can_be_read_in_the_store(house):
    """Not the value, not the entry's name, not the lists: all that a thief of the store has."""
    account = ChannelAccount("wechat", "wx1", "openid-of-one-person")
    session, known = await house.sessions.begin(unmistakable_sign_in(), account)
    token, _ = await house.sessions.issue_token(session)
    table = house.inner._values
    held = [*table._entries, *(kept.value for kept in table._entries.values()), *table._lists]
    everything = b"\n".join(held)
    for secret in (session, token, account.id, *UNMISTAKABLE):
        assert secret.encode() not in everything
    assert known.handle.encode() not in everything


async def test_an_entry_under_another_name_is_no_session(house):
    """Whoever can write the store cannot put his own session in the place of another one's."""
    mine, _ = await house.sessions.begin(sign_in())
    other, _ = await house.sessions.begin(sign_in(person(subject="u-2")))
    entries = house.inner._values._entries
    first, second = entries
    entries[first].value, entries[second].value = entries[second].value, entries[first].value
    assert await house.sessions.open(mine) is None
    assert await house.sessions.open(other) is None


async def test_sessions_and_errors_show_nothing_in_logs(house):
    session, known = await house.sessions.begin(unmistakable_sign_in())
    assert not any(secret in repr(known) for secret in (session, *UNMISTAKABLE))


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_that_nobody_uses_ends(house):
    session, known = await house.sessions.begin(sign_in())
    assert known.principal.expires_at == NOW + 1200
    house.clock.advance(1199)
    assert await house.worker().open(session) is not None
    house.clock.advance(1200)
    assert await house.sessions.open(session) is None


async def test_a_session_that_is_used_goes_on_to_its_absolute_end(house):
    session, _ = await house.sessions.begin(sign_in())
    for _ in range(28800 // 600 - 1):
        house.clock.advance(600)
        assert await house.sessions.open(session) is not None
    house.clock.advance(599)
    assert (await house.sessions.open(session)).principal.expires_at == NOW + 28800
    house.clock.advance(1)
    assert await house.sessions.open(session) is None


async def test_a_use_is_noted_once_a_minute(house):
    session, _ = await house.sessions.begin(sign_in())
    house.store.asked.clear()
    for _ in range(60):
        house.clock.advance(2)
        await house.sessions.open(session)
    assert house.store.asked.count("replace") == 2


async def test_a_short_idle_time_is_noted_more_often():
    house = House(idle="60s")
    session, _ = await house.sessions.begin(sign_in())
    for _ in range(10):
        house.clock.advance(50)
        assert await house.sessions.open(session) is not None


async def test_a_clock_that_runs_backwards_ends_nothing_and_revives_nothing(house):
    session, _ = await house.sessions.begin(sign_in())
    house.clock.wall -= 3600
    assert await house.sessions.open(session) is not None
    house.clock.wall += 3600 + 1200
    assert await house.sessions.open(session) is None


# ── ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_ended_session_is_over_and_whoever_ended_it_is_told_what_it_was(house):
    session, known = await house.sessions.begin(sign_in())
    assert await house.sessions.end(session) == known
    assert await house.sessions.open(session) is None
    assert await house.sessions.end(session) is None


async def test_of_many_that_end_a_session_one_has_ended_it(house):
    """The province is told once."""
    session, _ = await house.sessions.begin(sign_in())
    ended = await asyncio.gather(*(house.sessions.end(session) for _ in range(20)))
    assert len([known for known in ended if known is not None]) == 1


async def test_an_end_that_was_cut_short_goes_on_when_it_is_asked_for_again(house):
    """The store goes away between two sessions of one province's session: none of them may be left over."""
    one, known = await house.sessions.begin(sign_in())
    other, _ = await house.sessions.begin(sign_in())

    async def fail(step: str) -> None:
        house.store.down = house.store.asked.count("drop") == 2

    house.store.before = fail
    with pytest.raises(StateUnavailable):
        await house.sessions.end(one)
    house.store.before, house.store.down = None, False
    assert await house.sessions.end(one) == known
    assert [await house.sessions.open(session) for session in (one, other)] == [None, None]
    assert (await house.sessions.listing())[1] == 0


async def test_an_end_reaches_what_workers_remember(house):
    _, known = await house.sessions.begin(sign_in())
    session, again = await house.sessions.begin(sign_in())
    await house.sessions.end(session)
    assert house.revocations.deny(again.principal)
    assert house.revocations.deny(known.principal), "another session of the same province's session ended as well"


async def test_after_logout_the_same_province_session_may_come_back(house):
    """The province could not be told: its session goes on, and its user must not be locked out for a day."""
    session, _ = await house.sessions.begin(sign_in())
    await house.sessions.end(session)
    again, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.open(again) is not None


async def test_a_use_under_way_does_not_revive_what_was_ended(house):
    session, _ = await house.sessions.begin(sign_in())
    house.clock.advance(61)

    async def end_it(step: str) -> None:
        if step == "replace":
            house.store.before = None
            await house.worker().end(session)

    house.store.before = end_it
    assert await house.sessions.open(session) is None
    assert await house.sessions.open(session) is None


@pytest.mark.parametrize(
    ("matching", "ended"),
    [
        ({"subject": "u-1"}, {"a", "b", "unit"}),
        ({"subject": "unit-1"}, {"unit"}),
        ({"subject": "u-2"}, {"c"}),
        ({"sid": "sid-a"}, {"a"}),
        ({"ticket": "ST-c"}, {"c"}),
        ({"subject": "u-3"}, set()),
        ({"sid": "u-1"}, set()),
    ],
)
async def test_a_notice_ends_every_session_it_names(house, matching, ended):
    begun = {
        "a": await house.sessions.begin(sign_in(person(session="sid-a"))),
        "b": await house.sessions.begin(sign_in(person(session="sid-b"))),
        "c": await house.sessions.begin(sign_in(person(subject="u-2", session=None), ticket="ST-c")),
        "other issuer": await house.sessions.begin(sign_in(person(issuer="https://other.example", session="sid-a"))),
    }
    own, _ = await house.sessions.begin(sign_in(person(session="sid-d")))
    begun["unit"] = await house.sessions.change(own, UNIT)
    house.clock.advance(1)
    assert await house.sessions.end_matching(ISSUER, **matching) == len(ended)
    open_ = {name for name, (session, _) in begun.items() if await house.sessions.open(session) is not None}
    assert open_ == set(begun) - ended
    assert {name for name, (_, known) in begun.items() if house.revocations.deny(known.principal)} == ended


async def test_an_operator_need_not_know_whose_the_subject_is(house):
    session, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.end_matching(None, subject="u-1") == 1
    assert await house.sessions.open(session) is None


async def test_a_notice_does_not_end_what_began_after_it(house):
    session, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.end_matching(ISSUER, subject="u-1", at=NOW - 1) == 0
    assert await house.sessions.open(session) is not None


@pytest.mark.parametrize("matching", [{"sid": "province-sid-1"}, {"ticket": "ST-1"}])
async def test_what_a_notice_names_itself_ends_whenever_it_says_that_it_was(house, matching):
    """Nobody begins it twice, so no clock is asked; the sender's may be far behind ours."""
    session, _ = await house.sessions.begin(sign_in(ticket="ST-1"))
    assert await house.sessions.end_matching(ISSUER, **matching, at=NOW - 300) == 1
    assert await house.sessions.open(session) is None


@pytest.mark.parametrize("behind", [0.0, 5.0, 59.0])
async def test_a_notice_from_a_clock_that_is_behind_ends_a_session_that_is_seconds_old(house, behind):
    """It carries a time before the session began, by our clock."""
    session, known = await house.sessions.begin(sign_in())
    house.clock.advance(3)
    told = json.dumps({"event": "logout", "issued_at": int(house.clock.wall - behind), "sub": "u-1"})
    notice = read_signed_notice(told.encode(), ISSUER, house.clock.wall)
    assert await house.sessions.end_matching(ISSUER, subject=notice.subject, at=notice.at) == 1
    assert await house.sessions.open(session) is None
    assert house.revocations.deny(known.principal)
    house.clock.advance(1)
    again, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.open(again) is not None


async def test_a_withdrawn_subject_opens_nothing_even_where_the_store_still_has_it(house):
    session, _ = await house.sessions.begin(sign_in())
    house.revocations.add(Withdrawal("sub", "u-1", NOW + 1, NOW + 600))
    assert await house.sessions.open(session) is None


async def test_nobody_passes_while_it_is_not_known_what_was_withdrawn(house):
    session, _ = await house.sessions.begin(sign_in())
    house.revocations.complete_until = house.clock.mono - 1
    with pytest.raises(StateUnavailable):
        await house.sessions.open(session)


# ── what ends leave in the deny set ───────────────────────────────────────────────────────────────────────────────


async def test_changing_over_again_and_again_leaves_little_in_the_deny_set(house):
    """It has room for so many, and closes when it is full: a click must not fill it for hours."""
    session, _ = await house.sessions.begin(sign_in())
    for _ in range(100):
        session, _ = await house.sessions.change(session, UNIT)
        session, _ = await house.sessions.begin(sign_in(), replaces=session)
        house.clock.advance(10)
    assert len(house.revocations) <= 26, "two every ten seconds, each for two minutes"


async def test_an_old_id_is_denied_for_as_long_as_a_worker_may_remember_it(house):
    session, known = await house.sessions.begin(sign_in())
    await house.sessions.change(session, UNIT)
    house.clock.advance(60 + 30)
    assert house.revocations.deny(known.principal)


async def test_an_ended_session_is_denied_until_its_entry_would_be_gone_and_not_for_hours(house):
    session, known = await house.sessions.begin(sign_in())
    await house.sessions.end(session)
    (one,) = house.revocations.entries()
    assert (one.kind, one.value, one.until) == ("jti", known.handle, NOW + 1200 + 60)


async def test_an_ended_session_stays_so_where_a_fail_over_brings_its_entry_back(house):
    """The replica that takes over may lack the last moments: the entry is there again, for `idle` at most."""
    session, _ = await house.sessions.begin(sign_in())
    ((key, kept),) = house.inner._values._entries.items()
    await house.sessions.end(session)
    await house.inner.write(key, kept.value, 1200)
    for _ in range(21):
        assert await house.sessions.open(session) is None
        house.clock.advance(60)
    assert await house.inner.read(key) is None


# ── new ids ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_login_gives_a_new_id_and_ends_the_old_session(house):
    old, known = await house.sessions.begin(sign_in())
    new, _ = await house.sessions.begin(sign_in(person(assurance=4)), replaces=old)
    assert new != old
    assert await house.sessions.open(old) is None
    assert (await house.sessions.open(new)).principal.assurance == 4
    assert house.revocations.deny(known.principal)


async def test_a_planted_id_becomes_nobodys_session(house):
    """Session fixation: the session that the browser came with is never used for the one that begins."""
    planted = "A" * 43
    new, _ = await house.sessions.begin(sign_in(), replaces=planted)
    assert new != planted
    assert await house.sessions.open(planted) is None


async def test_changing_over_to_a_unit_gives_a_new_id_and_keeps_the_login(house):
    old, _ = await house.sessions.begin(sign_in())
    house.clock.advance(100)
    new, known = await house.sessions.change(old, UNIT)
    assert await house.sessions.open(old) is None
    who = (await house.sessions.open(new)).principal
    assert (who.subject, who.operator, who.kind) == ("unit-1", "u-1", Kind.LEGAL)
    assert (who.session, who.issued_at, known.began_at) == ("province-sid-1", NOW, NOW)
    assert known.sign_in.principal.subject == "u-1"


async def test_changing_over_does_not_move_the_absolute_end():
    house = House(idle="8h")
    session, _ = await house.sessions.begin(sign_in())
    house.clock.advance(20000)
    session, _ = await house.sessions.change(session, UNIT)
    house.clock.advance(8799)
    assert await house.sessions.open(session) is not None
    house.clock.advance(1)
    assert await house.sessions.open(session) is None


async def test_an_ended_session_cannot_change_over(house):
    session, _ = await house.sessions.begin(sign_in())
    await house.sessions.end(session)
    with pytest.raises(CredentialRejected):
        await house.sessions.change(session, UNIT)


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


WORKS = {
    "begin": lambda house, session: house.sessions.begin(sign_in(), replaces=session),
    "change": lambda house, session: house.sessions.change(session, UNIT),
    "open": lambda house, session: house.sessions.open(session),
    "find": lambda house, session: house.sessions.find(SESSION_MARK + session),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("work", WORKS)
async def test_cancelled_anywhere_a_session_is_whole(work, when):
    """The old session or the new one opens and says all it said; nothing half is left."""
    stopped, step = True, 0
    while stopped:
        house = House()
        session, before = await house.sessions.begin(sign_in())
        house.clock.advance(61)
        stopped = await cancelled_at(step, partial(WORKS[work], house, session), house.store, when=when)
        left = [await house.sessions._open(entry) for entry in list(house.inner._values._entries)]
        there = [known for known in left if known is not None]
        assert there
        assert {known.sign_in for known in there} == {before.sign_in}
        if work in ("open", "find"):
            assert (await house.sessions.open(session)).sign_in == before.sign_in
        step += 1
    assert step > 2


async def test_a_store_that_fails_ends_no_session(house):
    """503, and never `there is none`, which would log everybody out; afterwards everything is there."""
    session, known = await house.sessions.begin(sign_in())
    token, _ = await house.sessions.issue_token(session)
    house.store.down = True
    for asked in (
        house.sessions.open(session),
        house.sessions.find(SESSION_MARK + session),
        house.sessions.find(token),
        house.sessions.introspect(token),
        house.sessions.begin(sign_in(), replaces=session),
        house.sessions.change(session, UNIT),
        house.sessions.end(session),
        house.sessions.end_matching(ISSUER, ticket="ST-1"),
        house.sessions.listing(),
    ):
        with pytest.raises(StateUnavailable):
            await asked
    house.store.down = False
    assert await house.sessions.open(session) == known
    assert await house.sessions.find(token) is not None


async def test_a_use_that_cannot_be_noted_fails_no_request(house):
    session, known = await house.sessions.begin(sign_in())
    house.clock.advance(61)

    async def fail(step: str) -> None:
        house.store.down = step == "replace"

    house.store.before = fail
    assert await house.sessions.open(session) == known


async def test_keys_are_changed_without_logging_anybody_out(house):
    session, _ = await house.worker(KEYS[1]).begin(sign_in())
    changed = house.worker(KEYS[0], KEYS[1])
    assert await changed.open(session) is not None
    house.clock.advance(61)
    assert await changed.open(session) is not None
    assert await house.worker(KEYS[0]).open(session) is not None, "a use seals it with the new key"
    assert await changed.end_matching(ISSUER, subject="u-1") == 1, "lists are found under the old key's names"


async def test_an_entry_of_a_key_that_is_gone_is_an_ended_session(house):
    session, _ = await house.worker(KEYS[1]).begin(sign_in())
    assert await house.worker(KEYS[0]).open(session) is None


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_token_stands_for_the_session_and_ends_with_it(house):
    session, known = await house.sessions.begin(sign_in())
    token, until = await house.sessions.issue_token(session)
    assert token.endswith("@hrss")
    assert len(token) == 43 + len("@hrss")
    assert until == NOW + 1800
    assert await house.sessions.find(token) == await house.sessions.introspect(token) == known.principal
    await house.sessions.end(session)
    assert await house.sessions.introspect(token) is None
    with pytest.raises(CredentialRejected):
        await house.sessions.find(token)


async def test_a_token_ends_after_its_own_time_and_never_after_the_session():
    house = House(idle="8h")
    session, _ = await house.sessions.begin(sign_in())
    token, _ = await house.sessions.issue_token(session)
    assert (await house.sessions.introspect(token)).expires_at == NOW + 1800
    house.clock.advance(1799)
    assert await house.sessions.introspect(token) is not None
    house.clock.advance(1)
    assert await house.sessions.introspect(token) is None
    house.clock.advance(28800 - 1800 - 100)
    _, until = await house.sessions.issue_token(session)
    assert until == NOW + 28800


async def test_being_asked_by_the_province_is_no_use_of_the_session(house):
    session, _ = await house.sessions.begin(sign_in())
    token, _ = await house.sessions.issue_token(session)
    house.clock.advance(1100)
    assert await house.sessions.introspect(token) is not None
    house.clock.advance(100)
    assert await house.sessions.introspect(token) is None


async def test_who_has_only_a_token_ends_its_session_and_learns_whose_platform_to_tell(house):
    session, known = await house.sessions.begin(sign_in())
    other, _ = await house.sessions.begin(sign_in(person(session="province-sid-2")))
    token, _ = await house.sessions.issue_token(session)
    assert await house.sessions.end_token(token) == known
    assert await house.sessions.open(session) is None
    assert await house.sessions.introspect(token) is None
    assert await house.sessions.open(other) is not None
    assert await house.sessions.end_token(token) is None


async def test_no_other_token_ends_a_session(house):
    session, _ = await house.sessions.begin(sign_in())
    token, until = await house.sessions.issue_token(session)
    for none in ("", "a@b", "A" * 43 + "@hrss", session, SESSION_MARK + session, f"{session}@hrss", f"{token}@hrss"):
        assert await house.sessions.end_token(none) is None
    house.clock.wall = until
    assert await house.sessions.end_token(token) is None, "one that is over ends nothing either"


async def test_an_ended_session_gives_out_no_token(house):
    session, _ = await house.sessions.begin(sign_in())
    await house.sessions.end(session)
    with pytest.raises(CredentialRejected):
        await house.sessions.issue_token(session)


@pytest.mark.parametrize("token", ["eyJ.eyJ.sig", "abc@other", "AQIC5w*@node1", "", "@", "x@hrss2", "hrss"])
async def test_other_tokens_are_not_ours(house, token):
    assert await house.sessions.find(token) is None
    assert await house.sessions.introspect(token) is None


@pytest.mark.parametrize("token", ["@hrss", "abc@hrss", "A" * 43 + "@hrss", "A" * 8000 + "@hrss", "é" * 43 + "@hrss"])
async def test_what_looks_like_ours_and_never_was_is_rejected(house, token):
    with pytest.raises(CredentialRejected):
        await house.sessions.find(token)
    assert await house.sessions.introspect(token) is None


@pytest.mark.parametrize("session", ["", "A" * 43, "short", "x" * 5000])
async def test_a_session_that_never_was_is_rejected(house, session):
    with pytest.raises(CredentialRejected):
        await house.sessions.find(SESSION_MARK + session)


async def test_a_sessions_id_is_no_token_for_other_departments(house):
    session, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.introspect(SESSION_MARK + session) is None
    assert await house.sessions.introspect(session + "@hrss") is None


async def test_the_request_token_belongs_to_one_session(house):
    first, second = [(await house.sessions.begin(sign_in()))[0] for _ in range(2)]
    assert house.sessions.request_token(first) == house.worker(KEYS[1], KEYS[0]).request_token(first)
    assert house.sessions.request_token(first) != house.sessions.request_token(second)
    assert first not in house.sessions.request_token(first)


# ── what operators see ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_listing_names_open_sessions_the_latest_use_first(house):
    session, one = await house.sessions.begin(sign_in(), ChannelAccount("wechat", "wx1", "openid-1"))
    house.clock.advance(10)
    _, two = await house.sessions.begin(sign_in(person(subject="u-2", session=None)))
    listed, total = await house.sessions.listing()
    assert ([entry.handle for entry in listed], total) == ([two.handle, one.handle], 2)
    assert [entry.handle for entry in (await house.sessions.listing("u-1"))[0]] == [one.handle]
    few, total = await house.sessions.listing(most=1)
    assert (len(few), total) == (1, 2)
    await house.sessions.end(session)
    assert [entry.handle for entry in (await house.sessions.listing())[0]] == [two.handle]


async def test_a_handle_ends_its_session(house):
    session, known = await house.sessions.begin(sign_in())
    other, _ = await house.sessions.begin(sign_in())
    assert await house.sessions.end_handle(known.handle) == 1
    assert await house.sessions.end_handle(known.handle) == 0
    assert await house.sessions.open(session) is None
    assert await house.sessions.open(other) is not None

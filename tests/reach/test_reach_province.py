"""The province misbehaves: each row of the table of faults, as the gateway's callers see it.

503 where we cannot decide, never 401 for a credential that may be good; nothing hangs, no 500; and all is well again
within five seconds after the fault ends. Every row holds for the standard platform (/all) and for the two verifiers
that share its work (/split).
"""

import asyncio
import time

import pytest
import pytest_asyncio

from gateway.contracts import PartContext
from gateway.fetch import HttpFetch
from gateway.tokens.keys import KeyPolicy, KeySet
from tests.desk.desk_world import Log
from tests.plugin_world import Signer
from tests.reach import reach_province as province_says
from tests.reach.reach_province import Province, in_turn, says
from tests.reach.reach_world import PASSES, RECOVERY, REJECTED, bearer, reaching

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNDECIDED = (503, "province-unreachable")
HARD, REMEMBER, TIMEOUT, CONCURRENCY = 5.0, 2.0, 0.5, 3
SETTINGS = {
    "soft_ttl": "1s",
    "hard_ttl": f"{HARD}s",
    "min_refetch": "1s",
    "timeout": f"{TIMEOUT}s",
    "concurrency": CONCURRENCY,
    "remember": f"{REMEMBER}s",
    "remember_rejected": "0s",
}
"""Short, so that the tests are; how soon the breaker is tried again is left as it is."""
NOT_SOON = 4.0
"""Seconds after which, at the latest, it is noticed that remembered verdicts rest on keys that are too old."""
SPOILT = {
    "500": province_says.error,
    "HTML": province_says.page,
    "a redirect": province_says.redirect,
    "huge": province_says.huge,
    "compressed": province_says.compressed,
    "cut off": province_says.cut,
    "no HTTP": province_says.no_http,
    "empty": says(b""),
}
NONSENSE = {
    "an empty object": {},
    "a list": [],
    "no JSON": b"\xff\xfe{",
    "a truth value as text": {"active": "true"},
    "a number": {"active": 1},
    "yes, of nobody": {"active": True, "aud": "dept-hrss", "subject_type": "natural"},
    "yes, of an unknown kind": {"active": True, "sub": "u-1", "aud": "dept-hrss", "subject_type": "robot"},
    "a member twice": b'{"active": false, "active": true, "sub": "u-1"}',
    "no number as a time": b'{"active": true, "sub": "u-1", "aud": "dept-hrss", "exp": NaN}',
    "too deep": b'{"active": true, "deep": ' + b"[" * 5000 + b"]" * 5000 + b"}",
}
PATHS = {"/all/1": "", "/split/1": "split/"}
"""What is asked for, and where the province is asked then."""
each_verifier = pytest.mark.parametrize(("path", "prefix"), PATHS.items(), ids=["all", "split"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reach(tmp_path_factory):
    async with reaching(tmp_path_factory.mktemp("edge"), **SETTINGS) as reach:
        yield reach


class Tokens:
    """Opaque tokens that nobody has seen."""

    def __init__(self):
        self._count = 0

    def __call__(self):
        self._count += 1
        return f"fresh-{self._count}"


fresh = Tokens()


def fresh_jwt(reach):
    """A signed token that nobody has seen."""
    return reach.province.token(jti=f"jti-{fresh()}")


async def recovered(reach):
    """End every fault; gives the seconds until new tokens of both kinds pass everywhere."""
    await reach.province.up()
    reach.province.gate.set()
    ended = time.monotonic()
    for path in PATHS:
        await reach.until(lambda: reach.told(path, **bearer(fresh_jwt(reach))), PASSES)  # noqa: B023 - used at once
        await reach.until(lambda: reach.told(path, **bearer(fresh())), PASSES)  # noqa: B023
    reach.province.gate.clear()
    return time.monotonic() - ended


class Outage:
    """What was told while the province was down, and how long it took until it was forgotten.

    Attributes:
        told: by path and kind of token: (seconds since the province went down, status and code) of each answer.
        others: what was told to those who do not need the province.
        recovery: seconds.
    """

    def __init__(self):
        self.told = {}
        self.others = set()
        self.recovery = 0.0

    def times(self, path, kind, told):
        return [at for at, one in self.told[path, kind] if one == told]

    def all_told(self, kind):
        return {one for (_, given), answers in self.told.items() if given == kind for _, one in answers}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outage(reach):
    """The province goes down, stays away until nothing passes any more, and comes back."""
    found, line, person = Outage(), reach.line(), await reach.sign_in()
    known = {"jwt": fresh_jwt(reach), "opaque": fresh()}
    for path in PATHS:
        for token in known.values():
            assert (await line.ask(path, **bearer(token))).told == PASSES
    await reach.province.down()
    down = time.monotonic()
    while (since := time.monotonic() - down) < HARD + NOT_SOON:
        tokens = {f"known {kind}": token for kind, token in known.items()}
        tokens |= {"new jwt": fresh_jwt(reach), "new opaque": fresh()}
        for path in PATHS:
            for kind, token in tokens.items():
                told = (await line.ask(path, **bearer(token))).told
                found.told.setdefault((path, kind), []).append((since, told))
        found.others |= {(await line.ask("/open/1")).told, (await line.ask("/all/1", **person.session)).told}
        if all(found.times(path, "known jwt", UNDECIDED) for path in PATHS):
            break
        await asyncio.sleep(0.05)
    found.recovery = await recovered(reach)
    return found


async def test_down_with_jwts_the_known_keys_serve_up_to_their_hard_age_and_then_nobody_is_judged(outage):
    """200, then 503, never 401; what was judged before ends a moment later; back within five seconds."""
    for path in PATHS:
        for kind in ("known jwt", "new jwt"):
            passed, closed = outage.times(path, kind, PASSES), outage.times(path, kind, UNDECIDED)
            assert len(passed) + len(closed) == len(outage.told[path, kind])
            assert passed[-1] < closed[0], "once closed, closed"
        assert HARD - 1.5 < outage.times(path, "new jwt", UNDECIDED)[0] < HARD + 1.0
    assert outage.others == {PASSES}, "own sessions and public items"
    assert outage.recovery < RECOVERY


async def test_down_with_opaque_tokens_only_what_was_judged_a_moment_ago_passes(outage):
    """503 for every other one; the memory ends in its time."""
    assert outage.all_told("new opaque") == {UNDECIDED}
    assert outage.all_told("known opaque") == {PASSES, UNDECIDED}
    for path in PATHS:
        passed, closed = outage.times(path, "known opaque", PASSES), outage.times(path, "known opaque", UNDECIDED)
        assert passed[-1] < closed[0]
        assert closed[0] < REMEMBER + 1.0


@each_verifier
async def test_slow_many_who_wait_for_one_token_ask_once_and_few_questions_are_under_way(reach, path, prefix):
    """One question for one token; no more than the bulkhead holds; everybody has an answer soon after the timeout."""
    place, province = f"{prefix}introspect", reach.province
    province.faults[place] = province_says.slow
    one, asked = fresh(), province.asked[place]
    waiting = [asyncio.create_task(reach.ask(path, **bearer(one))) for _ in range(40)]
    await province.heard(place, asked)
    province.gate.set()
    assert await reach.together(waiting) == [PASSES] * 40
    assert province.asked[place] - asked == 1

    province.gate.clear()
    one, asked, began = fresh(), province.asked[place], time.monotonic()
    assert await reach.together(reach.ask(path, **bearer(one)) for _ in range(40)) == [UNDECIDED] * 40
    assert province.asked[place] - asked == 1
    assert await reach.together(reach.ask(path, **bearer(fresh())) for _ in range(40)) == [UNDECIDED] * 40
    assert province.asked[place] - asked <= 1 + CONCURRENCY
    assert time.monotonic() - began < 5.0, "in turn, eighty that wait for the timeout would take thirteen seconds"
    assert await recovered(reach) < RECOVERY


@each_verifier
@pytest.mark.parametrize("fault", SPOILT.values(), ids=SPOILT.keys())
async def test_500_html_redirects_and_huge_answers_are_no_answers(reach, path, prefix, fault):
    """503 with a time to come back; asked once, not again; and the very next token is judged when all is well."""
    place, province = f"{prefix}introspect", reach.province
    asked = province.asked[place]
    province.faults[place] = fault
    answer = await reach.ask(path, **bearer(fresh()))
    assert answer.told == UNDECIDED
    assert int(answer.field("retry-after")) >= 1
    assert province.asked[place] - asked == 1
    province.faults.clear()
    assert await reach.told(path, **bearer(fresh())) == PASSES


@each_verifier
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE.keys())
async def test_nonsense_is_neither_yes_nor_no(reach, path, prefix, said):
    """Only a plain no is a 401."""
    place = f"{prefix}introspect"
    reach.province.faults[place] = says(said)
    assert await reach.told(path, **bearer(fresh())) == UNDECIDED
    reach.province.faults[place] = says({"active": False})
    assert await reach.told(path, **bearer(fresh())) == REJECTED
    reach.province.faults.clear()


@pytest.mark.parametrize("place", ["token", "userinfo"])
@pytest.mark.parametrize("fault", SPOILT.values(), ids=SPOILT.keys())
async def test_a_login_that_gets_such_an_answer_signs_nobody_in_and_is_not_repeated(reach, place, fault):
    """503, no session, one exchange however often the browser comes back; the next login works."""
    province = reach.province
    _, back, cookie = await reach.begin_login()
    province.faults[place] = fault
    asked = province.asked["token"]
    for _ in range(2):
        answer = await reach.ask(back, cookie=cookie)
        assert answer.told == UNDECIDED
        assert answer.cookie("__Host-sid") is None
    assert province.asked["token"] - asked == 1
    province.faults.clear()
    await reach.sign_in()


async def test_flapping_keys_good_empty_and_garbage_in_turn_never_cost_a_valid_token_a_401(reach):
    """Until all have been fetched three times, with a token of its own in each request."""
    province, line, told = reach.province, reach.line(), set()
    places = [f"{prefix}jwks" for prefix in PATHS.values()]
    for place in places:
        province.faults[place] = in_turn(says({"keys": []}), None, says(b"<html>"), None)
    asked = {place: province.asked[place] for place in places}
    while any(province.asked[place] - asked[place] < 3 for place in places):
        for path in PATHS:
            told.add((await line.ask(path, **bearer(fresh_jwt(reach)))).told)
        await asyncio.sleep(0.01)
    assert told == {PASSES}
    assert await recovered(reach) < RECOVERY


async def test_hundreds_of_alternations_never_lose_a_key_that_is_in_the_good_sets():
    """The same on real sockets without the pauses between fetches: every way of being wrong between two good sets."""
    wrong = [says({"keys": []}), says({"keys": [{"kid": "key-1", "kty": "oct"}]}), says({}), *SPOILT.values()]
    fetch, withdrawn, found = HttpFetch(), [], set()
    async with Province().running() as province:
        turns = [fault for one in wrong for fault in (one, None)]
        province.faults["jwks"] = in_turn(None, *turns)
        context = PartContext("part", fetch, None, time.time, time.monotonic, Log())
        policy = KeyPolicy(frozenset({"ES256"}), soft_ttl=0.001, hard_ttl=60.0, min_refetch=0.0, timeout=1.0)
        url = f"{province.address}/jwks"
        keys = KeySet(url, policy, context, lambda: withdrawn.append(1), sleep=lambda _: asyncio.sleep(0))
        await keys.start()
        while province.asked["jwks"] < 300:
            found.add(await keys.find("key-1") is not None)
            await asyncio.sleep(0)
        await keys.stop()
    await fetch.close()
    assert (found, withdrawn) == ({True}, [])


async def test_keys_that_cannot_be_fetched_leave_a_token_under_a_new_key_undecided(reach):
    """It may be a good one: 503; when the set can be fetched again, it passes, and one that is not there is a 401."""
    new = Signer("ES256", "key-2")
    reach.province.faults["jwks"] = says(b"maintenance")
    asked = reach.province.asked["jwks"]
    while reach.province.asked["jwks"] == asked:
        await reach.told("/all/1", **bearer(reach.province.token()))
        await asyncio.sleep(0.01)
    token = reach.province.token(signer=new)
    assert await reach.told("/all/1", **bearer(token)) == UNDECIDED
    reach.province.keys.append(new.jwk())
    reach.province.faults.clear()
    await reach.until(lambda: reach.told("/all/1", **bearer(token)), PASSES)
    unknown = reach.province.token(signer=Signer("ES256", "key-3"))
    await reach.until(lambda: reach.told("/all/1", **bearer(unknown)), REJECTED)

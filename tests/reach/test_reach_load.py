"""Load on the province: however many ask us, it is asked once for each token, rarely for keys, once for each login."""

import asyncio
import time

import pytest

from tests.reach.reach_province import unknown_key_token
from tests.reach.reach_world import bearer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("redis-server")]

REQUESTS = 10_000
TOKENS = 100
LINES = 20
"""Connections; each makes so many requests that no worker closes it (1000)."""


async def flood(lines, path, tokens):
    """Ask with all of these tokens, in turns on these lines; gives what was told, and the seconds it took."""
    told = []

    async def ask_on(line, mine):
        told.extend([(await line.ask(path, **bearer(token))).told for token in mine])

    began = time.monotonic()
    await asyncio.gather(*(ask_on(line, tokens[number :: len(lines)]) for number, line in enumerate(lines)))
    return set(told), time.monotonic() - began


def opaque(count):
    """So many tokens, TOKENS different ones; each comes on every line, and so to every worker."""
    return [f"opaque-flood-{number // LINES % TOKENS}" for number in range(count)]


each_verifier = pytest.mark.parametrize(
    ("path", "prefix", "count"), [("/all/1", "", REQUESTS), ("/split/1", "split/", REQUESTS // 5)]
)
"""The standard platform, and the two verifiers that share its work."""


@each_verifier
async def test_ten_thousand_requests_with_a_hundred_tokens_cause_a_hundred_checks(alone, path, prefix, count):
    """In one memory period (30 s) of one worker: once for each token, however many ask at the same moment."""
    before = alone.province.asked[f"{prefix}introspect"]
    told, seconds = await flood([alone.line() for _ in range(LINES)], path, opaque(count))
    assert seconds < 30
    assert told == {(200, None)}
    assert alone.province.asked[f"{prefix}introspect"] - before == TOKENS


async def test_each_of_two_workers_asks_about_each_token_once(two):
    """What a verifier said is remembered by each worker for itself (docs/identity.md)."""
    before = two.province.asked["introspect"]
    lines = [line for _ in range(LINES // 2) for line in await two.lines_of_workers()]
    told, _ = await flood(lines, "/all/1", opaque(REQUESTS // 5))
    assert told == {(200, None)}
    assert two.province.asked["introspect"] - before == 2 * TOKENS


@each_verifier
async def test_ten_thousand_tokens_with_random_key_ids_cause_two_fetches_a_minute_at_most(alone, path, prefix, count):
    """One at the start and one out of turn; the next one is half a minute later. Good tokens pass meanwhile."""
    place = f"{prefix}jwks"
    before = alone.province.asked[place]
    good = [alone.province.token(f"u-{number}") for number in range(LINES)]
    (passed, _), (refused, seconds) = await asyncio.gather(
        flood([alone.line()], path, good),
        flood([alone.line() for _ in range(LINES)], path, [unknown_key_token(number) for number in range(count)]),
    )
    assert seconds < 30
    assert (passed, refused) == ({(200, None)}, {(401, "token-invalid")})
    assert alone.province.asked[place] - before <= 1


async def test_fifty_callbacks_at_once_make_one_exchange(alone):
    """All of them end where the visitor wanted to go, in the same session; a later one as well."""
    _, back, cookie = await alone.begin_login()
    asked = alone.province.asked["token"]
    answers = await asyncio.gather(*(alone.ask(back, cookie=cookie) for _ in range(50)))
    answers.append(await alone.ask(back, cookie=cookie))
    assert alone.province.asked["token"] - asked == 1
    assert {(answer.status, answer.field("location")) for answer in answers} == {(303, "/open/1")}
    assert len({answer.cookie("__Host-sid") for answer in answers}) == 1


async def test_fifty_callbacks_at_once_to_two_workers_make_one_exchange(two):
    """On the other worker the login is over: 400, the same for everybody, and no second exchange."""
    lines = await two.lines_of_workers()
    _, back, cookie = await two.begin_login()
    asked = two.province.asked["token"]
    first = [line.ask(back, cookie=cookie) for line in lines]
    answers = await asyncio.gather(*first, *(two.ask(back, cookie=cookie) for _ in range(48)))
    assert two.province.asked["token"] - asked == 1
    assert {answer.told for answer in answers} == {(303, None), (400, "sign-in-malformed")}
    sessions = {answer.cookie("__Host-sid") for answer in answers if answer.status == 303}
    assert len(sessions) == 1
    assert await two.told("/all/1", cookie=f"__Host-sid={sessions.pop()}") == (200, None)

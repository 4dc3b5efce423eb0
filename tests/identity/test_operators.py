"""What operators see and end: handles and pseudonyms, never an id, and persons only where they are asked for."""

import json

import pytest

from gateway.errors import ConfigurationError
from gateway.identity.operators import end_sessions, list_sessions
from gateway.signin import ChannelAccount
from tests.identity.session_world import UNMISTAKABLE, House, person, sign_in, unmistakable_sign_in
from tests.plugin_world import NOW


def pseudonym(issuer: str, subject: str) -> str:
    return f"someone of {issuer}"


@pytest.fixture
def house() -> House:
    return House()


async def test_a_session_is_shown_without_its_person_and_without_its_id(house):
    account = ChannelAccount("wechat", "wx1", "openid-of-one-person")
    session, known = await house.sessions.begin(unmistakable_sign_in(), account)
    said = await list_sessions(house.sessions, {}, pseudonym)
    assert said == {
        "sessions": [
            {
                "handle": known.handle,
                "issuer": "https://id.province.example",
                "subject": "someone of https://id.province.example",
                "operator": None,
                "kind": "natural",
                "assurance": 3,
                "channel": "wechat",
                "began_at": NOW,
                "used_at": NOW,
                "expires_at": NOW + 1200,
            }
        ],
        "total": 1,
    }
    shown = json.dumps(said, ensure_ascii=False)
    assert not any(secret in shown for secret in (session, account.id, *UNMISTAKABLE))


async def test_persons_are_shown_where_that_is_asked_for(house):
    await house.sessions.begin(sign_in(person(subject="unit-1", operator="u-1")))
    (shown,) = (await list_sessions(house.sessions, {"reveal": "yes"}, pseudonym))["sessions"]
    assert (shown["subject"], shown["operator"]) == ("unit-1", "u-1")


async def test_one_persons_sessions_are_found(house):
    await house.sessions.begin(sign_in())
    await house.sessions.begin(sign_in(person(subject="u-2")))
    assert (await list_sessions(house.sessions, {"subject": "u-2"}, pseudonym))["total"] == 1
    assert (await list_sessions(house.sessions, {"subject": "u-3"}, pseudonym))["total"] == 0


@pytest.mark.parametrize(
    ("asked", "ended"),
    [
        ({"sub": "u-1"}, 2),
        ({"sub": "u-1", "iss": "https://id.province.example"}, 2),
        ({"sub": "u-1", "iss": "https://other.example"}, 0),
        ({"sid": "province-sid-1"}, 2),
        ({"handle": "0" * 16}, 0),
    ],
)
async def test_sessions_are_ended_by_what_an_operator_knows(house, asked, ended):
    for _ in range(2):
        await house.sessions.begin(sign_in())
    assert await end_sessions(house.sessions, asked) == {"ended": ended}
    assert (await list_sessions(house.sessions, {}, pseudonym))["total"] == 2 - ended


async def test_a_handle_ends_one(house):
    _, known = await house.sessions.begin(sign_in())
    await house.sessions.begin(sign_in())
    assert await end_sessions(house.sessions, {"handle": known.handle}) == {"ended": 1}


async def test_where_nobody_signs_in_there_is_nothing_to_see():
    with pytest.raises(ConfigurationError, match="nobody signs in"):
        await list_sessions(None, {}, pseudonym)
    with pytest.raises(ConfigurationError, match="nobody signs in"):
        await end_sessions(None, {"handle": "x"})

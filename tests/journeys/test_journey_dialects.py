"""Signing in at the second department through every dialect of identity platform that the sandbox speaks."""

import json

import pytest
from sign_in_world import VISITS
from yarl import URL

B = "medical-edge"
CITIZEN = "8f2c61d0b7e94a53c1d6"
UNIT = "91350100M000100Y43"
PERSONS = ["zhejiang", "zhejiang-irs", "jis", "guangdong", "national"]
UNITS = ["zhejiang-unit", "zhejiang-irs", "jis", "guangdong", "national"]


async def sign_in(people, platform, user, kind):
    """Go through the platform's login page; gives the person and where she ends."""
    person = people.person()
    query = {"return_to": VISITS, "platform": platform, "as": kind}
    page = await person.browser.open(URL(person.url(B, "/sso/login")).with_query(query))
    page = await person.browser.press(page, user=user)
    if page.forms:  # the browser posts what the platform has to say
        page = await person.browser.press(page)
    return person, page


@pytest.mark.parametrize("platform", PERSONS)
async def test_a_person_signs_in_through_the_dialect(people, platform):
    """Ticket or code → token → person; the system behind gets the one form of identity that it knows."""
    person, page = await sign_in(people, platform, "citizen-1", "natural")
    assert (page.status, page.url.path) == (200, VISITS), page.text
    identity = json.loads(page.text)["identity"]
    assert (identity["sub"], identity["sub_iss"], identity["assurance"]) == (CITIZEN, platform, 3)
    assert "ticket" not in str(page.url)
    assert (await person.session(B))["kind"] == "natural"


@pytest.mark.parametrize("platform", UNITS)
async def test_a_unit_signs_in_through_the_dialect(people, platform):
    """With who acts for it; Zhejiang's own posts to the callback."""
    _, page = await sign_in(people, platform, "unit-1", "legal")
    assert (page.status, page.url.path) == (200, VISITS), page.text
    identity = json.loads(page.text)["identity"]
    assert (identity["sub"], identity["act"]) == (UNIT, {"sub": "operator-1"})


@pytest.mark.parametrize("platform", PERSONS)
async def test_a_dialects_own_token_is_judged_by_its_own_platform(people, platform):
    """Whose a token is, its form tells; the others are not asked."""
    person = people.person()
    place = {"zhejiang": "/zhejiang", "zhejiang-irs": "/zhejiang-irs", "jis": "/jis", "guangdong": "/guangdong"}
    where = "national" if platform == "national" else "dialects"
    token = (await people.look(where, place.get(platform, "") + "/sandbox/token", user="citizen-1"))["token"]
    assert await person.with_token(B, VISITS, token) == (200, "")
    assert await person.with_token(B, VISITS, token[:-1] + ("A" if token[-1] != "A" else "B")) == (
        401,
        "token-invalid",
    )


@pytest.mark.parametrize("platform", ["jis", "national"])
async def test_signing_out_leads_over_the_dialects_logout_page(people, platform):
    """And back to the department."""
    person, _ = await sign_in(people, platform, "citizen-1", "natural")
    page = await person.sign_out(B)
    assert (page.status, page.url.path) == (200, "/sso/")
    assert any("logout" in str(address).lower() for address in page.trail[1:])
    assert not (await person.session(B))["signed_in"]


async def through_tif(people, user="citizen-1", **fields):
    """Ask through the TIF gateway; gives status and data."""
    headers = {"X-Sandbox-User": user, "Accept": "application/json"} | fields
    person = people.person()
    url = people.places.url("dialects") + "/tif/to" + VISITS
    page = await person.browser.ask("GET", url, headers=headers)
    return page.status, json.loads(page.text)


async def test_a_tif_gateway_vouches_for_its_callers(people):
    """Persons and units; nobody is asked."""
    status, answer = await through_tif(people)
    assert (status, answer["identity"]["sub"], answer["identity"]["sub_iss"]) == (200, CITIZEN, "guangdong")
    assert not any(name.startswith("x-tif") for name in answer["headers"])
    status, answer = await through_tif(people, "unit-1")
    assert (status, answer["identity"]["act"]) == (200, {"sub": "operator-1"})


@pytest.mark.parametrize(
    ("spoil", "code"), [("signature", "channel-signature"), ("replay", "replayed"), ("unsigned", "token-missing")]
)
async def test_a_tif_gateway_that_vouches_wrongly_is_not_believed(people, spoil, code):
    """A bad signature, the same one again, none at all."""
    await through_tif(people)
    status, problem = await through_tif(people, **{"X-Sandbox-Spoil": spoil})
    assert (status, problem["code"]) == (401, code)


async def test_a_tif_gateway_whose_clock_is_off_is_not_believed(people):
    """Ninety seconds either way."""
    await people.order("dialects", "/tif/sandbox/clock", offset=200)
    try:
        status, problem = await through_tif(people)
    finally:
        await people.order("dialects", "/tif/sandbox/clock", offset=0)
    assert (status, problem["code"]) == (401, "clock-skew")


@pytest.mark.parametrize("platform", ["zhejiang", "zhejiang-irs", "jis"])
async def test_a_platform_whose_clock_is_off_cannot_be_used_and_nobody_is_blamed(people, platform):
    """503: our signature is too old for it, the visitor has done nothing wrong."""
    await people.order("dialects", f"/{platform}/sandbox/clock", offset=-1000)
    try:
        _, page = await sign_in(people, platform, "citizen-1", "natural")
    finally:
        await people.order("dialects", f"/{platform}/sandbox/clock", offset=0)
    assert page.status == 503


async def test_a_channel_account_signs_in_once_it_is_linked(people):
    """The paper's A4: an openid is nobody until its owner has signed in at the province and linked it."""
    person, a = people.person(), people.places.url("edge")

    async def code():
        order = {"user": "citizen-1", "application": "wx0000000000000001"}
        page = await person.browser.ask("POST", people.places.url("channels") + "/sandbox/codes", json=order)
        return json.loads(page.text)["code"]

    page = await person.browser.ask("POST", f"{a}/sso/channels/wechat", json={"code": await code()})
    problem = json.loads(page.text)
    assert (page.status, problem["code"]) == (409, "link-missing")
    page = await person.browser.open(problem["continue_at"])
    page = await person.browser.press(page, user="citizen-1")
    page = await person.browser.press(page)
    page = await person.browser.ask("POST", f"{a}/sso/channels/wechat", json={"code": await code()})
    assert page.status == 200
    token = json.loads(page.text)["access_token"]
    assert await person.with_token("edge", "/social-insurance/contributions", token) == (200, "")

"""Signing in: there, back, once; and everything somebody might send instead."""

import asyncio
from urllib.parse import urlencode, urlsplit

import pytest
from desk_world import ORIGIN, Browser

from gateway.errors import VerifierUnavailable
from gateway.identity.revocations import Revocations
from gateway.model import Kind
from gateway.signin import SignIn
from gateway.withdrawals import Withdrawal


async def test_a_visitor_is_sent_to_the_platform_and_comes_back_to_where_she_wanted_to_go(world, browser):
    """Without the ticket in the address, and without telling anybody where she was."""
    asked = await browser.begin("/medical/settlements?year=2026")
    assert asked["redirect_uri"] == f"{ORIGIN}/sso/callback/province"
    page = await browser.come_back(asked)
    assert (page.status, page.location) == (303, "/medical/settlements?year=2026")
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    said = await browser.state()
    assert (said["signed_in"], said["kind"], said["assurance"]) == (True, "natural", 3)


async def test_cookies_are_bound_to_the_host_and_the_session_s_is_not_sent_across_sites(browser):
    """Browser asserts Secure, HttpOnly, Path=/ and no Domain of each."""
    await browser.sign_in()
    assert {name: same for name, (_, same) in browser.cookies.items()} == {"__Host-login": "None", "__Host-sid": "Lax"}


async def test_a_platform_may_send_the_browser_back_with_a_post(world, browser):
    """From its own page, so that the browser leaves the session's cookie out; the login's own cookie is enough."""
    await browser.sign_in()
    first = browser.session
    asked = await browser.begin(acr_values="3")
    page = await browser.post("/sso/callback/province", {"state": asked["state"], "ticket": "ST-2"}, site="cross-site")
    assert (page.status, page.location) == (303, "/medical/settlements")
    assert browser.session not in (None, first)
    assert await world.house.sessions.open(first) is None


async def test_the_state_may_stand_in_the_address_while_the_ticket_is_in_the_form(browser):
    asked = await browser.begin()
    page = await browser.post(f"/sso/callback/province?state={asked['state']}", {"ticket": "ST-1"}, site="cross-site")
    assert page.status == 303


async def test_a_callback_without_a_state_signs_nobody_in(world, browser):
    """Login CSRF: a victim whose login is under way is led to the callback with an attacker's own ticket."""
    asked = await browser.begin()
    page = await browser.get(f"{urlsplit(asked['redirect_uri']).path}?ticket=ST-of-an-attacker")
    assert (page.status, world.codes(), world.province.redeemed) == (400, ["sign-in-malformed"], [])
    assert (await browser.come_back(asked)).status == 303


async def test_a_login_gives_a_session_id_that_nobody_could_have_planted(browser):
    """Session fixation: what was in the cookie before is not what is in it after."""
    planted = "A" * 43
    browser.cookies["__Host-sid"] = planted, "Lax"
    await browser.sign_in()
    assert browser.session != planted


async def test_a_second_login_ends_the_session_of_the_first(world, browser):
    await browser.sign_in()
    first = browser.session
    await browser.sign_in()
    assert browser.session != first
    assert await world.house.sessions.open(first) is None


async def test_the_callback_of_another_browser_signs_nobody_in(world, browser, client):
    """Login CSRF: an attacker has a victim open the callback of a login that he began."""
    asked = await browser.begin()
    victim = Browser(client)
    await victim.begin()
    page = await victim.come_back(asked)
    assert (page.status, page.cookies, world.province.redeemed) == (400, [], [])
    assert victim.session is None
    assert (await browser.come_back(asked)).status == 303  # and the login it belongs to is not destroyed by it


async def test_a_callback_without_the_login_cookie_signs_nobody_in(world, browser, client):
    asked = await browser.begin()
    assert (await Browser(client).come_back(asked)).status == 400
    assert world.province.redeemed == []


async def test_a_platform_that_the_desk_does_not_name_signs_nobody_in(world, browser):
    """It is a verifier of tokens here, and nothing more."""
    assert "platform=units" not in (await browser.get("/sso/")).text
    assert (await browser.get("/sso/login?platform=units&as=legal")).status == 400
    assert (await browser.get("/sso/callback/units?ticket=ST-1")).status == 404


async def test_a_login_is_finished_once(world, browser):
    """A replayed callback, after the moment in which browsers repeat it by themselves, finds nothing."""
    asked = await browser.begin()
    await browser.come_back(asked)
    world.clock.advance(31)
    assert (await browser.come_back(asked)).status == 400
    assert len(world.province.redeemed) == 1


async def test_another_ticket_for_the_same_state_is_refused(world, browser):
    asked = await browser.begin()
    await browser.come_back(asked)
    assert (await browser.come_back(asked, ticket="ST-stolen")).status == 400
    assert len(world.province.redeemed) == 1


async def test_fifty_callbacks_at_once_make_one_exchange(world, browser):
    world.province.gate = asyncio.Event()
    asked = await browser.begin()
    callbacks = [asyncio.create_task(browser.come_back(asked)) for _ in range(50)]
    await world.province.asked.wait()
    world.province.gate.set()
    pages = await asyncio.gather(*callbacks)
    assert len(world.province.redeemed) == 1
    assert {(page.status, page.location) for page in pages} == {(303, "/medical/settlements")}
    assert len({tuple(page.cookies) for page in pages}) == 1
    assert len(world.log.of("signed in")) == 1


async def test_a_login_that_took_too_long_is_over(world, browser):
    asked = await browser.begin()
    world.clock.advance(601)
    assert (await browser.come_back(asked)).status == 400


async def test_a_visitor_who_refuses_at_the_platform_is_told_so(world, browser):
    asked = await browser.begin()
    page = await browser.get(f"/sso/callback/province?{urlencode({'state': asked['state'], 'error': 'access_denied'})}")
    assert (page.status, world.codes()) == (401, ["sign-in-refused"])
    assert "access_denied" in world.refusals[0].detail
    assert world.refusals[0].way == "/sso/"
    assert world.province.redeemed == []


async def test_what_a_platform_calls_an_error_does_not_reach_the_log_as_it_comes(world, browser):
    asked = await browser.begin()
    await browser.come_back(asked, error="<script>\n13800138000")
    assert "13800138000" not in str(world.log.lines)


async def test_a_ticket_that_the_platform_refuses_signs_nobody_in(world, browser):
    page = await browser.come_back(await browser.begin(), ticket="forged")
    assert (page.status, page.cookies, world.codes()) == (401, [], ["sign-in-refused"])


@pytest.mark.parametrize(
    "error", [VerifierUnavailable("down"), VerifierUnavailable("too slow"), VerifierUnavailable("an answer in HTML")]
)
async def test_a_platform_that_cannot_be_asked_is_503_and_ends_no_session(world, browser, error):
    """A ticket is exchanged once: coming again with it asks nobody again."""
    await browser.sign_in()
    world.province.error = error
    asked = await browser.begin()
    page = await browser.come_back(asked)
    assert (page.status, world.codes(), page.cookies) == (503, ["province-unreachable"], [])
    assert (await browser.come_back(asked)).status == 503
    assert len(world.province.redeemed) == 2
    assert (await browser.state())["signed_in"]


async def test_a_plugin_that_breaks_is_500_and_signs_nobody_in(world, browser):
    world.province.error = KeyError("level")
    page = await browser.come_back(await browser.begin())
    assert (page.status, page.cookies, world.codes()) == (500, [], ["internal-error"])


async def test_a_store_that_is_away_is_503_and_keeps_the_login(world, browser):
    asked = await browser.begin()
    world.house.store.down = True
    assert (await browser.get("/sso/login")).status == 503
    page = await browser.come_back(asked)
    assert (page.status, world.codes()[-1], world.province.redeemed) == (503, "state-unavailable", [])
    world.house.store.down = False
    world.clock.advance(31)
    assert (await browser.come_back(asked)).status == 303


async def test_a_session_that_the_platform_withdrew_is_not_begun_again(world, browser):
    """Else a browser would go round in a circle: to the platform, which knows it, and back, where it is denied."""
    revocations: Revocations = world.house.revocations
    revocations.add(Withdrawal("sid", "province-sid-1", world.clock.wall, world.clock.wall + 600))
    page = await browser.sign_in()
    assert (page.status, world.codes()) == (401, ["sign-in-refused"])


async def test_a_new_login_after_everything_of_a_person_was_withdrawn_counts(world, browser):
    world.house.revocations.add(Withdrawal("sub", "u-1", world.clock.wall, world.clock.wall + 600))
    world.clock.advance(1)
    assert (await browser.sign_in()).status == 303
    assert (await browser.state())["signed_in"]


@pytest.mark.parametrize(
    "query",
    [
        "state={state}&ticket=ST-1&ticket=ST-2",
        "state={state}&state={state}&ticket=ST-1",
        "state={state}&ticket=ST-%00",
        "state={state}&ticket=ST-%ff",
        "state={state}&ticket=ST-" + "a" * 5000,
        "state={state}&" + "&".join(f"p{n}=1" for n in range(40)),
    ],
    ids=["ticket twice", "state twice", "NUL", "not UTF-8", "too long", "too many"],
)
async def test_a_callback_with_odd_parameters_is_400(world, browser, query):
    asked = await browser.begin()
    page = await browser.get(f"/sso/callback/province?{query.format(**asked)}")
    assert (page.status, world.province.redeemed) == (400, [])
    assert (await browser.come_back(asked)).status == 303


async def test_a_parameter_in_the_address_and_in_the_form_is_400(world, browser):
    asked = await browser.begin()
    page = await browser.post(
        f"/sso/callback/province?state={asked['state']}", {"state": asked["state"], "ticket": "ST-1"}
    )
    assert page.status == 400


async def test_a_callback_of_16_kib_is_too_large(world, browser):
    asked = await browser.begin()
    fields = {"state": asked["state"]} | {f"p{n}": "a" * 3000 for n in range(6)}
    page = await browser.post("/sso/callback/province", fields, site="cross-site")
    assert (page.status, world.codes()) == (413, ["body-too-large"])


async def test_a_callback_that_is_no_form_is_400(browser):
    page = await browser.post("/sso/callback/province", {}, **{"Content-Type": "multipart/form-data"})
    assert page.status == 400


@pytest.mark.parametrize("cookie", ["__Host-login", "__Host-sid"])
async def test_two_cookies_of_a_name_are_refused(world, browser, cookie):
    """Cookie tossing: a neighbour's host may have planted the other one."""
    asked = await browser.begin()
    value = browser.cookies["__Host-login"][0]
    browser.cookies = {cookie: (f"{value}; {cookie}={'B' * 43}", "None")}
    path = f"/sso/login?{urlencode({'return_to': '/x'})}" if cookie == "__Host-sid" else None
    page = await browser.get(path) if path else await browser.come_back(asked)
    assert (page.status, world.codes()) == (400, ["request-malformed"])


@pytest.mark.parametrize(
    "query",
    [
        "as=nobody",
        "platform=unknown",
        "max_age=-1",
        "max_age=1e9",
        "acr_values=%22",
        "acr_values=",
        "as=natural&as=legal",
    ],
)
async def test_a_login_that_cannot_be_is_400(world, browser, query):
    assert (await browser.get(f"/sso/login?{query}")).status == 400
    assert set(world.codes()) == {"sign-in-malformed"}


async def test_an_unknown_platform_s_callback_is_404(browser):
    assert (await browser.get("/sso/callback/nobody?ticket=ST-1")).status == 404


async def test_every_line_of_the_log_names_its_request(world, browser):
    """As its record does, so the two can be joined."""
    id = "6905676f6a94706354ac8485d7f7d61e"  # noqa: A001
    asked = await browser.begin()
    place = f"{urlsplit(asked['redirect_uri']).path}?{urlencode({'state': asked['state'], 'ticket': 'ST-1'})}"
    assert (await browser.get(place, X_Request_Id=id)).status == 303
    assert (await browser.get("/sso/callback/province?ticket=ST-1", X_Request_Id=id)).status == 400
    assert [(event, said["request_id"]) for event, said in world.log.lines] == [
        ("signed in", id), ("sign-in refused", id),
    ]  # fmt: skip


async def test_the_log_tells_platform_outcome_and_handle_and_nothing_about_the_person(world, browser):
    await browser.sign_in()
    await browser.come_back(await browser.begin(), ticket="forged")
    signed_in, refused = world.log.of("signed in")[0], world.log.of("sign-in refused")[0]
    assert (signed_in["platform"], signed_in["outcome"]) == ("province", "signed-in")
    assert signed_in["handle"] == (await browser.state())["handle"]
    assert (refused["platform"], refused["outcome"]) == ("province", "sign-in-refused")
    for personal in ("张", "440101199001011234", "13800138000", "u-1", "ST-1", browser.session):
        assert personal not in str(world.log.lines)


# ── stronger logins ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_step_up_asks_the_platform_for_the_level_and_changes_the_session(world, browser):
    world.province.level = "2"
    await browser.sign_in()
    weak = browser.session
    world.province.level = "3"
    asked = await browser.begin("/strong", acr_values="3")
    assert asked["acr_values"] == "3"
    page = await browser.come_back(asked, ticket="ST-2")
    assert (page.status, page.location) == (303, "/strong")
    assert (await browser.state())["assurance"] == 3
    assert await world.house.sessions.open(weak) is None


async def test_a_higher_level_than_was_asked_for_is_as_good(world, browser):
    world.province.level = "4"
    assert (await browser.sign_in(acr_values="3")).status == 303


@pytest.mark.parametrize(
    ("level", "age", "asked"),
    [
        ("2", 0, {"acr_values": "3"}),
        ("unheard-of", 0, {"acr_values": "3"}),
        ("3", 0, {"acr_values": "L9"}),
        ("3", 301, {"max_age": "300"}),
        ("3", 120, {"max_age": "0"}),
    ],
    ids=["too weak", "unknown level", "a level that the platform does not know", "too old", "not fresh"],
)
async def test_a_login_that_does_not_reach_what_was_asked_is_told_and_changes_nothing(
    world, browser, level, age, asked
):
    """No second redirect: who cannot do better would go round in a circle."""
    await browser.sign_in()
    before = browser.session
    world.province.level, world.province.age = level, age
    page = await browser.come_back(await browser.begin(**asked), ticket="ST-2")
    assert (page.status, page.location, page.cookies) == (401, None, [])
    assert world.codes() == ["assurance-too-low"]
    assert await world.house.sessions.open(before) is not None


async def test_a_natural_person_does_not_sign_in_as_a_unit(world, browser):
    """Whatever the platform lets through: as whom somebody came is judged here, for every platform."""
    world.province.says = Kind.NATURAL
    page = await browser.come_back(await browser.begin(platform="province", **{"as": "legal"}))
    assert (page.status, page.cookies, world.codes()) == (401, [], ["sign-in-refused"])


async def test_fifty_callbacks_of_a_login_that_is_too_weak_are_all_told(world, browser):
    world.province.level = "1"
    asked = await browser.begin(acr_values="3")
    pages = await asyncio.gather(*(browser.come_back(asked) for _ in range(50)))
    assert {page.status for page in pages} == {401}
    assert len(world.province.redeemed) == 1


async def test_who_acts_for_a_unit_still_does_after_a_stronger_login(world, browser):
    await browser.sign_in()
    said = await browser.state()
    await browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": said["csrf_token"]})
    await browser.sign_in(acr_values="3")
    assert (await browser.state())["identity"] == "unit-1"


async def test_a_stronger_login_as_somebody_else_acts_for_nobody(world, browser):
    await browser.sign_in()
    said = await browser.state()
    await browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": said["csrf_token"]})
    world.province.subject = "u-2"
    await browser.sign_in(acr_values="3")
    assert (await browser.state())["identity"] == "self"


def test_what_a_platform_said_is_not_shown_by_repr(world):
    said: SignIn = world.province.sign_in()
    assert "张" not in repr(said)

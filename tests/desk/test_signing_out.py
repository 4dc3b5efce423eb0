"""Signing out: here and everywhere at once, and the truth about the platform."""

import asyncio

import pytest
from desk_world import ORIGIN, PORTAL, Browser, World

from gateway.errors import VerifierUnavailable


async def sign_out(browser, **headers):
    token = dict((await browser.get("/sso/logout")).form)["csrf_token"]
    return await browser.post("/sso/logout", {"csrf_token": token}, **headers)


async def test_a_visitor_signs_out_here_and_is_led_on_to_the_platform(world, browser):
    await browser.sign_in()
    gone = browser.session
    page = await sign_out(browser)
    assert page.status == 303
    assert page.location.startswith(f"{PORTAL}/logout?")
    assert page.asked()["post_logout_redirect_uri"] == f"{ORIGIN}/sso/"
    assert browser.session is None
    assert await world.house.sessions.open(gone) is None
    assert [one.principal.subject for one in world.province.ended] == ["u-1"]


async def test_every_worker_hears_of_it(world, browser):
    """The deny set has the session's handle, so what any worker remembers of it no longer counts."""
    await browser.sign_in()
    principal = (await world.house.sessions.open(browser.session)).principal
    assert not world.house.revocations.deny(principal)
    await sign_out(browser)
    assert world.house.revocations.deny(principal)


async def test_the_browser_forgets_what_it_stored_but_not_the_platform_s_cookies(browser):
    await browser.sign_in()
    assert (await sign_out(browser)).headers["Clear-Site-Data"] == '"cache", "storage"'


async def test_a_link_signs_nobody_out(world, browser):
    """GET shows a page with a button; its form may lead on to the platform, and nowhere else."""
    await browser.sign_in()
    page = await browser.get("/sso/logout", **{"Sec-Fetch-Site": "cross-site"})
    assert page.status == 200
    assert f"form-action 'self' {PORTAL}" in page.headers["Content-Security-Policy"]
    assert (await browser.state())["signed_in"]


@pytest.mark.parametrize(
    ("site", "token"), [("cross-site", True), ("same-site", True), ("none", True), ("same-origin", False)]
)
async def test_another_site_s_page_signs_nobody_out(world, browser, site, token):
    await browser.sign_in()
    given = (await browser.state())["csrf_token"] if token else "0" * 64
    headers = browser.plain(**{"Sec-Fetch-Site": site, "Origin": ORIGIN if site == "same-origin" else "null"})
    response = await browser.client.post("/sso/logout", data={"csrf_token": given}, headers=headers)
    assert (response.status, world.codes()) == (403, ["cross-site-request"])
    assert (await browser.state())["signed_in"]


async def test_a_platform_that_cannot_be_told_is_told_by_the_browser_and_the_page_says_so(world, browser):
    world.province.end_error = VerifierUnavailable("down")
    await browser.sign_in()
    page = await sign_out(browser)
    assert page.status == 200
    assert "could not be told" in page.text
    assert page.headers["Refresh"].startswith(f"5; url={PORTAL}/logout?")
    assert browser.session is None
    assert world.log.of("signed out")[0]["outcome"] == "platform-not-told"


async def test_a_plugin_that_breaks_keeps_nobody_signed_in(world, browser):
    world.province.end_error = KeyError("sid")
    await browser.sign_in()
    assert (await sign_out(browser)).status == 200
    assert browser.session is None


async def test_a_store_that_is_away_says_so_and_takes_no_cookie_away(world, browser):
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    world.house.store.down = True
    page = await browser.post("/sso/logout", {"csrf_token": token})
    assert (page.status, world.codes(), page.cookies) == (503, ["state-unavailable"], [])
    world.house.store.down = False
    assert (await browser.state())["signed_in"]


async def test_who_is_not_signed_in_is_signed_out_already(browser):
    page = await browser.post("/sso/logout", {})
    assert (page.status, page.location) == (303, "/sso/")


async def test_a_program_is_told_in_json(world, browser):
    await browser.sign_in()
    headers = browser.plain(**{"X-CSRF-Token": (await browser.state())["csrf_token"]})
    response = await browser.client.post("/sso/logout", headers=headers)
    said = await response.json()
    assert (response.status, said["signed_out"], said["platform_told"]) == (200, True, True)
    assert said["continue_at"].startswith(PORTAL)


async def test_who_is_not_signed_in_is_not_told_that_anybody_was_told(world, browser):
    response = await browser.client.post("/sso/logout", headers=browser.plain())
    assert (await response.json())["platform_told"] is False
    assert world.province.ended == []


async def test_a_client_without_cookies_signs_out_with_its_token(world, browser):
    await browser.sign_in()
    token, _ = await world.house.sessions.issue_token(browser.session)
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-Host": "dept.example", "X-Forwarded-Proto": "https"}
    response = await browser.client.post("/sso/logout", headers=headers)
    assert (response.status, (await response.json())["platform_told"]) == (200, True)
    assert not (await browser.state())["signed_in"]
    assert len(world.province.ended) == 1
    assert (await browser.client.post("/sso/logout", headers=headers)).status == 401


class TestPlatformThatHangs:
    @pytest.fixture
    def world(self) -> World:
        return World(telling=0.05)

    async def test_nobody_is_held_up(self, world, browser):
        world.province.end_gate = asyncio.Event()
        await browser.sign_in()
        assert "could not be told" in (await sign_out(browser)).text


class TestPlatformWithoutLogoutPage:
    @pytest.fixture
    def world(self) -> World:
        return World(natural=None, legal="units", signed_out="/goodbye")

    async def test_the_visitor_comes_back_to_our_own_page(self, world, browser: Browser):
        await browser.sign_in()
        assert (await sign_out(browser)).location == "/goodbye"
        assert len(world.units.ended) == 1

    async def test_and_is_told_when_the_platform_was_not(self, world, browser: Browser):
        world.units.end_error = VerifierUnavailable("down")
        await browser.sign_in()
        page = await sign_out(browser)
        assert "could not be told" in page.text
        assert "Refresh" not in page.headers

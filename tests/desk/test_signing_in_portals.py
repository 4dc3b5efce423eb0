"""Signing in where there is more than one platform, where a portal sends visitors, and where no state comes back."""

import asyncio
from urllib.parse import urlencode, urlsplit

import pytest
from desk_world import Browser, StatelessPlatform, World


class TestPlatformThatBringsNoState:
    @pytest.fixture
    def world(self) -> World:
        return World(StatelessPlatform)

    async def test_it_is_known_by_the_browser(self, browser):
        asked = await browser.begin()
        page = await browser.get(f"{urlsplit(asked['redirect_uri']).path}?ticket=ST-1")
        assert (page.status, page.location) == (303, "/medical/settlements")

    async def test_another_browser_finishes_no_login_of_it(self, world, browser, client):
        asked = await browser.begin()
        page = await Browser(client).get(f"{urlsplit(asked['redirect_uri']).path}?ticket=ST-1")
        assert (page.status, world.province.redeemed) == (400, [])


class TestSeveralPlatforms:
    @pytest.fixture
    def world(self) -> World:
        return World(legal="units", unsolicited=["province"])

    async def test_a_callback_at_another_platform_s_address_signs_nobody_in(self, world, browser):
        """Mix-up (RFC 9700 §4.4): the state of one platform is worth nothing at another's callback."""
        asked = await browser.begin(platform="province")
        page = await browser.get(f"/sso/callback/units?{urlencode({'state': asked['state'], 'ticket': 'ST-1'})}")
        assert page.status == 400
        assert world.units.redeemed == []

    async def test_a_visitor_who_did_not_say_signs_in_as_a_person(self, browser):
        assert urlsplit((await browser.get("/sso/login?return_to=/x")).location).path == "/province/login"

    async def test_a_visitor_who_wants_to_choose_is_asked(self, browser):
        page = await browser.get("/sso/login?return_to=/x&acr_values=3&choose=1")
        assert page.status == 200
        assert "platform=province&amp;as=natural&amp;acr_values=3" in page.text
        assert "platform=units&amp;as=legal" in page.text

    async def test_a_unit_signs_in_at_its_own_platform(self, browser):
        page = await browser.get("/sso/login?as=legal")
        assert urlsplit(page.location).path == "/units/login"

    async def test_a_platform_may_be_named(self, browser):
        assert urlsplit((await browser.get("/sso/login?platform=units")).location).path == "/units/login"

    async def test_what_a_platform_cannot_do_is_400(self, world, browser):
        assert (await browser.get("/sso/login?platform=units&as=natural")).status == 400

    async def test_a_stronger_login_is_at_the_platform_of_the_session(self, browser):
        asked = await browser.begin(**{"as": "legal"})
        await browser.come_back(asked)
        page = await browser.get("/sso/login?acr_values=3")
        assert urlsplit(page.location).path == "/units/login"

    async def test_a_portal_may_send_a_visitor_who_did_not_begin_here(self, world, browser):
        page = await browser.get("/sso/callback/province?ticket=ST-portal")
        assert (page.status, page.location) == (303, "/sso/")
        assert (await browser.state())["signed_in"]

    async def test_a_portal_s_ticket_is_exchanged_once(self, world, browser):
        await browser.get("/sso/callback/province?ticket=ST-portal")
        world.clock.advance(31)
        assert (await browser.get("/sso/callback/province?ticket=ST-portal")).status == 400
        assert len(world.province.redeemed) == 1

    async def test_a_stranger_with_a_portal_s_ticket_is_not_given_the_session_that_it_opened(
        self, world, browser, client
    ):
        """Neither at the same moment nor a moment later; without a login cookie every browser is a stranger."""
        world.province.gate = asyncio.Event()
        first = asyncio.create_task(browser.get("/sso/callback/province?ticket=ST-portal"))
        await world.province.asked.wait()
        strangers = [await Browser(client).get("/sso/callback/province?ticket=ST-portal")]
        world.province.gate.set()
        assert (await first).status == 303
        strangers.append(await Browser(client).get("/sso/callback/province?ticket=ST-portal"))
        assert [(page.status, page.cookies) for page in strangers] == [(400, []), (400, [])]
        assert len(world.province.redeemed) == 1

    async def test_a_browser_that_repeats_a_portal_s_callback_is_known_by_its_login_cookie(self, world, browser):
        await browser.begin(platform="province")
        pages = [await browser.get("/sso/callback/province?ticket=ST-portal") for _ in range(2)]
        assert [page.status for page in pages] == [303, 303]
        assert len({page.cookies[0] for page in pages}) == 1
        assert len(world.province.redeemed) == 1

    async def test_a_portal_s_visitor_finishes_no_login_that_was_begun_here(self, browser):
        """Its callback has no state, so it is no answer to any login; the one under way goes on."""
        asked = await browser.begin(platform="province")
        assert (await browser.get("/sso/callback/province?ticket=ST-portal")).location == "/sso/"
        assert (await browser.come_back(asked)).location == "/medical/settlements"

    async def test_a_portal_s_visitor_with_an_old_login_cookie_comes_in_as_well(self, world, browser):
        await browser.begin(platform="province")
        world.clock.advance(700)
        assert (await browser.get("/sso/callback/province?ticket=ST-portal")).status == 303

    async def test_a_platform_that_is_no_portal_sends_nobody(self, world, browser):
        assert (await browser.get("/sso/callback/units?ticket=ST-1")).status == 400

    async def test_whoever_brings_a_state_has_it_right(self, world, browser):
        assert (await browser.get(f"/sso/callback/province?ticket=ST-1&state={'x' * 43}")).status == 400
        assert world.province.redeemed == []


class TestPortalThatBringsNoState:
    @pytest.fixture
    def world(self) -> World:
        return World(StatelessPlatform, unsolicited=["province"])

    async def test_a_ticket_that_came_with_a_login_of_ours_is_no_portal_s_afterwards(self, world, browser):
        """Where no state tells the two apart, the ticket does: it is exchanged once."""
        asked = await browser.begin(platform="province")
        path = f"{urlsplit(asked['redirect_uri']).path}?ticket=ST-1"
        assert (await browser.get(path)).location == "/medical/settlements"
        world.clock.advance(31)
        assert (await browser.get(path)).status == 400
        assert len(world.province.redeemed) == 1

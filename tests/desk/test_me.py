"""Who is signed in, as whom she acts, and the token she takes along."""

import pytest
from desk_world import ORIGIN, World

from gateway.model import Kind


async def test_nobody_is_signed_in_before_a_login(browser):
    assert await browser.state() == {"signed_in": False}
    page = await browser.get("/sso/")
    assert "platform=province" in page.text


async def test_a_session_tells_no_more_than_its_owner_needs(browser):
    """A masked name; no number, no address, no id of the session."""
    await browser.sign_in()
    said = await browser.state()
    assert set(said) == {
        "signed_in", "kind", "identity", "name", "assurance", "since", "expires", "handle", "csrf_token", "units",
    }  # fmt: skip
    assert said["name"].startswith("张")
    assert "三" not in said["name"]
    assert said["units"] == [{"id": "unit-1", "name": "示例公司"}]
    page = await browser.get("/sso/")
    for secret in ("三丰", "440101199001011234", "13800138000", browser.session):
        assert secret not in page.text
        assert secret not in str(said)


@pytest.mark.parametrize("path", ["/sso/", "/sso/logout", "/sso/login", "/sso/session"])
async def test_nothing_of_the_desk_is_kept_by_a_browser(world, browser, path):
    await browser.sign_in()
    assert (await browser.get(path)).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/sso/", "/sso/logout", "/sso/links"])
async def test_pages_have_no_scripts_and_are_in_nobody_s_frame(browser, path):
    await browser.sign_in()
    page = await browser.get(path)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script" not in policy
    assert "unsafe" not in policy
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "<style" not in page.text
    assert '<html lang="zh-CN">' in page.text
    assert '<span lang="en">' in page.text


async def test_the_stylesheet_is_there(browser):
    page = await browser.get("/sso/style.css")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/css; charset=utf-8")


async def test_a_person_acts_for_her_unit_and_for_herself_again(world, browser):
    """Each time the session has a new id, and the old one ends."""
    await browser.sign_in()
    ids = [browser.session]
    for form, kind, subject, operator in (
        ({"unit": "unit-1"}, Kind.LEGAL, "unit-1", "u-1"),
        ({"self": "1"}, Kind.NATURAL, "u-1", None),
    ):
        token = (await browser.state())["csrf_token"]
        page = await browser.post("/sso/identity", form | {"csrf_token": token})
        assert (page.status, page.location) == (303, "/sso/")
        principal = (await world.house.sessions.open(browser.session)).principal
        assert (principal.kind, principal.subject, principal.operator) == (kind, subject, operator)
        assert principal.assurance == 3
        ids.append(browser.session)
    assert len(set(ids)) == 3
    assert [await world.house.sessions.open(old) for old in ids[:2]] == [None, None]


async def test_nobody_acts_for_a_unit_that_the_platform_did_not_name(world, browser):
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    page = await browser.post("/sso/identity", {"unit": "unit-9", "csrf_token": token})
    assert (page.status, world.codes()) == (403, ["identity-not-yours"])
    assert (await browser.state())["identity"] == "self"


@pytest.mark.parametrize("form", [{}, {"unit": "unit-1", "self": "1"}])
async def test_an_identity_is_named_plainly(browser, form):
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    assert (await browser.post("/sso/identity", form | {"csrf_token": token})).status == 400


@pytest.mark.parametrize("path", ["/sso/identity", "/sso/token"])
async def test_another_site_s_page_changes_nothing(world, browser, path):
    await browser.sign_in()
    before = browser.session
    token = (await browser.state())["csrf_token"]
    for origin, site, given in (
        ("https://evil.example", "cross-site", token),
        (ORIGIN, "same-origin", ""),
        (ORIGIN, "same-origin", "f" * 64),
    ):
        headers = browser.plain(**{"Origin": origin, "Sec-Fetch-Site": site, "X-CSRF-Token": given})
        response = await browser.client.post(path, json={"unit": "unit-1"}, headers=headers)
        assert response.status == 403
    assert set(world.codes()) == {"cross-site-request"}
    assert await world.house.sessions.open(before) is not None


async def test_a_token_for_another_department_stands_for_the_session_and_ends_with_it(world, browser):
    await browser.sign_in()
    headers = browser.plain(**{"X-CSRF-Token": (await browser.state())["csrf_token"]})
    response = await browser.client.post("/sso/token", headers=headers)
    said = await response.json()
    assert (response.status, said["token_type"], said["expires_in"]) == (200, "Bearer", 1800)
    assert said["access_token"].endswith("@hrss")
    assert (await world.house.sessions.introspect(said["access_token"])).subject == "u-1"
    await world.house.sessions.end(browser.session)
    assert await world.house.sessions.introspect(said["access_token"]) is None


async def test_nobody_gets_a_token_without_a_session(world, browser):
    assert (await browser.post("/sso/token", {})).status == 401
    assert world.codes() == ["token-missing"]


async def test_what_a_platform_names_is_text_and_not_markup(world, browser):
    world.province.units = (world.province.units[0].__class__("u<9>", "<script>alert(1)</script>"),)
    await browser.sign_in()
    page = await browser.get("/sso/")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


class TestUnits:
    @pytest.fixture
    def world(self) -> World:
        return World(natural=None, legal="province")

    async def test_who_signed_in_as_a_unit_may_act_for_herself(self, world, browser):
        await browser.sign_in()
        assert (await browser.state())["identity"] == "unit-0"
        token = (await browser.state())["csrf_token"]
        await browser.post("/sso/identity", {"self": "1", "csrf_token": token})
        said = await browser.state()
        assert (said["kind"], said["identity"], said["name"][:1]) == ("natural", "self", "张")
        assert [unit["id"] for unit in said["units"]] == ["unit-0", "unit-1"]

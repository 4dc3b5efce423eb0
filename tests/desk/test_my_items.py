"""What is open and closed for me: pages that ask first, the same as JSON, and who may not."""

import msgspec
import pytest
from desk_world import PORTAL, Browser, World
from my_world import PLAIN, My, MyWorld, query

from tests.ledger.grants_world import PENSION, RULES, SETTLEMENTS

OLD = 301.0


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


@pytest.fixture
async def my(world, browser) -> My:
    """A person."""
    await world.sign_in(browser, "u-1")
    return My(world, browser)


async def settings(my: My) -> dict[str, str]:
    status, said = await my.get("items")
    assert status == 200, said
    return {one["item"]: one["setting"] for one in said}


async def test_a_person_closes_an_item_after_a_page_that_asks(my):
    """And opens it again; it is as the item is by default until she says something."""
    assert "尚未设置" in (await my.see("items")).text
    for setting, asked, told in (("closed", "要关闭此事项吗", "关闭"), ("open", "要开通此事项吗", "开放")):
        page = await my.see(f"items/confirm?{query(item=SETTLEMENTS, setting=setting)}")
        assert asked in page.text
        page = await my.browser.post("/sso/my/items", page.form)
        assert (page.status, page.location) == (303, "/sso/my/items")
        assert await settings(my) == {SETTLEMENTS: setting}
        assert told in (await my.see("items")).text


async def test_who_signed_in_long_ago_closes_at_once_and_opens_after_a_new_login(world, browser):
    await world.sign_in(browser, "u-1", age=OLD)
    my = My(world, browser)
    assert (await my.send("items", item=SETTLEMENTS, setting="closed")).status == 303
    confirm = f"items/confirm?{query(item=SETTLEMENTS, setting='open')}"
    page = await my.see(confirm)
    assert (page.status, page.asked()) == (303, {"return_to": f"/sso/my/{confirm}", "max_age": "300"})
    page = await browser.get(page.location)
    assert page.location.startswith(PORTAL)
    page = await browser.come_back(page.asked())
    assert page.location == f"/sso/my/{confirm}"
    assert (await browser.post("/sso/my/items", (await browser.get(page.location)).form)).status == 303
    assert await settings(my) == {SETTLEMENTS: "open"}


async def test_a_program_is_told_that_opening_needs_a_new_login(world, browser):
    """With where it is done; nothing is changed."""
    await world.sign_in(browser, "u-1", age=OLD)
    my = My(world, browser)
    await my.post("items", {"item": SETTLEMENTS, "setting": "closed"})
    assert (await my.post("items", {"item": SETTLEMENTS, "setting": "open"}))[0] == 401
    error = world.refusals[-1]
    assert (error.code, error.max_age) == ("assurance-too-low", 300)
    assert error.way.startswith("/sso/login?return_to=%2Fsso%2Fmy%2Fitems%2Fconfirm")
    assert await settings(my) == {SETTLEMENTS: "closed"}


async def test_an_operator_closes_for_her_unit_and_the_units_own_login_opens(world, browser):
    unit = await world.scene.unit()
    await world.sign_in(browser, unit)
    my = My(world, browser)
    assert (await my.post("items", {"item": PENSION, "setting": "left"}))[0] == 200
    page = await my.send("items", item=PENSION, setting="open")
    assert (page.status, world.codes()) == (403, ["administrator-needed"])
    assert world.refusals[-1].way == "/sso/my/items"
    assert (await settings(my))[PENSION] == "left"
    await world.sign_in(browser, unit, operator=2)
    assert (await my.send("items", item=PENSION, setting="open")).status == 303
    assert (await settings(my))[PENSION] == "open"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"item": SETTLEMENTS, "setting": "left"}, "setting"),
        ({"item": PENSION, "setting": "closed"}, "item"),
        ({"item": "no-such-item", "setting": "closed"}, "item"),
        ({"item": SETTLEMENTS, "setting": "broken"}, "setting"),
        ({"setting": "closed"}, "item"),
        ({"item": SETTLEMENTS, "setting": "closed", "more": "1"}, "more"),
    ],
)
async def test_what_cannot_be_set_is_told_by_its_field_on_page_and_as_json(world, my, fields, wrong):
    page = await my.send("items", **fields)
    assert page.status == 422
    assert 'role="alert"' in page.text
    assert (await my.post("items", fields))[0] == 422
    assert wrong in {problem.field for problem in world.refusals[-1].problems}
    assert await settings(my) == {SETTLEMENTS: "open"}


@pytest.mark.parametrize("asked", ["item=no-such-item&setting=open", "item=x", "", "item=a&item=b&setting=open"])
async def test_nothing_is_asked_about_an_item_that_is_none(my, asked):
    assert (await my.see(f"items/confirm?{asked}")).status in (400, 422)


@pytest.mark.parametrize("sent", [{"csrf_token": "0" * 64}, {}], ids=["another token", "no token"])
async def test_a_form_without_the_session_s_token_sets_nothing(world, my, sent):
    page = await my.browser.post("/sso/my/items", {"item": SETTLEMENTS, "setting": "closed"} | sent)
    assert (page.status, world.codes()) == (403, ["cross-site-request"])
    assert await settings(my) == {SETTLEMENTS: "open"}


async def test_another_site_s_page_sets_nothing(world, my):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": PORTAL}
    assert (await my.post("items", {"item": SETTLEMENTS, "setting": "closed"}, **headers))[0] == 403
    assert world.codes() == ["cross-site-request"]


async def test_json_of_another_form_is_400(world, my):
    assert (await my.post("items", ["no object"]))[0] == 400


async def test_a_client_with_a_token_of_her_session_does_the_same(world, my, client):
    """A token of POST /sso/token; no other site's page could send one, so no other proof is asked for."""
    token, _ = await world.desk.sessions.issue_token(my.browser.session)
    headers = PLAIN | {"Authorization": f"Bearer {token}"}
    sent = {"item": SETTLEMENTS, "setting": "closed"}
    async with client.post("/sso/my/items", json=sent, headers=headers) as answer:
        assert (answer.status, (await answer.json())["setting"]) == (200, "closed")
    async with client.get("/sso/my/items", headers=headers) as answer:
        assert [one["setting"] for one in await answer.json()] == ["closed"]


async def test_names_of_items_are_text_on_the_page(world, my):
    items = dict(RULES.items)
    items[SETTLEMENTS] = msgspec.structs.replace(items[SETTLEMENTS], name="<script>alert(1)</script>")
    world.scene.rule(items=items)
    for path in ("items", f"items/confirm?{query(item=SETTLEMENTS, setting='closed')}"):
        page = await my.see(path)
        assert "<script" not in page.text
        assert "&lt;script&gt;" in page.text


async def test_who_is_not_signed_in_is_sent_to_the_login_and_comes_back(world, browser, client):
    """A page of the desk that there is; a program is told."""
    for path in ("", "items", f"items/confirm?{query(item=SETTLEMENTS, setting='open')}", "sessions", "computer"):
        page = await browser.get(f"/sso/my/{path}")
        assert (page.status, page.asked()) == (303, {"return_to": f"/sso/my/{path}"})
        assert (await browser.get(page.location)).location.startswith(PORTAL)
    page = await browser.get("/sso/my/grants")
    assert page.asked() == {"return_to": "/sso/my/"}
    async with client.get("/sso/my/items", headers=PLAIN) as answer:
        assert answer.status == 401
    async with client.post("/sso/my/items", json={}, headers=PLAIN) as answer:
        assert answer.status == 401


async def test_without_a_ledger_there_is_no_self_service(aiohttp_client):
    """Nor a link to it."""
    browser = Browser(await aiohttp_client(World().application))
    await browser.sign_in()
    assert (await browser.get("/sso/my/")).status == 404
    assert "/sso/my/" not in (await browser.get("/sso/")).text


async def test_an_item_that_begins_closed_is_shown_as_that_and_its_owner_opens_it(world, my):
    items = dict(RULES.items)
    items[SETTLEMENTS] = msgspec.structs.replace(items[SETTLEMENTS], closed=True)
    world.scene.rule(items=items)
    text = (await my.see("items")).text
    assert "关闭" in text
    assert "setting=closed" not in text
    assert (await my.send("items", item=SETTLEMENTS, setting="open")).status == 303
    assert await settings(my) == {SETTLEMENTS: "open"}

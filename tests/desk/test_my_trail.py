"""Where I am signed in, who looked, what happened: one's own and nobody else's."""

import pytest
from desk_world import Browser
from my_world import My, MyWorld

from gateway.ledger.parties import Parties
from gateway.ledger.values import Owner
from tests.ledger.grants_world import SETTLEMENTS
from tests.ledger.office_world import seed_staff
from tests.plugin_world import ISSUER


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


@pytest.fixture
async def my(world, browser) -> My:
    """A person who signed in at the platform."""
    await browser.sign_in()
    return My(world, browser)


async def another(world, client, sign_in=None) -> My:
    """Another browser of the same person, or of whoever `sign_in` says."""
    browser = Browser(client)
    await (browser.sign_in() if sign_in is None else world.sign_in(browser, *sign_in))
    return My(world, browser)


async def handles(my: My) -> dict[str, bool]:
    status, said = await my.get("sessions")
    assert status == 200
    return {one["handle"]: one["current"] for one in said}


async def test_a_person_sees_where_she_is_signed_in_also_as_a_unit_and_ends_one(world, my, client):
    world.province.sid = None
    unit = await another(world, client)
    await unit.browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": unit.token})
    text = (await my.see("sessions")).text
    assert "示例公司" in text
    assert "当前登录" in text
    found = await handles(my)
    assert sorted(found.values()) == [False, True]
    other = next(handle for handle, current in found.items() if not current)
    assert (await my.send(f"sessions/{other}/end")).location == "/sso/my/sessions"
    assert (await unit.get("sessions"))[0] == 401
    assert list(await handles(my)) == [handle for handle, current in found.items() if current]


async def test_all_others_end_at_once_and_this_one_stays(world, my, client):
    world.province.sid = None
    others = [await another(world, client) for _ in range(2)]
    assert await my.post("sessions/end-others") == (200, {"ended": 2})
    assert [(await other.get("sessions"))[0] for other in others] == [401, 401]
    assert list((await handles(my)).values()) == [True]


async def test_nobody_sees_or_ends_another_s_session_not_even_a_colleague_s(world, client):
    """An unknown one and another person's get the same answer."""
    unit = await world.scene.unit()
    one, two = await another(world, client, (unit, 0)), await another(world, client, (unit, 1))
    [other] = await handles(two)
    told = set()
    for handle in (other, "0" * 16, "x"):
        told.add((*await one.post(f"sessions/{handle}/end"), world.codes()[-1]))
    assert told == {(403, "not-yours", "not-yours")}
    assert await one.post("sessions/end-others") == (200, {"ended": 0})
    assert list(await handles(two)) == [other]


async def test_ending_needs_the_session_s_token(world, my, client):
    other = await another(world, client)
    [handle] = [one for one, current in (await handles(other)).items() if current]
    page = await my.browser.post(f"/sso/my/sessions/{handle}/end", {})
    assert (page.status, world.codes()[-1]) == (403, "cross-site-request")
    assert (await other.get("sessions"))[0] == 200


async def test_who_looked_at_my_data_is_told_with_a_masked_name(world, my):
    reviewer = await seed_staff(world.ledger.office, "reviewer", "")
    mine = await world.my.parties.of(my_owner(my))
    await Parties(world.ledger.office).find(reviewer, mine.id)
    status, said = await my.get("looks")
    assert (status, [(one["what"], one["role"]) for one in said["found"]]) == (200, [("unit", "reviewer")])
    text = (await my.see("looks")).text
    assert "登记信息" in text
    assert "复核岗" in text
    assert reviewer.name not in text


async def test_nobody_else_is_told_who_looked(world, my, client):
    reviewer = await seed_staff(world.ledger.office, "reviewer", "")
    await Parties(world.ledger.office).find(reviewer, (await world.my.parties.of(my_owner(my))).id)
    other = await another(world, client, ("u-2",))
    assert (await other.get("looks"))[1]["found"] == []
    assert (await other.get("history"))[1]["found"] == []


async def test_what_happened_to_my_record_is_told_in_words(my):
    await my.post("items", {"item": SETTLEMENTS, "setting": "closed"})
    said = (await my.get("history"))[1]
    assert [one["action"] for one in said["found"]] == ["switch.set", "party.registered", "party.created"]
    text = (await my.see("history")).text
    for told in ("设置事项开关", "样例事项", "本人", "关闭"):
        assert told in text
    assert "生成记录" in text
    assert (await my.see("history?page=2")).status == 200
    assert (await my.see("history?page=0")).status == 422


async def test_the_overview_says_who_is_signed_in_and_hides_what_is_for_units(world, my):
    status, said = await my.get("")
    assert status == 200
    assert said["kind"] == "natural"
    assert (said["state"], said["device"]) == ("new", None)
    assert "三丰" not in said["name"]
    text = (await my.see("")).text
    assert "/sso/my/operators" not in text
    assert "/sso/my/" in (await my.browser.get("/sso/")).text
    await my.browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": my.token})
    text = (await my.see("")).text
    assert "/sso/my/operators" in text
    assert "示例公司" in text


@pytest.mark.parametrize("path", ["", "items", "operators", "bindings", "devices", "sessions", "looks", "history"])
async def test_pages_have_no_script_and_nothing_of_them_is_kept(my, path):
    page = await my.see(path)
    assert page.status == 200
    assert page.headers["Cache-Control"] == "no-store"
    assert "script" not in page.headers["Content-Security-Policy"]
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "440101199001011234" not in page.text


def my_owner(my: My):
    return Owner(ISSUER, "u-1", "natural")

"""Operators of my unit, their grants, its bindings and appeals: what each account sees and may do."""

import pytest
from my_world import My, MyWorld

from gateway.ledger.inputs.units import OperatorInput
from gateway.ledger.operators import Operators
from gateway.ledger.paging import SIZE
from gateway.ledger.parties import Parties
from tests.ledger.grants_world import asked, claim, new_number
from tests.ledger.office_world import seed_ended, seed_staff


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


@pytest.fixture
async def unit(world):
    return await world.scene.unit()


@pytest.fixture
async def my(world, browser, unit) -> My:
    """The first operator of the unit."""
    await world.sign_in(browser, unit)
    return My(world, browser)


async def offered(world, unit, operator: int = 0):
    [grant] = await world.scene.grants.propose(world.scene.clerk, unit.id, asked(unit, operator=operator))
    return await world.scene.grants.approve(world.scene.reviewer, grant.id, grant.version)


async def states(my: My) -> list[str]:
    _, said = await my.get("grants")
    return [one["state"] for one in said["found"]]


async def test_the_operator_herself_accepts_what_is_offered_to_her(world, my, unit):
    grant = await offered(world, unit)
    page = await my.see("operators")
    assert "待经办人接受" in page.text
    assert f'action="/sso/my/grants/{grant.id}/accept"' in page.text
    page = await my.send(f"grants/{grant.id}/accept")
    assert (page.status, page.location) == (303, "/sso/my/operators")
    assert await states(my) == ["live"]


async def test_a_colleague_sees_it_and_cannot_answer_for_her(world, my, unit):
    grant = await offered(world, unit, operator=1)
    assert "/accept" not in (await my.see("operators")).text
    assert (await my.send(f"grants/{grant.id}/accept")).status == 403
    assert (await my.post(f"grants/{grant.id}/decline", {"reason": "不办"}))[0] == 403
    assert world.codes() == ["not-the-operator"] * 2
    assert await states(my) == ["offered"]


async def test_ending_something_needs_a_reason_which_is_asked_for_beside_its_field(world, my, unit):
    """The form is there again, opened, with the problem; nothing is saved."""
    grant = await offered(world, unit)
    for path in (f"grants/{grant.id}/decline", f"grants/{grant.id}/withdraw", f"operators/{unit.operators[0]}/dismiss"):
        page = await my.send(path, reason=" ")
        assert page.status == 422
        assert page.text.count('aria-invalid="true" aria-describedby="wrong-reason"') == 1
        assert page.text.count("<details open>") == 1
    assert (await my.post(f"grants/{grant.id}/withdraw", {}))[0] == 422
    assert await states(my) == ["offered"]
    assert (await my.send(f"grants/{grant.id}/decline", reason="不办")).status == 303
    assert await states(my) == ["ended"]


async def test_the_unit_withdraws_a_grant_and_says_that_an_operator_has_left(world, my, unit):
    grant = await offered(world, unit, operator=1)
    assert (await my.post(f"grants/{grant.id}/withdraw", {"reason": "调岗"}))[0] == 200
    assert (await my.send(f"operators/{unit.operators[1]}/dismiss", reason="离职")).status == 303
    _, said = await my.get("operators")
    assert {one["id"]: one["left_reason"] for one in said["found"]} == {
        unit.operators[0]: None,
        unit.operators[1]: "离职",
    }
    assert (await my.send(f"operators/{unit.operators[1]}/dismiss", reason="离职")).status == 409


async def test_another_unit_s_things_are_as_unknown_as_what_is_not_there(world, my):
    """The same answer for both, and nothing is changed."""
    other = await world.scene.unit()
    grant = await offered(world, other)
    told = set()
    for known, place in ((grant.id, "grants/{}/withdraw"), (other.operators[0], "operators/{}/dismiss")):
        for id in (known, "no-such-id", "%00", "a" * 100):  # noqa: A001
            status, said = await my.post(place.format(id), {"reason": "试"})
            told.add((status, said, world.codes()[-1], world.refusals[-1].title))
    assert len(told) == 1
    assert (await my.get("grants"))[1]["found"] == []
    assert {one["id"] for one in (await my.get("operators"))[1]["found"]}.isdisjoint(other.operators)
    assert [one.state for one in (await world.my.grants.of(other.owners[0])).found] == ["offered"]


async def test_a_person_has_no_operators(world, browser):
    await world.sign_in(browser, "u-1")
    my = My(world, browser)
    assert (await my.get("operators"))[1]["found"] == []
    assert "此页面向单位" in (await my.see("operators")).text


async def test_a_list_without_a_page_of_its_own_leads_people_to_where_it_is_shown(my):
    for path, where in (("grants", "operators"), ("appeals", "bindings")):
        assert (await my.see(path)).location == f"/sso/my/{where}"


# ── bindings and appeals ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_unit_sees_what_it_is_bound_to_and_not_what_staff_compared(world, my, unit):
    number = new_number()
    await world.scene.bound(unit, number)
    page = await my.see("bindings")
    assert number in page.text
    assert "社保编号" in page.text
    [said] = (await my.get("bindings"))[1]
    assert (said["local_id"], said["compared"], said["note"]) == (number, {}, "")


async def test_a_unit_appeals_and_sees_that_it_is_being_decided(world, my):
    number = new_number()
    page = await my.send("appeals", system="social", local_id=number, reason="<b>编号</b>登记有误")
    assert (page.status, page.location) == (303, "/sso/my/bindings")
    text = (await my.see("bindings")).text
    assert number in text
    assert "待处理" in text
    assert "&lt;b&gt;编号" in text
    status, _ = await my.post("appeals", {"system": "social", "local_id": number, "reason": "再次"})
    assert (status, world.codes()[-1]) == (409, "appeal-open")
    assert (await my.post("appeals", {"system": "tax", "local_id": "0" * 40, "reason": "同上"}))[0] == 201


async def test_appeals_are_turned_in_pages(world, my, unit):
    first = await world.my.appeals.open(unit.owners[0], claim(new_number()))
    newer = await seed_ended(world.scene.reviewer, world.ledger.office, "appeals", first.id, SIZE)
    shown = [(await my.get(f"appeals?page={page}"))[1] for page in (1, 2)]
    assert [one["id"] for page in shown for one in page["found"]] == [*newer, first.id]
    assert [(page["more"], page["total"]) for page in shown] == [(True, SIZE + 1), (False, SIZE + 1)]
    page = await my.see("bindings")
    assert ("待处理" in page.text, page.text.count("不成立")) == (False, SIZE)
    assert 'href="/sso/my/bindings?page=2"' in page.text
    page = await my.see("bindings?page=2")
    assert ("待处理" in page.text, page.text.count("不成立")) == (True, 0)
    assert 'href="/sso/my/bindings?page=1"' in page.text


async def test_what_is_wrong_with_an_appeal_stands_by_its_field_and_what_was_entered_stays(my):
    page = await my.send("appeals", system="social", local_id='"><script>', reason="编号登记有误")
    assert page.status == 422
    assert "应为 20 位数字" in page.text
    assert 'id="wrong-local_id"' in page.text
    assert "&#34;&gt;&lt;script&gt;" in page.text
    assert "<script" not in page.text
    assert "编号登记有误" in page.text


async def test_an_appeal_is_no_person_s_and_nobody_else_s(world, my, browser, client):
    await my.send("appeals", system="social", local_id=new_number(), reason="编号登记有误")
    await world.sign_in(browser, await world.scene.unit())
    assert (await my.get("appeals"))[1]["found"] == []
    await world.sign_in(browser, "u-1")
    assert (await my.post("appeals", {"system": "social", "local_id": new_number(), "reason": "误"}))[0] == 403


async def test_names_of_operators_are_text_on_the_page(world, my, unit):
    clerk = await seed_staff(world.ledger.office, "reviewer", "3501")
    entered = OperatorInput(account="op-x", name="<script>x</script>", id_number="11010519491231002X")
    await Operators(world.ledger.office).enter(clerk, unit.id, entered)
    text = (await my.see("operators")).text
    assert "<script" not in text
    assert "11010519491231002X" not in text


async def test_a_large_unit_turns_pages_and_comes_back_to_the_one_it_was_on(world, my, unit):
    """She who asks stands first; what is wrong with a form is told on the page on which it stands."""
    operators = Operators(world.ledger.office)
    for number in range(SIZE):
        entered = OperatorInput(account=f"op-{number}", name="样例子", id_number="11010519491231002X")
        await operators.enter(world.scene.clerk, unit.id, entered)
    ids = [one["id"] for page in (1, 2) for one in (await my.get(f"operators?page={page}"))[1]["found"]]
    assert len(ids) == SIZE + 2
    first, second = (await my.see("operators")).text, (await my.see("operators?page=2")).text
    shown, rest = ([id_ for id_ in ids if f"operator-{id_}" in text] for text in (first, second))
    assert len(shown) == SIZE
    assert sorted(shown + rest) == sorted(ids)
    assert min(shown, key=lambda id_: first.index(f"operator-{id_}")) == unit.operators[0]
    page = await my.send(f"operators/{rest[0]}/dismiss?page=2", reason=" ")
    assert page.status == 422
    assert f'id="reason-dismiss-{rest[0]}"' in page.text
    assert 'aria-describedby="wrong-reason"' in page.text
    assert f'action="/sso/my/operators/{rest[0]}/dismiss?page=2"' in second


async def test_the_region_of_who_looked_is_written_as_people_write_it(world, my, unit):
    await Parties(world.ledger.office).find(world.scene.clerk, unit.id)
    assert world.scene.clerk.scope == "3501"
    assert "350100" in (await my.see("looks")).text

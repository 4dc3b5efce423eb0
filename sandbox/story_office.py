"""The part of the story that the paper tells (退休人员待遇申报): from a unit's first login to an accepted declaration.

`sandbox.story` plays these scenes between its own. `sandbox.unit_case` has the steps; each scene brings the unit to
where it begins, so all of them can be played again and again.
"""

from typing import Any

import aiohttp

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.unit_case import CLERK, REVIEWER, SYSTEM, Step, UnitCase
from sandbox.visitor import DEADLINE, Answer, Visitor, require

DECLARATIONS = "/pension/retirement-declarations"
SETTLEMENT = "/medical/settlements/S2026-0042"
SETTLEMENTS = "11350100M0009000XP3352011903001"
"""Code of 个人住院结算信息查询, as in `config/edge/items/medical-insurance.yaml`."""
OTHER_REGION = "clerk-2"
OTHER_COMPUTER = "127.0.0.2"
SAMPLE = {"person": "样例"}


async def first_login(visitor: Visitor) -> str:
    """A unit that was never here logs in: its record is made, and nothing is open to it yet."""
    case = UnitCase(visitor)
    if await case.record() is not None:
        await case.bring_to(Step.NEW)
    await case.sign_in()
    record = await case.office.find(CLERK, case.unit.sub)
    require(record["name"] == case.unit.name, "the record does not say what the province says")
    require(record["region"] == "350100", f"the record is in {record['region']}")
    visitor.seen.append(f"= {record['name']} {record['uscc']}: {record['state']}")
    # In a sandbox where the story was played before, the unit is revoked and applies anew.
    refusal = (409, "binding-missing") if record["state"] == "new" else (403, "unit-revoked")
    (await _declare_when(visitor, *refusal)).must_be(*refusal)
    return "首次登录自动建档，未绑定不得申报。 The first login made its record; unbound, it may declare nothing."


async def at_the_counter(visitor: Visitor) -> str:
    """The unit applies at the counter; staff of its own region alone see it, and a second person reviews."""
    case = UnitCase(visitor)
    await case.bring_to(Step.NEW)
    application = await case.apply()
    (await case.office.ask(OTHER_REGION, "GET", await case.path())).must_be(403, "not-your-region")
    (await case.review(application, CLERK)).must_be(403, "not-your-role")
    (await case.review(application)).must_be(200)
    require((await case.office.look(REVIEWER, await case.path()))["record"]["state"] == "reviewed", "not reviewed")
    return "窗口受理、另一人审核；外地人员看不到。 One took it, another reviewed it; the other region saw nothing."


async def opening(visitor: Visitor) -> str:
    """The item is opened for one operator on one computer: one proposes, another approves, she herself accepts."""
    case = UnitCase(visitor)
    await case.bring_to(Step.REVIEWED)
    operator = await case.enter_operator()
    await case.designate()
    grant = await case.propose_grant(operator)
    (await case.approve_grant(grant, REVIEWER)).must_be(403, "second-person-needed")
    (await case.approve_grant(grant)).must_be(200)
    await case.sign_in("operator-3b")
    refused = await visitor.post_as_page(f"/sso/my/grants/{grant['id']}/accept")
    refused.must_be(403, "not-the-operator")
    await case.accept(grant)
    return "经办、复核不是同一人，经办人本人接受。 Maker and checker are two people, and she herself accepts."


async def binding(visitor: Visitor) -> str:
    """The province's registration beside the pension system's record, fetched across the gatekeeper; bound by two."""
    case = UnitCase(visitor)
    await case.bring_to(Step.OPENED)
    found = await case.office.look(CLERK, await case.path(f"/records?system={SYSTEM}"))
    require([one["local_id"] for one in found["found"]] == [case.local_id], "another record was found")
    differing = await _differences(visitor, case, CLERK, await case.path(), case.local_id)
    require(not differing, f"these differ: {differing}")
    await case.approve_binding(await case.propose_binding())
    require((await case.office.look(REVIEWER, await case.path()))["record"]["state"] == "bound", "not bound")
    return "省平台与机关保系统逐项比对一致，两人绑定。 Both say the same, field by field; two people bound them."


async def differing(visitor: Visitor) -> str:
    """Records that differ, that were typed wrongly, or that do not exist: staff see it, and nothing is bound."""
    case = UnitCase(visitor)
    await case.bring_to(Step.BOUND)
    unit_2 = await _address(case, CLERK, "unit-2")
    found = await case.office.look(CLERK, f"{unit_2}/records?system={SYSTEM}")
    require(found["found"] == [], "a record whose code was typed wrongly was found by the right one")
    require(await _differences(visitor, case, CLERK, unit_2, "35010020141000000201") == ["uscc"], "not the code alone")
    taken = {"system": SYSTEM, "local_id": case.local_id}
    (await case.office.ask(CLERK, "POST", f"{unit_2}/bindings", taken)).must_be(409, "local-id-bound")
    await case.sign_in("operator-6")
    unit_6 = await _address(case, OTHER_REGION, "unit-6")
    differing = await _differences(visitor, case, OTHER_REGION, unit_6, "35020020141000000601")
    require(differing == ["name", "legal_representative"], f"these differ: {differing}")
    return "不一致处逐项标明，已绑定的编号不得再绑。 What differs is marked, and a number is bound once."


async def declared(visitor: Visitor) -> str:
    """From then on it just works: login, declaration, accepted; the bound number went inward."""
    case = UnitCase(visitor)
    await case.bring_to(Step.BOUND)
    await case.sign_in()
    result = (await _declare_when(visitor, 201)).must_be(201).data["result"]
    require(result["local_id"] == case.local_id, "the business system got another number")
    require((result["unit"], result["operator"]) == (case.unit.sub, case.operator.id), f"declared by {result}")
    visitor.seen.append(f"= 社保编号 {result['local_id']}: {result['status']}")
    return "登录即可办理，绑定的社保编号随请求进入内网。 Login, and it works: the bound number crossed with it."


async def other_operator(visitor: Visitor) -> str:
    """Another operator of the same unit."""
    await UnitCase(visitor).bring_to(Step.BOUND)
    token = await visitor.token("unit-3", operator="operator-3b")
    await _declare(visitor, token, "operator-3b", 403, "operator-not-authorized")
    return "专办事项，本单位其他经办人也不得办理。 One operator alone, and no other of the same unit."


async def other_computer(visitor: Visitor) -> str:
    """The right operator, before another computer."""
    case = UnitCase(visitor)
    await case.bring_to(Step.BOUND)
    token = await visitor.token("unit-3", operator=case.operator.id)
    connector = aiohttp.TCPConnector(local_addr=(OTHER_COMPUTER, 0))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        elsewhere = Visitor(visitor.places, session)
        await _declare(elsewhere, token, f"operator-3, from {OTHER_COMPUTER}", 403, "device-not-allowed")
        visitor.seen += elsewhere.seen
        visitor.request_ids += elsewhere.request_ids
    await _declare(visitor, token, "operator-3, from 127.0.0.1", 201)
    return "只能在指定电脑上办理。 The same request from the designated computer passes."


async def unbound(visitor: Visitor) -> str:
    """A unit that the pension system does not know: it cannot be bound, and is told whom to ask."""
    case = UnitCase(visitor)
    token = await visitor.token("unit-5")
    answer = await _declare(visitor, token, "operator-5", 409, "binding-missing")
    require("经办机构窗口" in answer.text, "nobody is told where it can be bound")
    unit_5 = await _address(case, CLERK, "unit-5")
    found = await case.office.look(CLERK, f"{unit_5}/records?system={SYSTEM}")
    require(found["found"] == [], "somebody knows unit-5")
    return "业务系统查无此单位属正常情形，并告知到何处办理。 No record is a normal state; it is told whom to ask."


async def closed_by_owner(visitor: Visitor) -> str:
    """A person closes her hospital settlements for herself, and opens them again."""
    visitor.new_browser()
    page = await visitor.browser.open(visitor.places.url("edge") + "/sso/login?as=natural&return_to=/sso/")
    await visitor.browser.press(page, user="citizen-2")
    token = await visitor.token("citizen-2", level=3)
    asked: Any = ("GET", SETTLEMENT)
    (await visitor.ask(*asked, token=token)).must_be(200)
    await _switch(visitor, "closed")
    try:
        await visitor.until("it is closed", lambda answer: answer.code == "item-closed-by-owner", *asked, token=token)
    finally:
        await _switch(visitor, "open")
    await visitor.until("it is open again", lambda answer: answer.status == 200, *asked, token=token)
    return "本人关闭即不可查，本人随时可再开通。 She closed it herself, and herself opened it again."


async def expired(visitor: Visitor) -> str:
    """An operator whose grant has run out."""
    token = await visitor.token("unit-4", operator="operator-4")
    answer = await _declare(visitor, token, "operator-4", 403, "operator-not-authorized")
    require("已过期" in answer.text, "nobody is told that it has expired")
    return "授权到期自动失效，并告知找谁续办。 An expired grant is none; she is told whom to ask."


async def _differences(visitor: Visitor, case: UnitCase, login: str, at: str, local_id: str) -> list[str]:
    """Compare, show both sides, and give the names of the fields that differ."""
    found = await case.office.look(login, f"{at}/comparison?system={SYSTEM}&local_id={local_id}")
    for one in found["fields"]:
        sign = "=" if one["equal"] else "≠"
        visitor.seen.append(f"= {one['label'][0]}: {one['province']} {sign} {one['system']}")
    return [one["field"] for one in found["fields"] if not one["equal"]]


async def _address(case: UnitCase, login: str, user: str) -> str:
    """Address in the API of a unit that somebody finds by its code."""
    return f"/units/{(await case.office.find(login, SAMPLE_ACCOUNTS[user].sub))['id']}"


async def _declare(visitor: Visitor, token: str, note: str, status: int, code: str = "") -> Answer:
    """Declare with a token, until this is the answer: what staff have just done reaches the edge within a second."""

    def holds(answer: Answer) -> bool:
        return (answer.status, answer.code) == (status, code)

    return await visitor.until(
        f"{status} {code}".strip(), holds, "POST", DECLARATIONS, token=token, json=SAMPLE, note=note
    )


async def _declare_when(visitor: Visitor, status: int, code: str = "") -> Answer:
    """The same with the browser's session; gives the last answer, whatever it is."""
    return await visitor.post_until(lambda answer: (answer.status, answer.code) == (status, code), DECLARATIONS, SAMPLE)


async def _switch(visitor: Visitor, setting: str) -> None:
    answer = await visitor.post_as_page("/sso/my/items", json={"item": SETTLEMENTS, "setting": setting})
    require(answer.must_be(200).data["setting"] == setting, f"the item is not {setting}")
    visitor.seen.append(f"= 个人住院结算信息查询: {setting}")


OFFICE_SCENES = (
    ("首次登录建档", "A unit logs in for the first time", first_login),
    ("窗口受理与审核", "It applies at the counter", at_the_counter),
    ("开通事项授权", "The item is opened for one operator", opening),
    ("信息比对与账户绑定", "Registration and record are compared, and bound", binding),
    ("登录即办", "From then on it just works", declared),
    ("比对不一致、查无记录", "Records that differ, or that nobody finds", differing),
    ("他人办理被拒", "Another operator", other_operator),
    ("换电脑办理被拒", "Another computer", other_computer),
    ("未绑定被拒", "An unbound unit", unbound),
    ("本人关闭与开通", "Closed by its owner, and opened again", closed_by_owner),
    ("授权过期被拒", "An expired grant", expired),
)
"""Headings in Chinese and English, and what happens, in order."""

"""What forms do: the procedure from application to binding, problems beside their fields, and nothing half-saved."""

import base64
import re

import aiohttp
import pytest
import pytest_asyncio

from gateway.ledger.paging import SIZE
from tests.console.console_world import content_of, open_world
from tests.console.pages_world import (
    LOCAL_ID,
    RECORD,
    BusinessSystem,
    field_value,
    seed_case,
    system_settings,
    text_of,
)
from tests.ferry.ferry_world import Reply
from tests.ledger.office_world import seed_ended, seed_staff, seed_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATOR = {"account": "operator-1", "name": "样例子", "id_number": "350100190001011015"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory, new_file):
    system = BusinessSystem()
    async with open_world(tmp_path_factory.mktemp("forms"), new_file, make=lambda _: system) as world:
        await world.console.comparing.use([system_settings()])
        staff = {role: await world.sit(role) for role in ("clerk", "reviewer")}
        staff |= {role: await world.sit(role, "") for role in ("system", "security", "audit")}
        yield world, system, staff


@pytest.fixture
def world(opened):
    return opened[0]


@pytest.fixture
def system(opened):
    """Has one record on file."""
    opened[1].records, opened[1].answer = [RECORD], None
    return opened[1]


@pytest.fixture
def clerk(opened, system):
    return opened[2]["clerk"]


@pytest.fixture
def reviewer(opened, system):
    return opened[2]["reviewer"]


@pytest.fixture
def staff(opened):
    return opened[2]


async def get(visitor, address, status=200):
    async with await visitor.get(address) as answer:
        told = await answer.text()
        assert answer.status == status, text_of(told)
        return told


async def post(visitor, address, fields=None, status=303):
    async with await visitor.post(address, fields) as answer:
        told = await answer.text()
        assert answer.status == status, text_of(told)
        return told


async def link(visitor, address, ending):
    """The first link of a page that ends so."""
    return re.search(rf'href="([^"]*{ending})"', await get(visitor, address))[1]


async def decide(visitor, address, status=303, **fields):
    """Open a form and send it as it is shown, with some fields filled in."""
    version = field_value(await get(visitor, address), "version")
    return await post(visitor, address, {"version": version, **fields}, status)


# ── the procedure ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_procedure_from_the_application_to_the_binding(world, clerk, reviewer):
    """Step by step, as the paper has it; the page says at each step what comes next."""
    unit = f"/units/{await seed_unit(world.office)}"
    assert "请受理单位申请" in await get(clerk, unit)
    await post(clerk, f"{unit}/applications", {"items": ["pension", "medical"], "note": "窗口受理"})
    assert "申请待审核" in await get(clerk, unit)
    await decide(reviewer, await link(reviewer, unit, "/review"), approve="true")
    assert "请录入经办人" in await get(clerk, unit)
    await post(clerk, f"{unit}/operators", OPERATOR)
    assert "请为经办人开通业务事项" in await get(clerk, unit)
    form = await get(clerk, f"{unit}/grants")
    operator = re.search(r'name="operator" value="([^"]+)"', form)[1]
    days = {name: field_value(form, name) for name in ("valid_from", "valid_until")}
    await post(clerk, f"{unit}/grants", {"operator": operator, "items": ["pension", "medical"], **days})
    assert "有内容待复核" in await get(clerk, unit)
    for _ in range(2):
        await decide(reviewer, await link(reviewer, unit, "/grants/[^/]+/approve"))
    assert "授权待经办人接受" in await get(clerk, unit)
    compared = await link(clerk, f"{unit}/records/si", LOCAL_ID)
    await post(clerk, compared, {"note": "已核对材料"})
    told = await post_and_follow(reviewer, await link(reviewer, unit, "/bindings/[^/]+/approve"))
    assert "已绑定 bound" in told
    assert "复核通过绑定" in told


async def post_and_follow(visitor, address):
    """Approve, and the page to which that leads, with its notice."""
    version = field_value(await get(visitor, address), "version")
    async with await visitor.post(address, {"version": version}) as answer:
        assert answer.status == 303
    return text_of(await get(visitor, answer.headers["Location"]))


async def test_an_operator_who_leaves_loses_her_grants_and_a_unit_can_be_unbound_and_bound_again(
    world, clerk, reviewer
):
    case = await seed_case(world, "350100", "91350100M000200Y4C", "2" * 20)
    unit = case.at("/units/{unit}")
    await decide(reviewer, case.at("/units/{unit}/bindings/{binding}/approve"))
    await post(clerk, case.at("/units/{unit}/operators/{operator}/leave"), {"reason": "调离", "sure": "true"})
    told = text_of(await get(clerk, unit))
    assert "已离开 left" in told
    assert "已终止 ended : 调离" in told
    await decide(reviewer, case.at("/units/{unit}/bindings/{binding}/end"), reason="编号有误", sure="true")
    assert "已解除 ended" in text_of(await get(clerk, unit))
    await post(clerk, case.at("/units/{unit}/records/si/") + "3" * 20, {})
    await decide(reviewer, await link(reviewer, unit, "/bindings/[^/]+/approve"))
    assert "3" * 20 in await get(clerk, unit)


async def test_an_upheld_appeal_ends_the_binding_of_the_other_unit(world, clerk, reviewer):
    """And says so on both units' pages; the claimant is bound as anybody else."""
    number = "4" * 20
    holder = await seed_case(world, "350100", "91350100M000300Y4P", number)
    claimant = await seed_case(world, "350100", "91350100M000400Y4X", number)
    await decide(reviewer, holder.at("/units/{unit}/bindings/{binding}/approve"))
    address = claimant.at("/units/{unit}/appeals/{appeal}/decide")
    assert "对方单位与该编号的现有绑定将解除" in await get(reviewer, address)
    await decide(reviewer, address, uphold="true", reason="材料属实", sure="true")
    assert "已解除 ended" in text_of(await get(clerk, holder.at("/units/{unit}")))
    assert "成立 upheld" in text_of(await get(clerk, claimant.at("/units/{unit}")))


# ── the comparison ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_both_sides_stand_beside_each_other_and_what_differs_is_said_in_words(world, clerk, system):
    party = await seed_unit(world.office, "91350100M000500Y45", state="reviewed")
    system.records = [RECORD | {"name": "样例一旧厂"}]
    told = text_of(await get(clerk, f"/units/{party}/records/si/{LOCAL_ID}"))
    assert "样例一有限公司 样例一旧厂 不一致 different" in told
    assert "业务系统记录" in told


async def test_no_record_is_a_normal_state_and_the_unit_can_still_be_bound_by_its_papers(world, clerk, system):
    party = await seed_unit(world.office, "91350100M000600Y4F", state="reviewed")
    system.records = []
    assert "没有查到记录。这是正常情况" in await get(clerk, f"/units/{party}/records/si")
    address = f"/units/{party}/records/si/{'5' * 20}"
    assert "业务系统中没有该编号的记录" in await get(clerk, address)
    await post(clerk, address, {"note": "凭登记证核对"})


async def test_whoever_approves_sees_the_comparison_as_it_is_now(world, clerk, reviewer, system):
    """Not as it was when it was proposed; and that it has changed is said."""
    party, number = await seed_unit(world.office, "91350100M000700Y4M", state="reviewed"), "6" * 20
    system.records = [RECORD | {"local_id": number}]
    await post(clerk, f"/units/{party}/records/si/{number}", {})
    approve = await link(reviewer, f"/units/{party}", "/bindings/[^/]+/approve")
    assert "比对结果与提交绑定时不同" not in await get(reviewer, approve)
    system.records = [RECORD | {"local_id": number, "name": "样例更名厂", "status": "closed"}]
    told = text_of(await get(reviewer, approve))
    assert "比对结果与提交绑定时不同" in told
    assert "样例更名厂 不一致" in told
    assert "状态为：已注销" in told


async def test_nothing_is_approved_while_the_system_cannot_be_asked(world, clerk, reviewer, system):
    case = await seed_case(world, "350100", "91350100M000800Y4T", "7" * 20)

    async def answer(_):
        return Reply(500)

    system.answer = answer
    told = await get(reviewer, case.at("/units/{unit}/bindings/{binding}/approve"), 503)
    assert "业务系统的查询结果无法识别" in told
    await get(clerk, case.at("/units/{unit}/records/si"), 503)


# ── what cannot be taken ──────────────────────────────────────────────────────────────────────────────────────────


def wrong_field(page, name):
    """Whether a field is marked as wrong, and described by the sentence beside it."""
    marked = re.search(rf'<(?:input|textarea|select)[^>]*id="{name}"[^>]*>', page)[0]
    return 'aria-invalid="true"' in marked and f"wrong-{name}" in marked and f'id="wrong-{name}"' in page


async def test_every_problem_stands_beside_its_field_and_what_was_entered_stays(world, clerk):
    party = await seed_unit(world.office, "91350100M000900Y41", state="reviewed")
    before = await kept(world)
    entered = {"account": "", "name": "样例<b>子", "id_number": "350100190001011016"}
    told = await post(clerk, f"/units/{party}/operators", entered, 422)
    assert [wrong_field(told, name) for name in entered] == [True, False, True]
    assert "校验位不符" in told
    assert field_value(told, "name") == "样例<b>子"
    assert field_value(told, "id_number") == "350100190001011016"
    assert 'href="#account"' in told
    assert await kept(world) == before


async def kept(world):
    """What the ledger holds, but for who looked: that is noted, also when a form cannot be taken."""
    return await content_of(world.office, "looks")


async def test_a_list_of_which_one_line_is_wrong_says_which(world, clerk):
    """Networks and hours, a line each; the ticks that were made stay."""
    case = await seed_case(world, "350100", "91350100M001000Y4K", "8" * 20)
    before = await kept(world)
    entered = {"operator": case.names["operator"], "items": ["medical"], "valid_from": "2023-11-15"}
    entered |= {"valid_until": "2023-11-01", "networks": "192.0.2.0/24\nnowhere", "hours": "25:00-26:00"}
    told = await post(clerk, case.at("/units/{unit}/grants"), entered, 422)
    assert [wrong_field(told, name) for name in ("valid_from", "valid_until", "networks", "hours")] == [
        False, True, True, True,
    ]  # fmt: skip
    assert "2: " in text_of(told)
    assert re.search(r'value="medical" checked', told)
    assert "192.0.2.0/24\nnowhere" in told
    assert await kept(world) == before


@pytest.mark.parametrize("entered", [{"items": ["nothing"]}, {"items": ["query"]}, {"items": ["pension", "nothing"]}])
async def test_items_that_a_unit_cannot_have_are_refused_all_together(world, clerk, entered):
    party = await seed_unit(world.office, f"unit-{entered['items']}")
    told = await post(clerk, f"/units/{party}/applications", entered, 422)
    assert 'id="wrong-items"' in told
    assert "没有申请" in await get(clerk, f"/units/{party}")


async def test_what_cannot_be_undone_asks_for_a_tick(world, reviewer):
    party = await seed_unit(world.office, "91350100M001100Y4R", state="reviewed")
    told = await post(reviewer, f"/units/{party}/revoke", {"reason": "注销", "version": "1"}, 422)
    assert 'id="wrong-sure"' in told
    assert field_value(told, "reason") == "注销"
    await post(reviewer, f"/units/{party}/revoke", {"reason": "注销", "version": "1", "sure": "true"})
    assert "已撤销 revoked" in text_of(await get(reviewer, f"/units/{party}"))


async def test_a_form_that_somebody_else_was_faster_than_shows_what_there_is_now(world, clerk, reviewer):
    """409, what was entered stays, and the next press counts: the version is that of what she sees."""
    party = await seed_unit(world.office, "91350100M001200Y4Y", state="reviewed")
    await post(reviewer, f"/units/{party}/suspend", {"reason": "核查", "version": "1"})
    told = await post(reviewer, f"/units/{party}/revoke", {"reason": "注销", "version": "1", "sure": "true"}, 409)
    assert field_value(told, "reason") == "注销"
    assert 'role="alert"' in told
    assert "已暂停 suspended" in text_of(told)
    assert field_value(told, "version") == "2"


async def test_a_form_without_the_sessions_token_or_from_elsewhere_is_refused(world, clerk):
    party = await seed_unit(world.office, "91350100M001300Y46")
    before = await kept(world)
    entered = {"items": ["pension"]}
    for token, headers in (("", {}), ("0" * 64, {}), (None, {"Origin": "https://elsewhere.example"})):
        fields = entered if token is None else entered | {"csrf_token": token}
        async with await clerk.post(f"/units/{party}/applications", fields, headers=headers) as answer:
            assert answer.status == 403
            assert "cross-site-request" in await answer.text()
    assert await kept(world) == before


@pytest.mark.parametrize("address", ["/units?page=0", "/units?state=nope", "/units?text=" + "x" * 201, "/units?page=x"])
async def test_a_search_that_cannot_be_is_shown_again_with_what_is_wrong(clerk, address):
    assert 'role="alert"' in await get(clerk, address, 422)


async def test_a_list_turns_its_pages_and_keeps_what_was_searched(world, clerk):
    for number in range(21):
        await seed_unit(world.office, f"many-{number}", "350199")
    told = await get(clerk, "/units?state=new")
    behind = re.search(r'href="([^"]*)" rel="next"', told)[1].replace("&amp;", "&")
    assert behind == "/units?state=new&page=2"
    assert 'rel="prev"' in await get(clerk, behind)


KINDS = ("application", "operator", "grant", "device", "binding", "appeal")


async def grown_case(world, uscc, local_id):
    """A unit with something of each kind that waits, and behind it a page of what has ended since."""
    case, by = await seed_case(world, "350100", uscc, local_id), await seed_staff(world.office, "reviewer", "")
    for kind in KINDS:
        await seed_ended(by, world.office, f"{kind}s", case.names[kind], SIZE)
    return case


async def test_each_list_of_a_unit_turns_its_own_pages_and_the_others_stay_where_they_are(world, reviewer):
    case = await grown_case(world, "91350100M001700Y41", "0" * 20)
    unit = case.at("/units/{unit}")
    first, address = await get(reviewer, unit), unit
    for kind in KINDS:
        ends = f"{kind}s=2#{kind}s"
        assert re.search(rf'href="{unit}\?{ends}" rel="next"', first)
        assert 'rel="prev"' not in first
        address = (await link(reviewer, address, ends)).replace("&amp;", "&")
    last = await get(reviewer, address.partition("#")[0])
    assert 'rel="next"' not in last
    assert last.count('rel="prev"') == len(KINDS)
    for kind in ("grant", "device", "binding"):
        assert case.names[kind] in last
        assert case.names[kind] not in first


async def test_what_waits_on_a_later_page_is_next_and_its_form_is_there(world, reviewer):
    """The head of the page does not rest on what happens to be shown below it."""
    case = await grown_case(world, "91350100M001800Y47", "1" * 19 + "0")
    told = await get(reviewer, case.at("/units/{unit}"))
    assert "申请待审核" in told
    assert "登记申请" not in told
    assert "开通事项" in told
    assert "变更区划" not in told
    for form in ("applications/{application}/review", "operators/{operator}/leave", "appeals/{appeal}/decide"):
        await get(reviewer, case.at(f"/units/{{unit}}/{form}"))
    for kind in ("grant", "device", "binding"):
        await decide(reviewer, case.at(f"/units/{{unit}}/{kind}s/{{{kind}}}/approve"))
    offered = await get(reviewer, case.at("/units/{unit}/grants"))
    assert re.findall(r'name="operator" value="([^"]+)"', offered) == [case.names["operator"]]
    assert re.findall(r'name="devices" value="([^"]+)"', offered) == [case.names["device"]]


@pytest.mark.parametrize("page", ["9", "0", "-1", "x", "²", "99999"])
async def test_a_page_of_a_list_that_is_not_there_is_empty_or_the_first_one(world, clerk, page):
    party = await seed_unit(world.office, f"page-{page}", state="reviewed")
    told = await get(clerk, f"/units/{party}?operators={page}&history={page}")
    assert "没有经办人" in told
    assert ('rel="prev"' in told) == (page == "9")


# ── administration ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_one_time_password_is_shown_once(world, staff):
    """On the answer itself, which nothing keeps; no page shows it a second time."""
    told = await post(staff["system"], "/staff/new", {"login": "Anna.B", "name": "样例员"}, 200)
    password = re.search(r'id="password">([^<]+)<', told)[1]
    assert "anna.b" in told
    listed = await get(staff["security"], "/staff?text=anna.b")
    assert password not in listed
    assert "待首次登录" in listed
    address = re.search(r'href="(/staff/[^/]+)/post"', listed)[1]
    await decide(staff["security"], f"{address}/post", role="clerk", region="350100")
    again = await decide(staff["security"], f"{address}/reset", 200, sure="true")
    assert re.search(r'id="password">([^<]+)<', again)[1] != password
    assert text_of(await get(staff["system"], "/staff?text=anna.b")).count("经办岗 clerk") == 1


async def test_of_two_administrators_who_have_a_form_open_the_slower_one_is_shown_what_the_other_did(world, staff):
    """409, nothing is done; the tick has to be made anew, and then it counts for the account as it is."""
    case = await seed_case(world, "350100", "91350100M001500Y4K", "9" * 20)
    security, address = staff["security"], case.at("/staff/{staff}")
    shown = field_value(await get(security, f"{address}/dismiss"), "version")
    await decide(await world.sit("security", ""), f"{address}/post", role="reviewer", region="350102")
    before = await kept(world)
    sure, appointed = {"sure": "true"}, {"role": "clerk", "region": "350100"}
    for form, entered in (("dismiss", sure), ("reset", sure), ("unlock", {}), ("post", appointed)):
        told = await post(security, f"{address}/{form}", {"version": shown, **entered}, 409)
        assert "该记录已被他人修改" in told
        assert "复核岗 reviewer" in text_of(told)
        assert field_value(told, "version") == "2"
        assert await kept(world) == before
    await decide(security, f"{address}/dismiss", sure="true")


async def test_what_was_approved_since_it_was_shown_is_not_ended_unseen(world, clerk, reviewer):
    """Of a proposal she wanted to end it, not of what holds meanwhile; the page says that, and can be sent again."""
    case = await seed_case(world, "350100", "91350100M001600Y4T", "1" * 20)
    for kind in ("grant", "device", "binding"):
        address = case.at(f"/units/{{unit}}/{kind}s/{{{kind}}}")
        ending = reviewer if kind == "binding" else clerk
        shown = field_value(await get(ending, f"{address}/end"), "version")
        await decide(reviewer, f"{address}/approve")
        told = await post(ending, f"{address}/end", {"reason": "误录", "sure": "true", "version": shown}, 409)
        assert field_value(told, "reason") == "误录"
        await decide(ending, f"{address}/end", reason="误录", sure="true")


async def test_a_login_that_is_taken_and_a_region_that_is_none_are_said_beside_the_field(staff):
    told = await post(staff["system"], "/staff/new", {"login": "a b", "name": ""}, 422)
    assert (wrong_field(told, "login"), wrong_field(told, "name")) == (True, True)
    await post(staff["system"], "/staff/new", {"login": "taken", "name": "样例员"}, 200)
    told = await post(staff["system"], "/staff/new", {"login": "Taken", "name": "样例员"}, 422)
    assert (wrong_field(told, "login"), wrong_field(told, "name")) == (True, False)
    listed = await get(staff["security"], "/staff?text=staff-")
    address = re.search(r'href="(/staff/[^/]+/post)"', listed)[1]
    told = await post(staff["security"], address, {"role": "clerk", "region": "35"}, 422)
    assert wrong_field(told, "region")


async def test_the_history_is_read_in_words(world, clerk, staff):
    party = await seed_unit(world.office, "91350100M001400Y4D")
    await post(clerk, f"/units/{party}/applications", {"items": ["pension"]})
    told = text_of(await get(staff["audit"], "/history?action=party.applied"))
    assert "申请已受理 unit applied" in told
    assert "变更前 before : 新建 new" in told
    assert 'id="wrong-since"' in await get(staff["audit"], "/history?since=yesterday", 422)


# ── import ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def upload(visitor, kind, content, status=200):
    """Send a file as the page's form does."""
    form = aiohttp.FormData()
    form.add_field("csrf_token", visitor.csrf_token)
    form.add_field("kind", kind)
    form.add_field("file", content, filename="file.csv", content_type="text/csv")
    async with await visitor.send("POST", "/import", data=form, headers={"X-Csrf-Token": None}) as answer:
        told = await answer.text()
        assert answer.status == status, text_of(told)
        return told


async def test_a_file_is_tried_first_and_then_taken_over_as_it_was(world, staff):
    """The dry run saves nothing; the passwords are on the page that made the accounts."""
    before = await kept(world)
    told = await upload(staff["system"], "staff", "login,name\nimported-1,样例一\nimported-2,样例二\n".encode())
    assert "试导入通过，尚未保存" in told
    assert await kept(world) == before
    fields = {"kind": "staff", "content": field_value(told, "content")}
    taken = await post(staff["system"], "/import/take", fields, 200)
    assert "已导入" in taken
    assert "imported-1" in downloaded(taken, "passwords.csv")
    assert "imported-2" in await get(staff["system"], "/staff?text=imported")


def downloaded(page, name):
    """A file that a page holds."""
    address = re.search(rf'href="data:text/csv;charset=utf-8;base64,([^"]*)" download="{name}"', page)[1]
    return base64.b64decode(address).decode("utf-8-sig")


async def test_a_file_with_one_bad_row_is_refused_whole_with_a_list_of_errors(world, staff):
    before = await kept(world)
    content = "login,name\ngood-1,样例一\n!,样例二\n,<script>\n".encode()
    told = await upload(staff["system"], "staff", content, 422)
    assert "有问题，未保存任何内容" in told
    assert "<script>" not in told
    assert 'name="content"' not in told
    assert re.findall(r"<tr><td>(\d+)</td>", told) == ["3", "4"]
    assert downloaded(told, "import-problems.csv").count("\n") == 3
    await post(
        staff["system"], "/import/take",
        {"kind": "staff", "content": base64.urlsafe_b64encode(content).decode()}, 422,
    )  # fmt: skip
    assert await kept(world) == before


@pytest.mark.parametrize(
    ("role", "kind", "content", "status"),
    [
        ("system", "staff", b"", 422),
        ("system", "staff", b"PK\x03\x04", 422),
        ("system", "nothing", b"login,name\n", 422),
        ("system", "grants", b"login,name\n", 403),
        ("security", "staff", b"login,name\nx-1,y\n", 403),
        ("clerk", "posts", b"login,role,region\n", 403),
        ("reviewer", "staff", b"login,name\nx-1,y\n", 403),
        ("audit", "staff", b"login,name\nx-1,y\n", 403),
    ],
)
async def test_a_file_of_another_kind_or_of_another_post_is_refused(world, staff, role, kind, content, status):
    before = await kept(world)
    await upload(staff[role], kind, content, status)
    assert await kept(world) == before


async def test_an_upload_without_the_token_is_refused(staff):
    form = aiohttp.FormData({"kind": "staff"})
    form.add_field("file", b"login,name\nx-1,y\n", filename="file.csv")
    async with await staff["system"].send("POST", "/import", data=form, headers={"X-Csrf-Token": None}) as answer:
        assert answer.status == 403

"""What each page shows to whom: every page by role and region, names that are no markup, links that lead somewhere.

test_role_table.py has the same for every operation of the JSON API, which the pages' forms call.
"""

import re

import pytest
import pytest_asyncio
from markupsafe import escape

from gateway.console import pages
from tests.console.console_world import content_of, open_world
from tests.console.pages_world import RECORD, BusinessSystem, seed_case, system_settings, text_of
from tests.ledger.office_world import counted_writes

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("system", "security", "audit", "clerk", "reviewer")
SCOPES = {"inside": "3501", "outside": "3502", "parent": "35"}
SCRIPT = "<script>alert(1)</script>&\"'"

EVERYBODY = "system security audit clerk reviewer"
COUNTER = "clerk reviewer"

SEEN_BY = {
    # Nothing of one region is on these before somebody searches: a post sees them wherever it is.
    "/": EVERYBODY,
    "/units": COUNTER,
    "/staff": "system security audit",
    "/staff/new": "system",
    "/history": "audit",
    "/import": "system security clerk reviewer",
}
"""Pages that are there for a role wherever its post is."""

SEEN_INSIDE_BY = {
    "/units/{unit}": COUNTER,
    "/units/{unit}/suspend": "reviewer",
    "/units/{unit}/resume": "reviewer",
    "/units/{unit}/revoke": "reviewer",
    "/units/{unit}/region": "reviewer",
    "/units/{unit}/applications": COUNTER,
    "/units/{unit}/applications/{application}/review": "reviewer",
    "/units/{unit}/operators": COUNTER,
    "/units/{unit}/operators/{operator}/leave": COUNTER,
    "/units/{unit}/grants": COUNTER,
    "/units/{unit}/grants/{grant}/approve": "reviewer",
    "/units/{unit}/grants/{grant}/reject": "reviewer",
    "/units/{unit}/grants/{grant}/end": COUNTER,
    "/units/{unit}/devices": COUNTER,
    "/units/{unit}/devices/{device}/approve": "reviewer",
    "/units/{unit}/devices/{device}/end": COUNTER,
    "/units/{unit}/records/si": COUNTER,
    "/units/{unit}/records/si/{local_id}": COUNTER,
    "/units/{unit}/bindings/{binding}/approve": "reviewer",
    "/units/{unit}/bindings/{binding}/reject": "reviewer",
    "/units/{unit}/bindings/{binding}/end": "reviewer",
    "/units/{unit}/appeals/{appeal}/decide": "reviewer",
    "/staff/{staff}/post": "security",
    "/staff/{staff}/dismiss": "security",
    "/staff/{staff}/unlock": "security",
    "/staff/{staff}/reset": "security",
    "/staff/{staff}/disable": "system",
    "/staff/{staff}/enable": "system",
}
"""Pages of one unit, or of one account: for these roles, with a post that covers it. Everybody else gets 403."""

FORMS = [
    address
    for address in (*SEEN_INSIDE_BY, "/staff/new")
    if address not in ("/units/{unit}", "/units/{unit}/records/si")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory, new_file):
    """A back office with one unit of 350100, whose name is markup, and a visitor for every role and scope."""
    system = BusinessSystem(RECORD | {"name": SCRIPT})
    async with open_world(tmp_path_factory.mktemp("pages"), new_file, make=lambda _: system) as world:
        await world.console.comparing.use([system_settings()])
        case = await seed_case(world, "350100", name=SCRIPT)
        visitors = {(role, region): await world.sit(role, scope) for role in ROLES for region, scope in SCOPES.items()}
        yield world, case, visitors


@pytest.fixture
def world(opened):
    return opened[0]


@pytest.fixture
def case(opened):
    return opened[1]


@pytest.fixture
def visitors(opened):
    return opened[2]


async def test_every_page_is_in_the_table():
    """A page that somebody adds has to say who sees it."""
    shown = {route.path for route in pages.routes() if route.method == "GET"}
    shapes = {re.sub(r"\{\w+\}|\bsi\b", "*", path) for path in (*SEEN_BY, *SEEN_INSIDE_BY)}
    assert {re.sub(r"\{\w+\}", "*", path) for path in shown} == shapes


@pytest.mark.parametrize("address", [*SEEN_BY, *SEEN_INSIDE_BY])
async def test_a_page_is_shown_to_the_roles_and_regions_of_the_table(case, visitors, address):
    """Fifteen cells each; nothing of the unit stands on a page that is refused."""
    allowed = (SEEN_BY.get(address) or SEEN_INSIDE_BY[address]).split()
    for (role, region), visitor in visitors.items():
        seen = role in allowed and (address in SEEN_BY or region != "outside")
        async with await visitor.get(case.at(address)) as answer:
            told = await answer.text()
        assert answer.status == (200 if seen else 403), (role, region)
        assert seen or "alert(1)" not in told


async def test_a_form_that_is_refused_changes_nothing(world, case, visitors):
    """Every form, by every other role with the wider post, and by its own roles with a post of another region."""
    before = await content_of(world.office)
    entered = {"reason": "核查", "version": "1", "sure": "true", "approve": "true", "uphold": "true"}
    for address in FORMS:
        allowed = (SEEN_INSIDE_BY.get(address) or SEEN_BY[address]).split()
        refused = [(role, "outside") if role in allowed else (role, "parent") for role in ROLES]
        for who in refused:
            if who[1] == "parent" or address in SEEN_INSIDE_BY:
                async with await visitors[who].post(case.at(address), entered) as answer:
                    assert answer.status == 403, (address, who)
    assert await content_of(world.office) == before


async def test_lists_and_queues_hold_what_is_inside_the_region_alone(case, visitors):
    for role in ("clerk", "reviewer"):
        for address in ("/units", "/units?text=alert", "/"):
            shown = {region: await _told(visitors[role, region], address) for region in SCOPES}
            held = {region for region, told in shown.items() if case.names["unit"] in told}
            assert held == {"inside", "parent"}, (role, address)


async def test_the_staff_of_another_region_are_not_listed(case, visitors):
    for role in ("system", "security", "audit"):
        shown = {region: await _told(visitors[role, region], f"/staff?text={case.names['login']}") for region in SCOPES}
        assert {region for region, told in shown.items() if case.names["staff"] in told or "样例职员" in told} >= {
            "inside", "parent",
        }  # fmt: skip
        assert f">{case.names['login']}<" not in shown["outside"]


async def test_the_region_of_a_post_is_shown_as_people_write_it(visitors):
    shown = {region: text_of(await _told(visitors["clerk", region], "/")) for region in SCOPES}
    expected = {"inside": "350100", "outside": "350200", "parent": "350000"}
    assert {region: code in shown[region] for region, code in expected.items()} == dict.fromkeys(SCOPES, True)


async def test_a_page_that_is_not_there_is_said_to_be_no_page(visitors):
    async with await visitors["clerk", "inside"].get("/nowhere") as answer:
        assert (answer.status, "没有找到该页面。" in await answer.text()) == (404, True)


async def test_the_history_of_another_region_is_not_shown(case, visitors):
    shown = {region: await _told(visitors["audit", region], "/history?action=grant") for region in SCOPES}
    assert {region for region, told in shown.items() if case.names["unit"] in told} == {"inside", "parent"}


async def test_an_entry_of_another_unit_is_as_unknown_as_one_that_never_was(case, visitors):
    """The same answer for both, so that nobody learns which ids there are."""
    reviewer = visitors["reviewer", "inside"]
    for kind in ("grants", "devices", "bindings"):
        for entry in (case.names["application"], "nobody"):
            async with await reviewer.get(case.at(f"/units/{{unit}}/{kind}/{entry}/end")) as answer:
                assert answer.status == 403
                assert "not-your-region" in await answer.text()


async def test_a_name_that_is_markup_is_text_on_every_page(case, visitors):
    """Of the province's profile and of the business system's record alike."""
    for address, allowed in SEEN_INSIDE_BY.items():
        told = await _told(visitors[allowed.split()[-1], "inside"], case.at(address))
        assert "<script" not in told
    for address in ("/", "/units", "/units?text=<script>alert(1)</script>"):
        assert "<script" not in await _told(visitors["reviewer", "inside"], address)
    assert SCRIPT in text_of(await _told(visitors["reviewer", "inside"], case.at("/units/{unit}")))


async def test_the_name_of_a_unit_turns_nothing_round_that_stands_beside_it(case, visitors):
    """The province's names may run from right to left, also such as were made to (Unicode TR 36, 2.10)."""
    told = await _told(visitors["reviewer", "inside"], case.at("/units/{unit}/suspend"))
    assert f"<bdi>{escape(SCRIPT)}</bdi>" in told


async def test_the_page_of_a_unit_is_one_transaction_that_writes(world, case, visitors):
    """It holds everybody up who writes, and notes one look."""
    visitor, address = visitors["clerk", "inside"], case.at("/units/{unit}")
    await visitor.get(address)  # the session's last use is noted at most once a minute
    with counted_writes(world.office) as writes:
        assert (await visitor.get(address)).status == 200
    assert len(writes) == 1


async def test_a_clerk_is_shown_no_link_to_what_only_a_reviewer_may(case, visitors):
    """Every link of the unit's page leads her somewhere that she may see."""
    for role in ("clerk", "reviewer"):
        visitor = visitors[role, "inside"]
        links = set(re.findall(r'href="(/[^"#]*)"', await _told(visitor, case.at("/units/{unit}"))))
        assert len(links) > 8
        for link in links - {"/style.css"}:
            async with await visitor.get(link) as answer:
                assert answer.status == 200, link


async def test_an_administrator_is_shown_no_link_that_refuses_her(visitors):
    for role in ("system", "security", "audit"):
        visitor = visitors[role, "parent"]
        links = set(re.findall(r'href="(/[^"#]*)"', await _told(visitor, "/staff") + await _told(visitor, "/")))
        for link in links - {"/style.css"}:
            async with await visitor.get(link) as answer:
                assert answer.status == 200, (role, link)


async def test_nobody_is_offered_to_approve_what_she_proposed(world, case):
    """The page says that somebody else has to."""
    reviewer = await world.sit("reviewer")
    unit = case.names["unit"]
    fields = {"kind": "network", "value": "198.51.100.0/24", "name": "二号电脑"}
    async with await reviewer.post(f"/units/{unit}/devices", fields) as answer:
        assert answer.status == 303
    told = await _told(reviewer, f"/units/{unit}")
    row = next(row for row in told.split("<tr>") if "二号电脑" in row)
    assert "/approve" not in row
    assert "须由他人复核" in row
    assert "须由他人复核" in await _told(reviewer, "/")


async def test_pages_are_kept_nowhere_and_run_nothing(case, visitors):
    async with await visitors["reviewer", "inside"].get(case.at("/units/{unit}")) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script" not in answer.headers["Content-Security-Policy"]


async def test_whoever_has_not_signed_in_is_led_there(world, case):
    async with await world.visitor().get(case.at("/units/{unit}")) as answer:
        assert (answer.status, answer.headers["Location"].partition("?")[0]) == (303, "/sign-in")


async def _told(visitor, address):
    async with await visitor.get(address) as answer:
        return await answer.text()

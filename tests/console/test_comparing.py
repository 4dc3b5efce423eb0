"""Comparison with business systems: both sides field by field, and every way in which a system can fail to answer."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from gateway.console.comparing import Comparing, compare_records
from gateway.console.lookups import LARGEST
from gateway.errors import CannotDecide, ContentBlocked, Forbidden, GatekeeperTimeout, InputRefused, Undelivered
from gateway.forward.making import make_forwarder
from gateway.ledger.looks import ONE_LOOK
from gateway.ledger.office_tables import LOOKS, PARTIES
from tests.console.console_world import open_world
from tests.console.pages_world import LOCAL_ID, RECORD, USCC, BusinessSystem, system_settings
from tests.ferry.ferry_world import Reply, inner_settings, outer_settings, signer
from tests.ferry.ferry_world import world as ferry_world
from tests.ledger.office_world import seed_staff, seed_unit

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory, new_file):
    """A back office that knows one business system, for all tests of this file; the system, a clerk and a unit."""
    system = BusinessSystem()
    async with open_world(tmp_path_factory.mktemp("comparing"), new_file, make=lambda _: system) as world:
        await world.console.comparing.start()
        yield world, system, await seed_staff(world.office, "clerk"), await _seed_registered(world.office)
        await world.console.comparing.stop()


async def _seed_registered(office):
    """A unit whose registration says what the business system says."""
    party = await seed_unit(office, state="reviewed")
    told = {"legal_representative": "样例甲", "registered_on": "20100101"}
    async with office.by_itself() as act:
        await act.connection.execute(update(PARTIES).where(PARTIES.c.id == party).values(registration=told))
    return party


@pytest_asyncio.fixture(loop_scope="module")
async def world(opened):
    await opened[0].console.comparing.use([system_settings()])
    return opened[0]


@pytest.fixture
def system(opened):
    """Has one record on file, and was not asked yet."""
    opened[1].records, opened[1].asked, opened[1].answer = [RECORD], [], None
    return opened[1]


@pytest.fixture
def clerk(opened, system):
    return opened[2]


@pytest.fixture
def unit(opened):
    return opened[3]


async def looks_at(world, party):
    async with world.office.database.reading() as connection:
        return list(await connection.scalars(select(LOOKS.c.what).where(LOOKS.c.party_id == party)))


# ── both sides ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_record_that_says_the_same_differs_in_nothing(world, clerk, unit):
    comparison = await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    assert [one.field for one in comparison.fields] == [
        "name", "uscc", "legal_representative", "registered_on", "region",
    ]  # fmt: skip
    assert (comparison.found, comparison.status, comparison.differing) == (True, "active", 0)


async def test_what_differs_is_marked_and_both_sides_are_shown(world, clerk, unit, system):
    system.records = [RECORD | {"legal_representative": "样例癸"}]
    comparison = await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    [differs] = [one for one in comparison.fields if not one.equal]
    assert (differs.field, differs.province, differs.system) == ("legal_representative", "样例甲", "样例癸")
    assert comparison.entries()["legal_representative"] == ("样例甲", "样例癸", False)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("样例（福州）有限公司", "样例(福州)有限公司", True),
        ("样例〔福州〕有限公司", "样例（福州）有限公司", True),
        ("样例ＡＢＣ有限公司", "样例abc 有限公司", True),
        ("20100101", "2010-01-01", True),
        ("样例一有限公司", "样例一厂", False),
        ("样例一有限公司", None, False),
        (None, None, False),
        ("", "", False),
    ],
)
async def test_only_how_it_was_typed_is_overlooked(one, other, equal):
    """Width, brackets, case, spaces and hyphens of dates; what a side does not say is never the same."""
    found = {field.field: field.equal for field in compare_records({"name": one}, {"name": other})}
    assert found["name"] is equal


async def test_a_record_that_is_not_there_is_a_normal_state(world, clerk, unit, system):
    system.records = []
    comparison = await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    assert (comparison.offered, comparison.found, comparison.status) == (True, False, None)
    assert (await world.console.comparing.candidates(clerk, unit, "si")).found == []


async def test_candidates_are_the_records_with_the_units_code(world, clerk, unit, system):
    system.records = [RECORD, RECORD | {"local_id": "9" * 20, "status": "closed"}, RECORD | {"uscc": "other"}]
    found = (await world.console.comparing.candidates(clerk, unit, "si")).found
    assert [(one.local_id, one.status) for one in found] == [(LOCAL_ID, "active"), ("9" * 20, "closed")]


async def test_a_system_without_lookups_is_asked_nothing(world, clerk, unit, system):
    """The id is then compared with papers, and entered by hand."""
    await world.console.comparing.use([system_settings(record=None, search=None)])
    comparison = await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    candidates = await world.console.comparing.candidates(clerk, unit, "si")
    assert (comparison.offered, comparison.found, candidates.offered, candidates.found) == (False, False, False, [])
    assert system.asked == []


# ── who asks, and who may ─────────────────────────────────────────────────────────────────────────────────────────


async def test_the_department_vouches_for_its_own_staff(world, clerk, unit, system):
    """Signed as `sub_iss` equal to `iss`: so a system can tell staff from people and units."""
    await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    await world.console.comparing.candidates(clerk, unit, "si")
    record, search = system.asked
    who = record.principal
    assert (who.issuer, who.subject, who.kind.value, who.assurance) == ("dept-test", clerk.login, "natural", 4)
    assert (record.visit.route, record.visit.inbound.path) == ("si-unit", f"/units/{LOCAL_ID}")
    assert (search.visit.route, search.visit.inbound.query) == ("si-units", f"uscc={USCC}")


async def test_every_comparison_is_a_look_that_the_unit_can_see(world, clerk, unit):
    world.clock.advance(ONE_LOOK)
    before = await looks_at(world, unit)
    await world.console.comparing.candidates(clerk, unit, "si")
    await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    assert await looks_at(world, unit) == [*before, "candidates", "comparison"]


async def test_a_page_of_a_unit_is_one_look_however_much_stands_on_it(world, unit):
    visitor, before = await world.sit("clerk"), await looks_at(world, unit)
    for address in (f"/units/{unit}", f"/units/{unit}?page=2", f"/units/{unit}/grants"):
        assert (await visitor.get(address)).status == 200
    assert await looks_at(world, unit) == [*before, "unit"]


@pytest.mark.parametrize(
    ("role", "scope", "code"),
    [
        ("clerk", "3502", "not-your-region"),
        ("system", "", "not-your-role"),
        ("security", "", "not-your-role"),
        ("audit", "", "not-your-role"),
    ],
)
async def test_whoever_may_not_see_the_unit_asks_no_system_about_it(world, unit, system, role, scope, code):
    officer, before = await seed_staff(world.office, role, scope), await looks_at(world, unit)
    with pytest.raises(Forbidden) as refused:
        await world.console.comparing.compare(officer, unit, "si", LOCAL_ID)
    assert refused.value.code == code
    assert system.asked == []
    assert await looks_at(world, unit) == before


@pytest.mark.parametrize(
    ("name", "local_id", "field"),
    [("si", "123", "local_id"), ("si", "../" + "1" * 17, "local_id"), ("si", "1" * 20 + "\n", "local_id"),
     ("tax", LOCAL_ID, "system")],
)  # fmt: skip
async def test_an_id_that_cannot_be_is_refused_beside_its_field(world, clerk, unit, system, name, local_id, field):
    with pytest.raises(InputRefused) as refused:
        await world.console.comparing.compare(clerk, unit, name, local_id)
    assert [problem.field for problem in refused.value.problems] == [field]
    assert system.asked == []


# ── what a system may not answer ──────────────────────────────────────────────────────────────────────────────────


async def _pieces():
    for _ in range(LARGEST // 1024 + 1):
        yield b" " * 1024


class Endless:
    """An answer that goes on for longer than anybody reads."""

    status, whole = 200, None
    chunks = staticmethod(_pieces)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, b"{}"),
        Reply(403, b'{"code":"staff-only"}'),
        Reply(200, b"no json"),
        Reply(200, b"[]"),
        Reply(200, json.dumps(RECORD | {"name": 7}).encode()),
        Reply(200, json.dumps(RECORD | {"name": "n" * 201}).encode()),
        Reply(200, json.dumps(RECORD | {"local_id": "9" * 20}).encode()),
        Reply(200, b" " * (LARGEST + 1)),
        Reply(200, b"\xff"),
        Endless(),
    ],
)
async def test_an_answer_that_cannot_be_believed_compares_nothing(world, clerk, unit, system, reply):
    async def answer(_):
        return reply

    system.answer = answer
    with pytest.raises(CannotDecide) as failed:
        await world.console.comparing.compare(clerk, unit, "si", LOCAL_ID)
    assert failed.value.status == 503
    assert "样例" not in failed.value.detail


@pytest.mark.parametrize("error", [Undelivered("x"), GatekeeperTimeout("x"), ContentBlocked("x"), TimeoutError()])
async def test_a_system_that_cannot_be_asked_is_said_in_one_sentence(world, clerk, unit, system, error):
    async def answer(_):
        raise error

    system.answer = answer
    with pytest.raises(CannotDecide) as failed:
        await world.console.comparing.candidates(clerk, unit, "si")
    assert failed.value.title[0].startswith("业务系统暂时查询不到")


async def test_no_transaction_waits_for_a_system(world, clerk, unit, system):
    """Others write while somebody compares."""
    asked, gate = asyncio.Event(), asyncio.Event()

    async def answer(outbound):
        asked.set()
        await gate.wait()
        return Reply(404, b"{}")

    system.answer = answer
    comparing = asyncio.create_task(world.console.comparing.compare(clerk, unit, "si", LOCAL_ID))
    await asked.wait()
    async with asyncio.timeout(2):
        await seed_unit(world.office, "91350100M000200Y4C")
    gate.set()
    assert (await comparing).found is False


# ── which systems ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_policy_changes_what_changed_and_keeps_the_rest(world):
    """A system that stays as it is keeps its connections; one that is gone is closed."""
    made = {}

    def make(settings):
        made.setdefault(settings.name, []).append(BusinessSystem())
        return made[settings.name][-1]

    comparing = Comparing(world.office, make, "dept-test")
    await comparing.use([system_settings("si"), system_settings("tax")])
    await comparing.start()
    await comparing.use([system_settings("si"), system_settings("tax", search=None), system_settings("pension")])
    assert {name: [one.running for one in systems] for name, systems in made.items()} == {
        "si": [1], "tax": [0, 1], "pension": [1],
    }  # fmt: skip
    await comparing.stop()
    assert not any(one.running for systems in made.values() for one in systems)


@asynccontextmanager
async def asked_across(record):
    """A ferry whose inner unit reaches a system that answers with this record."""

    class Inside:
        def __init__(self):
            self.received = []

        @asynccontextmanager
        async def send(self, request, *, attempts=None):
            self.received.append(request)
            yield Reply(200, json.dumps(record).encode())

    route = {"id": "si-unit", "system": "medical", "method": "GET", "path": "/units/{local_id}"}
    async with ferry_world(system=Inside(), inner=inner_settings(route)) as made:
        yield made


async def test_the_record_comes_across_the_gatekeeper(world, clerk, unit):
    """The same outer and inner unit as for everybody's requests, with the route that the configuration names."""
    async with asked_across(RECORD) as ferry:
        record = {"route": "si-unit", "path": "/units/{local_id}"}
        settings = outer_settings(name="si", local_id={"name": "社保编号", "length": 20, "record": record})
        comparing = Comparing(world.office, lambda _: ferry.outer, "dept-test")
        await comparing.use([settings])
        comparison = await comparing.compare(clerk, unit, "si", LOCAL_ID)
        assert comparison.differing == 0
        [request] = ferry.system.received
        assert request.target == f"/units/{LOCAL_ID}".encode()
        assert b"tongguan-identity" in dict(request.fields)


async def test_a_system_that_is_away_does_not_keep_the_back_office_from_starting(world, clerk, unit):
    """Nobody listens there; whoever compares is told so."""
    comparing = Comparing(world.office, lambda settings: make_forwarder(settings, signer(), world.log), "dept-test")
    await comparing.use([system_settings()])
    await comparing.start()
    with pytest.raises(CannotDecide):
        await comparing.compare(clerk, unit, "si", LOCAL_ID)
    await comparing.stop()

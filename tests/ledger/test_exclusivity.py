"""Whatever races: one exclusive operator for an item, one live binding for a unit and for a number.

Several workers change one ledger at once, by random plans; then the database itself is asked what a bypass would do.
"""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.errors import CannotDecide, Conflict, GatewayError
from gateway.ledger.acting import new_id
from gateway.ledger.bindings import Bindings
from gateway.ledger.grants import Grants
from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.office_tables import BINDINGS, GRANTS, LOOKS, PARTIES, POSTS
from gateway.ledger.tables import CHANGES
from tests.ledger.grants_world import PENSION, TRAINING, asked, new_number
from tests.ledger.office_world import seed_staff

WORKERS = 3
ITEM = st.sampled_from([PENSION, TRAINING])
WHO = st.integers(0, 1)
STEP = st.one_of(
    st.tuples(st.just("propose grant"), WHO, WHO, ITEM, st.booleans()),
    st.tuples(st.just("approve grant"), st.integers(0, 3)),
    st.tuples(st.just("end grant"), st.integers(0, 3)),
    st.tuples(st.just("propose binding"), WHO, WHO),
    st.tuples(st.just("approve binding"), st.integers(0, 3)),
    st.tuples(st.just("end binding"), st.integers(0, 3)),
)
LOST = {"grant-open", "exclusive-operator", "changed-meanwhile", "state-not-reachable", "binding-open"}
LOST |= {"local-id-bound"}
PLANS = st.lists(st.lists(STEP, min_size=2, max_size=5), min_size=WORKERS, max_size=WORKERS)


class Race:
    """Workers that take their steps at once, on two units and two numbers."""

    def __init__(self, scene, offices, units) -> None:
        self.scene, self.units, self.numbers = scene, units, [new_number(), new_number()]
        self.tools = [(Grants(office), Bindings(office)) for office in offices]
        self.grants, self.bindings, self.won, self.unsure, self.lost = [], [], Counter(), Counter(), set()

    async def run(self, plans) -> None:
        await asyncio.gather(*(self._work(*tools, plan) for tools, plan in zip(self.tools, plans, strict=True)))

    async def _work(self, grants, bindings, plan) -> None:
        for name, *what in plan:
            try:
                if await self._take(grants, bindings, name, *what):
                    self.won[name] += 1
            except CannotDecide:
                self.unsure[name] += 1  # busy for too long, which is its right, or cut off while it committed
            except Conflict as error:
                self.lost.add(error.code)
            await asyncio.sleep(0)

    async def _take(self, grants, bindings, name, *what) -> bool:
        clerk, reviewer = self.scene.clerk, self.scene.reviewer
        match name, *what:
            case "propose grant", unit, operator, item, exclusive:
                given = asked(self.units[unit], item, operator=operator, exclusive=exclusive)
                self.grants += await grants.propose(clerk, self.units[unit].id, given)
                return True
            case "propose binding", unit, number:
                given = BindingInput(system="social", local_id=self.numbers[number])
                self.bindings.append(await bindings.propose(clerk, self.units[unit].id, given))
                return True
        rows, tool = (self.grants, grants) if name.endswith("grant") else (self.bindings, bindings)
        if what[0] >= len(rows):
            return False
        row = rows[what[0]]
        if name.startswith("approve"):
            rows[what[0]] = await tool.approve(reviewer, row.id, row.version)
        else:
            rows[what[0]] = await tool.end(reviewer, row.id, "样例", row.version)
        return True


async def count(scene, question) -> list[tuple]:
    async with scene.office.database.reading() as connection:
        return [tuple(row) for row in await connection.execute(question)]


async def check_rules(scene, race) -> None:
    ids = [unit.id for unit in race.units]
    grants = select(GRANTS.c.party_id, GRANTS.c.item).where(GRANTS.c.party_id.in_(ids), GRANTS.c.state != "ended")
    exclusive = Counter(await count(scene, grants.where(GRANTS.c.exclusive)))
    assert all(number == 1 for number in exclusive.values())
    operators = Counter(await count(scene, grants.with_only_columns(GRANTS.c.operator_id, GRANTS.c.item)))
    assert all(number == 1 for number in operators.values())
    live = select(BINDINGS.c.party_id, BINDINGS.c.local_id).where(
        BINDINGS.c.party_id.in_(ids), BINDINGS.c.state == "live"
    )
    bound = await count(scene, live)
    assert len({party for party, _ in bound}) == len({number for _, number in bound}) == len(bound)
    for party in ids:
        facts = await scene.facts(party)
        assert list(facts.bindings.values()) == [number for owner, number in bound if owner == party]
        assert facts.state == ("bound" if facts.bindings else "reviewed")


async def check_history(scene, race) -> None:
    """Every winner is in it once, and no loser."""
    ids = [unit.id for unit in race.units]
    told = dict(
        await count(
            scene,
            select(CHANGES.c.action, func.count()).where(CHANGES.c.party_id.in_(ids)).group_by(CHANGES.c.action),
        )
    )
    actions = {"propose": "proposed", "approve": "approved", "end": "ended"}
    for verb, action in actions.items():
        for noun in ("grant", "binding"):
            name = f"{verb} {noun}"
            assert race.won[name] <= told.get(f"{noun}.{action}", 0) <= race.won[name] + race.unsure[name]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans=PLANS)
async def test_whatever_workers_do_at_once_the_rules_hold_and_the_history_has_the_winners(scene, plans):
    race = Race(scene, await scene.offices(WORKERS), [await scene.unit(), await scene.unit()])
    await race.run(plans)
    assert race.lost <= LOST
    await check_rules(scene, race)
    await check_history(scene, race)


async def test_of_many_who_want_an_item_exclusively_one_gets_it(scene):
    offices = await scene.offices(WORKERS)
    unit = await scene.unit()
    steps = [
        Grants(office).propose(scene.clerk, unit.id, asked(unit, operator=number % 2, exclusive=True))
        for number, office in enumerate(offices)
    ]
    said = await asyncio.gather(*steps, return_exceptions=True)
    codes = Counter(one.code if isinstance(one, GatewayError) else "won" for one in said)
    assert codes["won"] == 1
    assert set(codes) <= {"won", "grant-open", "exclusive-operator"}


# ── past the code ─────────────────────────────────────────────────────────────────────────────────────────────────


async def write(scene, statement) -> None:
    """What somebody does who has the database's password and not our code."""
    async with scene.office.database.writing() as connection:
        await connection.execute(statement)


async def copy_of(scene, table, id_, **changed):
    """An insert of the same row with another id."""
    async with scene.office.database.reading() as connection:
        row = (await connection.execute(select(table).where(table.c.id == id_))).one()
    return insert(table).values(**dict(row._mapping) | {"id": new_id()} | changed)


async def test_the_database_itself_refuses_two_exclusive_grants_and_two_live_bindings(scene):
    unit, other = await scene.unit(), await scene.unit()
    grant = await scene.granted(unit, exclusive=True)
    binding = await scene.bound(unit, new_number())
    refused = [
        await copy_of(scene, GRANTS, grant.id, operator_id=unit.operators[1]),
        await copy_of(scene, GRANTS, grant.id, exclusive=False),
        await copy_of(scene, GRANTS, grant.id, party_id=other.id, item=TRAINING),
        await copy_of(scene, BINDINGS, binding.id, local_id=new_number()),
        await copy_of(scene, BINDINGS, binding.id, party_id=other.id),
    ]
    for statement in refused:
        with pytest.raises(IntegrityError):
            await write(scene, statement)
    await write(scene, await copy_of(scene, GRANTS, grant.id, item=TRAINING))


async def test_the_database_itself_refuses_what_no_post_covers(scene):
    """A post that ended, one of another region, somebody else's, a grant that reaches further than the post."""
    unit = await scene.unit()
    grant = await scene.granted(unit)
    elsewhere, ended = await seed_staff(scene.office, "clerk", "3502"), await seed_staff(scene.office, "clerk")
    await write(scene, update(POSTS).where(POSTS.c.id == ended.post).values(ended_at=1.0))
    for changed in (
        {"proposed_post": elsewhere.post, "proposed_staff": elsewhere.staff},
        {"proposed_post": ended.post, "proposed_staff": ended.staff},
        {"proposed_post": scene.clerk.post, "proposed_staff": scene.reviewer.staff},
        {"scope": "35"},
        {"scope": ""},
        {"approved_post": elsewhere.post, "approved_staff": elsewhere.staff},
        {"approved_post": ended.post, "approved_staff": ended.staff},
    ):
        with pytest.raises(IntegrityError):
            await write(scene, await copy_of(scene, GRANTS, grant.id, item=TRAINING, **changed))


async def test_the_database_itself_keeps_what_was_approved_as_it_was_approved(scene):
    """Nothing reaches further afterwards, is another's, or begins again after its end."""
    unit, other = await scene.unit(), await scene.unit()
    grant, binding = await scene.granted(unit), await scene.bound(unit, new_number())
    ended = await scene.granted(unit, TRAINING)
    await scene.grants.end(scene.clerk, ended.id, "样例", ended.version)
    for table, row, changed in (
        (GRANTS, grant, {"scope": ""}),
        (GRANTS, grant, {"item": TRAINING}),
        (GRANTS, grant, {"valid_until": grant.valid_until + 1}),
        (GRANTS, grant, {"exclusive": True}),
        (GRANTS, grant, {"constraints": {"networks": ["10.0.0.0/16"]}}),
        (GRANTS, grant, {"two_people": False}),
        (GRANTS, grant, {"party_id": other.id, "operator_id": other.operators[0]}),
        (GRANTS, grant, {"approved_post": scene.province.post, "approved_staff": scene.province.staff}),
        (GRANTS, ended, {"state": "live"}),
        (BINDINGS, binding, {"local_id": new_number()}),
        (BINDINGS, binding, {"compared": {"fields": {}, "note": "样例"}}),
        (BINDINGS, binding, {"party_id": other.id}),
    ):
        with pytest.raises(IntegrityError):
            await write(scene, update(table).where(table.c.id == row.id).values(**changed))


async def test_the_database_itself_refuses_that_somebody_approves_her_own(scene):
    unit = await scene.unit()
    [grant] = await scene.grants.propose(scene.reviewer, unit.id, asked(unit))
    binding = await scene.bindings.propose(
        scene.reviewer, unit.id, BindingInput(system="social", local_id=new_number())
    )
    same = {"approved_at": 1.0, "approved_post": scene.reviewer.post, "approved_staff": scene.reviewer.staff}
    for table, row in ((GRANTS, grant), (BINDINGS, binding)):
        for changed in ({"state": "live", **same}, {"state": "live"}):
            with pytest.raises(IntegrityError):
                await write(scene, update(table).where(table.c.id == row.id).values(**changed))


async def test_the_database_itself_refuses_moves_that_there_are_not_and_another_region_under_what_is_open(scene):
    unit, new = await scene.unit(), await scene.unit("new")
    await scene.granted(unit)
    for party, changed in ((new, {"state": "bound"}), (unit, {"state": "new"}), (unit, {"region": "350200"})):
        with pytest.raises(IntegrityError):
            await write(scene, update(PARTIES).where(PARTIES.c.id == party.id).values(**changed))


async def test_the_database_itself_refuses_to_change_or_forget_what_happened(scene):
    unit = await scene.unit()
    await scene.grants.of_party(scene.clerk, unit.id)
    for table in (CHANGES, LOOKS):
        of_unit = table.c.party_id == unit.id
        for statement in (update(table).where(of_unit).values(at=1.0), delete(table).where(of_unit)):
            with pytest.raises(IntegrityError):
                await write(scene, statement)

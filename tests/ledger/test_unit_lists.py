"""Lists of what a unit has, in pages, for the staff and for its owners; and where it stands, whatever page is shown."""

import pytest

from gateway.ledger.applications import Applications
from gateway.ledger.inputs.claims import BindingInput, DecisionInput
from gateway.ledger.inputs.deciding import ReviewInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.inputs.units import ApplicationInput, LeaveInput
from gateway.ledger.operators import Operators
from gateway.ledger.paging import SIZE
from gateway.ledger.parties import Parties
from gateway.ledger.values import Owner
from tests.ledger.grants_world import PENSION, asked, claim, new_number, refused
from tests.ledger.office_world import ISSUER, seed_ended, seed_staff

MORE = 24
"""Entries behind the first one of each kind."""


class Lists:
    """What a unit has of everything, each kind by the part of the ledger that lists it.

    Attributes:
        kinds: the part, by the name of its kind.
        entries: id of the unit's first entry, by the same names.
    """

    def __init__(self, scene) -> None:
        self.scene = scene
        self.kinds = {"grants": scene.grants, "devices": scene.devices, "bindings": scene.bindings}
        self.kinds |= {"appeals": scene.appeals, "applications": Applications(scene.office)}
        self.kinds |= {"operators": Operators(scene.office)}
        self.entries: dict[str, str] = {}

    async def begin(self, unit) -> "Lists":
        """Something of each kind, proposed and not decided."""
        scene, clerk = self.scene, self.scene.clerk
        [grant] = await scene.grants.propose(clerk, unit.id, asked(unit))
        device = await scene.devices.register(clerk, unit.id, network())
        binding = await scene.bindings.propose(clerk, unit.id, BindingInput(system="social", local_id=new_number()))
        appeal = await scene.appeals.open(unit.owners[0], claim(new_number()))
        applied = ApplicationInput(items=(PENSION,))
        application = await self.kinds["applications"].record(clerk, unit.id, applied)
        made = {"grants": grant, "devices": device, "bindings": binding, "appeals": appeal, "applications": application}
        self.entries = {name: one.id for name, one in made.items()} | {"operators": unit.operators[0]}
        return self

    async def grow(self) -> dict[str, list[str]]:
        """So many of each kind that have ended since; gives their ids, the newest first."""
        scene, kinds = self.scene, self.entries.items()
        return {name: await seed_ended(scene.reviewer, scene.office, name, id_, MORE) for name, id_ in kinds}


def network() -> DeviceInput:
    return DeviceInput(kind="network", value="192.0.2.0/24", name="样例电脑")


@pytest.fixture
async def unit(scene):
    return await scene.unit()


@pytest.fixture
async def lists(scene, unit) -> Lists:
    return await Lists(scene).begin(unit)


async def test_whatever_a_unit_has_is_listed_in_pages_the_newest_first(scene, lists, unit):
    """With how many there are; nothing of another unit is among them, and behind the last page there is nothing."""
    newer, other = await lists.grow(), await scene.unit()
    await Lists(scene).begin(other)
    for name, kind in lists.kinds.items():
        pages = [await kind.of_party(scene.clerk, unit.id, page) for page in (1, 2, 3)]
        older = unit.operators if name == "operators" else [lists.entries[name]]
        assert [one.id for page in pages for one in page.found] == newer[name] + sorted(older), name
        assert [len(page.found) for page in pages] == [SIZE, MORE + len(older) - SIZE, 0]
        assert [(page.page, page.more) for page in pages] == [(1, True), (2, False), (3, False)]
        assert {page.total for page in pages} == {MORE + len(older)}


async def test_owners_turn_the_same_pages_of_what_is_theirs(scene, lists, unit):
    """But that an operator finds herself before all others, wherever her entry would be."""
    newer, me, other = await lists.grow(), unit.owners[1], await scene.unit()
    for name in ("grants", "devices", "appeals"):
        pages = [await lists.kinds[name].of(me, page) for page in (1, 2)]
        assert [one.id for page in pages for one in page.found] == [*newer[name], lists.entries[name]]
        assert (await lists.kinds[name].of(other.owners[0])).total == 0
    pages = [await lists.kinds["operators"].of(me, page) for page in (1, 2)]
    assert [one.id for page in pages for one in page.found] == [
        unit.operators[1],
        *newer["operators"],
        unit.operators[0],
    ]
    unit_itself = await lists.kinds["operators"].of(Owner(ISSUER, me.subject, "legal"))
    assert [one.id for one in unit_itself.found] == newer["operators"][:SIZE]


async def test_an_owner_sees_the_grants_of_some_of_her_operators(scene, lists, unit):
    other = await scene.unit()
    [second] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, operator=1))
    [theirs] = await scene.grants.propose(scene.clerk, other.id, asked(other))
    owner, both = unit.owners[0], [*unit.operators, theirs.operator]
    assert {one.id for one in await scene.grants.of_operators(owner, both)} == {lists.entries["grants"], second.id}
    assert await scene.grants.of_operators(owner, unit.operators[1:]) == [second]
    assert await scene.grants.of_operators(owner, []) == []


async def test_an_entry_is_found_on_whatever_page_it_is_and_at_its_own_unit_alone(scene, lists, unit):
    """By staff of its region; the unit can see who looked."""
    await lists.grow()
    other, elsewhere = await scene.unit(), await seed_staff(scene.office, "reviewer", "3502")
    for name, kind in lists.kinds.items():
        assert (await kind.find(scene.clerk, unit.id, lists.entries[name])).id == lists.entries[name]
        for by, party, id_ in (
            (scene.clerk, other.id, lists.entries[name]),
            (scene.clerk, unit.id, "not-there"),
            (scene.clerk, unit.id, "no\0id"),
            (elsewhere, unit.id, lists.entries[name]),
        ):
            with refused("not-your-region"):
                await kind.find(by, party, id_)
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]
    assert await scene.looks(other.id) == []


async def test_what_can_be_chosen_for_a_grant_is_what_has_not_ended(scene, lists, unit):
    await lists.grow()
    present = await lists.kinds["operators"].present(scene.clerk, unit.id)
    assert {one.id for one in present} == set(unit.operators)
    assert [one.id for one in await scene.devices.not_ended(scene.clerk, unit.id)] == [lists.entries["devices"]]
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]


# ── where it stands ───────────────────────────────────────────────────────────────────────────────────────────────


async def standing(scene, unit) -> set[str]:
    """What is so of a unit, and the systems to which it has a binding."""
    told = (await Parties(scene.office).find(scene.reviewer, unit.id)).standing
    named = {name for name in told.__struct_fields__ if getattr(told, name) is True}
    return named | set(told.systems)


async def test_what_waits_is_told_from_behind_a_page_of_what_ended(scene, lists, unit):
    waiting = {"application", "appeal", "proposed", "operators", "granted", "social"}
    assert await standing(scene, unit) == waiting
    await lists.grow()
    assert await standing(scene, unit) == waiting


async def test_each_step_moves_where_a_unit_stands(scene, unit):
    """A grant from proposed to live, then one thing of each other kind, opened and decided."""
    clerk, reviewer = scene.clerk, scene.reviewer
    applications, operators = Applications(scene.office), Operators(scene.office)
    steps = [await standing(scene, unit)]
    [grant] = await scene.grants.propose(clerk, unit.id, asked(unit))
    steps.append(await standing(scene, unit))
    grant = await scene.grants.approve(reviewer, grant.id, grant.version)
    steps.append(await standing(scene, unit))
    grant = await scene.grants.accept(unit.owners[0], grant.id)
    steps.append(await standing(scene, unit))
    await scene.grants.end(clerk, grant.id, "样例", grant.version)
    steps.append(await standing(scene, unit))
    assert steps == [
        {"operators"},
        {"operators", "granted", "proposed"},
        {"operators", "granted", "offered"},
        {"operators", "granted"},
        {"operators"},
    ]
    device = await scene.devices.register(clerk, unit.id, network())
    assert await standing(scene, unit) == {"operators", "proposed"}
    await scene.devices.approve(reviewer, device.id, device.version)
    binding = await scene.bindings.propose(clerk, unit.id, BindingInput(system="social", local_id=new_number()))
    assert await standing(scene, unit) == {"operators", "proposed", "social"}
    await scene.bindings.approve(reviewer, binding.id, binding.version)
    appeal = await scene.appeals.open(unit.owners[0], claim(new_number()))
    assert await standing(scene, unit) == {"operators", "social", "appeal"}
    dismissed = DecisionInput(uphold=False, reason="无误", version=appeal.version)
    await scene.appeals.decide(reviewer, appeal.id, dismissed)
    application = await applications.record(clerk, unit.id, ApplicationInput(items=(PENSION,)))
    assert await standing(scene, unit) == {"operators", "social", "application"}
    rejected = ReviewInput(approve=False, reason="材料不全", version=application.version)
    await applications.review(reviewer, application.id, rejected)
    for operator in unit.operators:
        await operators.leave(clerk, operator, LeaveInput(reason="离职"))
    assert await standing(scene, unit) == {"social"}

"""The owner's switches: who may make an item stricter, who less strict, and whose record they are in."""

from itertools import count

import msgspec
from msgspec.structs import replace

from gateway.ledger.inputs.switches import SwitchInput
from gateway.ledger.inputs.units import LeaveInput, OperatorInput
from gateway.ledger.operators import Operators
from gateway.ledger.values import Owner
from tests.ledger.grants_world import OPEN_TO_ALL, PENSION, SETTLEMENTS, TRAINING, refused
from tests.ledger.office_world import ISSUER

PEOPLE = count(1)


def somebody() -> Owner:
    return Owner(ISSUER, f"person-{next(PEOPLE)}", "natural")


def to(setting: str, item: str = PENSION) -> SwitchInput:
    return SwitchInput(item=item, setting=setting)


async def test_a_person_who_was_never_here_closes_an_item_and_opens_it_again(scene):
    ann = somebody()
    assert [(one.item, one.setting, one.set_by) for one in await scene.switches.of(ann)] == [
        (SETTLEMENTS, "open", None)
    ]
    closed = await scene.switches.set(ann, to("closed", SETTLEMENTS))
    assert (closed.setting, closed.set_by) == ("closed", ann.subject)
    assert await scene.switches.of(ann) == [closed]
    assert (await scene.switches.set(ann, to("open", SETTLEMENTS))).setting == "open"


async def test_a_switch_is_in_the_facts_and_in_the_history_once(scene):
    unit = await scene.unit()
    for _ in range(2):
        await scene.switches.set(unit.owners[0], to("left"))
    assert (await scene.facts(unit.id)).switches == {PENSION: "left"}
    assert await scene.history(unit.id) == ["party.created", "switch.set"]


async def test_an_item_that_was_never_switched_leaves_nothing_when_it_is_opened(scene):
    unit = await scene.unit()
    assert (await scene.switches.set(unit.owners[0], to("open"))).set_at is None
    assert (await scene.facts(unit.id)).switches == {}


async def test_an_item_that_begins_closed_is_opened_by_its_owners_word(scene):
    unit = await scene.unit()
    operator, main = unit.owners[0], unit.owners[-1]
    items = {code: msgspec.structs.replace(item, closed=True) for code, item in scene.office.rules.items.items()}
    scene.office.rules = msgspec.structs.replace(scene.office.rules, items=items)
    assert [(one.setting, one.set_at) for one in await scene.switches.of(main)] == [("closed", None)] * 2
    with refused("administrator-needed"):
        await scene.switches.set(operator, to("open"))
    assert (await scene.switches.set(main, to("open"))).setting == "open"
    assert (await scene.facts(unit.id)).switches == {PENSION: "open"}


LOOSENED = [("left", "open"), ("closed", "open"), ("closed", "left")]


async def test_what_restrains_the_operators_is_loosened_by_the_units_own_login(scene):
    unit = await scene.unit()
    first, second, main = unit.owners
    for before, after in LOOSENED:
        await scene.switches.set(first, to(before))
        for operator in (first, second):
            with refused("administrator-needed"):
                await scene.switches.set(operator, to(after))
        assert (await scene.switches.set(main, to(after))).set_by == main.operator
        assert [one.setting for one in await scene.switches.of(second)] == [after, "open"]


async def test_an_administrator_whom_staff_entered_loosens_until_she_leaves(scene):
    """An account that nobody entered does not: the province gives a unit as many as it likes."""
    unit = await scene.unit()
    boss, stranger = (replace(unit.owners[0], operator=account) for account in ("boss", "stranger"))
    entered = OperatorInput(account="boss", name="样例长", id_number="11010519491231002X", administrator=True)
    operators = Operators(scene.office)
    entry = await operators.enter(scene.clerk, unit.id, entered)
    assert entry.administrator
    await scene.switches.set(unit.owners[0], to("closed"))
    with refused("administrator-needed"):
        await scene.switches.set(stranger, to("open"))
    await scene.switches.set(boss, to("left"))
    await operators.leave(scene.clerk, entry.id, LeaveInput(reason="离职"))
    with refused("administrator-needed"):
        await scene.switches.set(boss, to("open"))


NOT_THEIRS = [
    ("natural", PENSION, "closed", ["item"]),
    ("natural", SETTLEMENTS, "left", ["setting"]),
    ("natural", TRAINING, "left", ["item", "setting"]),
    ("legal", SETTLEMENTS, "closed", ["item"]),
    ("legal", OPEN_TO_ALL, "closed", ["item"]),
    ("legal", "no-item", "closed", ["item"]),
]


async def test_an_owner_switches_items_that_are_meant_for_her_and_can_be_closed(scene):
    for kind, item, setting, fields in NOT_THEIRS:
        owner = Owner(ISSUER, "whoever", kind, "x" if kind == "legal" else None)
        with refused("input-refused", *fields):
            await scene.switches.set(owner, to(setting, item))


async def test_a_subject_is_a_person_or_a_unit_and_never_both(scene):
    unit = await scene.unit()
    with refused("not-yours"):
        await scene.switches.set(Owner(ISSUER, unit.owners[0].subject, "natural"), to("closed", SETTLEMENTS))

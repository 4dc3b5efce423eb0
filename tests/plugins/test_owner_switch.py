"""Owner's switch: what a person or unit said of an item, and what holds while they said nothing."""

import pytest

from gateway import ALLOW, Deny
from plugins.reauthorizers.owner_switch import OwnerSwitch
from tests.plugin_world import principal
from tests.plugins.ledger_view import PERSON, UNIT, HeldLedger, changed, coming, operator, part_on

PERSONS, UNITS = (PERSON, principal()), (UNIT, operator())


async def decide(context, whose, switches, **config):
    facts, asks = whose
    held = None if switches is None else changed(facts, switches=switches)
    return await part_on(OwnerSwitch, context, HeldLedger(held), **config).decide(asks, coming())


@pytest.mark.parametrize(
    ("whose", "said", "default", "passes"),
    [
        (PERSONS, "open", "open", True),
        (PERSONS, "open", "closed", True),
        (PERSONS, "closed", "open", False),
        (PERSONS, "left", "open", False),  # a person has nobody to leave it to
        (PERSONS, None, "open", True),
        (PERSONS, None, "closed", False),
        (UNITS, "open", "closed", True),
        (UNITS, "closed", "open", False),
        (UNITS, "left", "closed", True),  # operator_grant decides
        (UNITS, None, "open", True),
        (UNITS, None, "closed", False),
    ],
)
async def test_the_owners_word_counts_and_else_the_default(context, whose, said, default, passes):
    switches = {"item-2": "closed" if passes else "open"} | ({} if said is None else {"item-1": said})
    decision = await decide(context, whose, switches, default=default)
    assert (decision is ALLOW) is passes
    if not passes:
        assert isinstance(decision, Deny)
        assert (decision.code, decision.conflict) == ("item-closed-by-owner", False)
        assert all("/sso/my/" in text for text in decision.title)
        assert decision.detail == f"item-1: {'by default' if said is None else 'said by the owner'}"


@pytest.mark.parametrize(("default", "passes"), [("open", True), ("closed", False)])
async def test_without_a_record_nobody_has_said_anything(context, default, passes):
    assert (await decide(context, PERSONS, None, default=default) is ALLOW) is passes


async def test_a_person_and_a_units_operator_are_told_who_can_open_it(context):
    person = await decide(context, PERSONS, {"item-1": "closed"})
    unit = await decide(context, UNITS, {"item-1": "closed"})
    assert "您可" in person.title[0]
    assert "单位管理员" in unit.title[0]


async def test_a_word_that_is_none_of_the_three_closes(context):
    assert isinstance(await decide(context, UNITS, {"item-1": "ajar"}), Deny)

"""Bindings and appeals: one unit, one id, in each business system; and what to do when somebody else has it."""

import asyncio

import pytest

from gateway.errors import InputRefused
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.claims import AppealInput, BindingInput, DecisionInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.inputs.units import PartySearchInput
from gateway.ledger.parties import Parties
from gateway.ledger.values import Owner
from tests.ledger.grants_world import TAX, claim, new_number, refused
from tests.ledger.office_world import ISSUER, seed_staff

COMPARED = {"单位名称": ("样例一有限公司", "样例一公司", False)}


def social(local_id: str, **more) -> BindingInput:
    return BindingInput(system="social", local_id=local_id, **more)


@pytest.fixture
def number() -> str:
    """An id at social insurance that nobody has."""
    return new_number()


def decision(appeal, *, uphold: bool = True) -> DecisionInput:
    return DecisionInput(uphold=uphold, reason="已核对登记证", version=appeal.version)


async def test_a_unit_is_bound_with_its_first_binding_and_no_longer_with_its_last(scene, number):
    unit = await scene.unit()
    proposed = await scene.bindings.propose(scene.clerk, unit.id, social(number, compared=COMPARED, note="名称有异"))
    assert (proposed.state, proposed.compared, proposed.note) == ("proposed", COMPARED, "名称有异")
    assert (await scene.facts(unit.id)).bindings == {}
    first = await scene.bindings.approve(scene.reviewer, proposed.id, proposed.version)
    second = await scene.bound(unit, TAX.format(int(number)), "tax")
    facts = await scene.facts(unit.id)
    assert (facts.state, facts.bindings) == ("bound", {"social": number, "tax": TAX.format(int(number))})
    await scene.bindings.end(scene.reviewer, first.id, "系统注销", first.version)
    assert (await scene.facts(unit.id)).state == "bound"
    await scene.bindings.end(scene.reviewer, second.id, "系统注销", second.version)
    facts = await scene.facts(unit.id)
    assert (facts.state, facts.bindings) == ("reviewed", {})
    assert await scene.history(unit.id) == ["party.created", "party.bound", "party.unbound"]
    assert await scene.history(first.id) == ["binding.proposed", "binding.approved", "binding.ended"]
    assert (await scene.bound(unit, number)).state == "live"


async def test_where_one_person_is_enough_a_unit_is_bound_at_once(scene, number):
    scene.rule(two_people=frozenset({"opening"}))
    unit = await scene.unit()
    binding = await scene.bindings.propose(scene.clerk, unit.id, social(number))
    assert (binding.state, (await scene.facts(unit.id)).state) == ("live", "bound")


async def test_nobody_approves_a_binding_that_she_proposed(scene, number):
    unit = await scene.unit()
    binding = await scene.bindings.propose(scene.reviewer, unit.id, social(number))
    with refused("second-person-needed"):
        await scene.bindings.approve(scene.reviewer, binding.id, binding.version)
    with refused("not-your-role"):
        await scene.bindings.approve(scene.clerk, binding.id, binding.version)
    rejected = await scene.bindings.reject(scene.reviewer, binding.id, "记录不符", binding.version)
    assert (rejected.state, rejected.ended_reason) == ("ended", "记录不符")
    with refused("changed-meanwhile"):
        await scene.bindings.reject(scene.reviewer, binding.id, "记录不符", binding.version)
    with refused("state-not-reachable"):
        await scene.bindings.end(scene.reviewer, binding.id, "记录不符", rejected.version)


async def test_each_system_has_its_own_form_of_ids(scene, number):
    unit = await scene.unit()
    for system, local_id, field in [
        ("social", "123", "local_id"),
        ("tax", number, "local_id"),
        ("none", "1", "system"),
    ]:
        with refused("input-refused", field):
            await scene.bindings.propose(scene.clerk, unit.id, BindingInput(system=system, local_id=local_id))
        with refused("input-refused", field):
            await scene.appeals.open(unit.owners[0], claim(local_id, system))


@pytest.mark.parametrize("wrong", [{"note": "a\x00"}, {"compared": {"x": ("\ud800", None, False)}}, {"local_id": ""}])
def test_texts_that_no_database_keeps_are_refused(wrong, number):
    with pytest.raises(InputRefused):
        check_input(BindingInput, {"system": "social", "local_id": number} | wrong)


async def test_a_unit_has_one_open_binding_in_a_system(scene, number):
    unit = await scene.unit()
    await scene.bindings.propose(scene.clerk, unit.id, social(number))
    with refused("binding-open"):
        await scene.bindings.propose(scene.clerk, unit.id, social(new_number()))


async def test_a_number_that_another_unit_has_is_not_bound_again_and_nobody_is_told_whose_it_is(scene, number):
    holder, unit = await scene.unit(), await scene.unit()
    await scene.bound(holder, number)
    with refused("local-id-bound") as caught:
        await scene.bindings.propose(scene.clerk, unit.id, social(number))
    assert "申诉" in caught.value.title[0]


async def test_of_two_approvals_of_one_number_at_once_one_holds(scene, number):
    """The second worker asks the same database; the index says no, and that is told as what it means."""
    workers = await scene.offices(2)
    units = [await scene.unit(), await scene.unit()]
    proposed = [await scene.bindings.propose(scene.clerk, unit.id, social(number)) for unit in units]
    said = await asyncio.gather(
        *(
            type(scene.bindings)(worker).approve(scene.reviewer, binding.id, binding.version)
            for worker, binding in zip(workers, proposed, strict=True)
        ),
        return_exceptions=True,
    )
    assert sorted(getattr(one, "code", "live") for one in said) == ["live", "local-id-bound"]
    assert sorted([(await scene.facts(unit.id)).state for unit in units]) == ["bound", "reviewed"]


async def test_staff_of_another_region_do_not_bind(scene, number):
    unit, elsewhere = await scene.unit(), await seed_staff(scene.office, "reviewer", "3502")
    binding = await scene.bindings.propose(scene.clerk, unit.id, social(number))
    for step in (
        scene.bindings.propose(elsewhere, unit.id, social(new_number())),
        scene.bindings.approve(elsewhere, binding.id, binding.version),
        scene.bindings.reject(elsewhere, binding.id, "不对", binding.version),
        scene.bindings.end(elsewhere, binding.id, "不对", binding.version),
        scene.bindings.of_party(elsewhere, unit.id),
        scene.appeals.of_party(elsewhere, unit.id),
        scene.appeals.decide(elsewhere, "not-there", DecisionInput(uphold=True, reason="x", version=1)),
    ):
        with refused("not-your-region"):
            await step


async def test_an_owner_sees_what_holds_and_not_what_staff_compared_it_with(scene, number):
    unit = await scene.unit()
    proposed = await scene.bindings.propose(scene.clerk, unit.id, social(number, compared=COMPARED))
    assert await scene.bindings.of(unit.owners[0]) == []
    await scene.bindings.approve(scene.reviewer, proposed.id, proposed.version)
    [own] = await scene.bindings.of(unit.owners[0])
    assert (own.local_id, own.compared) == (number, {})
    [seen] = (await scene.bindings.of_party(scene.clerk, unit.id)).found
    assert seen.compared == COMPARED
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]


async def test_a_search_finds_a_unit_by_what_belongs_to_it_and_only_inside_the_region(scene, number):
    """What somebody at the counter has in hand: her account, the number of the unit in a system, its computer."""
    unit, stranger = await scene.unit(), await seed_staff(scene.office, "clerk", "3502")
    await scene.bound(unit, number)
    value = f"2001:db8:{int(number) % 0xFFFF:x}::/48"
    await scene.devices.register(scene.clerk, unit.id, DeviceInput(kind="network", value=value, name="样例电脑"))
    parties = Parties(scene.office)
    for text in (number, value, unit.plain["accounts"][0]):
        found = await parties.search(scene.clerk, PartySearchInput(text=text))
        assert [record.id for record in found.found] == [unit.id]
        assert (await parties.search(stranger, PartySearchInput(text=text))).found == []
    assert (await parties.search(scene.clerk, PartySearchInput(text=number[:-1]))).found == []


# ── appeals ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_upheld_appeal_frees_the_number_and_its_owner_can_be_bound(scene, number):
    holder, unit = await scene.unit(), await scene.unit("new")
    binding = await scene.bound(holder, number)
    appeal = await scene.appeals.open(unit.owners[1], claim(number))
    assert (appeal.state, appeal.opened_by) == ("open", unit.owners[1].operator)
    upheld = await scene.appeals.decide(scene.reviewer, appeal.id, decision(appeal))
    assert (upheld.state, upheld.decision) == ("upheld", "已核对登记证")
    assert (await scene.facts(holder.id)).state == "reviewed"
    assert await scene.history(appeal.id) == ["appeal.opened", "appeal.upheld"]
    assert (await scene.history(binding.id))[-1] == "binding.ended"
    assert (await scene.history(holder.id))[-1] == "party.unbound"
    [ended] = (await scene.bindings.of_party(scene.clerk, holder.id)).found
    assert "已核对" not in ended.ended_reason  # what was said to the claimant is the claimant's
    other = await scene.unit()
    assert (await scene.bound(other, number)).state == "live"


async def test_a_dismissed_appeal_changes_nothing_and_another_one_can_follow(scene, number):
    holder, unit = await scene.unit(), await scene.unit()
    await scene.bound(holder, number)
    appeal = await scene.appeals.open(unit.owners[0], claim(number))
    with refused("appeal-open"):
        await scene.appeals.open(unit.owners[1], claim(new_number()))
    dismissed = await scene.appeals.decide(scene.reviewer, appeal.id, decision(appeal, uphold=False))
    assert dismissed.state == "dismissed"
    assert (await scene.facts(holder.id)).bindings == {"social": number}
    with refused("changed-meanwhile"):
        await scene.appeals.decide(scene.reviewer, appeal.id, decision(appeal))
    with refused("state-not-reachable"):
        await scene.appeals.decide(scene.reviewer, appeal.id, decision(dismissed))
    again = await scene.appeals.open(unit.owners[0], claim(number))
    assert [one.id for one in (await scene.appeals.of(unit.owners[0])).found].count(again.id) == 1
    assert (await scene.appeals.of_party(scene.clerk, unit.id)).total == 2


async def test_who_takes_a_number_from_a_unit_of_another_region_is_a_higher_office(scene, number):
    holder, unit = await scene.unit(region="350200"), await scene.unit()
    clerk = await seed_staff(scene.office, "clerk", "3502")
    binding = await scene.bindings.propose(clerk, holder.id, social(number))
    await scene.bindings.approve(scene.province, binding.id, binding.version)
    appeal = await scene.appeals.open(unit.owners[0], claim(number))
    with refused("not-your-region") as caught:
        await scene.appeals.decide(scene.reviewer, appeal.id, decision(appeal))
    assert "上级" in caught.value.title[0]
    assert (await scene.facts(holder.id)).bindings == {"social": number}
    await scene.appeals.decide(scene.province, appeal.id, decision(appeal))
    assert (await scene.facts(holder.id)).bindings == {}


async def test_an_appeal_about_a_number_that_nobody_else_has_ends_nothing(scene, number):
    """The claimant is not told which of the two it was."""
    unit = await scene.unit()
    await scene.bound(unit, number)
    appeal = await scene.appeals.open(unit.owners[0], claim(number))
    await scene.appeals.decide(scene.reviewer, appeal.id, decision(appeal))
    assert (await scene.facts(unit.id)).bindings == {"social": number}


async def test_appeals_are_for_units_that_are_known_here(scene, number):
    with refused("audience-not-allowed"):
        await scene.appeals.open(Owner(ISSUER, "somebody", "natural"), claim(number))
    with refused("not-yours"):
        await scene.appeals.open(Owner(ISSUER, "unknown", "legal", "x"), claim(number))
    with pytest.raises(InputRefused):
        check_input(AppealInput, {"system": "social", "local_id": number, "reason": " "})

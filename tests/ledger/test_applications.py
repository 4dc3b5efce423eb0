"""Applications: recorded at the counter, decided by somebody else, and what they make of a unit."""

import asyncio

import pytest

from gateway.errors import Conflict, Forbidden, InputRefused
from gateway.ledger.rules import Rules
from tests.ledger.office_world import seed_unit
from tests.ledger.units_world import ITEMS, applied_for, shared, shared_url, verdict, why, world

__all__ = ["shared", "shared_url", "world"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def state_of(world, party: str) -> str:
    return (await world.parties.find(await world.staff(), party)).record.state


BECOMES = {"new": "applied", "revoked": "revoked", "reviewed": "reviewed", "bound": "bound"}


@pytest.mark.parametrize(("before", "after"), BECOMES.items())
async def test_a_unit_that_applies_becomes_an_applicant_unless_it_is_more_already(world, before, after):
    party, _ = await world.unit(before)
    clerk = await world.staff("clerk")
    record = await world.applications.record(clerk, party, applied_for("declare", "change", "declare"))
    assert (record.items, record.state, record.received_by) == (("declare", "change"), "received", clerk.name)
    assert await state_of(world, party) == after


@pytest.mark.parametrize("before", ["new", "reviewed", "bound"])
@pytest.mark.parametrize("approve", [True, False])
async def test_a_decision_moves_applicants_alone(world, before, approve):
    """Whoever was reviewed or bound before stays it, whatever becomes of her wish for more."""
    party, _ = await world.unit(before)
    record = await world.applications.record(await world.staff("clerk"), party, applied_for())
    decided = await world.applications.review(
        await world.staff(), record.id, verdict(approve=approve, reason="" if approve else "材料不全")
    )
    assert decided.state == ("approved" if approve else "rejected")
    assert decided.rejected_reason == (None if approve else "材料不全")
    assert (decided.approved_by is not None) is approve
    assert await state_of(world, party) == ("reviewed" if approve and before == "new" else before)


@pytest.mark.parametrize("approve", [True, False])
async def test_a_revocation_is_lifted_by_whoever_approves_and_by_nobody_else(world, approve):
    """A clerk who records an application opens nothing with it, and a rejection leaves everything as it was."""
    party, _ = await world.unit("revoked")
    record = await world.applications.record(await world.staff("clerk"), party, applied_for())
    reason = "" if approve else "材料不全"
    await world.applications.review(await world.staff(), record.id, verdict(approve=approve, reason=reason))
    assert await state_of(world, party) == ("reviewed" if approve else "revoked")


async def test_a_rejected_unit_can_apply_again(world):
    party, _ = await world.unit()
    reviewer = await world.staff()
    first = await world.applications.record(reviewer, party, applied_for())
    await world.applications.review(reviewer, first.id, verdict(approve=False, reason="材料不全"))
    again = await world.applications.record(reviewer, party, applied_for("change"))
    assert [record.id for record in (await world.applications.of_party(reviewer, party)).found] in (
        [first.id, again.id],
        [again.id, first.id],
    )
    assert await world.changes(first.id) == ["application.received", "application.rejected"]
    assert await world.changes(party) == ["party.created", "party.applied", "party.rejected", "party.applied"]


async def test_what_somebody_recorded_somebody_else_approves(world):
    party, _ = await world.unit()
    reviewer = await world.staff()
    record = await world.applications.record(reviewer, party, applied_for())
    with pytest.raises(Forbidden) as caught:
        await world.applications.review(reviewer, record.id, verdict())
    assert caught.value.code == "second-person-needed"
    assert await state_of(world, party) == "applied"


async def test_where_nobody_has_to_look_twice_it_is_approved_at_once(world):
    world.office.rules = Rules(ITEMS, two_people=frozenset({"binding"}))
    party, _ = await world.unit()
    clerk = await world.staff("clerk")
    record = await world.applications.record(clerk, party, applied_for())
    assert (record.state, record.approved_by) == ("approved", clerk.name)
    assert await state_of(world, party) == "reviewed"
    assert await world.changes(party) == ["party.created", "party.applied", "party.reviewed"]


async def test_every_item_that_cannot_be_applied_for_is_told_at_once(world):
    party, _ = await world.unit()
    with pytest.raises(InputRefused) as caught:
        await world.applications.record(
            await world.staff("clerk"), party, applied_for("declare", "hospital", "query", "nothing")
        )
    assert [problem.field for problem in caught.value.problems] == ["items.1", "items.2", "items.3"]
    assert len({problem.title for problem in caught.value.problems}) == 3
    assert await world.changes(party) == ["party.created"]


async def test_a_unit_has_one_open_application(world):
    party, _ = await world.unit()
    clerk = await world.staff("clerk")
    await world.applications.record(clerk, party, applied_for())
    with pytest.raises(Conflict) as caught:
        await world.applications.record(clerk, party, applied_for("change"))
    assert caught.value.code == "application-open"


async def test_of_two_counters_at_once_one_records(world):
    party, _ = await world.unit()
    clerk = await world.staff("clerk")
    said = await asyncio.gather(
        *(world.applications.record(clerk, party, applied_for()) for _ in range(3)), return_exceptions=True
    )
    assert sorted(getattr(one, "code", "recorded") for one in said) == ["application-open"] * 2 + ["recorded"]


async def test_neither_a_suspended_unit_nor_a_person_applies(world):
    suspended, _ = await world.unit("suspended")
    person = await seed_unit(world.office, f"person-{world.scope}", world.region, kind="natural")
    for party in (suspended, person):
        with pytest.raises(Conflict) as caught:
            await world.applications.record(await world.staff("clerk"), party, applied_for())
        assert caught.value.code == "state-not-reachable"


async def test_the_application_of_a_unit_that_was_suspended_since_can_only_be_rejected(world):
    party, _ = await world.unit("reviewed")
    reviewer = await world.staff()
    record = await world.applications.record(await world.staff("clerk"), party, applied_for())
    await world.parties.suspend(reviewer, party, why())
    with pytest.raises(Conflict):
        await world.applications.review(reviewer, record.id, verdict())
    rejected = await world.applications.review(reviewer, record.id, verdict(approve=False, reason="已暂停"))
    assert rejected.state == "rejected"
    assert await state_of(world, party) == "suspended"


async def test_a_decision_needs_the_version_that_is_there_and_is_made_once(world):
    party, _ = await world.unit()
    reviewer = await world.staff()
    record = await world.applications.record(await world.staff("clerk"), party, applied_for())
    with pytest.raises(InputRefused) as nothing_said:
        await world.applications.review(reviewer, record.id, verdict(approve=False))
    assert [problem.field for problem in nothing_said.value.problems] == ["reason"]
    await world.applications.review(reviewer, record.id, verdict())
    for version, code in ((1, "changed-meanwhile"), (2, "state-not-reachable")):
        with pytest.raises(Conflict) as caught:
            await world.applications.review(reviewer, record.id, verdict(version))
        assert caught.value.code == code


async def test_only_who_may_and_where_she_may(world):
    """A clerk records and does not review; whoever is elsewhere finds nothing; administrators do neither."""
    party, _ = await world.unit()
    clerk, elsewhere = await world.staff("clerk"), await world.staff(scope="99")
    record = await world.applications.record(clerk, party, applied_for())
    with pytest.raises(Forbidden) as not_hers:
        await world.applications.review(clerk, record.id, verdict())
    assert not_hers.value.code == "not-your-role"
    for asking in (
        world.applications.review(elsewhere, record.id, verdict()),
        world.applications.review(elsewhere, "no-such-id", verdict()),
        world.applications.record(elsewhere, party, applied_for()),
        world.applications.of_party(elsewhere, party),
    ):
        with pytest.raises(Forbidden) as caught:
            await asking
        assert caught.value.code == "not-your-region"
    for role in ("system", "security", "audit"):
        with pytest.raises(Forbidden):
            await world.applications.record(await world.staff(role), party, applied_for())

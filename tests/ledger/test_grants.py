"""Grants: what a clerk enters, a reviewer approves, an operator accepts; and the ways in which they end."""

from datetime import date

from sqlalchemy import update

from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.office_tables import OPERATORS
from gateway.ledger.values import Owner
from tests.ledger.grants_world import OPEN_TO_ALL, PENSION, TODAY, TRAINING, asked, refused
from tests.ledger.office_world import seed_staff


async def test_a_grant_holds_when_staff_have_approved_and_the_operator_has_accepted(scene):
    unit = await scene.unit()
    [grant] = await scene.grants.propose(
        scene.clerk, unit.id, asked(unit, networks=["10.1.2.3/24"], hours=["09:00-17:00"])
    )
    assert (grant.state, grant.scope, grant.proposed_by) == ("proposed", "3501", scene.clerk.staff)
    offered = await scene.grants.approve(scene.reviewer, grant.id, grant.version)
    assert (offered.state, offered.approved_by) == ("offered", scene.reviewer.staff)
    assert (await scene.facts(unit.id)).grants == ()
    live = await scene.grants.accept(unit.owners[0], grant.id)
    assert (live.state, live.first_day, live.last_day) == ("live", TODAY, date(2024, 11, 14))
    [fact] = (await scene.facts(unit.id)).grants
    assert (fact.operator, fact.item, fact.networks, fact.hours) == (
        live.account, PENSION, ("10.1.2.0/24",), ("09:00-17:00",),
    )  # fmt: skip
    assert await scene.history(grant.id) == ["grant.proposed", "grant.approved", "grant.accepted"]


async def test_where_one_person_is_enough_and_nobody_has_to_accept_it_holds_at_once(scene):
    scene.rule(two_people=frozenset(), acceptance=False)
    unit = await scene.unit()
    grants = await scene.grants.propose(scene.clerk, unit.id, asked(unit, TRAINING, PENSION, TRAINING))
    assert [(grant.item, grant.state) for grant in grants] == [(TRAINING, "live"), (PENSION, "live")]
    assert grants[0].approved_by == scene.clerk.staff


async def test_every_field_that_is_wrong_is_told_at_once_and_nothing_is_kept(scene):
    unit, other = await scene.unit(), await scene.unit()
    given = asked(
        unit, PENSION, OPEN_TO_ALL, "no-item", scope="350200", valid_from=date(2023, 11, 14),
        valid_until=date(2023, 11, 13), networks=["10.0.0.0/8"], devices=["x"], hours=["17:00-09:00"],
    )  # fmt: skip
    fields = ["items.1", "items.2", "scope", "valid_from", "valid_until", "networks.0", "devices.0", "hours.0"]
    with refused("input-refused", *fields):
        await scene.grants.propose(scene.clerk, unit.id, given)
    with refused("input-refused", "operator"):
        await scene.grants.propose(scene.clerk, unit.id, asked(other))
    assert (await scene.grants.of(unit.owners[0])).found == []


async def test_of_many_items_all_are_granted_or_none(scene):
    unit = await scene.unit()
    await scene.grants.propose(scene.clerk, unit.id, asked(unit, PENSION))
    with refused("grant-open"):
        await scene.grants.propose(scene.clerk, unit.id, asked(unit, TRAINING, PENSION))
    assert [grant.item for grant in (await scene.grants.of(unit.owners[0])).found] == [PENSION]


async def test_what_one_operator_has_exclusively_nobody_else_of_the_unit_gets(scene):
    """Also while it is only proposed; until it is ended. Another unit is not concerned."""
    unit, other = await scene.unit(), await scene.unit()
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, exclusive=True))
    for exclusive in (True, False):
        with refused("exclusive-operator"):
            await scene.grants.propose(scene.clerk, unit.id, asked(unit, operator=1, exclusive=exclusive))
    await scene.grants.propose(scene.clerk, other.id, asked(other, exclusive=True))
    await scene.grants.end(scene.clerk, grant.id, "换人", grant.version)
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, operator=1, exclusive=True))
    assert grant.exclusive


async def test_nobody_approves_what_she_proposed_herself(scene):
    unit = await scene.unit()
    [grant] = await scene.grants.propose(scene.reviewer, unit.id, asked(unit))
    with refused("second-person-needed"):
        await scene.grants.approve(scene.reviewer, grant.id, grant.version)
    with refused("not-your-role"):
        await scene.grants.approve(scene.clerk, grant.id, grant.version)


async def test_staff_of_another_region_neither_see_nor_change_a_grant(scene):
    """An id that is not theirs is answered as one that there is not."""
    unit, elsewhere = await scene.unit(), await seed_staff(scene.office, "reviewer", "3502")
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit))
    for id_ in (grant.id, "not-there", "no\x00id"):
        with refused("not-your-region"):
            await scene.grants.approve(elsewhere, id_, 1)
        with refused("not-your-region"):
            await scene.grants.reject(elsewhere, id_, "不对", 1)
        with refused("not-your-region"):
            await scene.grants.end(elsewhere, id_, "不对", 1)
    with refused("not-your-region"):
        await scene.grants.of_party(elsewhere, unit.id)
    with refused("not-your-region"):
        await scene.grants.propose(elsewhere, unit.id, asked(unit, TRAINING))


async def test_a_grant_reaches_no_further_than_the_posts_of_both_who_made_it(scene):
    unit = await scene.unit()
    with refused("input-refused", "scope"):
        await scene.grants.propose(scene.clerk, unit.id, asked(unit, scope="350000"))
    [grant] = await scene.grants.propose(scene.province, unit.id, asked(unit, scope="350000"))
    assert grant.scope == "35"
    with refused("not-your-region"):
        await scene.grants.approve(scene.reviewer, grant.id, grant.version)


async def test_a_unit_that_is_not_reviewed_gets_no_grant_and_no_binding(scene):
    for state in ("new", "applied", "suspended", "revoked"):
        unit = await scene.unit(state)
        with refused("unit-not-reviewed"):
            await scene.grants.propose(scene.clerk, unit.id, asked(unit))
        with refused("unit-not-reviewed"):
            await scene.bindings.propose(scene.clerk, unit.id, BindingInput(system="social", local_id="1" * 20))


async def test_only_the_operator_herself_answers_an_offer(scene):
    unit, other = await scene.unit(), await scene.unit()
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit))
    with refused("state-not-reachable"):
        await scene.grants.accept(unit.owners[0], grant.id)
    await scene.grants.approve(scene.reviewer, grant.id, grant.version)
    same_account = Owner(other.owners[0].issuer, other.owners[0].subject, "legal", unit.owners[0].operator)
    as_person = Owner(unit.owners[0].issuer, unit.owners[0].operator, "natural")
    for somebody, code in [
        (unit.owners[1], "not-the-operator"),
        (unit.owners[2], "not-the-operator"),
        (same_account, "not-yours"),
        (as_person, "not-yours"),
    ]:
        with refused(code):
            await scene.grants.accept(somebody, grant.id)
        with refused(code):
            await scene.grants.decline(somebody, grant.id, "不需要")
    declined = await scene.grants.decline(unit.owners[0], grant.id, "不需要")
    assert (declined.state, declined.ended_reason) == ("ended", "不需要")
    with refused("state-not-reachable"):
        await scene.grants.accept(unit.owners[0], grant.id)


async def test_a_unit_takes_back_its_own_grants_alone(scene):
    unit, other = await scene.unit(), await scene.unit()
    grant = await scene.granted(unit)
    with refused("not-yours"):
        await scene.grants.withdraw(other.owners[0], grant.id, "不再需要")
    with refused("input-refused", "reason"):
        await scene.grants.withdraw(unit.owners[2], grant.id, "  ")
    await scene.grants.withdraw(unit.owners[2], grant.id, "不再需要")
    assert (await scene.facts(unit.id)).grants == ()
    with refused("state-not-reachable"):
        await scene.grants.withdraw(unit.owners[2], grant.id, "不再需要")
    assert (await scene.history(grant.id))[-1] == "grant.withdrawn"


async def test_a_proposal_that_is_rejected_makes_room_for_a_better_one(scene):
    unit = await scene.unit()
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit))
    with refused("input-refused", "reason"):
        await scene.grants.reject(scene.reviewer, grant.id, "\x00", grant.version)
    rejected = await scene.grants.reject(scene.reviewer, grant.id, "期限过长", grant.version)
    assert (rejected.state, rejected.ended_reason) == ("ended", "期限过长")
    assert (await scene.grants.propose(scene.clerk, unit.id, asked(unit)))[0].state == "proposed"


async def test_what_somebody_else_changed_meanwhile_is_not_changed_unseen(scene):
    unit = await scene.unit()
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit))
    await scene.grants.approve(scene.reviewer, grant.id, grant.version)
    with refused("changed-meanwhile"):
        await scene.grants.approve(scene.reviewer, grant.id, grant.version)
    with refused("changed-meanwhile"):
        await scene.grants.reject(scene.reviewer, grant.id, "不对", grant.version)


async def test_an_operator_who_has_left_gets_nothing_and_accepts_nothing(scene):
    unit = await scene.unit()
    [proposed] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, PENSION))
    [offered] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, TRAINING))
    await scene.grants.approve(scene.reviewer, offered.id, offered.version)
    async with scene.office.by_itself() as act:
        await act.connection.execute(
            update(OPERATORS).where(OPERATORS.c.id == unit.operators[0]).values(left_at=act.now)
        )
    with refused("operator-left"):
        await scene.grants.approve(scene.reviewer, proposed.id, proposed.version)
    with refused("operator-left"):
        await scene.grants.accept(unit.owners[0], offered.id)
    with refused("input-refused", "operator"):
        await scene.grants.propose(scene.clerk, unit.id, asked(unit, PENSION))


async def test_a_grant_may_ask_for_the_units_own_devices(scene):
    unit, other = await scene.unit(), await scene.unit()
    network = DeviceInput(kind="network", value="10.1.2.0/24", name="柜台")
    ours = await scene.devices.register(scene.clerk, unit.id, network)
    theirs = await scene.devices.register(scene.clerk, other.id, network)
    with refused("input-refused", "devices.1"):
        await scene.grants.propose(scene.clerk, unit.id, asked(unit, devices=[ours.id, theirs.id]))
    [grant] = await scene.grants.propose(scene.clerk, unit.id, asked(unit, devices=[ours.id]))
    assert grant.devices == (ours.id,)


async def test_a_unit_sees_its_grants_and_that_staff_looked_at_them(scene):
    unit, other = await scene.unit(), await scene.unit()
    grant = await scene.granted(unit)
    assert (await scene.grants.of(unit.owners[1])).found == [grant]
    assert (await scene.grants.of(other.owners[0])).found == []
    assert (await scene.grants.of_party(scene.clerk, unit.id)).found == [grant]
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]
    assert "样例" not in repr(grant)

"""Operators: entered for units that are reviewed, without their numbers, and gone with all they were granted."""

import pytest
from sqlalchemy import select

from gateway.errors import Conflict, Forbidden, InputRefused
from gateway.ledger.inputs.units import LeaveInput
from gateway.ledger.office_tables import BINDINGS, GRANTS, OPERATORS
from tests.ledger.units_world import NUMBERS, operator, owner_of, shared, shared_url, world

__all__ = ["shared", "shared_url", "world"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEFT = LeaveInput(reason="已离职")


async def test_of_an_identity_number_a_mask_and_a_digest_are_kept(world):
    party, _ = await world.unit("reviewed")
    record = await world.operators.enter(await world.staff("clerk"), party, operator(number=NUMBERS[0].lower()))
    assert record.id_number == "110105********002X"
    async with world.office.database.reading() as connection:
        row = (await connection.execute(select(OPERATORS).where(OPERATORS.c.id == record.id))).one()
    assert row.id_digest == world.office.digest(NUMBERS[0])
    assert NUMBERS[0] not in repr(tuple(row))
    assert "样例甲" not in repr((record, operator()))


@pytest.mark.parametrize("state", ["new", "applied", "suspended", "revoked"])
async def test_only_a_unit_that_is_reviewed_gets_operators(world, state):
    party, _ = await world.unit(state)
    with pytest.raises(Conflict) as caught:
        await world.operators.enter(await world.staff("clerk"), party, operator())
    assert caught.value.code == "unit-not-reviewed"


async def test_an_account_is_one_operator_of_a_unit_until_she_leaves(world):
    party, _ = await world.unit("bound")
    clerk = await world.staff("clerk")
    first = await world.operators.enter(clerk, party, operator())
    with pytest.raises(InputRefused) as caught:
        await world.operators.enter(clerk, party, operator())
    assert [problem.field for problem in caught.value.problems] == ["account"]
    await world.operators.leave(clerk, first.id, LEFT)
    world.clock.advance(1)
    second = await world.operators.enter(clerk, party, operator())
    assert [record.id for record in (await world.operators.of_party(clerk, party)).found] == [second.id, first.id]


@pytest.mark.parametrize("state", ["live", "proposed"])
async def test_her_grants_end_with_her_and_nobody_elses(world, state):
    party, _ = await world.unit("reviewed")
    reviewer = await world.staff()
    hers = await world.entries(reviewer, party, state=state)
    other = await world.operators.enter(reviewer, party, operator("operator-b"))
    record = await world.operators.leave(reviewer, hers["operator"], LEFT)
    assert (record.left_at, record.left_reason) == (world.clock.wall, "已离职")
    assert await world.state_of(GRANTS, hers["grant"]) == "ended"
    assert await world.state_of(BINDINGS, hers["binding"]) == state
    assert await world.changes(hers["operator"], hers["grant"]) == [
        "operator.entered", "grant.proposed", "grant.ended", "operator.left",
    ]  # fmt: skip
    assert await world.changes(other.id) == ["operator.entered"]
    with pytest.raises(Conflict) as caught:
        await world.operators.leave(reviewer, hers["operator"], LEFT)
    assert caught.value.code == "state-not-reachable"


async def test_a_unit_dismisses_its_own_operators_and_no_others(world):
    party, subject = await world.unit("reviewed")
    _, neighbour = await world.unit("reviewed")
    entries = await world.entries(await world.staff(), party)
    for stranger in (
        owner_of(neighbour),
        owner_of(subject, kind="natural"),
        owner_of("operator-a", None, "natural"),
        owner_of("nobody"),
    ):
        with pytest.raises(Forbidden) as caught:
            await world.operators.dismiss(stranger, entries["operator"], LEFT)
        assert caught.value.code == "not-yours"
    record = await world.operators.dismiss(owner_of(subject), entries["operator"], LEFT)
    assert record.left_at is not None
    assert await world.state_of(GRANTS, entries["grant"]) == "ended"
    assert [entry.id for entry in (await world.operators.of(owner_of(subject))).found] == [entries["operator"]]
    assert (await world.operators.of(owner_of(neighbour))).found == []
    [latest, *_] = (await world.history.mine(owner_of(subject))).found
    assert (latest.action, latest.by, latest.role) == ("operator.dismissed", "operator-a", None)


async def test_only_who_may_and_where_she_may(world):
    party, _ = await world.unit("reviewed")
    clerk, elsewhere = await world.staff("clerk"), await world.staff(scope="99")
    entered = await world.operators.enter(clerk, party, operator())
    for asking in (
        world.operators.enter(elsewhere, party, operator("operator-b")),
        world.operators.leave(elsewhere, entered.id, LEFT),
        world.operators.leave(elsewhere, "no-such-id", LEFT),
        world.operators.of_party(elsewhere, party),
    ):
        with pytest.raises(Forbidden) as caught:
            await asking
        assert caught.value.code == "not-your-region"
    for role in ("system", "security", "audit"):
        with pytest.raises(Forbidden) as caught:
            await world.operators.leave(await world.staff(role), entered.id, LEFT)
        assert caught.value.code == "not-your-role"

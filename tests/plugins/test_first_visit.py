"""First visit: a record for whoever has none, once, and none for anybody else."""

import pytest

from gateway import ALLOW, CannotDecide, Facts, Kind, Principal
from plugins.reauthorizers.first_visit import FirstVisit
from tests.plugin_world import principal, visit
from tests.plugins.ledger_view import PERSON, UNIT, HeldLedger, changed, operator, part_on


class FullLedger(HeldLedger):
    """One that cannot be written."""

    async def register(self, principal: Principal) -> Facts:
        raise CannotDecide("ledger: SQLITE_FULL")


async def test_whoever_is_here_for_the_first_time_gets_a_record_and_passes(context):
    ledger = HeldLedger()
    assert await part_on(FirstVisit, context, ledger).decide(operator(), visit()) is ALLOW
    assert [one.kind for one in ledger.registered] == [Kind.LEGAL]


async def test_whoever_has_a_record_gets_no_other(context):
    ledger = HeldLedger(PERSON)
    assert await part_on(FirstVisit, context, ledger).decide(principal(), visit()) is ALLOW
    assert ledger.registered == []


async def test_a_record_that_another_worker_made_and_staff_suspended_meanwhile_counts(context):
    ledger = HeldLedger(None, found=changed(UNIT, state="suspended"))
    decision = await part_on(FirstVisit, context, ledger).decide(operator(), visit())
    assert decision.code == "unit-suspended"


async def test_where_no_record_can_be_made_nobody_passes(context):
    with pytest.raises(CannotDecide):
        await part_on(FirstVisit, context, FullLedger()).decide(principal(), visit())

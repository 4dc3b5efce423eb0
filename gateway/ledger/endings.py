"""Ends what rests on something that ends itself: a unit's entries with the unit, an operator's grants with her."""

from sqlalchemy import ColumnElement, Table, select

from gateway.ledger.acting import Act, Party
from gateway.ledger.office_tables import APPLICATIONS, BINDINGS, DESIGNATED, GRANTS
from gateway.ledger.rows import change_row, end_row

_ENDED_WITH_UNIT = ((GRANTS, "grant.ended"), (BINDINGS, "binding.ended"), (DESIGNATED, "device.ended"))


async def end_everything(act: Act, unit: Party, reason: str) -> None:
    """End a unit's open grants, bindings, designated devices, and its open application; each has its own history."""
    for table, action in _ENDED_WITH_UNIT:
        await _end(act, table, table.c.party_id == unit.id, action, reason)
    open_ = select(APPLICATIONS).where(APPLICATIONS.c.party_id == unit.id, APPLICATIONS.c.state == "received")
    for row in (await act.connection.execute(open_)).all():
        values = {"state": "rejected", "ended_at": act.now, "ended_reason": reason}
        await change_row(act, APPLICATIONS, row, "application.rejected", values)


async def end_grants_of(act: Act, operator: str, reason: str) -> None:
    """End an operator's open grants."""
    await _end(act, GRANTS, GRANTS.c.operator_id == operator, "grant.ended", reason)


async def _end(act: Act, table: Table, whose: ColumnElement[bool], action: str, reason: str) -> None:
    for row in (await act.connection.execute(select(table).where(whose, table.c.state != "ended"))).all():
        await end_row(act, table, row, action, reason)

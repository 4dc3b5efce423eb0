"""What of a unit waits or holds now, asked all at once: its lists come in pages, and no single page tells."""

import msgspec
from sqlalchemy import ColumnElement, Exists, Table, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.office_tables import APPEALS, APPLICATIONS, BINDINGS, DESIGNATED, GRANTS, OPERATORS


class Standing(msgspec.Struct, frozen=True):
    """Where a unit stands; of a person all is False.

    Attributes:
        application: True while an application waits for its review.
        appeal: True while an appeal waits for its decision.
        proposed: True while a grant, binding or designated device waits to be approved.
        offered: True while a grant waits for its operator to accept it.
        operators: True when it has operators who have not left.
        granted: True when it has grants that have not ended.
        systems: to which it has a binding that has not ended.
    """

    application: bool
    appeal: bool
    proposed: bool
    offered: bool
    operators: bool
    granted: bool
    systems: tuple[str, ...]


async def read_standing(connection: AsyncConnection, party: str) -> Standing:
    """Where a unit stands.

    Args:
        connection: of the ledger's database.
        party: id of its record.
    """
    there = {
        "application": _any(APPLICATIONS, party, APPLICATIONS.c.state == "received"),
        "appeal": _any(APPEALS, party, APPEALS.c.state == "open"),
        "proposed_grant": _any(GRANTS, party, GRANTS.c.state == "proposed"),
        "proposed_binding": _any(BINDINGS, party, BINDINGS.c.state == "proposed"),
        "proposed_device": _any(DESIGNATED, party, DESIGNATED.c.state == "proposed"),
        "offered": _any(GRANTS, party, GRANTS.c.state == "offered"),
        "operators": _any(OPERATORS, party, OPERATORS.c.left_at.is_(None)),
        "granted": _any(GRANTS, party, GRANTS.c.state != "ended"),
    }
    row = (await connection.execute(select(*(one.label(name) for name, one in there.items())))).one()
    bound = select(BINDINGS.c.system).where(BINDINGS.c.party_id == party, BINDINGS.c.state != "ended")
    return Standing(
        row.application,
        row.appeal,
        row.proposed_grant or row.proposed_binding or row.proposed_device,
        row.offered,
        row.operators,
        row.granted,
        tuple(await connection.scalars(bound.order_by(BINDINGS.c.system))),
    )


def _any(table: Table, party: str, condition: ColumnElement[bool]) -> Exists:
    return exists().where(table.c.party_id == party, condition)

"""Makes the facts of one person or unit out of the tables, in the transaction of every change; view.py reads them.

The facts are numbered through: whoever has seen number n has seen every change up to n, as writers count up one row and
hold it until they commit.
"""

from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.facts import Designated, Facts, Grant
from gateway.ledger.office_tables import (
    BINDINGS,
    DESIGNATED,
    FACTS,
    FACTS_CLOCK,
    GRANTS,
    OPERATORS,
    PARTIES,
    SWITCHES,
)

CHANNEL = "tongguan_facts"
"""PostgreSQL's notification channel of new facts; the payload is the number."""

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Facts)


def read_facts(body: bytes) -> Facts:
    """Facts as they were written.

    Raises:
        msgspec.DecodeError: these are none.
    """
    return _DECODER.decode(body)


async def refresh_facts(connection: AsyncConnection, party: str) -> None:
    """Write what is now true of one person or unit, under the next number.

    Args:
        connection: in the transaction of the change.
        party: id of the record.
    """
    row = (await connection.execute(select(PARTIES).where(PARTIES.c.id == party))).one()
    facts = Facts(
        party,
        row.kind,
        row.state,
        row.region,
        await _bindings(connection, party),
        await _switches(connection, party),
        await _grants(connection, party),
        await _devices(connection, party),
    )
    counted = update(FACTS_CLOCK).values(seq=FACTS_CLOCK.c.seq + 1).returning(FACTS_CLOCK.c.seq)
    seq = (await connection.execute(counted)).scalar_one()
    await connection.execute(delete(FACTS).where(FACTS.c.party_id == party))
    values = {"party_id": party, "issuer": row.issuer, "subject": row.subject, "seq": seq}
    await connection.execute(insert(FACTS).values(**values, body=_ENCODER.encode(facts)))
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_notify(CHANNEL, str(seq))))


async def _bindings(connection: AsyncConnection, party: str) -> dict[str, str]:
    question = select(BINDINGS.c.system, BINDINGS.c.local_id)
    rows = await connection.execute(question.where(BINDINGS.c.party_id == party, BINDINGS.c.state == "live"))
    return {row.system: row.local_id for row in rows}


async def _switches(connection: AsyncConnection, party: str) -> dict[str, str]:
    rows = await connection.execute(select(SWITCHES).where(SWITCHES.c.party_id == party))
    return {row.item: row.setting for row in rows}


async def _grants(connection: AsyncConnection, party: str) -> tuple[Grant, ...]:
    question = (
        select(GRANTS, OPERATORS.c.account)
        .join(OPERATORS, OPERATORS.c.id == GRANTS.c.operator_id)
        .where(GRANTS.c.party_id == party, GRANTS.c.state == "live", OPERATORS.c.left_at.is_(None))
        .order_by(GRANTS.c.id)
    )
    return tuple(_grant(row) for row in await connection.execute(question))


def _grant(row: Any) -> Grant:
    constraints = row.constraints
    return Grant(
        row.account,
        row.item,
        row.scope,
        row.valid_from,
        row.valid_until,
        row.exclusive,
        tuple(constraints.get("networks", ())),
        tuple(constraints.get("devices", ())),
        tuple(constraints.get("hours", ())),
    )


async def _devices(connection: AsyncConnection, party: str) -> tuple[Designated, ...]:
    question = select(DESIGNATED).where(DESIGNATED.c.party_id == party, DESIGNATED.c.state == "live")
    rows = await connection.execute(question.order_by(DESIGNATED.c.id))
    return tuple(Designated(row.id, row.kind, row.value, tuple(row.items)) for row in rows)

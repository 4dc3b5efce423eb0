"""Rows that somebody may change: found by their id, together with the record of the unit or person they belong to.

What staff propose and approve has the same columns everywhere; they are written here.
"""

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, select, update

from gateway.ledger.acting import Act, Party, changed_meanwhile, is_id, outside_region
from gateway.ledger.office_tables import PARTIES
from gateway.ledger.refusals import not_yours
from gateway.ledger.values import Owner


async def staff_row(act: Act, table: Table, id: str) -> tuple[Row[Any], Party]:  # noqa: A002 - as in contracts.Devices
    """A row for staff, and the record it belongs to, locked.

    Raises:
        Forbidden: `not-your-region`, there is none that this post may see.
    """
    row = await _row(act, table, id)
    if row is None:
        raise outside_region()
    return row, await act.party(row.party_id)


async def owner_row(act: Act, table: Table, id: str, owner: Owner) -> tuple[Row[Any], Party]:  # noqa: A002 - as above
    """A row for its owner, and her record, locked.

    Raises:
        Forbidden: `not-yours`, she has none of that id.
    """
    party = await own_party(act, owner)
    row = await _row(act, table, id)
    if party is None or row is None or row.party_id != party.id:
        raise not_yours()
    return row, party


async def own_party(act: Act, owner: Owner) -> Party | None:
    """The record of whoever is signed in, locked; None when there is none yet."""
    question = _of_owner(select(PARTIES), owner).with_for_update()
    row: Party | None = (await act.connection.execute(question)).one_or_none()
    return row


def owned(table: Table, owner: Owner) -> ColumnElement[bool]:
    """The condition that a row belongs to this owner's record."""
    return table.c.party_id.in_(_of_owner(select(PARTIES.c.id), owner))


def proposal(act: Act, *, two_people: bool) -> dict[str, Any]:
    """Columns of what staff propose."""
    officer = act.staff
    return {
        "state": "proposed",
        "two_people": two_people,
        "proposed_at": act.now,
        "proposed_post": officer.post,
        "proposed_staff": officer.staff,
        "version": 1,
    }


def approval(act: Act) -> dict[str, Any]:
    """Columns of what staff approve."""
    officer = act.staff
    return {"approved_at": act.now, "approved_post": officer.post, "approved_staff": officer.staff}


async def change_row(act: Act, table: Table, row: Row[Any], action: str, values: dict[str, Any], **detail: Any) -> None:
    """Bring a row to another state, with its history.

    Args:
        act: in which.
        table: of the row.
        row: as it was found in this act.
        action: for the history.
        values: the new columns, `state` among them.
        detail: for the history, beside the states.

    Raises:
        Conflict: `changed-meanwhile`.
    """
    changing = update(table).where(table.c.id == row.id, table.c.version == row.version)
    done = await act.connection.execute(changing.values(**values, version=row.version + 1))
    if done.rowcount != 1:
        raise changed_meanwhile()
    await act.note(action, row.id, party=row.party_id, before=row.state, after=values["state"], **detail)


async def end_row(act: Act, table: Table, row: Row[Any], action: str, reason: str, **detail: Any) -> None:
    """End a row, with its history; the reason stays in the row alone, as it may tell of people."""
    values = {"state": "ended", "ended_at": act.now, "ended_reason": reason}
    await change_row(act, table, row, action, values, **detail)


async def _row(act: Act, table: Table, id_: str) -> Row[Any] | None:
    if not is_id(id_):
        return None
    return (await act.connection.execute(select(table).where(table.c.id == id_))).one_or_none()


def _of_owner(question: Select[Any], owner: Owner) -> Select[Any]:
    return question.where(
        PARTIES.c.issuer == owner.issuer, PARTIES.c.subject == owner.subject, PARTIES.c.kind == owner.kind
    )

"""Who may be granted items for a unit (经办人): entered by staff, gone when staff or the unit say so.

An operator may do nothing by being entered; grants.py says what she may.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, insert, select, update

from gateway.codes import mask_citizen_number
from gateway.errors import FieldProblem, InputRefused
from gateway.ledger.acting import Act, Office, new_id, state_not_reachable
from gateway.ledger.endings import end_grants_of
from gateway.ledger.inputs.units import LeaveInput, OperatorInput
from gateway.ledger.looks import looking
from gateway.ledger.office_tables import OPERATORS
from gateway.ledger.paging import read_counted
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_ready
from gateway.ledger.rows import owned, owner_row, staff_row
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer, Owner, Page


class OperatorRecord(msgspec.Struct, frozen=True):
    """An operator of a unit.

    Attributes:
        id: of the entry.
        party: id of the unit's record.
        account: her account at the province, `Principal.operator`.
        name: of her.
        id_number: masked.
        added_at: Unix seconds.
        left_at: Unix seconds; None while she has not.
        left_reason: why she is gone; None while she is not.
        administrator: True when she may open again what the unit closed, or left to re-authorization.
    """

    id: str
    party: str
    account: str
    name: str
    id_number: str
    added_at: float
    left_at: float | None
    left_reason: str | None
    administrator: bool = False

    def __repr__(self) -> str:
        return f"OperatorRecord({self.id!r})"


class Operators(UnitEntries[OperatorRecord]):
    """The operators of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, OPERATOR_ENTRIES)

    async def enter(self, by: Officer, party: str, operator: OperatorInput) -> OperatorRecord:
        """Enter an operator. Of her identity number a mask and a keyed digest are kept.

        Args:
            by: who enters her, under OPERATOR_ENTER.
            party: id of the unit's record.
            operator: as entered.

        Raises:
            InputRefused: the unit has an operator with this account.
            Conflict: `unit-not-reviewed`.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.OPERATOR_ENTER) as act:
            return await OPERATOR_ENTRIES.one(act, await self.enter_in(act, party, operator))

    async def enter_in(self, act: Act, party: str, operator: OperatorInput) -> str:
        """The same within an act of somebody with that power; gives the id of the entry."""
        unit = await act.party(party)
        check_ready(unit)
        await _check_unknown(act, party, operator.account)
        id_ = new_id()
        number = {
            "id_number": mask_citizen_number(operator.id_number),
            "id_digest": self._office.digest(operator.id_number),
        }
        values = {"id": id_, "party_id": party, "account": operator.account, "name": operator.name, **number}
        entered = {"administrator": operator.administrator, "added_at": act.now, "added_post": act.staff.post}
        await act.connection.execute(insert(OPERATORS).values(**values, **entered))
        await act.note("operator.entered", id_, party=party, after="live", administrator=operator.administrator)
        return id_

    async def leave(self, by: Officer, id: str, leaving: LeaveInput) -> OperatorRecord:  # noqa: A002 - as in contracts.Devices
        """The agency notes that an operator has left; all her open grants end with it.

        Args:
            by: who says so, under OPERATOR_END.
            id: of the entry.
            leaving: as entered.

        Raises:
            Conflict: `state-not-reachable`, she has left before.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.OPERATOR_END) as act:
            row, _ = await staff_row(act, OPERATORS, id)
            return await _leave(act, row, "operator.left", leaving.reason)

    async def dismiss(self, owner: Owner, id: str, leaving: LeaveInput) -> OperatorRecord:  # noqa: A002 - as above
        """The unit itself says that one of its operators has left; all her open grants end with it.

        Raises:
            Conflict: `state-not-reachable`, she has left before.
            Forbidden: `not-yours`, also for another unit's operator.
            CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_owner(owner.human) as act:
            row, _ = await owner_row(act, OPERATORS, id, owner)
            return await _leave(act, row, "operator.dismissed", leaving.reason)

    async def present(self, by: Officer, party: str) -> list[OperatorRecord]:
        """A unit's operators who have not left, however many, the newest first. The unit can see who looked.

        Raises:
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with looking(self._office, by, party) as (connection, unit):
            here = (OPERATORS.c.party_id == unit.id) & OPERATORS.c.left_at.is_(None)
            return await self._entries.all(connection, here)

    async def of(self, owner: Owner, page: int = 1) -> Page[OperatorRecord]:
        """A page, from 1, of the operators of the owner's unit, also those that left: who asks, then the newest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            return await read_counted(connection, _question(owned(OPERATORS, owner), owner.operator), page, _read)


async def _check_unknown(act: Act, party: str, account: str) -> None:
    live = OPERATORS.c.party_id == party, OPERATORS.c.account == account, OPERATORS.c.left_at.is_(None)
    if await act.connection.scalar(select(OPERATORS.c.id).where(*live)) is not None:
        raise InputRefused(FieldProblem("account", _KNOWN))


async def _leave(act: Act, row: Row[Any], action: str, reason: str) -> OperatorRecord:
    if row.left_at is not None:
        raise state_not_reachable()
    await end_grants_of(act, row.id, reason)
    leaving = update(OPERATORS).where(OPERATORS.c.id == row.id)
    await act.connection.execute(leaving.values(left_at=act.now, left_reason=reason))
    await act.note(action, row.id, party=row.party_id, before="live", after="left")
    return await OPERATOR_ENTRIES.one(act, row.id)


def _question(condition: ColumnElement[bool], first: str | None = None) -> Select[Any]:
    """The newest first; before them whoever has the account `first`, where there is one."""
    order = OPERATORS.c.account != first, OPERATORS.c.added_at.desc(), OPERATORS.c.id
    return select(OPERATORS).where(condition).order_by(*order)


def _read(row: Row[Any]) -> OperatorRecord:
    return OperatorRecord(
        row.id, row.party_id, row.account, row.name, row.id_number, row.added_at, row.left_at, row.left_reason,
        row.administrator,
    )  # fmt: skip


OPERATOR_ENTRIES = Entries(OPERATORS, _question, _read)


_KNOWN = ("该账号已是本单位的经办人。", "The unit has an operator with this account already.")

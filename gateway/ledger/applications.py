"""What units apply for at the counter (申请), and what the agency says to it. An approval makes a unit `reviewed`.

It opens nothing by itself: grants.py does, operator by operator.
"""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, insert, select

from gateway.errors import Conflict, FieldProblem, InputRefused
from gateway.ledger.acting import Act, Office, Party, check_version, new_id, state_not_reachable
from gateway.ledger.inputs.deciding import ReviewInput
from gateway.ledger.inputs.units import ApplicationInput
from gateway.ledger.office_tables import APPLICATIONS, STAFF
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_second_person, check_state
from gateway.ledger.rows import approval, change_row, proposal, staff_row
from gateway.ledger.rules import Rules
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer
from gateway.model import Kind


class ApplicationRecord(msgspec.Struct, frozen=True):
    """An application.

    Attributes:
        id: of the application.
        party: id of the unit's record.
        items: codes of the items it is for.
        note: taken at the counter.
        state: `received`, `approved` or `rejected`.
        two_people: True when somebody else than who recorded it has to approve it.
        received_at: Unix seconds.
        received_by: name of the staff member.
        approved_at: Unix seconds; None while nobody has.
        approved_by: name of the staff member; None while nobody has.
        rejected_at: Unix seconds; None while it was not.
        rejected_reason: why; None while it was not.
        version: counts its changes.
    """

    id: str
    party: str
    items: tuple[str, ...]
    note: str
    state: str
    two_people: bool
    received_at: float
    received_by: str
    approved_at: float | None
    approved_by: str | None
    rejected_at: float | None
    rejected_reason: str | None
    version: int

    def __repr__(self) -> str:
        return f"ApplicationRecord({self.id!r}, {self.state})"


class Applications(UnitEntries[ApplicationRecord]):
    """The applications of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, APPLICATION_ENTRIES)

    async def record(self, by: Officer, party: str, application: ApplicationInput) -> ApplicationRecord:
        """Record what a unit applies for; approved at once where `opening` needs no second person.

        A unit that is new becomes `applied`; one that is reviewed or bound applies for more; one that is revoked stays
        so until the application is approved.

        Args:
            by: who records, under APPLICATION_RECORD.
            party: id of the unit's record.
            application: as entered.

        Raises:
            InputRefused: items that there are not, that need no grant, or that are not for units.
            Conflict: `application-open`; `state-not-reachable`, the unit is suspended, or no unit.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.APPLICATION_RECORD) as act:
            unit = await act.party(party)
            _check_unit(unit)
            _check_items(application.items, self._office.rules)
            await _check_none_open(act, unit)
            row = await _insert(act, unit, application, two_people="opening" in self._office.rules.two_people)
            if unit.state == "new":
                await act.move(unit, "applied", "party.applied")
            if not row.two_people:
                await _approve(act, row, await act.party(party))
            return await APPLICATION_ENTRIES.one(act, row.id)

    async def review(self, by: Officer, id: str, review: ReviewInput) -> ApplicationRecord:  # noqa: A002 - as in contracts.Devices
        """Approve or reject an application (APPLICATION_REVIEW).

        A unit that was `applied` becomes `reviewed`, or `new` again; one that was revoked becomes `reviewed`, or stays
        revoked; any other state stays. Whoever recorded an application may reject it herself: that opens nothing.

        Raises:
            InputRefused: rejected without a reason.
            Conflict: `changed-meanwhile`; `state-not-reachable`, it was decided, or to be approved for a unit that is
                suspended.
            Forbidden: `second-person-needed`; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.APPLICATION_REVIEW) as act:
            row, unit = await staff_row(act, APPLICATIONS, id)
            check_version(row.version, review.version)
            check_state(row, "received")
            if review.approve:
                await _approve(act, row, unit)
            else:
                await _reject(act, row, unit, review.reason)
            return await APPLICATION_ENTRIES.one(act, id)


def _check_unit(unit: Party) -> None:
    if unit.kind != "legal" or unit.state == "suspended":
        raise state_not_reachable(_NOT_NOW)


def _check_items(items: tuple[str, ...], rules: Rules) -> None:
    problems = [
        FieldProblem(f"items.{place}", problem)
        for place, code in enumerate(items)
        if (problem := _item_problem(code, rules)) is not None
    ]
    if problems:
        raise InputRefused(*problems)


def _item_problem(code: str, rules: Rules) -> tuple[str, str] | None:
    item = rules.items.get(code)
    if item is None:
        return _NO_ITEM
    if Kind.LEGAL not in item.audience:
        return _NOT_FOR_UNITS
    return None if item.granted else _NOT_GRANTED


async def _check_none_open(act: Act, unit: Party) -> None:
    open_ = select(APPLICATIONS.c.id).where(APPLICATIONS.c.party_id == unit.id, APPLICATIONS.c.state == "received")
    if await act.connection.scalar(open_) is not None:
        raise Conflict("an application is open", code="application-open", title=_OPEN)


async def _insert(act: Act, unit: Party, application: ApplicationInput, *, two_people: bool) -> Row[Any]:
    items = list(dict.fromkeys(application.items))
    values = proposal(act, two_people=two_people) | {"state": "received", "id": new_id(), "party_id": unit.id}
    making = insert(APPLICATIONS).values(**values, items=items, note=application.note).returning(APPLICATIONS)
    row: Row[Any] = (await act.connection.execute(making)).one()
    await act.note("application.received", row.id, party=unit.id, after="received", items=items)
    return row


async def _approve(act: Act, row: Row[Any], unit: Party) -> None:
    if row.two_people:
        check_second_person(act, row.proposed_staff)
    _check_unit(unit)
    await change_row(act, APPLICATIONS, row, "application.approved", {"state": "approved", **approval(act)})
    if unit.state == "revoked":
        await act.move(unit, "applied", "party.applied")
        unit = await act.party(unit.id)
    if unit.state == "applied":
        await act.move(unit, "reviewed", "party.reviewed")


async def _reject(act: Act, row: Row[Any], unit: Party, reason: str) -> None:
    if not reason:
        raise InputRefused(FieldProblem("reason", _NO_REASON))
    values = {"state": "rejected", "ended_at": act.now, "ended_reason": reason}
    await change_row(act, APPLICATIONS, row, "application.rejected", values)
    if unit.state == "applied":
        await act.move(unit, "new", "party.rejected")


def _question(condition: ColumnElement[bool]) -> Select[Any]:
    receiver, approver = STAFF.alias(), STAFF.alias()
    return (
        select(APPLICATIONS, receiver.c.name.label("received_by"), approver.c.name.label("approved_by"))
        .join(receiver, receiver.c.id == APPLICATIONS.c.proposed_staff)
        .outerjoin(approver, approver.c.id == APPLICATIONS.c.approved_staff)
        .where(condition)
        .order_by(APPLICATIONS.c.proposed_at.desc(), APPLICATIONS.c.id)
    )


def _read(row: Row[Any]) -> ApplicationRecord:
    return ApplicationRecord(
        row.id, row.party_id, tuple(row.items), row.note, row.state, row.two_people, row.proposed_at, row.received_by,
        row.approved_at, row.approved_by, row.ended_at, row.ended_reason, row.version,
    )  # fmt: skip


APPLICATION_ENTRIES = Entries(APPLICATIONS, _question, _read)


_NOT_NOW = ("只有未被暂停的单位可以申请。", "Only a unit that is not suspended can apply.")
_NO_ITEM = ("没有该事项。", "There is no such item.")
_NOT_FOR_UNITS = ("该事项不面向单位。", "The item is not for units.")
_NOT_GRANTED = ("该事项不需授权。", "Operators need no grant for the item.")
_OPEN = ("该单位已有待审核的申请。", "The unit has an application that waits for its review.")
_NO_REASON = ("退回时请填写原因。", "Say why it is rejected.")

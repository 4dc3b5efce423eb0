"""Bindings (账户绑定): which record of a business system is a unit's. No binding is a normal state.

Staff compare, propose and approve; appeals.py is for a unit whose number somebody else has registered.
"""

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.errors import Conflict, FieldProblem, InputRefused
from gateway.ledger.acting import Act, Office, Party, check_version, new_id
from gateway.ledger.entries import BindingRecord
from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.inputs.texts import read_reason
from gateway.ledger.office_tables import BINDINGS
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_ready, check_second_person, check_state, is_taken
from gateway.ledger.rows import approval, change_row, end_row, owned, proposal, staff_row
from gateway.ledger.rules import Rules
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer, Owner

_LIVE = BINDINGS.c.state == "live"


class Bindings(UnitEntries[BindingRecord]):
    """The bindings of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, BINDING_ENTRIES)

    async def propose(self, by: Officer, party: str, given: BindingInput) -> BindingRecord:
        """Propose a binding; approved at once where `binding` needs no second person.

        Args:
            by: who proposes, under BINDING_PROPOSE.
            party: id of the unit's record.
            given: as entered, with what was compared.

        Raises:
            InputRefused: with every problem of `given`.
            Conflict: `unit-not-reviewed`; `binding-open`, the unit has one for the system; `local-id-bound`, another
                unit has the local id.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        check_local_id(given.system, given.local_id, self._office.rules)
        async with self._office.by_staff(by, Power.BINDING_PROPOSE) as act:
            unit = await act.party(party)
            check_ready(unit)
            await _check_free(act, unit.id, given)
            row = await self._propose(act, unit.id, given)
            if not row.two_people:
                await _approve(act, unit, row)
            return await BINDING_ENTRIES.one(act, row.id)

    async def approve(self, by: Officer, id: str, version: int) -> BindingRecord:  # noqa: A002 - as in contracts.Devices
        """Approve a proposed binding; with the first one the unit is bound.

        Raises:
            Conflict: `changed-meanwhile`, `state-not-reachable`, `unit-not-reviewed`; `local-id-bound`, another unit
                got the local id meanwhile.
            Forbidden: `second-person-needed`; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.BINDING_APPROVE) as act:
            row, unit = await staff_row(act, BINDINGS, id)
            check_version(row.version, version)
            check_state(row, "proposed")
            if row.two_people:
                check_second_person(act, row.proposed_staff)
            check_ready(unit)
            await _approve(act, unit, row)
            return await BINDING_ENTRIES.one(act, id)

    async def reject(self, by: Officer, id: str, reason: str, version: int) -> BindingRecord:  # noqa: A002 - as above
        """Say no to a proposed binding.

        Raises:
            InputRefused: no reason.
            Conflict: `changed-meanwhile`, `state-not-reachable`.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_staff(by, Power.BINDING_APPROVE) as act:
            row, _ = await staff_row(act, BINDINGS, id)
            check_version(row.version, version)
            check_state(row, "proposed")
            await end_row(act, BINDINGS, row, "binding.rejected", reason)
            return await BINDING_ENTRIES.one(act, id)

    async def end(self, by: Officer, id: str, reason: str, version: int) -> BindingRecord:  # noqa: A002 - as above
        """Unbind; without its last binding a bound unit is a reviewed one again.

        Raises:
            InputRefused: no reason.
            Conflict: `changed-meanwhile`; `state-not-reachable`, it has ended.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_staff(by, Power.BINDING_END) as act:
            row, unit = await staff_row(act, BINDINGS, id)
            check_version(row.version, version)
            check_state(row, "proposed", "live")
            await end_binding(act, unit, row, reason)
            return await BINDING_ENTRIES.one(act, id)

    async def of(self, owner: Owner) -> list[BindingRecord]:
        """The live bindings of the owner's unit, without what staff compared: a wrong guess is somebody else's record.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            rows = (await connection.execute(_question(owned(BINDINGS, owner) & _LIVE))).all()
        return [_read(row, compared=False) for row in rows]

    async def _propose(self, act: Act, party: str, given: BindingInput) -> Row[Any]:
        id_, two_people = new_id(), "binding" in self._office.rules.two_people
        kept = {"fields": given.compared, "note": given.note}
        values = {"id": id_, "party_id": party, "system": given.system, "local_id": given.local_id, "compared": kept}
        values |= proposal(act, two_people=two_people)
        row: Row[Any] = (await act.connection.execute(insert(BINDINGS).values(**values).returning(BINDINGS))).one()
        await act.note("binding.proposed", id_, party=party, system=given.system)
        return row


async def end_binding(act: Act, unit: Party, row: Row[Any], reason: str, **detail: Any) -> None:
    """End a binding; a bound unit that has no other live one is reviewed again.

    Args:
        act: in which.
        unit: the record it belongs to, locked.
        row: the binding.
        reason: why.
        detail: for the history.

    Raises:
        Conflict: `changed-meanwhile`.
    """
    await end_row(act, BINDINGS, row, "binding.ended", reason, system=row.system, **detail)
    left = select(func.count()).select_from(BINDINGS).where(BINDINGS.c.party_id == unit.id, _LIVE)
    if unit.state == "bound" and await act.connection.scalar(left) == 0:
        await act.move(unit, "reviewed", "party.unbound")


def check_local_id(system: str, local_id: str, rules: Rules) -> None:
    """Refuse what cannot be an id of that system.

    Raises:
        InputRefused: no such system, or not written as its ids are.
    """
    rule = rules.local_ids.get(system)
    problem = FieldProblem("system", _NO_SYSTEM) if rule is None else rule.problem(local_id)
    if problem is not None:
        raise InputRefused(problem)


async def _check_free(act: Act, party: str, given: BindingInput) -> None:
    question = select(BINDINGS.c.party_id, BINDINGS.c.local_id).where(
        BINDINGS.c.system == given.system,
        ((BINDINGS.c.party_id == party) & (BINDINGS.c.state != "ended"))
        | ((BINDINGS.c.local_id == given.local_id) & _LIVE),
    )
    rows = (await act.connection.execute(question)).all()
    if any(row.party_id == party for row in rows):
        raise Conflict(
            "the unit has an open binding",
            code="binding-open",
            title=(
                "该单位在此业务系统已有绑定或待复核的绑定，请先解除。",
                "The unit has a binding for this system, or one that waits to be approved. End that one first.",
            ),
        )
    if rows:
        raise _local_id_bound()


async def _approve(act: Act, unit: Party, row: Row[Any]) -> None:
    try:
        values = {"state": "live", **approval(act)}
        await change_row(act, BINDINGS, row, "binding.approved", values, system=row.system)
    except IntegrityError as error:
        if is_taken(error, "bindings_local", "bindings.system", "bindings.local_id"):
            raise _local_id_bound() from None
        raise
    if unit.state == "reviewed":
        await act.move(unit, "bound", "party.bound")


def _question(condition: ColumnElement[bool]) -> Select[Any]:
    return select(BINDINGS).where(condition).order_by(BINDINGS.c.proposed_at.desc(), BINDINGS.c.id)


def _read(row: Row[Any], *, compared: bool = True) -> BindingRecord:
    fields = {name: (ours, theirs, equal) for name, (ours, theirs, equal) in row.compared["fields"].items()}
    return BindingRecord(
        row.id, row.party_id, row.state, row.version, row.proposed_at, row.proposed_staff, row.approved_at,
        row.approved_staff, row.ended_at, row.ended_reason, system=row.system, local_id=row.local_id,
        compared=fields if compared else {}, note=row.compared["note"] if compared else "",
    )  # fmt: skip


BINDING_ENTRIES = Entries(BINDINGS, _question, _read)


_NO_SYSTEM = ("没有该业务系统，或其不需绑定。", "There is no such system, or units are not bound to it.")


def _local_id_bound() -> Conflict:
    return Conflict(
        "another unit holds the local id",
        code="local-id-bound",
        title=(
            "该编号已被其他单位绑定。如编号确属本单位，请到经办机构申诉。",
            "Another unit is bound to this number. If it belongs to this one, it can appeal at the agency.",
        ),
    )

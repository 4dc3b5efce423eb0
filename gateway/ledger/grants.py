"""Grants (经办人授权): staff open items for a unit's operators, who accept them; the unit or staff end them.

gateway.facts.Grant is what decisions rest on; a plugin, operator_grant, decides.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, insert, select

from gateway.beijing import day_of
from gateway.errors import Conflict, Forbidden
from gateway.ledger.acting import Act, Office, Party, check_version, new_id
from gateway.ledger.entries import GrantRecord
from gateway.ledger.inputs.grants import GrantInput, Ground, Terms, read_terms
from gateway.ledger.inputs.texts import read_reason
from gateway.ledger.office_tables import DESIGNATED, GRANTS, OPERATORS
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_ready, check_second_person, check_state
from gateway.ledger.rows import approval, change_row, end_row, owned, owner_row, proposal, staff_row
from gateway.ledger.rules import Rules
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer, Owner, Page

_OPEN = ("proposed", "offered", "live")


class Grants(UnitEntries[GrantRecord]):
    """The grants of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, GRANT_ENTRIES)

    async def propose(self, by: Officer, party: str, given: GrantInput) -> list[GrantRecord]:
        """Propose a grant for each item, or none at all; approved at once where `opening` needs no second person.

        Args:
            by: who proposes, under GRANT_PROPOSE.
            party: id of the unit's record.
            given: as entered.

        Returns:
            In the order of the items.

        Raises:
            InputRefused: with every problem of `given`.
            Conflict: `unit-not-reviewed`; `grant-open`, the operator has an open grant for an item;
                `exclusive-operator`, another one has an item exclusively.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.GRANT_PROPOSE) as act:
            ids = await self.propose_in(act, party, given)
            rows = (await act.connection.execute(_question(GRANTS.c.id.in_(ids)))).all()
        records = {row.id: _read(row) for row in rows}
        return [records[id_] for id_ in ids]

    async def propose_in(self, act: Act, party: str, given: GrantInput) -> list[str]:
        """The same within an act of somebody with that power; gives the ids of the grants."""
        rules = self._office.rules
        unit = await act.party(party)
        check_ready(unit)
        terms = read_terms(given, rules, await _ground(act, unit, given.operator))
        await _check_free(act, unit.id, given.operator, terms, rules)
        return [await self._propose(act, unit.id, given.operator, item, terms) for item in terms.items]

    async def approve(self, by: Officer, id: str, version: int) -> GrantRecord:  # noqa: A002 - as in contracts.Devices
        """Approve a proposed grant: it is offered to the operator, or live where nobody has to accept.

        Raises:
            Conflict: `changed-meanwhile`, `state-not-reachable`, `unit-not-reviewed`; `operator-left`.
            Forbidden: `second-person-needed`; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.GRANT_APPROVE) as act:
            row, unit = await staff_row(act, GRANTS, id)
            check_version(row.version, version)
            check_state(row, "proposed")
            if row.two_people:
                check_second_person(act, row.proposed_staff)
            check_ready(unit)
            await _require_operator(act, row)
            await self._approve(act, row)
            return await GRANT_ENTRIES.one(act, id)

    async def reject(self, by: Officer, id: str, reason: str, version: int) -> GrantRecord:  # noqa: A002 - as above
        """Say no to a proposed grant.

        Raises:
            InputRefused: no reason.
            Conflict: `changed-meanwhile`, `state-not-reachable`.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_staff(by, Power.GRANT_APPROVE) as act:
            row, _ = await staff_row(act, GRANTS, id)
            check_version(row.version, version)
            check_state(row, "proposed")
            await end_row(act, GRANTS, row, "grant.rejected", reason)
            return await GRANT_ENTRIES.one(act, id)

    async def end(self, by: Officer, id: str, reason: str, version: int) -> GrantRecord:  # noqa: A002 - as above
        """End a grant that is open, whatever its state.

        Raises:
            InputRefused: no reason.
            Conflict: `changed-meanwhile`; `state-not-reachable`, it has ended.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_staff(by, Power.GRANT_END) as act:
            row, _ = await staff_row(act, GRANTS, id)
            check_version(row.version, version)
            check_state(row, *_OPEN)
            await end_row(act, GRANTS, row, "grant.ended", reason)
            return await GRANT_ENTRIES.one(act, id)

    async def withdraw(self, owner: Owner, id: str, reason: str) -> GrantRecord:  # noqa: A002 - as above
        """The unit ends one of its grants, by whichever of its accounts; that can only take something away.

        Raises:
            InputRefused: no reason.
            Conflict: `state-not-reachable`, it has ended.
            Forbidden: `not-yours`.
            CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_owner(owner.human) as act:
            row, _ = await owner_row(act, GRANTS, id, owner)
            check_state(row, *_OPEN)
            await end_row(act, GRANTS, row, "grant.withdrawn", reason)
            return await GRANT_ENTRIES.one(act, id)

    async def accept(self, owner: Owner, id: str) -> GrantRecord:  # noqa: A002 - as above
        """The operator herself accepts what is offered to her; from then on it holds.

        Raises:
            Conflict: `state-not-reachable`, it is not offered; `unit-not-reviewed`; `operator-left`.
            Forbidden: `not-yours`; `not-the-operator`, it is offered to somebody else of the unit.
            CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_owner(owner.human) as act:
            row, unit = await _offered(act, id, owner)
            check_ready(unit)
            await change_row(act, GRANTS, row, "grant.accepted", {"state": "live", "accepted_at": act.now})
            return await GRANT_ENTRIES.one(act, id)

    async def decline(self, owner: Owner, id: str, reason: str) -> GrantRecord:  # noqa: A002 - as above
        """The operator herself does not want what is offered to her.

        Raises:
            InputRefused: no reason.
            Conflict, Forbidden, CannotDecide: as in `accept`.
        """
        reason = read_reason(reason)
        async with self._office.by_owner(owner.human) as act:
            row, _ = await _offered(act, id, owner)
            await end_row(act, GRANTS, row, "grant.declined", reason)
            return await GRANT_ENTRIES.one(act, id)

    async def of(self, owner: Owner, page: int = 1) -> Page[GrantRecord]:
        """A page, from 1, of the grants of the owner's unit, the newest first, also those that ended.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            return await self._entries.page(connection, owned(GRANTS, owner), page)

    async def of_operators(self, owner: Owner, operators: Iterable[str]) -> list[GrantRecord]:
        """What some operators of the owner's unit are granted, the newest first, also what ended.

        Args:
            owner: of the unit.
            operators: ids of their entries.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        theirs = owned(GRANTS, owner) & GRANTS.c.operator_id.in_(list(operators))
        async with self._office.database.reading() as connection:
            return await self._entries.all(connection, theirs)

    async def _propose(self, act: Act, party: str, operator: str, item: str, terms: Terms) -> str:
        id_, two_people = new_id(), "opening" in self._office.rules.two_people
        values: dict[str, Any] = {
            "id": id_,
            "party_id": party,
            "operator_id": operator,
            "item": item,
            "scope": terms.scope,
        }
        values |= {"valid_from": terms.valid_from, "valid_until": terms.valid_until, "exclusive": terms.exclusive}
        values |= {"constraints": terms.constraints, **proposal(act, two_people=two_people)}
        adding = insert(GRANTS).values(**values).returning(GRANTS)
        row = (await act.connection.execute(adding)).one()
        told: dict[str, Any] = {"item": item, "operator": operator, "exclusive": terms.exclusive, "scope": terms.scope}
        told |= {"valid_from": terms.valid_from, "valid_until": terms.valid_until}
        await act.note("grant.proposed", id_, party=party, **told)
        if not two_people:
            await self._approve(act, row)
        return id_

    async def _approve(self, act: Act, row: Row[Any]) -> None:
        state = "offered" if self._office.rules.acceptance else "live"
        await change_row(act, GRANTS, row, "grant.approved", {"state": state, **approval(act)})


async def _ground(act: Act, unit: Party, operator: str) -> Ground:
    """What the terms of a grant have to fit."""
    operators = select(OPERATORS.c.id).where(OPERATORS.c.party_id == unit.id, OPERATORS.c.left_at.is_(None))
    devices = select(DESIGNATED.c.id).where(DESIGNATED.c.party_id == unit.id, DESIGNATED.c.state != "ended")
    known = (await act.connection.scalars(operators)).all()
    return Ground(
        unit.region,
        act.staff.scope,
        day_of(act.now),
        operator in known,
        frozenset(await act.connection.scalars(devices)),
    )


async def _check_free(act: Act, party: str, operator: str, terms: Terms, rules: Rules) -> None:
    """Refuse items that the operator has already, or somebody else exclusively."""
    question = select(GRANTS.c.operator_id, GRANTS.c.item, GRANTS.c.exclusive).where(
        GRANTS.c.party_id == party, GRANTS.c.state != "ended", GRANTS.c.item.in_(terms.items)
    )
    for row in (await act.connection.execute(question)).all():
        if row.operator_id == operator:
            raise _grant_open(rules.items[row.item].name)
        if row.exclusive:
            raise _exclusive_operator(rules.items[row.item].name)


async def _offered(act: Act, id_: str, owner: Owner) -> tuple[Row[Any], Party]:
    """A grant that is offered to this very operator."""
    row, unit = await owner_row(act, GRANTS, id_, owner)
    question = select(OPERATORS.c.account).where(OPERATORS.c.id == row.operator_id)
    if owner.operator is None or await act.connection.scalar(question) != owner.operator:
        raise Forbidden(
            "offered to another operator",
            code="not-the-operator",
            title=("该授权须由被授权的经办人本人接受。", "Only the operator it is meant for can answer this."),
        )
    await _require_operator(act, row)
    check_state(row, "offered")
    return row, unit


async def _require_operator(act: Act, grant: Row[Any]) -> None:
    question = select(OPERATORS.c.id).where(OPERATORS.c.id == grant.operator_id, OPERATORS.c.left_at.is_(None))
    if await act.connection.scalar(question) is None:
        raise Conflict(
            "the operator has left",
            code="operator-left",
            title=("该经办人已离开本单位。", "The operator has left the unit."),
        )


def _question(condition: ColumnElement[bool]) -> Select[Any]:
    return (
        select(GRANTS, OPERATORS.c.account, OPERATORS.c.name.label("operator_name"))
        .join(OPERATORS, OPERATORS.c.id == GRANTS.c.operator_id)
        .where(condition)
        .order_by(GRANTS.c.proposed_at.desc(), GRANTS.c.id)
    )


def _read(row: Row[Any]) -> GrantRecord:
    return GrantRecord(
        row.id, row.party_id, row.state, row.version, row.proposed_at, row.proposed_staff, row.approved_at,
        row.approved_staff, row.ended_at, row.ended_reason,
        operator=row.operator_id, account=row.account, operator_name=row.operator_name, item=row.item,
        scope=row.scope, valid_from=row.valid_from, valid_until=row.valid_until, exclusive=row.exclusive,
        accepted_at=row.accepted_at, **{name: tuple(values) for name, values in row.constraints.items()},
    )  # fmt: skip


GRANT_ENTRIES = Entries(GRANTS, _question, _read)


def _grant_open(item: str) -> Conflict:
    return Conflict(
        "an open grant of this operator",
        code="grant-open",
        title=(
            f"“{item}”：该经办人已有未终止的授权，请先终止原授权。",
            f"“{item}”: the operator has a grant for it that has not ended. End that one first.",
        ),
    )


def _exclusive_operator(item: str) -> Conflict:
    return Conflict(
        "another operator has it exclusively",
        code="exclusive-operator",
        title=(
            f"“{item}”：已由本单位其他经办人独占办理，可由本单位收回，或由经办机构终止原授权后再办理。",
            f"“{item}”: another operator has it exclusively. The unit can withdraw that, or the agency's staff end it.",
        ),
    )

"""Appeals (申诉): somebody else registered my number. A reviewer decides; what is upheld frees it for bindings.py.

The claimant never learns who holds the number, or whether anybody does, and the holder not who claimed it.
"""

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, insert, select

from gateway.codes import is_within
from gateway.errors import AudienceNotAllowed, Conflict, Forbidden
from gateway.ledger.acting import Act, Office, check_version, new_id
from gateway.ledger.bindings import check_local_id, end_binding
from gateway.ledger.entries import AppealRecord
from gateway.ledger.inputs.claims import AppealInput, DecisionInput
from gateway.ledger.office_tables import APPEALS, BINDINGS, PARTIES
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_state, not_yours
from gateway.ledger.rows import change_row, own_party, owned, staff_row
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer, Owner, Page

_FREED = "申诉成立，编号另有所属。 An appeal was upheld: the number is another unit's."


class Appeals(UnitEntries[AppealRecord]):
    """The appeals of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, APPEAL_ENTRIES)

    async def open(self, owner: Owner, given: AppealInput) -> AppealRecord:
        """Open an appeal, also by a unit that is only known here; one at a time for each system.

        Raises:
            InputRefused: no such system, or not written as its ids are.
            Conflict: `appeal-open`, there is one.
            Forbidden: `audience-not-allowed`, no unit; `not-yours`, it has no record here.
            CannotDecide: as in Office.by_staff.
        """
        if owner.kind != "legal":
            raise AudienceNotAllowed("appeals are for units")
        check_local_id(given.system, given.local_id, self._office.rules)
        async with self._office.by_owner(owner.human) as act:
            party = await own_party(act, owner)
            if party is None:
                raise not_yours()
            await _check_none_open(act, party.id, given.system)
            return await _open(act, party.id, given)

    async def decide(self, by: Officer, id: str, given: DecisionInput) -> AppealRecord:  # noqa: A002 - as in contracts.Devices
        """Uphold an appeal, which ends the binding of whoever holds the number, or dismiss it.

        Args:
            by: who decides, under APPEAL_DECIDE.
            id: of the appeal.
            given: as entered.

        Raises:
            Conflict: `changed-meanwhile`, `state-not-reachable`.
            Forbidden: `not-your-region`, the claimant's region is not the post's, or, to uphold it, the holder's is
                not; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.APPEAL_DECIDE) as act:
            row, claimant = await staff_row(act, APPEALS, id)
            check_version(row.version, given.version)
            check_state(row, "open")
            if given.uphold:
                await _free(act, row, claimant.id)
            state = "upheld" if given.uphold else "dismissed"
            values = {"state": state, "decided_at": act.now, "decided_post": act.staff.post, "decision": given.reason}
            await change_row(act, APPEALS, row, f"appeal.{state}", values, system=row.system)
            return await APPEAL_ENTRIES.one(act, id)

    async def of(self, owner: Owner, page: int = 1) -> Page[AppealRecord]:
        """A page, from 1, of the appeals of the owner's unit, the newest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            return await self._entries.page(connection, owned(APPEALS, owner), page)


async def _check_none_open(act: Act, party: str, system: str) -> None:
    question = select(APPEALS.c.id).where(
        APPEALS.c.party_id == party, APPEALS.c.system == system, APPEALS.c.state == "open"
    )
    if (await act.connection.execute(question)).first() is not None:
        raise Conflict(
            "an open appeal of this unit",
            code="appeal-open",
            title=("该业务系统的申诉正在处理中。", "There is an appeal for this system that waits for its decision."),
        )


async def _open(act: Act, party: str, given: AppealInput) -> AppealRecord:
    id_ = new_id()
    values = {"id": id_, "party_id": party, "system": given.system, "local_id": given.local_id, "version": 1}
    values |= {"reason": given.reason, "state": "open", "opened_at": act.now, "opened_by": act.by.subject}
    await act.connection.execute(insert(APPEALS).values(**values))
    await act.note("appeal.opened", id_, party=party, system=given.system)
    return await APPEAL_ENTRIES.one(act, id_)


async def _free(act: Act, appeal: Row[Any], claimant: str) -> None:
    """End the live binding of somebody else to the number, if there is one."""
    question = select(BINDINGS).where(
        BINDINGS.c.system == appeal.system,
        BINDINGS.c.local_id == appeal.local_id,
        BINDINGS.c.state == "live",
        BINDINGS.c.party_id != claimant,
    )
    held = (await act.connection.execute(question)).one_or_none()
    if held is None:
        return
    locking = select(PARTIES).where(PARTIES.c.id == held.party_id).with_for_update()
    holder = (await act.connection.execute(locking)).one()
    if not is_within(holder.region, act.staff.scope):
        raise Forbidden(
            "the holder is outside the post's region",
            code="not-your-region",
            title=(
                "该编号由其他辖区的单位绑定，须由上级经办机构裁定。",
                "The number is bound to a unit of another region; a higher office has to decide.",
            ),
        )
    await end_binding(act, holder, held, _FREED, appeal=appeal.id)


def _question(condition: ColumnElement[bool]) -> Select[Any]:
    return select(APPEALS).where(condition).order_by(APPEALS.c.opened_at.desc(), APPEALS.c.id)


def _read(row: Row[Any]) -> AppealRecord:
    return AppealRecord(
        row.id, row.party_id, row.system, row.local_id, row.reason, row.state, row.opened_at, row.opened_by,
        row.decided_at, row.decision, row.version,
    )  # fmt: skip


APPEAL_ENTRIES = Entries(APPEALS, _question, _read)

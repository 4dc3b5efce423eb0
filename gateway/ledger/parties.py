"""Persons and units known here: made at the first visit, found by the staff of their region, moved between states.

The states and the moves between them are in migrations/triggers_0002.py; registering.py has what the province says.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, CompoundSelect, Row, or_, select, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.codes import is_within
from gateway.ledger.acting import Act, Office, Party, check_version, outside_region, state_not_reachable
from gateway.ledger.endings import end_everything
from gateway.ledger.inputs.deciding import ReasonInput
from gateway.ledger.inputs.units import PartySearchInput, RegionInput
from gateway.ledger.looks import looking
from gateway.ledger.office_tables import BINDINGS, DESIGNATED, OPERATORS, PARTIES
from gateway.ledger.paging import read_counted
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_state
from gateway.ledger.registering import find_subject, has_open, read_registration, require_subject, take_over
from gateway.ledger.standing import Standing, read_standing
from gateway.ledger.values import Officer, Owner, Page
from gateway.model import Principal
from gateway.signin import SignIn


class PartyRecord(msgspec.Struct, frozen=True):
    """A person or unit as it is known here.

    Attributes:
        id: of the record.
        kind: `natural` or `legal`.
        issuer: the platform.
        subject: its id of the person or unit.
        uscc: 统一社会信用代码; None for persons, and while it is not known.
        name: None while the province has told none.
        region: GB/T 2260; empty while it is not known.
        state: `new`, `applied`, `reviewed`, `bound`, `suspended` or `revoked`.
        created_at: Unix seconds.
        changed_at: Unix seconds.
        version: counts its changes.
    """

    id: str
    kind: str
    issuer: str
    subject: str
    uscc: str | None
    name: str | None
    region: str
    state: str
    created_at: float
    changed_at: float
    version: int

    def __repr__(self) -> str:
        return f"PartyRecord({self.id!r}, {self.kind}, {self.state})"


class PartyDetail(msgspec.Struct, frozen=True):
    """A record, what the province has registered, and where it stands.

    Attributes:
        record: see PartyRecord.
        registration: `legal_representative`, `registered_on` (YYYYMMDD), `registered_address`, `business_scope`, as
            far as the province told them.
        registered_version: counts changes at the province; 0 when it does not say.
        standing: what of it waits or holds now.
    """

    record: PartyRecord
    registration: dict[str, str]
    registered_version: int
    standing: Standing

    def __repr__(self) -> str:
        return f"PartyDetail({self.record!r})"


class Parties:
    """Everybody known here.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    # ── by itself ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def arrive(self, sign_in: SignIn) -> PartyRecord:
        """Somebody has signed in here: make the record, or bring it up to what the province says.

        One read and no write when nothing is new.

        Raises:
            CannotDecide: the ledger cannot be asked now, and nothing was changed; that is no reason to refuse a login.
        """
        principal, registration = sign_in.principal, read_registration(sign_in)
        async with self._office.database.reading() as connection:
            found = await find_subject(connection, principal.issuer, principal.subject)
        if found is not None and not registration.news(found):
            return record_of(found)
        async with self._office.by_itself() as act:
            party = await require_subject(act, principal)
            await take_over(act, party, registration)
            return await _record(act, party.id)

    async def register(self, principal: Principal) -> str:
        """Make a record of what a principal alone says, or find the one that is there; gives its id.

        Raises:
            CannotDecide: the ledger cannot be asked now, and nothing was changed; 503.
        """
        async with self._office.database.reading() as connection:
            found = await find_subject(connection, principal.issuer, principal.subject)
        if found is not None:
            return str(found.id)
        async with self._office.by_itself() as act:
            return str((await require_subject(act, principal)).id)

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def find(self, by: Officer, id: str) -> PartyDetail:  # noqa: A002 - as in contracts.Devices
        """One record. Its owner can see who looked.

        Args:
            by: who looks, under PARTY_LOOK.
            id: of the record.

        Raises:
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with looking(self._office, by, id) as (connection, row):
            return await read_detail(connection, row)

    async def search(self, by: Officer, search: PartySearchInput) -> Page[PartyRecord]:
        """Records of the post's region, those that changed last first.

        Args:
            by: who looks, under PARTY_LOOK.
            search: the text is part of the name, or a whole USCC or subject; or what somebody at the counter has in
                hand: an operator's name or account, the id of a live binding, what identifies a designated device.

        Raises:
            Forbidden, CannotDecide: as in Office.asked_by.
        """
        async with self._office.asked_by(by, Power.PARTY_LOOK) as (connection, post):
            question = (
                select(PARTIES)
                .where(within(post.scope), *_sought(search, self._office.rules.local_ids))
                .order_by(PARTIES.c.changed_at.desc(), PARTIES.c.id)
            )
            return await read_counted(connection, question, search.page, record_of)

    async def of(self, owner: Owner) -> PartyRecord | None:
        """The owner's own record; None when there is none yet.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            found = await find_subject(connection, owner.issuer, owner.subject)
        return None if found is None or found.kind != owner.kind else record_of(found)

    # ── moving ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def suspend(self, by: Officer, id: str, why: ReasonInput) -> PartyRecord:  # noqa: A002 - as above
        """Suspend a unit (PARTY_SUSPEND): nothing is decided in its favour until it is resumed.

        Raises:
            Conflict: `changed-meanwhile`; `state-not-reachable`, it is neither reviewed nor bound.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.PARTY_SUSPEND) as act:
            unit = await _shown(act, id, why.version)
            check_state(unit, "reviewed", "bound")
            await act.move(unit, "suspended", "party.suspended", reason=why.reason)
            return await _record(act, id)

    async def resume(self, by: Officer, id: str, why: ReasonInput) -> PartyRecord:  # noqa: A002 - as above
        """Take a suspension back (PARTY_SUSPEND): the unit is bound when it has a live binding, else reviewed.

        Raises:
            Conflict: `changed-meanwhile`; `state-not-reachable`, it is not suspended.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.PARTY_SUSPEND) as act:
            unit = await _shown(act, id, why.version)
            check_state(unit, "suspended")
            live = select(BINDINGS.c.id).where(BINDINGS.c.party_id == id, BINDINGS.c.state == "live").limit(1)
            state = "reviewed" if await act.connection.scalar(live) is None else "bound"
            await act.move(unit, state, "party.resumed", reason=why.reason)
            return await _record(act, id)

    async def revoke(self, by: Officer, id: str, why: ReasonInput) -> PartyRecord:  # noqa: A002 - as above
        """Revoke a unit (PARTY_REVOKE): its grants, bindings, designated devices and its open application end with it.

        Raises:
            Conflict: `changed-meanwhile`; `state-not-reachable`, it is revoked already, or a natural person's.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.PARTY_REVOKE) as act:
            unit = await _shown(act, id, why.version)
            check_state(unit, "new", "applied", "reviewed", "bound", "suspended")
            if unit.kind != "legal":
                raise state_not_reachable(_ONLY_UNITS)
            await end_everything(act, unit, why.reason)
            await act.move(unit, "revoked", "party.revoked", reason=why.reason)
            return await _record(act, id)

    async def relocate(self, by: Officer, id: str, where: RegionInput) -> PartyRecord:  # noqa: A002 - as above
        """Move a record to another region (PARTY_MOVE). The post has to cover both.

        Raises:
            Conflict: `changed-meanwhile`; `state-not-reachable`, grants or bindings are open.
            Forbidden: `not-your-region`, also for the new one; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.PARTY_MOVE) as act:
            row = await _shown(act, id, where.version)
            if not is_within(where.region, act.staff.scope):
                raise outside_region()
            if await has_open(act, id):
                raise state_not_reachable(_REGION_IN_USE)
            values = {"region": where.region, "changed_at": act.now, "version": row.version + 1}
            await act.connection.execute(update(PARTIES).where(PARTIES.c.id == id).values(**values))
            await act.note("party.moved", id, party=id, old_region=row.region, region=where.region)
            return await _record(act, id)


def record_of(row: Row[Any]) -> PartyRecord:
    """A row of `parties` as it is handed out."""
    return PartyRecord(
        row.id, row.kind, row.issuer, row.subject, row.uscc, row.name, row.region, row.state,
        row.created_at, row.changed_at, row.version,
    )  # fmt: skip


async def read_detail(connection: AsyncConnection, row: Row[Any]) -> PartyDetail:
    """The same with what the province has registered, and where it stands."""
    standing = await read_standing(connection, row.id)
    return PartyDetail(record_of(row), row.registration or {}, row.registered_version, standing)


def within(scope: str) -> ColumnElement[bool]:
    """The condition that a record belongs to a region."""
    return PARTIES.c.region.startswith(scope, autoescape=True)


def _sought(search: PartySearchInput, systems: Iterable[str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if search.text:
        conditions.append(
            or_(
                PARTIES.c.name.icontains(search.text, autoescape=True),
                PARTIES.c.uscc == search.text.upper(),
                PARTIES.c.subject == search.text,
                PARTIES.c.id.in_(_having(search.text, systems)),
            )
        )
    if search.state is not None:
        conditions.append(PARTIES.c.state == search.state)
    if search.kind is not None:
        conditions.append(PARTIES.c.kind == search.kind)
    return conditions


def _having(text: str, systems: Iterable[str]) -> CompoundSelect[Any]:
    """The parties to which an operator, a device or a live binding of this name belongs."""
    bound = (BINDINGS.c.state == "live") & BINDINGS.c.system.in_(list(systems)) & (BINDINGS.c.local_id == text)
    return union_all(
        select(OPERATORS.c.party_id).where((OPERATORS.c.account == text) | (OPERATORS.c.name == text)),
        select(DESIGNATED.c.party_id).where(DESIGNATED.c.value == text),
        select(BINDINGS.c.party_id).where(bound),
    )


async def _shown(act: Act, id_: str, version: int) -> Party:
    """A record that is as it was shown, locked."""
    row = await act.party(id_)
    check_version(row.version, version)
    return row


async def _record(act: Act, id_: str) -> PartyRecord:
    return record_of((await act.connection.execute(select(PARTIES).where(PARTIES.c.id == id_))).one())


_ONLY_UNITS = ("只有单位的记录可以撤销。", "Only a unit's record can be revoked.")
_REGION_IN_USE = (
    "该单位尚有未终止的授权或绑定，请先终止。",
    "There are grants or bindings that have not ended. End them first.",
)

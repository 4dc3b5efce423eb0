"""Reads the history that history.py writes: of one entry, of one record, of everything, and one's own."""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, or_, select

from gateway.beijing import begin_of, end_of
from gateway.codes import mask_name
from gateway.ledger.acting import STAFF_ISSUER, Office
from gateway.ledger.inputs.units import HistoryInput
from gateway.ledger.looks import looking
from gateway.ledger.office_tables import PARTIES, POSTS, STAFF
from gateway.ledger.paging import read_counted
from gateway.ledger.parties import within
from gateway.ledger.powers import Power
from gateway.ledger.rows import owned
from gateway.ledger.tables import CHANGES
from gateway.ledger.unit_entries import Entries
from gateway.ledger.values import Change, Officer, Owner, Page, Person


class HistoryEntry(msgspec.Struct, frozen=True):
    """An entry of the history.

    Attributes:
        id: grows with every entry.
        at: Unix seconds.
        by: who did it: name of a staff member (masked for owners), account at the platform, or `gateway`.
        role: of the post under which it was done; None where it was none.
        region: that the post covers, as a prefix of GB/T 2260 codes; None where there was none.
        action: what was done, `grant.approved`.
        entry: id of what was changed.
        party: id of the record that it concerns; None where it concerns none.
        detail: what changed, plain data; of a state `before` and `after`.
    """

    id: int
    at: float
    by: str
    role: str | None
    region: str | None
    action: str
    entry: str
    party: str | None
    detail: dict[str, Any]

    def __repr__(self) -> str:
        return f"HistoryEntry({self.id}, {self.action!r}, {self.entry!r})"


class History:
    """The history of every change.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def of(self, entry: str) -> list[Change]:
        """What happened to one link, device or other row, the first change first.

        Raises:
            CannotDecide: the database cannot be read now; 503.
        """
        question = select(CHANGES).where(CHANGES.c.entry == entry).order_by(CHANGES.c.id)
        async with self._office.database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [Change(row.at, Person(row.issuer, row.subject), row.action, row.entry) for row in rows]

    async def of_party(self, by: Officer, id: str, page: int = 1) -> Page[HistoryEntry]:  # noqa: A002 - as in contracts.Devices
        """What happened to a record and everything of it, the latest first. Its owner can see who looked.

        Args:
            by: who looks, under PARTY_LOOK.
            id: of the record.
            page: from 1.

        Raises:
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with looking(self._office, by, id) as (connection, party):
            return await HISTORY_ENTRIES.of_party(connection, party.id, page)

    async def everything(self, by: Officer, asked: HistoryInput) -> Page[HistoryEntry]:
        """The whole history, the latest first; of a post with a region what concerns that region's records alone.

        Args:
            by: who looks, under HISTORY_LOOK.
            asked: what is looked for.

        Raises:
            Forbidden, CannotDecide: as in Office.asked_by.
        """
        async with self._office.asked_by(by, Power.HISTORY_LOOK) as (connection, post):
            question = _entries(*_sought(asked))
            if post.scope:
                question = question.join(PARTIES, PARTIES.c.id == CHANGES.c.party_id).where(within(post.scope))
            return await read_counted(connection, question, asked.page, _read)

    async def mine(self, owner: Owner, page: int = 1) -> Page[HistoryEntry]:
        """What happened to the owner's record, and to her own links and devices, the latest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        own = and_(CHANGES.c.party_id.is_(None), CHANGES.c.issuer == owner.issuer, CHANGES.c.subject == owner.subject)
        async with self._office.database.reading() as connection:
            return await read_counted(connection, _entries(or_(owned(CHANGES, owner), own)), page, _read_masked)


def _entries(*conditions: ColumnElement[bool]) -> Select[Any]:
    by_staff = and_(CHANGES.c.issuer == STAFF_ISSUER, STAFF.c.id == CHANGES.c.subject)
    return (
        select(CHANGES, POSTS.c.role, POSTS.c.scope, STAFF.c.name)
        .outerjoin(POSTS, POSTS.c.id == CHANGES.c.post_id)
        .outerjoin(STAFF, by_staff)
        .where(*conditions)
        .order_by(CHANGES.c.id.desc())
    )


def _sought(asked: HistoryInput) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if asked.action:
        conditions.append(CHANGES.c.action.startswith(asked.action, autoescape=True))
    if asked.subject:
        conditions.append(or_(CHANGES.c.subject == asked.subject, STAFF.c.login == asked.subject))
    if asked.since is not None:
        conditions.append(CHANGES.c.at >= begin_of(asked.since))
    if asked.until is not None:
        conditions.append(CHANGES.c.at < end_of(asked.until))
    return conditions


def _read(row: Row[Any], shown: Callable[[str], str] = str) -> HistoryEntry:
    by = row.subject if row.name is None else shown(row.name)
    return HistoryEntry(row.id, row.at, by, row.role, row.scope, row.action, row.entry, row.party_id, row.detail or {})


def _read_masked(row: Row[Any]) -> HistoryEntry:
    return _read(row, mask_name)


HISTORY_ENTRIES = Entries(CHANGES, _entries, _read)
"""What happened to a record and everything of it, the latest first, with whole names: for staff, within looking."""

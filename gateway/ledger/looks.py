"""Staff look at somebody's data, which is written down; and who looked when, as its owner may see it."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.codes import mask_name
from gateway.ledger.acting import Act, Office, Party
from gateway.ledger.office_tables import LOOKS, POSTS, STAFF
from gateway.ledger.paging import read_counted
from gateway.ledger.powers import Power
from gateway.ledger.rows import owned
from gateway.ledger.values import Officer, Owner, Page

ONE_LOOK = 60.0
"""Seconds within which looks of one post at the same are one: a program asks for a record in several parts."""


@contextlib.asynccontextmanager
async def looking(office: Office, by: Officer, party: str) -> AsyncIterator[tuple[AsyncConnection, Party]]:
    """Somebody of the staff looks at a record: all that she reads until the end is one look, and its owner can see it.

    Args:
        office: where acts begin.
        by: who looks, under PARTY_LOOK.
        party: id of the record.

    Returns:
        A connection to read with, and the record.

    Raises:
        Forbidden, CannotDecide: as in Office.by_staff and Act.party; nothing was seen then.
    """
    async with office.by_staff(by, Power.PARTY_LOOK) as act:
        row = await act.party(party)
        await note_look(act, row.id)
        yield act.connection, row


async def note_look(act: Act, party: str, what: str = "unit") -> None:
    """Write down that staff looked at somebody's data; the owner can see it. Within ONE_LOOK the same look is one.

    Args:
        act: of the staff.
        party: at whose.
        what: `unit` is the record and all that stands with it; `candidates` and `comparison` ask a business system.
    """
    officer = act.staff
    same = (LOOKS.c.party_id == party) & (LOOKS.c.post_id == officer.post) & (LOOKS.c.what == what)
    lately = select(LOOKS.c.id).where(same, LOOKS.c.at > act.now - ONE_LOOK, LOOKS.c.at <= act.now).limit(1)
    if await act.connection.scalar(lately) is None:
        values = {"at": act.now, "party_id": party, "staff_id": officer.staff, "post_id": officer.post, "what": what}
        await act.connection.execute(insert(LOOKS).values(**values))


class LookRecord(msgspec.Struct, frozen=True):
    """One look.

    Attributes:
        at: Unix seconds.
        role: of the post, see Role.
        region: that the post covers, as a prefix of GB/T 2260 codes; empty covers all.
        staff: masked name of the staff member.
        what: `unit`, `candidates` or `comparison`: what was shown, see note_look.
    """

    at: float
    role: str
    region: str
    staff: str
    what: str


class Looks:
    """The looks at everybody's data.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def of(self, owner: Owner, page: int = 1) -> Page[LookRecord]:
        """Who looked at the owner's data, the latest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        question = (
            select(LOOKS, POSTS.c.role, POSTS.c.scope, STAFF.c.name)
            .join(POSTS, POSTS.c.id == LOOKS.c.post_id)
            .join(STAFF, STAFF.c.id == LOOKS.c.staff_id)
            .where(owned(LOOKS, owner))
            .order_by(LOOKS.c.id.desc())
        )
        async with self._office.database.reading() as connection:
            return await read_counted(connection, question, page, _read)


def _read(row: Row[Any]) -> LookRecord:
    return LookRecord(row.at, row.role, row.scope, mask_name(row.name), row.what)

"""Who of the staff looked at somebody's data, and when, as its owner may see it. acting.note_look writes it."""

from typing import Any

import msgspec
from sqlalchemy import Row, select

from gateway.codes import mask_name
from gateway.ledger.acting import Office
from gateway.ledger.office_tables import LOOKS, POSTS, STAFF
from gateway.ledger.paging import read_counted
from gateway.ledger.rows import owned
from gateway.ledger.values import Owner, Page


class LookRecord(msgspec.Struct, frozen=True):
    """One look.

    Attributes:
        at: Unix seconds.
        role: of the post, see Role.
        region: that the post covers, as a prefix of GB/T 2260 codes; empty covers all.
        staff: masked name of the staff member.
        what: `unit`, `candidates` or `comparison`: what was shown, see acting.note_look.
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

"""Who changed what and when, written in the transaction of the change itself, so that there is never one without."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.database import Database
from gateway.ledger.tables import CHANGES
from gateway.ledger.values import Change, Person


async def note_change(connection: AsyncConnection, at: float, by: Person, action: str, entry: str) -> None:
    """Write one entry.

    Args:
        connection: in the transaction of the change.
        at: Unix seconds.
        by: who does it.
        action: see Change.
        entry: id of what is changed.
    """
    await connection.execute(
        insert(CHANGES).values(at=at, issuer=by.issuer, subject=by.subject, action=action, entry=entry)
    )


class History:
    """Reads the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, entry: str) -> list[Change]:
        """What happened to one link or device, the first change first.

        Raises:
            CannotDecide: the database cannot be read now.
        """
        question = select(CHANGES).where(CHANGES.c.entry == entry).order_by(CHANGES.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [Change(row.at, Person(row.issuer, row.subject), row.action, row.entry) for row in rows]

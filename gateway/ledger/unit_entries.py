"""What a unit has many of, and how it is read: one entry, all that meet a condition, or a page of them.

grants.py, bindings.py, changes.py and their likes say what is asked for; dossier.py reads all kinds at once.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.acting import Act, Office, is_id, outside_region
from gateway.ledger.looks import looking
from gateway.ledger.paging import read_counted
from gateway.ledger.values import Officer, Page

R = TypeVar("R")


class Entries(Generic[R]):
    """One kind of entry. Whoever reads has seen to it that she may.

    Args:
        table: with the columns `id` and `party_id`.
        question: asks for the rows that meet a condition, in their order.
        read: an entry out of a row.
    """

    def __init__(
        self, table: Table, question: Callable[[ColumnElement[bool]], Select[Any]], read: Callable[[Row[Any]], R]
    ) -> None:
        self._table = table
        self._question = question
        self._read = read

    async def one(self, act: Act, id: str) -> R:  # noqa: A002 - as in contracts.Devices, here and below
        """The entry of an id that an act has just read or written."""
        return self._read((await act.connection.execute(self._question(self._table.c.id == id))).one())

    async def all(self, connection: AsyncConnection, condition: ColumnElement[bool]) -> list[R]:
        """Those that meet a condition, which bounds how many they are."""
        return [self._read(row) for row in (await connection.execute(self._question(condition))).all()]

    async def page(self, connection: AsyncConnection, condition: ColumnElement[bool], page: int) -> Page[R]:
        """A page, from 1, of those that meet a condition."""
        return await read_counted(connection, self._question(condition), page, self._read)

    async def of_party(self, connection: AsyncConnection, party: str, page: int) -> Page[R]:
        """A page, from 1, of a unit's entries."""
        return await self.page(connection, self._table.c.party_id == party, page)

    async def find(self, connection: AsyncConnection, party: str, id: str) -> R:  # noqa: A002
        """One of a unit's entries.

        Raises:
            Forbidden: `not-your-region`, the unit has none of that id.
        """
        named = (self._table.c.party_id == party) & (self._table.c.id == id)
        found = await self.all(connection, named) if is_id(id) else []
        if not found:
            raise outside_region()
        return found[0]


class UnitEntries(Generic[R]):
    """What staff can look at of one kind; the unit can see who looked.

    Args:
        office: where acts begin.
        entries: of that kind.
    """

    def __init__(self, office: Office, entries: Entries[R]) -> None:
        self._office = office
        self._entries = entries

    async def find(self, by: Officer, party: str, id: str) -> R:  # noqa: A002
        """One of a unit's entries, also one that has ended.

        Raises:
            Forbidden: `not-your-region`, also when the unit has none of that id; and, as CannotDecide, as in
                Office.by_staff.
        """
        async with looking(self._office, by, party) as (connection, unit):
            return await self._entries.find(connection, unit.id, id)

    async def of_party(self, by: Officer, party: str, page: int = 1) -> Page[R]:
        """A page, from 1, of a unit's entries, the newest first, also those that have ended.

        Raises:
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with looking(self._office, by, party) as (connection, unit):
            return await self._entries.of_party(connection, unit.id, page)

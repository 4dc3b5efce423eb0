"""The ledger as the rest of the gateway sees it: begun, asked, ended. `open_ledger` makes it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from gateway.errors import CannotDecide, ConfigurationError
from gateway.ledger.acting import Office, digest_with
from gateway.ledger.changes import History
from gateway.ledger.database import Database, tables_of
from gateway.ledger.devices import EnrolledDevices
from gateway.ledger.links import ChannelLinks
from gateway.ledger.tables import SCHEMA
from gateway.ledger.view import LedgerMemory

T = TypeVar("T")

_TURNS = 5
"""How often a start asks a database that is busy; each time it waits as long as for any writing."""
_PAUSE = 0.2
"""Seconds in between."""


class Schema(msgspec.Struct, frozen=True):
    """How a database stands to this version.

    Attributes:
        found: newest migration that was made; None when none was.
        empty: True when nothing at all is in the database.
        needed: what this version works with.
    """

    found: str | None
    empty: bool
    needed: str = SCHEMA

    @property
    def current(self) -> bool:
        """True when it can be used as it is."""
        return self.found == self.needed


class Ledger:
    """Channel links, devices and their history, in one database.

    Args:
        database: not open yet.
        clock: wall clock, Unix seconds.
        log: the application log.
        keys: of the digests by which identity numbers are recognised; the first one makes them.
        stale: see LedgerMemory.

    Attributes:
        name: what operators call the database; no password in it.
        links: see ChannelLinks.
        devices: see EnrolledDevices.
        office: where acts begin, see Office.
        view: everybody's facts in memory, see LedgerMemory.
        history: see History.
        database: see Database.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        log: Any,
        *,
        keys: Sequence[bytes] = (b"",),
        stale: float = 5.0,
    ) -> None:
        self.name = database.name
        self.office = Office(database, clock, *map(digest_with, keys))
        self.view = LedgerMemory(self.office, log, stale)
        self.links = ChannelLinks(database, clock, log)
        self.devices = EnrolledDevices(database, clock)
        self.history = History(self.office)
        self.database = database

    async def start(self, *, create: bool = True) -> None:
        """Connect. A SQLite file that is empty or not there is made ready by itself.

        Args:
            create: False makes nothing: for who only reads.

        Raises:
            ConfigurationError: it cannot be opened, or has another schema than this version works with.
        """
        self.database.open(create=create)
        try:
            schema = await (self._ready() if create else self.schema())
        except CannotDecide as error:
            await self.close()
            raise ConfigurationError([f"{error.detail} ({self.name})"]) from error
        if not schema.current:
            await self.close()
            raise ConfigurationError([remedy(schema, self.name)])

    async def _ready(self) -> Schema:
        """The schema, made where there is none. Workers start together, and one of them makes it: the others wait."""
        for _ in range(_TURNS - 1):
            try:
                return await self._made()
            except CannotDecide:
                await asyncio.sleep(_PAUSE)
        return await self._made()

    async def _made(self) -> Schema:
        schema = await self.schema()
        if schema.empty and self.database.is_file:
            await self._upgrade()
            schema = await self.schema()
        return schema

    async def close(self) -> None:
        """Close every connection."""
        await self.view.close()
        await self.database.close()

    def status(self) -> dict[str, Any]:
        """Plain data for operators: the schema, why the ledger failed when it was asked last, and how its view is."""
        return {"schema": SCHEMA, "last_failure": self.database.last_failure, "view": self.view.status()}

    async def schema(self) -> Schema:
        """What is in the database.

        Raises:
            CannotDecide: it cannot be read now.
        """
        async with self.database.reading() as connection:
            empty = not await tables_of(connection)
        return Schema(await self.database.schema(), empty)

    async def look(self) -> Schema:
        """Say how the database stands, and change nothing (`tongguan db status`).

        Raises:
            ConfigurationError: there is none, or it cannot be read.
        """
        self.database.open(create=False)
        return await self._told(self.schema)

    async def upgrade(self) -> tuple[Schema, Schema]:
        """Bring the database to the schema of this version, whole or not at all (`tongguan db upgrade`).

        Returns:
            How it stood, and how it stands.

        Raises:
            ConfigurationError: it cannot be opened or written, is another program's, or of a newer version.
        """
        self.database.open(create=True, patient=True)
        return await self._told(self._upgraded)

    async def _told(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step of a command, which has somebody to tell what is wrong."""
        try:
            return await step()
        except CannotDecide as error:
            raise ConfigurationError([f"{error.detail} ({self.name})"]) from error
        finally:
            await self.close()

    async def _upgraded(self) -> tuple[Schema, Schema]:
        before = await self.schema()
        if before.current:
            return before, before
        if not before.empty and not _is_older(before):
            raise ConfigurationError([remedy(before, self.name)])
        await self._upgrade()
        return before, await self.schema()

    async def _upgrade(self) -> None:
        from gateway.ledger.upgrading import upgrade  # noqa: PLC0415 - Alembic is needed once in a ledger's life

        async with self.database.writing() as connection:
            await connection.run_sync(upgrade)


def _is_older(schema: Schema) -> bool:
    from gateway.ledger.upgrading import known_schemas  # noqa: PLC0415 - as above

    return schema.found in known_schemas()


def remedy(schema: Schema, name: str) -> str:
    """What is wrong with a schema that is not current, and what to do about it."""
    if schema.empty or _is_older(schema):
        return f"ledger: {name} has schema {schema.found or 'none'}, needed is {schema.needed}; run tongguan db upgrade"
    if schema.found is None:
        return f"ledger: {name} holds tables of another program; give the ledger a database of its own"
    return f"ledger: {name} has schema {schema.found}, which this version does not know; install the newer version"

"""How the view hears of changes: SQLite is asked for its data version, PostgreSQL tells by itself (NOTIFY).

Either way on a connection beside the shared ones and with the driver's own calls: SQLAlchemy would make the question
that is asked ten times a second seven times as dear. view.py keeps what is read here; facts.py wrote it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from gateway.ledger.database import Database
from gateway.ledger.facts import CHANNEL

CHUNK = 1000
"""Rows that are read at once; the loop does other things in between."""

POLL = 0.1
"""Seconds between two questions whether a file has changed."""
HEARTBEAT = 0.5
"""Seconds after which PostgreSQL is asked when it has told nothing; both well within the second that is promised."""

Row = tuple[str, str, bytes, int]
"""Issuer, subject, body, number."""

_COLUMNS = "SELECT issuer, subject, body, seq FROM facts"
_CLOCK = "SELECT seq FROM facts_clock"
_NEWEST_CHANGE = "SELECT at FROM changes ORDER BY id DESC LIMIT 1"


class Feed(ABC):
    """A connection on which changes are heard and read.

    Everything may raise CannotDecide or whatever the driver raises: the feed is at its end then.

    Args:
        driver: the connection.
    """

    after_number: str
    """The driver's question for the rows behind a number."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    @abstractmethod
    async def pause(self) -> None:
        """Wait until it is time to look."""

    @abstractmethod
    async def changed(self) -> bool:
        """Tell whether anything may have changed since this was asked; True when it is asked first."""

    @abstractmethod
    async def ask(self, statement: str, *values: int) -> Sequence[Any]:
        """The rows of an answer."""

    async def clock(self) -> int:
        """Number of the newest facts."""
        return int((await self.ask(_CLOCK))[0][0])

    async def after(self, seq: int) -> Sequence[Row]:
        """Facts behind a number in the order of their numbers, CHUNK at most."""
        return await self.ask(self.after_number, seq)

    async def newest_change(self) -> float:
        """When the newest entry of the history was written, Unix seconds; 0 when there is none."""
        rows = await self.ask(_NEWEST_CHANGE)
        return float(rows[0][0]) if rows else 0.0


class FileFeed(Feed):
    """SQLite: the data version says whether another connection has written; no table is read for that."""

    after_number = f"{_COLUMNS} WHERE seq > ? ORDER BY seq LIMIT {CHUNK}"

    def __init__(self, driver: Any, database: Database) -> None:
        super().__init__(driver)
        self._database = database
        self._version: int | None = None

    async def pause(self) -> None:
        """See Feed."""
        await asyncio.sleep(POLL)

    async def changed(self) -> bool:
        """See Feed."""
        self._database.require_file()
        [[version]] = await self.ask("PRAGMA data_version")
        known, self._version = self._version, version
        return bool(version != known)

    async def ask(self, statement: str, *values: int) -> Sequence[Any]:
        """See Feed."""
        rows: Sequence[Any] = await self._driver.execute_fetchall(statement, values)
        return rows


class ServerFeed(Feed):
    """PostgreSQL: it tells by itself, and is asked now and then, as a lost connection tells nothing."""

    after_number = f"{_COLUMNS} WHERE seq > $1 ORDER BY seq LIMIT {CHUNK}"

    def __init__(self, driver: Any) -> None:
        super().__init__(driver)
        self._told = asyncio.Event()

    async def listen(self) -> None:
        """Have PostgreSQL tell from now on."""
        self._driver.add_termination_listener(self._hear)
        await self._driver.add_listener(CHANNEL, self._hear)

    def _hear(self, *_: object) -> None:
        self._told.set()

    async def pause(self) -> None:
        """See Feed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT):
                await self._told.wait()
        self._told.clear()

    async def changed(self) -> bool:
        """See Feed: it may have, and the clock tells."""
        return True

    async def ask(self, statement: str, *values: int) -> Sequence[Any]:
        """See Feed."""
        rows: Sequence[Any] = await self._driver.fetch(statement, *values)
        return rows


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Feed]:
    """A feed that misses no change from now on.

    Args:
        database: which is open.

    Raises:
        CannotDecide: the database cannot be reached now.
    """
    async with database.beside() as driver:
        if database.is_file:
            yield FileFeed(driver, database)
            return
        try:
            feed = ServerFeed(driver)
            await feed.listen()
            yield feed
        finally:
            driver.terminate()  # a server that hangs would not take a goodbye

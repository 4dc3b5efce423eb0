"""The database under the ledger: how it is reached, its transactions, and what its failures mean. ledger.py uses it.

Readers never wait (SQLite: a write-ahead log). Writers come one after the other, so that what one has read still holds
when it writes: every write takes a lock when it begins, and gives up in time.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Column, Connection, MetaData, String, Table, event, inspect, make_url, select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import CannotDecide, ConfigurationError

BUSY_TIMEOUT = 0.8
"""Seconds that a write waits for another one; with everything around it a refusal comes within a second."""

_CONNECTIONS = 5
_WRITER = int.from_bytes(b"tongguan", "big")
"""PostgreSQL's number of the lock that every write takes; it is of one database, not of the whole server."""
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))


class Database:
    """One database, SQLite or PostgreSQL.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`.
        base_dir: what a relative FILE is relative to.
        monotonic: for durations, seconds.

    Attributes:
        name: what operators call it; no password in it.
        is_file: True for SQLite.
        monotonic: as given.
        engine: SQLAlchemy's; None until `open`.
        last_failure: why the last attempt failed; None when it did not.

    Raises:
        ConfigurationError: no such database can be used by this installation.
    """

    def __init__(self, url: str, base_dir: Path, monotonic: Callable[[], float]) -> None:
        read = _read_url(url)
        self.is_file = read.drivername == "sqlite"
        self.monotonic = monotonic
        self.engine: AsyncEngine | None = None
        self.last_failure: str | None = None
        self._url = read
        self._path = base_dir.absolute() / (read.database or "") if self.is_file else None
        self._file: tuple[int, int] | None = None
        self.name = str(self._path) if self.is_file else read.render_as_string(hide_password=True)

    def open(self, *, create: bool, patient: bool = False) -> None:
        """Make ready to connect.

        Args:
            create: make a SQLite file that is not there yet, readable by this user alone.
            patient: let a statement take as long as it needs, not one second at most, and wait for others who write for
                half a minute (PostgreSQL).

        Raises:
            ConfigurationError: the file is not there or cannot be made.
        """
        if self._path is None:
            url = self._url.set(drivername="postgresql+asyncpg")
            self.engine = _make_engine(url, connect_args=_postgresql_limits(patient=patient), pool_pre_ping=True)
            event.listen(self.engine.sync_engine, "begin", _begin_postgresql)
            return
        self._file = _file_of(self._path, create=create)
        uri = {"mode": "rw", "uri": "true"}  # a file that vanishes is not made anew, empty, behind our back
        url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(self._path))}", query=uri)
        self.engine = _make_engine(url, connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None})
        if create:  # it stays with the file; whoever only looks leaves an empty one empty
            event.listen(self.engine.sync_engine, "connect", _write_ahead)
        event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    async def close(self) -> None:
        """Close every connection."""
        if self.engine is not None:
            await self.engine.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes nothing.

        Raises:
            CannotDecide: the database cannot be read now; 503.
        """
        with self._failures():
            async with self._engine().begin() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is kept whole, or not at all when something is raised inside.

        Raises:
            CannotDecide: the database is locked, full or gone, and nothing was written; 503.
            IntegrityError: a constraint does not let it.
        """
        with self._failures():
            async with self._engine().execution_options(writes=True).begin() as connection:
                yield connection

    async def schema(self) -> str | None:
        """Newest migration that was made; None in a database that has none.

        Raises:
            CannotDecide: the database cannot be read now.
        """
        async with self.reading() as connection:
            if _VERSION.name not in await tables_of(connection):
                return None
            found: str | None = await connection.scalar(select(_VERSION.c.version_num))
            return found

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Any]:
        """A connection beside those that everybody shares, for whoever keeps it: the driver's own (following.py).

        Raises:
            CannotDecide: the database cannot be reached now.
        """
        with self._failures():
            async with self._engine().connect() as connection:
                shared = await connection.get_raw_connection()
                driver = shared.driver_connection
                shared.detach()
                yield driver

    def require_file(self) -> None:
        """See that the file is the one that was opened, where the database is a file.

        Raises:
            CannotDecide: it is gone, or another one took its place.
        """
        if self._path is not None and _identity(self._path) != self._file:
            raise CannotDecide(f"ledger: {self.name} is gone, or another file took its place")

    def _engine(self) -> AsyncEngine:
        if self.engine is None:
            raise CannotDecide("ledger: not open")
        self.require_file()
        return self.engine

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """The one place where errors of the database become ours. Their text may hold values, so it goes no further."""
        try:
            yield
        except IntegrityError:
            raise
        except CannotDecide as error:
            self.last_failure = error.detail
            raise
        except (SQLAlchemyError, OSError) as exc:
            self.last_failure = f"ledger: {_reason(exc)}"
            raise CannotDecide(self.last_failure) from None
        self.last_failure = None


async def tables_of(connection: AsyncConnection) -> list[str]:
    """Names of the tables that are there."""

    def names(bound: Connection) -> list[str]:
        return inspect(bound).get_table_names()

    return await connection.run_sync(names)


def _read_url(url: str) -> URL:
    try:
        read = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise ConfigurationError(["ledger: no database address; write sqlite:///FILE or postgresql://…"]) from None
    if read.drivername == "sqlite" and read.database not in (None, "", ":memory:") and not read.query:
        return read
    if read.drivername != "postgresql":
        raise ConfigurationError([f"ledger: {read.drivername}: write sqlite:///FILE or postgresql://…"])
    if find_spec("asyncpg") is None:
        raise ConfigurationError(["ledger: PostgreSQL needs asyncpg; pip install 'tongguan[postgresql]'"])
    return read


def _make_engine(url: URL, **options: Any) -> AsyncEngine:
    # Parameters are personal data: hidden, they are in no error's text.
    return create_async_engine(
        url, pool_size=_CONNECTIONS, max_overflow=0, pool_timeout=1.0, hide_parameters=True, **options
    )


def _file_of(path: Path, *, create: bool) -> tuple[int, int] | None:
    try:
        if create:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        found = path.stat()
    except OSError as exc:
        missing = isinstance(exc, FileNotFoundError) and path.parent.is_dir()
        remedy = "; tongguan db upgrade makes it" if missing else ""
        raise ConfigurationError([f"ledger: {path}: {exc.strerror}{remedy}"]) from exc
    return found.st_dev, found.st_ino


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _write_ahead(connection: Any, _: object) -> None:
    _pragma(connection, "journal_mode = WAL")


def _prepare_sqlite(connection: Any, _: object) -> None:
    _pragma(connection, "foreign_keys = ON")


def _pragma(connection: Any, setting: str) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes could fail in its middle, so writers take the lock when they begin.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_limits(*, patient: bool) -> dict[str, Any]:
    settings = {
        "lock_timeout": "30s" if patient else f"{BUSY_TIMEOUT}s",
        "idle_in_transaction_session_timeout": "10s",  # a worker that hangs within a change shall not stop all others
    }
    return {"timeout": 1, "command_timeout": None if patient else 1, "server_settings": settings}


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")


def _reason(exc: Exception) -> str:
    cause: BaseException = exc
    if isinstance(exc, DBAPIError) and exc.orig is not None:
        cause = exc.orig.__cause__ or exc.orig  # asyncpg's own error is the cause of the one that SQLAlchemy makes
    return str(getattr(cause, "sqlite_errorname", type(cause).__name__))

"""The database under the ledger: how it is reached, its transactions, and what its failures mean. ledger.py uses it.

SQLite: a write-ahead log, so that readers never wait; every write takes the lock when it begins, and gives up in time.
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

    def open(self, *, create: bool) -> None:
        """Make ready to connect.

        Args:
            create: make a SQLite file that is not there yet, readable by this user alone.

        Raises:
            ConfigurationError: the file is not there or cannot be made.
        """
        if self._path is None:
            url = self._url.set(drivername="postgresql+asyncpg")
            limits = {"timeout": 1, "command_timeout": 1}
            self.engine = _make_engine(url, connect_args=limits, pool_pre_ping=True)
            return
        self._file = _file_of(self._path, create=create)
        uri = {"mode": "rw", "uri": "true"}  # a file that vanishes is not made anew, empty, behind our back
        url = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(self._path))}", query=uri)
        self.engine = _make_engine(url, connect_args={"timeout": BUSY_TIMEOUT, "isolation_level": None})
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

    def _engine(self) -> AsyncEngine:
        if self.engine is None:
            raise CannotDecide("ledger: not open")
        if self._path is not None and _identity(self._path) != self._file:
            raise CannotDecide(f"ledger: {self.name} is gone, or another file took its place")
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
        raise ConfigurationError([f"ledger: {path}: {exc.strerror}"]) from exc
    return found.st_dev, found.st_ino


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare_sqlite(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads and then writes could fail in its middle, so writers take the lock when they begin.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(exc: Exception) -> str:
    cause = exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return str(getattr(cause, "sqlite_errorname", type(cause).__name__))

"""A real PostgreSQL of the tests' own, on a Unix socket: stopped, killed, frozen and started again at will.

Tests that use it are marked `needs("postgres")`; the fixtures `postgres_server` and `new_database` are in
tests/conftest.py. gateway/ledger/database.py is what talks to it.
"""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import asyncpg

from gateway.ledger import open_ledger

DEADLINE = 45.0
TEMPLATE = "migrated"
READY = b"ready to accept connections"
# A committed change survives a kill of the server, and nobody tests what a power failure of the machine does.
OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "log_min_messages": "log",
}
SHAPE = """
SELECT md5(string_agg(part, ' ' ORDER BY part)) FROM (
    SELECT concat(oid, relname, relnatts) FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat(oid, conname, convalidated) FROM pg_constraint
    UNION ALL SELECT concat(oid, tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT concat(oid, proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat(setconfig) FROM pg_db_role_setting
    UNION ALL SELECT concat(version_num) FROM alembic_version
) AS parts (part)
"""
"""What tells a database whose tables and triggers a test has changed from the template."""
EMPTY = """
BEGIN;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
SET LOCAL session_replication_role = replica;  -- triggers that keep a history do not keep it here
DO $$ DECLARE name regclass; BEGIN
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('DELETE FROM %s', name);
    END LOOP;
    FOR name IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' LOOP
        PERFORM setval(name, 1, false);
    END LOOP;
END $$;
{filled};
COMMIT
"""
"""`filled` puts back what the migrations have filled in."""
FILLED = """
SELECT format(
    'INSERT INTO {name} OVERRIDING SYSTEM VALUE SELECT * FROM jsonb_populate_recordset(NULL::{name}, %L)',
    jsonb_agg(one)
) FROM {name} AS one HAVING count(*) > 0
"""


def find_program(name: str) -> str | None:
    """Where a program is, as shutil.which says; Debian keeps those of PostgreSQL's server out of PATH."""
    newest_first = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, newest_first)))


def _version(folder: Path) -> int:
    return int(folder.parent.name)


class Template(NamedTuple):
    """What a database is that nobody has used.

    Attributes:
        shape: as `SHAPE` tells.
        filled: statements that fill in what the migrations fill in.
    """

    shape: str
    filled: str


class PostgresServer:
    """One throw-away cluster; whoever gets into its folder is its superuser.

    Args:
        folder: empty, with a short path (unix(7): 107 bytes), which the user `postgres` can reach when root runs this.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._numbers = count(1)
        self._template: Template | None = None
        self._emptied: list[str] = []
        self._frozen = False
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, object] = {"cwd": folder}
        if os.geteuid() == 0:  # initdb and postgres refuse root
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self._as |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def create(self) -> None:
        """Make the cluster's files, once (initdb)."""
        how = ["--no-sync", "--auth", "trust", "--username", "postgres", "--encoding", "UTF8", "--locale", "C"]
        done = subprocess.run(
            [find_program("initdb"), *how, "--pgdata", "data"],
            capture_output=True,
            timeout=DEADLINE,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Start it and wait until it takes connections; it recovers by itself from whatever ended it."""
        options = [part for key, value in OPTIONS.items() for part in ("-c", f"{key}={value}")]
        self._process = subprocess.Popen(
            [find_program("postgres"), "-D", "data", "-k", self._folder, "-p", "5432", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **self._as,
        )
        said = []
        for line in self._process.stdout:
            said.append(line)
            if READY in line:
                return
        raise AssertionError(b"".join(said).decode())

    def stop(self) -> None:
        """End it in good order, if it runs, whoever is connected."""
        if self._process is not None:
            self.resume()
            self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash would (immediate shutdown): no goodbye, no checkpoint, recovery at the next start."""
        self._end(signal.SIGQUIT)

    def ensure(self) -> None:
        """Have it run again, whatever was done to it."""
        if self._process is None:
            self.start()
        self.resume()

    def freeze(self) -> None:
        """Let it hang: it takes no connection, and those that are there do not answer (SIGSTOP)."""
        self._signal_all(signal.SIGSTOP)
        self._frozen = True

    def resume(self) -> None:
        """End `freeze`."""
        if self._frozen:
            self._signal_all(signal.SIGCONT)
            self._frozen = False

    def url(self, database: str) -> str:
        """A database of this server, as `ledger` wants it."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def new_database(self) -> str:
        """Have a database with the newest schema and nothing in it; gives its URL."""
        if self._template is None:
            self.ask(f"CREATE DATABASE {TEMPLATE}")
            _wait_for(open_ledger(self.url(TEMPLATE), self._folder).upgrade())
            self._template = _wait_for(_look_at(self.url(TEMPLATE)))
        return self._emptied.pop() if self._emptied else self._new_database(f"TEMPLATE {TEMPLATE}")

    def give_back(self, url: str) -> None:
        """Take back what `new_database` gave: to empty it takes a fifth of the time of making another one."""
        if _wait_for(_empty(url, self._template)):
            self._emptied.append(url)
        else:
            self.drop_database(url)

    def empty_database(self) -> str:
        """Make a database with nothing at all in it; gives its URL."""
        return self._new_database("")

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.ask(f"DROP DATABASE {url.partition('@/')[2].partition('?')[0]} WITH (FORCE)")

    def ask(self, statement: str, url: str = "") -> list[asyncpg.Record]:
        """Have one statement done, in a database or beside them; gives the rows of the answer. No task is let in."""
        return _wait_for(_ask(url or self.url("postgres"), statement))

    def _new_database(self, origin: str) -> str:
        name = f"database_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name} {origin}")
        return self.url(name)

    def _signal_all(self, number: int) -> None:
        """Send a signal to the postmaster and to its children, which come and go."""
        first = self._process.pid
        for process in (first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())):
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        process.send_signal(number)
        process.communicate(timeout=DEADLINE)  # its children have the pipe too: when it is closed, all have ended


def _wait_for(step):
    """Take an asynchronous step from a place where a loop may run already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, step).result(DEADLINE)


async def _ask(url: str, statement: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement)
    finally:
        await connection.close()


async def _look_at(url: str) -> Template:
    connection = await asyncpg.connect(url)
    try:
        tables = (
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        )
        filled = [await connection.fetchval(FILLED.format(name=name)) for (name,) in await connection.fetch(tables)]
        return Template(await connection.fetchval(SHAPE), ";".join(filter(None, filled)))
    finally:
        await connection.close()


async def _empty(url: str, template: Template) -> bool:
    """Make a database as the template is; False when it has another shape by now."""
    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval(SHAPE) != template.shape:
            return False
        await connection.execute(EMPTY.format(filled=template.filled))
    except asyncpg.PostgresError:
        return False
    else:
        return True
    finally:
        await connection.close()


@contextmanager
def running_postgres():
    """A server that runs until the end of the block, whatever was done to it meanwhile."""
    with tempfile.TemporaryDirectory(prefix="tg-postgres-") as folder:
        server = PostgresServer(Path(folder))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()

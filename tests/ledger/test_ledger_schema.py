"""The schema: made by itself in an empty file, upgraded by command, and never used when it is another one."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from gateway.errors import ConfigurationError
from gateway.ledger import open_ledger
from gateway.ledger.ledger import Schema, remedy
from gateway.ledger.office_tables import METADATA
from gateway.ledger.tables import SCHEMA
from gateway.ledger.upgrading import known_schemas
from tests.cli.conftest import identity, run, world

__all__ = ["identity", "run", "world"]


async def test_the_migrations_make_the_tables_that_the_code_knows(ledger):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), METADATA)

    async with ledger.database.reading() as connection:
        found = await connection.run_sync(differences)
    assert found == []


async def test_the_live_link_of_an_account_is_unique_in_the_database(ledger):
    def indexes(connection):
        return {index["name"]: index for index in inspect(connection).get_indexes("channel_links")}

    async with ledger.database.reading() as connection:
        live = (await connection.run_sync(indexes))["channel_links_live"]
    assert live["unique"]
    conditions = [str(value).strip("()") for key, value in live["dialect_options"].items() if key.endswith("_where")]
    assert conditions == ["removed_at IS NULL"]


def test_the_newest_migration_is_the_schema_of_the_code():
    assert known_schemas()[0] == SCHEMA


async def test_a_new_file_is_made_by_itself_for_this_user_alone(tmp_path):
    ledger = open_ledger("sqlite:///ledger.db", tmp_path)
    await ledger.start()
    await ledger.close()
    assert stat.S_IMODE((tmp_path / "ledger.db").stat().st_mode) == 0o600


async def test_workers_that_start_at_once_on_no_file_make_one_ledger(tmp_path):
    ledgers = [open_ledger("sqlite:///ledger.db", tmp_path) for _ in range(6)]
    await asyncio.gather(*(ledger.start() for ledger in ledgers))
    try:
        assert {(await ledger.schema()).found for ledger in ledgers} == {SCHEMA}
    finally:
        await asyncio.gather(*(ledger.close() for ledger in ledgers))


async def test_the_file_lies_beside_the_configuration_or_where_its_whole_path_says(tmp_path):
    (tmp_path / "elsewhere 100%").mkdir()
    whole = tmp_path / "elsewhere 100%" / "l.db"
    for url in ("sqlite:///elsewhere 100%/l.db", f"sqlite:///{whole}"):
        ledger = open_ledger(url, tmp_path)
        await ledger.start()
        await ledger.close()
        assert ledger.name == str(whole)
    assert os.listdir(tmp_path) == ["elsewhere 100%"]


OTHERS = {
    "a newer version's": ("UPDATE alembic_version SET version_num = '9999'", "install the newer version"),
    "another program's": ("DROP TABLE alembic_version", "another program"),
}


@pytest.mark.parametrize(("statement", "told"), OTHERS.values(), ids=OTHERS.keys())
async def test_a_database_of_another_schema_is_not_used_and_not_touched(ledger, ledger_url, tmp_path, statement, told):
    async with ledger.database.writing() as connection:
        await connection.execute(text(statement))
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger(ledger_url, tmp_path).start()
    assert told in caught.value.problems[0]
    with pytest.raises(ConfigurationError):
        await open_ledger(ledger_url, tmp_path).upgrade()


def test_an_older_schema_is_upgraded_by_command():
    assert remedy(Schema("0001", empty=False, needed="0002"), "l.db").endswith("run tongguan db upgrade")
    assert remedy(Schema(None, empty=True), "l.db").endswith("run tongguan db upgrade")


UNUSABLE = {
    "no address": ("ledger.db", "sqlite:///FILE"),
    "in memory": ("sqlite://", "sqlite:///FILE"),
    "in memory by name": ("sqlite:///:memory:", "sqlite:///FILE"),
    "options": ("sqlite:///l.db?mode=ro", "sqlite:///FILE"),
    "another database": ("mysql://db/x", "postgresql://"),
    "a driver": ("sqlite+pysqlite:///l.db", "sqlite:///FILE"),
    "no folder": ("sqlite:///nowhere/l.db", "No such file or directory"),
    "a folder": ("sqlite:///.", "Is a directory"),
}


@pytest.mark.parametrize(("url", "told"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_a_database_that_cannot_be_used_is_a_sentence(tmp_path, url, told):
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger(url, tmp_path).start()
    [problem] = caught.value.problems
    assert told in problem
    assert problem.startswith("ledger: ")


async def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "ledger.db").write_text("once upon a time, there was a file that was no database at all")
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger("sqlite:///ledger.db", tmp_path).start()
    assert "SQLITE_NOTADB" in caught.value.problems[0]


async def test_a_password_in_the_address_is_told_to_nobody(tmp_path):
    for url in ("postgresql://gw:hunter2@db/x", "mysql://gw:hunter2@db/x"):
        try:
            said = open_ledger(url, tmp_path).name
        except ConfigurationError as error:
            said = str(error)
        assert "hunter2" not in said


def test_nobody_pays_for_a_ledger_who_has_none():
    program = (
        "import gateway.ledger, gateway.app, sys;"
        "print([name for name in sys.modules if name.split('.')[0] in {'sqlalchemy', 'alembic', 'aiosqlite'}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ── the commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_upgrade_makes_a_ledger_and_says_so_once(run, world):
    first, second = run("db", "upgrade"), run("db", "upgrade")
    path = world.path.parent / "ledger.db"
    assert (first.exit_code, first.output) == (0, f"{path}: schema none -> {SCHEMA}\n")
    assert (second.exit_code, second.output) == (0, f"{path}: schema {SCHEMA}, nothing to do\n")


def test_status_tells_how_the_ledger_stands(run, world):
    path = world.path.parent / "ledger.db"
    path.touch()
    empty = run("db", "status")
    assert (empty.exit_code, empty.output) == (
        1,
        f"{path}: schema none, needed is {SCHEMA}; run tongguan db upgrade\n",
    )
    run("db", "upgrade")
    current = run("db", "status", "--format", "json")
    assert current.exit_code == 0
    assert json.loads(current.output) == {
        "ledger": str(path),
        "found": SCHEMA,
        "empty": False,
        "needed": SCHEMA,
        "current": True,
    }


def test_status_makes_no_file(run, world):
    asked = run("db", "status")
    assert asked.exit_code == 2
    assert "No such file or directory; tongguan db upgrade makes it" in asked.output
    assert not (world.path.parent / "ledger.db").exists()


def test_a_locked_database_is_told_by_upgrade(run, world):
    path = world.path.parent / "ledger.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN EXCLUSIVE")
        asked = run("db", "upgrade")
    assert asked.exit_code == 2
    assert "SQLITE_BUSY" in asked.output

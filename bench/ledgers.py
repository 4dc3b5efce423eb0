"""Ledgers of a given size: units that are bound, with operators to whom items were granted, written without the desk.

Rows and facts are what the product itself would have written; its own triggers check them. measures/reauthorization.py
asks by them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bench.world import ISSUER
from gateway.facts import Facts, Grant
from gateway.ledger import open_ledger

GRANTS_OF_UNIT = 10
SYSTEM = "backend"
"""Where every unit is bound."""
UNITS = tuple(f"91350100M{number:09d}" for number in range(100))
"""Whoever asks: the first units of every ledger."""

_OPERATORS = 2
_ITEMS = GRANTS_OF_UNIT // _OPERATORS
_FROM, _UNTIL = 1_600_000_000.0, 4_000_000_000.0
_POST = "post-of-the-bench"
_STAFF = "staff-of-the-bench"
_FAST = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;"
"""Nobody else reads it yet, and what is half written is thrown away."""
_APPROVED: dict[str, Any] = {
    "two_people": False, "proposed_at": _FROM, "proposed_post": _POST, "proposed_staff": _STAFF,
    "approved_at": _FROM, "approved_post": _POST, "approved_staff": _STAFF, "version": 1, "state": "live",
}  # fmt: skip


def operator_of(subject: str) -> str:
    """Account of a unit's operator who may do the item that is asked for."""
    return f"{subject}-operator-0"


def make_ledger(directory: Path, item: str, grants: int) -> Path:
    """Make a SQLite ledger in a new directory.

    Args:
        directory: is made.
        item: code of the item that is asked for; every unit has granted it to its first operator.
        grants: in all; of every unit GRANTS_OF_UNIT.
    """
    directory.mkdir(parents=True)
    asyncio.run(open_ledger("sqlite:///ledger.db", directory).upgrade())
    units = grants // GRANTS_OF_UNIT
    with closing(sqlite3.connect(directory / "ledger.db")) as connection, connection:
        connection.executescript(_FAST)
        _insert(connection, "staff", [_staff()])
        _insert(
            connection, "posts", [{"id": _POST, "staff_id": _STAFF, "role": "reviewer", "scope": "", "begun_at": 0}]
        )
        for table, make in _TABLES.items():
            _insert(connection, table, (row for number in range(units) for row in make(number, item)))
        connection.execute("UPDATE facts_clock SET seq = ?", (units,))
    return directory / "ledger.db"


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = iter(rows)
    first = next(rows)
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES (:{', :'.join(first)})"  # noqa: S608 - our own names
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _staff() -> dict[str, Any]:
    zeros = dict.fromkeys(("second_factor_step", "failures", "locked_until", "created_at", "version"), 0)
    return {"id": _STAFF, "login": "bench", "name": "bench", "password": "-", **zeros}


def _parties(number: int, _: str) -> Iterator[dict[str, Any]]:
    yield {
        "id": _party(number), "kind": "legal", "issuer": ISSUER, "subject": _subject(number), "region": "350100",
        "state": "bound", "registered_version": 0, "created_at": _FROM, "changed_at": _FROM, "version": 1,
    }  # fmt: skip


def _operators(number: int, _: str) -> Iterator[dict[str, Any]]:
    for one in range(_OPERATORS):
        account = f"{_subject(number)}-operator-{one}"
        yield {
            "id": account, "party_id": _party(number), "account": account, "name": "样例甲", "id_number": "-",
            "id_digest": "-", "administrator": False, "added_at": _FROM, "added_post": _POST,
        }  # fmt: skip


def _grants(number: int, item: str) -> Iterator[dict[str, Any]]:
    for one, grant in enumerate(_granted(number, item)):
        yield {
            "id": f"grant-{number:07d}-{one}", "party_id": _party(number), "operator_id": grant.operator,
            "item": grant.item, "scope": grant.scope, "valid_from": _FROM, "valid_until": _UNTIL, "exclusive": False,
            "constraints": "{}", "accepted_at": _FROM, **_APPROVED,
        }  # fmt: skip


def _bindings(number: int, _: str) -> Iterator[dict[str, Any]]:
    yield {
        "id": f"binding-{number:07d}", "party_id": _party(number), "system": SYSTEM, "local_id": _local_id(number),
        "compared": "{}", **_APPROVED,
    }  # fmt: skip


def _facts(number: int, item: str) -> Iterator[dict[str, Any]]:
    bound = {SYSTEM: _local_id(number)}
    facts = Facts(_party(number), "legal", "bound", "350100", bound, {}, tuple(_granted(number, item)))
    yield {
        "party_id": facts.party, "issuer": ISSUER, "subject": _subject(number), "seq": number + 1,
        "body": msgspec.msgpack.encode(facts),
    }  # fmt: skip


_TABLES = {
    "parties": _parties, "operators": _operators, "grants": _grants, "bindings": _bindings, "facts": _facts,
}  # fmt: skip


def _granted(number: int, item: str) -> Iterator[Grant]:
    for operator in range(_OPERATORS):
        for other in range(_ITEMS):
            code = f"{item[:-2]}{other:02d}" if other else item
            yield Grant(f"{_subject(number)}-operator-{operator}", code, "3501", _FROM, _UNTIL)


def _party(number: int) -> str:
    return f"party-{number:016d}"


def _subject(number: int) -> str:
    return f"91350100M{number:09d}"


def _local_id(number: int) -> str:
    return f"{number:020d}"

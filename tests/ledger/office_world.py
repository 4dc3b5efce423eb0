"""What tests of the office share: staff with posts, units in a region, written as acts write them."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from sqlalchemy import Connection, event, insert, select

from gateway.ledger.acting import Office, new_id
from gateway.ledger.office_tables import (
    APPEALS,
    APPLICATIONS,
    BINDINGS,
    DESIGNATED,
    GRANTS,
    OPERATORS,
    PARTIES,
    POSTS,
    STAFF,
)
from gateway.ledger.powers import Role
from gateway.ledger.values import Officer

ISSUER = "https://id.province.example"

_NUMBERS = count(1)


async def seed_staff(office: Office, role: Role | str, scope: str = "3501") -> Officer:
    """A member of the staff with a post; nobody can sign in as her."""
    number, role, now = next(_NUMBERS), Role(role), office.clock()
    officer = Officer(new_id(), f"staff-{number}", f"样例职员{number}", new_id(), role, scope)
    async with office.by_itself() as act:
        await act.connection.execute(
            insert(STAFF).values(
                id=officer.staff, login=officer.login, name=officer.name, password="-", second_factor_step=0,
                failures=0, locked_until=0.0, created_at=now, version=1,
            )
        )  # fmt: skip
        await act.connection.execute(
            insert(POSTS).values(id=officer.post, staff_id=officer.staff, role=role.value, scope=scope, begun_at=now)
        )
    return officer


_ENDED: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "applications": (APPLICATIONS, "proposed_at", {"state": "rejected"}),
    "operators": (OPERATORS, "added_at", {"left_at": 1.0, "left_reason": "调离"}),
    "grants": (GRANTS, "proposed_at", {"state": "ended"}),
    "devices": (DESIGNATED, "proposed_at", {"state": "ended"}),
    "bindings": (BINDINGS, "proposed_at", {"state": "ended"}),
    "appeals": (APPEALS, "opened_at", {"state": "dismissed"}),
}
"""Table, when an entry came about, and what makes it one that has ended, by kind."""


async def seed_ended(by: Officer, office: Office, kind: str, id: str, number: int) -> list[str]:  # noqa: A002 - as in contracts.Devices
    """Copies of a unit's entry that came about after it and have ended; gives their ids, the newest first."""
    table, since, ended = _ENDED[kind]
    decided = {"decided_post": by.post} if kind == "appeals" else {}
    async with office.by_itself() as act:
        row = dict((await act.connection.execute(select(table).where(table.c.id == id))).one()._mapping)
        made = [{**row, **ended, **decided, "id": new_id(), since: row[since] + 1 + later} for later in range(number)]
        await act.connection.execute(insert(table), made)
    return [one["id"] for one in reversed(made)]


async def seed_unit(
    office: Office, subject: str = "91350100M000100Y43", region: str = "350100", state: str = "new", kind: str = "legal"
) -> str:
    """The record of a unit (or a person), in any state; gives its id."""
    party, now = new_id(), office.clock()
    async with office.by_itself() as act:
        await act.connection.execute(
            insert(PARTIES).values(
                id=party, kind=kind, issuer=ISSUER, subject=subject, uscc=subject if kind == "legal" else None,
                name="样例一有限公司" if kind == "legal" else "样例甲", region=region, state=state,
                registered_version=0, created_at=now, changed_at=now, version=1,
            )
        )  # fmt: skip
        await act.note("party.created", party, party=party)
    return party


@contextmanager
def counted_writes(office: Office) -> Iterator[list[Connection]]:
    """One entry for each transaction that takes the lock of those who write."""
    begun: list[Connection] = []

    def note(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            begun.append(connection)

    engine = office.database.engine.sync_engine
    event.listen(engine, "begin", note)
    yield begun
    event.remove(engine, "begin", note)

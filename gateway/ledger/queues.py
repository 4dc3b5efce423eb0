"""What waits for a decision of the agency's staff, as a post sees it when its holder begins her day."""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Column, Row, Select, Table, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.codes import is_within
from gateway.ledger.acting import Office
from gateway.ledger.office_tables import APPEALS, APPLICATIONS, BINDINGS, DESIGNATED, GRANTS, PARTIES, STAFF
from gateway.ledger.parties import within
from gateway.ledger.powers import POWERS, Power
from gateway.ledger.values import Officer

MOST_SHOWN = 50
"""Entries of a queue that are shown: those that have waited longest."""


class Waiting(msgspec.Struct, frozen=True):
    """Something that waits for a decision.

    Attributes:
        id: of the application, grant, binding, designated device or appeal.
        party: id of the record.
        name: of the person or unit; None while the province has told none.
        since: Unix seconds.
        proposed_by: name of the staff member; None when the owner did.
        mine: True when the officer who asks may decide it herself.
    """

    id: str
    party: str
    name: str | None
    since: float
    proposed_by: str | None
    mine: bool

    def __repr__(self) -> str:
        return f"Waiting({self.id!r})"


class Queue(msgspec.Struct, frozen=True):
    """Things that wait for the same kind of decision.

    Attributes:
        total: how many wait.
        first: those that have waited longest, MOST_SHOWN at most.
    """

    total: int
    first: list[Waiting]


class Pending(msgspec.Struct, frozen=True):
    """Everything that waits in a region.

    Attributes:
        applications: to be reviewed.
        grants: to be approved.
        bindings: to be approved.
        devices: to be approved.
        appeals: to be decided.
    """

    applications: Queue
    grants: Queue
    bindings: Queue
    devices: Queue
    appeals: Queue


class Queues:
    """What waits.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def pending(self, by: Officer) -> Pending:
        """What waits within the post's region.

        Args:
            by: who asks, under PARTY_LOOK.

        Raises:
            Forbidden, CannotDecide: as in Office.asked_by.
        """
        alone = "opening" not in self._office.rules.two_people
        async with self._office.asked_by(by, Power.PARTY_LOOK) as (connection, post):
            return Pending(
                await _ask(connection, _APPLICATIONS, post, _is_anothers),
                await _ask(connection, _GRANTS, post, _covers),
                await _ask(connection, _BINDINGS, post, _is_anothers),
                await _ask(connection, _DEVICES, post, lambda row, officer: alone or row.proposer != officer.staff),
                await _ask(connection, _APPEALS, post, lambda _row, _officer: True),
            )


class _Kind(msgspec.Struct, frozen=True):
    """Where one kind of decision waits."""

    power: Power
    question: Select[Any]


def _kind(power: Power, table: Table, state: str, since: Column[float], proposer: Column[str]) -> _Kind:
    question = (
        select(table, since.label("since"), proposer.label("proposer"))
        .add_columns(PARTIES.c.name.label("party_name"), STAFF.c.name.label("staff_name"))
        .add_columns(func.count().over().label("total"))
        .join(PARTIES, PARTIES.c.id == table.c.party_id)
        .outerjoin(STAFF, STAFF.c.id == proposer)
        .where(table.c.state == literal(state, literal_execute=True))  # as the index of what waits has it
        .order_by(since, table.c.id)
        .limit(MOST_SHOWN)
    )
    return _Kind(power, question)


_APPLICATIONS = _kind(
    Power.APPLICATION_REVIEW,
    APPLICATIONS,
    "received",
    APPLICATIONS.c.proposed_at,
    APPLICATIONS.c.proposed_staff,
)
_GRANTS = _kind(Power.GRANT_APPROVE, GRANTS, "proposed", GRANTS.c.proposed_at, GRANTS.c.proposed_staff)
_BINDINGS = _kind(Power.BINDING_APPROVE, BINDINGS, "proposed", BINDINGS.c.proposed_at, BINDINGS.c.proposed_staff)
_DEVICES = _kind(Power.DEVICE_APPROVE, DESIGNATED, "proposed", DESIGNATED.c.proposed_at, DESIGNATED.c.proposed_by)
_APPEALS = _kind(Power.APPEAL_DECIDE, APPEALS, "open", APPEALS.c.opened_at, APPEALS.c.opened_by)

_Check = Callable[[Row[Any], Officer], bool]


async def _ask(connection: AsyncConnection, kind: _Kind, officer: Officer, check: _Check) -> Queue:
    rows = (await connection.execute(kind.question.where(within(officer.scope)))).all()
    may = officer.role in POWERS[kind.power]
    first = [
        Waiting(row.id, row.party_id, row.party_name, row.since, row.staff_name, may and check(row, officer))
        for row in rows
    ]
    return Queue(rows[0].total if rows else 0, first)


def _is_anothers(row: Row[Any], officer: Officer) -> bool:
    return not row.two_people or row.proposer != officer.staff


def _covers(row: Row[Any], officer: Officer) -> bool:
    """A grant's region has to be within the post's as well."""
    return _is_anothers(row, officer) and is_within(row.scope, officer.scope)

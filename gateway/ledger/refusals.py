"""Refusals that the use cases of the ledger share, and the checks that make them. acting.py has those of every act."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.exc import IntegrityError

from gateway.errors import Conflict, Forbidden
from gateway.ledger.acting import Act, Party, state_not_reachable


def check_ready(unit: Party) -> None:
    """Refuse what only a unit may get that the agency has reviewed and not suspended since.

    Raises:
        Conflict: `unit-not-reviewed`.
    """
    if unit.kind != "legal" or unit.state not in ("reviewed", "bound"):
        raise Conflict(
            f"a {unit.kind} party that is {unit.state}",
            code="unit-not-reviewed",
            title=(
                "该单位尚未通过审核，或已被暂停、撤销。",
                "The unit has not been reviewed yet, or was suspended or revoked.",
            ),
        )


def check_state(row: Row[Any], *states: str) -> None:
    """Refuse a step that cannot be taken from where something is.

    Raises:
        Conflict: `state-not-reachable`.
    """
    if row.state not in states:
        raise state_not_reachable()


def check_second_person(act: Act, proposed_by: str) -> None:
    """Refuse that somebody approves what she proposed herself.

    Raises:
        Forbidden: `second-person-needed`.
    """
    if act.staff.staff == proposed_by:
        raise Forbidden(
            "proposed by the same person",
            code="second-person-needed",
            title=("经办与复核不能是同一人。", "Somebody else has to approve what you proposed."),
        )


def not_yours() -> Forbidden:
    """Nothing there that belongs to whoever asks."""
    return Forbidden(
        "another owner's, or not there",
        code="not-yours",
        title=("没有该记录，或不属于您或您的单位。", "There is no such record, or it is not yours or your unit's."),
    )


def is_taken(error: IntegrityError, index: str, *columns: str) -> bool:
    """Tell whether a unique index made an error: PostgreSQL names the index, SQLite its columns (`table.column`)."""
    told = str(error.orig)
    return f'"{index}"' in told or told.endswith(f"failed: {', '.join(columns)}")

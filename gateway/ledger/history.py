"""Who changed what and when, written in the transaction of the change itself, so that there is never one without.

changes.py reads it.
"""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.ledger.tables import CHANGES
from gateway.ledger.values import Person


async def note_change(
    connection: AsyncConnection,
    at: float,
    by: Person,
    action: str,
    entry: str,
    *,
    party: str | None = None,
    post: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write one entry.

    Args:
        connection: in the transaction of the change.
        at: Unix seconds.
        by: who does it.
        action: see Change.
        entry: id of what is changed.
        party: whose record it concerns; None for links and devices.
        post: under which it was done; None for owners and the gateway itself.
        detail: what changed, plain data; None when there is nothing to say.
    """
    values: dict[str, Any] = {"issuer": by.issuer, "subject": by.subject, "action": action, "entry": entry}
    values |= {"party_id": party, "post_id": post}
    # JSON's null is not SQL's: a detail that is not there is left out.
    await connection.execute(insert(CHANGES).values(at=at, **values, **({} if detail is None else {"detail": detail})))

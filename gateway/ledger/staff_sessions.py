"""Where the staff are signed in. staff_sign_in.py begins sessions; the console finds them by the token of its cookie.

The database knows the SHA-256 of a token alone, so that nobody who reads it can sit down in somebody's session. The
post is looked up at every request: a dismissal or a new post counts from the next one on.
"""

import contextlib
import hashlib
import secrets
from typing import Any, Literal

import msgspec
from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import CannotDecide
from gateway.ledger.acting import Office
from gateway.ledger.office_tables import POSTS, STAFF, STAFF_SESSIONS
from gateway.ledger.powers import Role
from gateway.ledger.values import Officer
from gateway.office_settings import ConsoleSettings

Missing = Literal["second-factor", "password-change", "second-factor-enrolment"]
"""What has to be done before anything else, in this order."""

_USE_STEP = 60.0
"""Seconds between two notes of use at most: not every request shall write."""
_TOKEN_BYTES = 32


class StaffSession(msgspec.Struct, frozen=True):
    """A session as it is now.

    Attributes:
        digest: names it in the database; not secret.
        staff: id of who signed in.
        login: what she signed in with.
        name: what she is called.
        missing: what she has to do first; None when she may work.
        officer: her post; None while something is missing, when she has none, and when her account is disabled.
        complete: True when the second factor was shown in it.
        begun_at: Unix seconds.
        used_at: Unix seconds, to the minute.
    """

    digest: str
    staff: str
    login: str
    name: str
    missing: Missing | None
    officer: Officer | None
    complete: bool
    begun_at: float
    used_at: float

    def __repr__(self) -> str:
        return f"StaffSession(staff={self.staff!r}, missing={self.missing!r})"


class StaffSessions:
    """The sessions of the staff.

    Args:
        office: whose database keeps them.
        settings: when they end, and how old passwords may be.
    """

    def __init__(self, office: Office, settings: ConsoleSettings) -> None:
        self._office = office
        self._settings = settings
        self._use_step = min(_USE_STEP, settings.idle / 10)

    async def find(self, token: str) -> StaffSession | None:
        """The session that a token opens; None when there is none, or it has ended.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        now = self._office.clock()
        async with self._office.database.reading() as connection:
            row = (await connection.execute(_question(token_digest(token)))).one_or_none()
        if row is None or now >= min(row.used_at + self._settings.idle, row.begun_at + self._settings.absolute):
            return None
        if now - row.used_at >= self._use_step:
            await self._note_use(row.digest, now)
        return self._session(row, now)

    async def end(self, token: str) -> bool:
        """End a session (signing out); False when there was none.

        Raises:
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        ending = delete(STAFF_SESSIONS).where(STAFF_SESSIONS.c.digest == token_digest(token))
        async with self._office.database.writing() as connection:
            return (await connection.execute(ending)).rowcount == 1

    async def begin_in(self, connection: AsyncConnection, staff: str, *, complete: bool = False) -> str:
        """Begin a session within a transaction; gives its token. Sessions that have ended are swept out.

        Args:
            connection: of the transaction.
            staff: who signs in.
            complete: True when the second factor was shown.
        """
        now, settings = self._office.clock(), self._settings
        over = or_(
            STAFF_SESSIONS.c.begun_at <= now - settings.absolute, STAFF_SESSIONS.c.used_at <= now - settings.idle
        )
        await connection.execute(delete(STAFF_SESSIONS).where(over))
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        values = {"digest": token_digest(token), "staff_id": staff, "begun_at": now, "used_at": now}
        await connection.execute(insert(STAFF_SESSIONS).values(**values, complete=complete))
        return token

    async def complete_in(self, connection: AsyncConnection, session: StaffSession) -> str | None:
        """Make a session complete under a new token, within a transaction; None when it has ended meanwhile.

        The old token opens nothing any more: whoever planted or saw it before has nothing of it.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        rotating = (
            update(STAFF_SESSIONS)
            .where(STAFF_SESSIONS.c.digest == session.digest)
            .values(digest=token_digest(token), complete=True, used_at=self._office.clock())
        )
        return token if (await connection.execute(rotating)).rowcount == 1 else None

    async def missing_in(self, connection: AsyncConnection, token: str) -> Missing | None:
        """What is still to be done in a session, within the transaction that changed it."""
        row = (await connection.execute(_question(token_digest(token)))).one()
        return self._missing(row, self._office.clock())

    async def _note_use(self, digest: str, now: float) -> None:
        noting = update(STAFF_SESSIONS).where(STAFF_SESSIONS.c.digest == digest).values(used_at=now)
        # Looking goes on while nothing can be written; the session then ends earlier than it had to.
        with contextlib.suppress(CannotDecide):
            async with self._office.database.writing() as connection:
                await connection.execute(noting)

    def _session(self, row: Row[Any], now: float) -> StaffSession:
        missing = self._missing(row, now)
        officer = None
        if missing is None and row.post is not None and row.disabled_at is None:
            officer = Officer(row.staff_id, row.login, row.name, row.post, Role(row.role), row.scope)
        return StaffSession(
            row.digest, row.staff_id, row.login, row.name, missing, officer, row.complete, row.begun_at, row.used_at
        )

    def _missing(self, row: Row[Any], now: float) -> Missing | None:
        enrolled = row.second_factor_at is not None
        if enrolled and not row.complete:
            return "second-factor"
        if row.password_changed_at is None or now >= row.password_changed_at + self._settings.password_age:
            return "password-change"
        return None if enrolled else "second-factor-enrolment"


def token_digest(token: str) -> str:
    """What the database knows of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


async def end_sessions(connection: AsyncConnection, staff: str) -> int:
    """End every session of one member of the staff within a transaction; gives how many there were."""
    ended = await connection.execute(delete(STAFF_SESSIONS).where(STAFF_SESSIONS.c.staff_id == staff))
    return ended.rowcount


def _question(digest: str) -> Any:
    live = (POSTS.c.staff_id == STAFF.c.id) & POSTS.c.ended_at.is_(None)
    return (
        select(
            STAFF_SESSIONS,
            STAFF.c.login,
            STAFF.c.name,
            STAFF.c.password_changed_at,
            STAFF.c.second_factor_at,
            STAFF.c.disabled_at,
            POSTS.c.id.label("post"),
            POSTS.c.role,
            POSTS.c.scope,
        )
        .join(STAFF, STAFF.c.id == STAFF_SESSIONS.c.staff_id)
        .outerjoin(POSTS, live)
        .where(STAFF_SESSIONS.c.digest == digest)
    )

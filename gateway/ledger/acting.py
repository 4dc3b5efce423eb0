"""Every change of the ledger is an act: one transaction, somebody who may do it, its history, and the new facts.

A post is looked up in the database within the act, so that nobody acts under one that has just ended. powers.py says
which roles may; the database itself holds the region as well (migrations/triggers_0002.py).
"""

import contextlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.codes import is_within
from gateway.errors import Conflict, Forbidden
from gateway.ledger.database import Database
from gateway.ledger.facts import refresh_facts
from gateway.ledger.history import note_change
from gateway.ledger.office_tables import PARTIES, POSTS, STAFF
from gateway.ledger.powers import POWERS, Power, Role
from gateway.ledger.rules import Rules
from gateway.ledger.values import Officer, Person

STAFF_ISSUER = "staff"
"""Stands in the history as the issuer of what staff did; the subject is the id of the staff member."""
ITSELF = Person("gateway", "gateway")
"""Stands in the history for what the gateway did by itself."""

_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")

Party = Row[Any]
"""A row of `parties`."""


def digest_with(key: bytes) -> Callable[[str], str]:
    """Digests of identity numbers with a key: whoever has the database alone cannot try all numbers out."""
    derived = hmac.digest(key, b"tongguan ledger identity numbers", "sha256")
    return lambda number: hmac.digest(derived, number.upper().encode(), "sha256").hex()


def new_id() -> str:
    """An id for a new row: 128 random bits in base64url."""
    return secrets.token_urlsafe(16)


def is_id(text: str) -> bool:
    """Tell whether a text could be an id. Anything else is nobody's, and PostgreSQL does not take every text."""
    return _ID.fullmatch(text) is not None


class Act:
    """An open transaction in which somebody does one thing.

    Attributes:
        connection: of the transaction.
        now: Unix seconds.
        by: who does it, for the history.
        officer: the post under which staff do it, as it is in the database; None for owners and the gateway.
    """

    def __init__(self, connection: AsyncConnection, now: float, by: Person, officer: Officer | None = None) -> None:
        self.connection = connection
        self.now = now
        self.by = by
        self.officer = officer
        self._touched: dict[str, None] = {}

    @property
    def staff(self) -> Officer:
        """The post that acts.

        Raises:
            Forbidden: none does.
        """
        if self.officer is None:
            raise Forbidden("no staff", code="not-your-role", title=_NOT_YOUR_ROLE)
        return self.officer

    async def party(self, id: str) -> Party:  # noqa: A002 - as in contracts.Devices
        """The record of a person or unit, locked until the end of the act; staff see those of their region alone.

        Raises:
            Forbidden: `not-your-region`, there is none that this post may see, or none at all.
        """
        question = select(PARTIES).where(PARTIES.c.id == id).with_for_update()
        row = (await self.connection.execute(question)).one_or_none() if is_id(id) else None
        if row is None or (self.officer is not None and not is_within(row.region, self.officer.scope)):
            raise outside_region()
        return row

    async def note(self, action: str, entry: str, *, party: str | None = None, **detail: Any) -> None:
        """Write an entry of the history; a party that it concerns gets new facts when the act is done.

        Args:
            action: what was done, `grant.proposed`.
            entry: id of the row.
            party: whose record it concerns.
            detail: what changed, plain data without secrets and without numbers of identity papers.
        """
        post = None if self.officer is None else self.officer.post
        await note_change(
            self.connection, self.now, self.by, action, entry, party=party, post=post, detail=detail or None
        )
        if party is not None:
            self._touched[party] = None

    async def move(self, party: Party, state: str, action: str, **detail: Any) -> None:
        """Bring a record to another state.

        Raises:
            Conflict: `state-not-reachable`, it cannot get there from where it is.
        """
        moving = (
            update(PARTIES)
            .where(PARTIES.c.id == party.id)
            .values(state=state, changed_at=self.now, version=PARTIES.c.version + 1)
        )
        await self.connection.execute(moving)
        await self.note(action, party.id, party=party.id, before=party.state, after=state, **detail)

    @contextlib.asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A part of the act that may fail by itself: what it did is taken back, and the act can go on.

        Raises:
            Forbidden, Conflict: what the database does not let.
        """
        touched = dict(self._touched)
        try:
            async with self.connection.begin_nested():
                yield
        except IntegrityError as exc:
            self._touched = touched
            raise _refused_by_database(exc) from None
        except BaseException:
            self._touched = touched
            raise

    async def finish(self) -> None:
        """Write the facts of everybody whom the act concerned."""
        for party in sorted(self._touched):
            await refresh_facts(self.connection, party)


class Office:
    """Where acts begin.

    Args:
        database: see Database.
        clock: wall clock, Unix seconds.
        digests: keyed digests of an identity number, so that it can be recognised and not be read. The first one is
            what is kept; others are of keys that the installation had before.

    Attributes:
        digest: the first of them.
        rules: what the configuration says about items, systems and who looks twice; set whenever it changes.
    """

    def __init__(self, database: Database, clock: Callable[[], float], *digests: Callable[[str], str]) -> None:
        self.database = database
        self.clock = clock
        self.digest = digests[0]
        self._digests = digests
        self.rules = Rules()

    def is_of(self, digest: str, number: str) -> bool:
        """Tell whether a digest that was kept is that of an identity number."""
        return any(digest == digest_of(number) for digest_of in self._digests)

    @contextlib.asynccontextmanager
    async def by_staff(self, officer: Officer, power: Power) -> AsyncIterator[Act]:
        """Somebody of the staff does something.

        Raises:
            Forbidden: `not-your-role`: the post has ended, or its role does not have this power; `not-your-region`.
            Conflict: the database does not let it, as somebody else was faster.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        async with self._acting() as connection:
            post = _checked_post(await find_post(connection, officer.staff), officer, power)
            act = Act(connection, self.clock(), Person(STAFF_ISSUER, post.staff), post)
            yield act
            await act.finish()

    @contextlib.asynccontextmanager
    async def asked_by(self, officer: Officer, power: Power) -> AsyncIterator[tuple[AsyncConnection, Officer]]:
        """Somebody of the staff asks something that changes nothing; nobody who writes is waited for.

        Returns:
            A connection to read with, and the post as it is in the database; its scope is for the caller to keep to.

        Raises:
            Forbidden: `not-your-role`: the post has ended, or its role does not have this power.
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self.database.reading() as connection:
            yield connection, _checked_post(await find_post(connection, officer.staff, kept=False), officer, power)

    @contextlib.asynccontextmanager
    async def by_owner(self, person: Person) -> AsyncIterator[Act]:
        """A person does something with what is hers, or her unit's. What that is, the caller has to check.

        Args:
            person: the human being: of a unit's login the acting operator.

        Raises:
            Conflict, CannotDecide: as in by_staff.
        """
        async with self._acting() as connection:
            act = Act(connection, self.clock(), person)
            yield act
            await act.finish()

    @contextlib.asynccontextmanager
    async def by_itself(self) -> AsyncIterator[Act]:
        """The gateway does something by itself, for example make a record at the first visit.

        Raises:
            Conflict, CannotDecide: as in by_staff.
        """
        async with self.by_owner(ITSELF) as act:
            yield act

    @contextlib.asynccontextmanager
    async def _acting(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.database.writing() as connection:
                yield connection
        except IntegrityError as exc:
            raise _refused_by_database(exc) from None


def _checked_post(found: Officer | None, officer: Officer, power: Power) -> Officer:
    """The post as it is in the database, when it still is the one that somebody signed in under and has the power."""
    if found is None or found.post != officer.post or found.role not in POWERS[power]:
        raise not_your_role(power)
    return found


async def find_post(connection: AsyncConnection, staff: str, *, kept: bool = True) -> Officer | None:
    """The post that somebody holds now; None when there is none.

    Args:
        connection: of the ledger's database.
        staff: id of the staff member.
        kept: True keeps it from ending until this transaction is over.
    """
    question = (
        select(POSTS, STAFF.c.login, STAFF.c.name)
        .join(STAFF, STAFF.c.id == POSTS.c.staff_id)
        .where(POSTS.c.staff_id == staff, POSTS.c.ended_at.is_(None), STAFF.c.disabled_at.is_(None))
    )
    if kept:
        question = question.with_for_update(read=True, of=POSTS)
    row = (await connection.execute(question)).one_or_none()
    return None if row is None else Officer(row.staff_id, row.login, row.name, row.id, Role(row.role), row.scope)


def check_version(found: int, expected: int) -> None:
    """Refuse a change of something that somebody else changed after it was shown.

    Raises:
        Conflict: `changed-meanwhile`.
    """
    if found != expected:
        raise changed_meanwhile()


def not_your_role(power: Power) -> Forbidden:
    """The post does not have this power."""
    return Forbidden(f"the post may not {power}", code="not-your-role", title=_NOT_YOUR_ROLE)


def outside_region() -> Forbidden:
    """Nothing there that this post may see."""
    return Forbidden("outside the post's region, or not there", code="not-your-region", title=_NOT_YOUR_REGION)


def changed_meanwhile() -> Conflict:
    """Somebody else was faster."""
    return Conflict("changed meanwhile", code="changed-meanwhile", title=_CHANGED)


def state_not_reachable(title: tuple[str, str] | None = None) -> Conflict:
    """The record is in a state in which this cannot be done.

    Args:
        title: what has to be done first; None says no more than that it cannot be done.
    """
    return Conflict("state", code="state-not-reachable", title=title or _NOT_REACHABLE)


_NOT_YOUR_ROLE = ("您的岗位没有此项权限。", "Your post does not include this.")
_NOT_YOUR_REGION = (
    "没有该记录，或不在您的辖区内。",
    "There is no such record, or it is not in your region.",
)
_CHANGED = (
    "该记录已被他人修改，请刷新后重试。",
    "Somebody else has changed this meanwhile. Load it again and repeat.",
)
_NOT_REACHABLE = (
    "当前状态下不能进行此操作。",
    "This cannot be done in the state that the record is in.",
)

_BY_TRIGGER: Mapping[str, Callable[[], Exception]] = {
    "tongguan:outside-region": outside_region,
    "tongguan:state-move": state_not_reachable,
    "tongguan:region-in-use": state_not_reachable,
}


def _refused_by_database(exc: IntegrityError) -> Exception:
    """What a trigger or a constraint means. Its text may hold values, so it goes no further."""
    told = str(exc.orig)
    return next((make() for code, make in _BY_TRIGGER.items() if code in told), changed_meanwhile())

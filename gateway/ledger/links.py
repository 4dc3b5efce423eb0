"""Which person a channel account signs in. A link begins with the person's own login and ends by her own word."""

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import CannotDecide, Conflict
from gateway.ledger.database import Database
from gateway.ledger.history import note_change
from gateway.ledger.tables import CHANNEL_LINKS as LINKS
from gateway.ledger.values import ChannelLink, Person
from gateway.signin import ChannelAccount

MOST_LINKS = 20
"""Live links of one person."""

_USE_STEP = 3600.0
"""Seconds between two notes that a link is used: signing in shall not write each time."""


class _Held(msgspec.Struct, frozen=True):
    """A live link with its owner."""

    link: ChannelLink
    owner: Person


class ChannelLinks:
    """Links between channel accounts and persons.

    Args:
        database: where they are kept.
        clock: wall clock, Unix seconds.
        log: the application log.
    """

    def __init__(self, database: Database, clock: Callable[[], float], log: Any) -> None:
        self._database = database
        self._clock = clock
        self._log = log

    async def find(self, account: ChannelAccount) -> Person | None:
        """Whose account this is; None when it is nobody's. To be asked when somebody signs in by it.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._database.reading() as connection:
            held = await _live(connection, account)
        if held is None:
            return None
        await self._note_use(held.link)
        return held.owner

    async def link(self, account: ChannelAccount, issuer: str, subject: str) -> ChannelLink:
        """Link an account to a person who has just signed in at her platform; a link that is there stays as it is.

        Args:
            account: as its channel's platform told it.
            issuer: the person's platform.
            subject: the person. Of a unit's login it is the acting operator: an account is a human being's.

        Raises:
            Conflict: `account-linked`, it is another person's; `too-many-links`, she has `MOST_LINKS`; 409.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        owner = Person(issuer, subject)
        try:
            async with self._database.writing() as connection:
                held = await _live(connection, account)
                if held is None:
                    return await self._insert(connection, account, owner)
        except IntegrityError:  # PostgreSQL: another worker was faster
            async with self._database.reading() as connection:
                held = await _live(connection, account)
        if held is None or held.owner != owner:
            raise _taken()
        return held.link

    async def of(self, issuer: str, subject: str) -> list[ChannelLink]:
        """A person's live links, the oldest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        question = select(LINKS).where(*_of_owner(Person(issuer, subject))).order_by(LINKS.c.created_at, LINKS.c.id)
        async with self._database.reading() as connection:
            return [_link(row) for row in (await connection.execute(question)).all()]

    async def remove(self, id: str, issuer: str, subject: str) -> bool:  # noqa: A002 - as in contracts.Devices
        """End a link of this person; False when she has none of that id.

        Raises:
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        owner, now = Person(issuer, subject), self._clock()
        ending = update(LINKS).where(LINKS.c.id == id, *_of_owner(owner)).values(removed_at=now)
        async with self._database.writing() as connection:
            removed = (await connection.execute(ending)).rowcount == 1
            if removed:
                await note_change(connection, now, owner, "channel-link.removed", id)
        return removed

    async def _insert(self, connection: AsyncConnection, account: ChannelAccount, owner: Person) -> ChannelLink:
        count = await connection.scalar(select(func.count()).select_from(LINKS).where(*_of_owner(owner)))
        if count is not None and count >= MOST_LINKS:
            raise _too_many()
        now = self._clock()
        link = ChannelLink(secrets.token_urlsafe(16), account.channel, account.application, now, now)
        values = msgspec.structs.asdict(link) | msgspec.structs.asdict(owner)
        await connection.execute(insert(LINKS).values(**values, account=account.id, union_id=account.union_id))
        await note_change(connection, now, owner, "channel-link.created", link.id)
        return link

    async def _note_use(self, link: ChannelLink) -> None:
        """Note that a link is used. A ledger that cannot be written keeps nobody from signing in."""
        now = self._clock()
        if now - link.last_used_at < _USE_STEP:
            return
        try:
            async with self._database.writing() as connection:
                await connection.execute(update(LINKS).where(LINKS.c.id == link.id).values(last_used_at=now))
        except CannotDecide as error:
            self._log.warning("use of a channel link was not noted", reason=error.detail)


def _of_owner(owner: Person) -> tuple[ColumnElement[bool], ...]:
    return LINKS.c.issuer == owner.issuer, LINKS.c.subject == owner.subject, LINKS.c.removed_at.is_(None)


async def _live(connection: AsyncConnection, account: ChannelAccount) -> _Held | None:
    question = select(LINKS).where(
        LINKS.c.channel == account.channel,
        LINKS.c.application == account.application,
        LINKS.c.account == account.id,
        LINKS.c.removed_at.is_(None),
    )
    row = (await connection.execute(question)).one_or_none()
    return None if row is None else _Held(_link(row), Person(row.issuer, row.subject))


def _link(row: Row[Any]) -> ChannelLink:
    return ChannelLink(row.id, row.channel, row.application, row.created_at, row.last_used_at)


def _taken() -> Conflict:
    return Conflict(
        "the channel account is linked to another person",
        code="account-linked",
        title=(
            "该渠道账号已关联其他用户，请先由原用户解除关联。",
            "The channel account is linked to another person, who has to remove that link first.",
        ),
    )


def _too_many() -> Conflict:
    return Conflict(
        f"{MOST_LINKS} links of one person",
        code="too-many-links",
        title=(
            "关联的渠道账号过多，请先解除不用的关联。",
            "Too many channel accounts are linked. Remove one that you no longer use.",
        ),
    )

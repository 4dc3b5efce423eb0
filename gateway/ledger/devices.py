"""Devices with keys of their own, and whose they are. On the request path: what was just read is believed for a moment.

A removal drops it here at once. Other workers believe it for `BELIEVED` seconds more, measured from when they asked.
"""

import asyncio
import secrets
from collections.abc import Callable

import msgspec
from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Conflict, SignInMalformed
from gateway.facts import Device
from gateway.ledger.database import Database
from gateway.ledger.history import note_change
from gateway.ledger.tables import DEVICES
from gateway.ledger.values import EnrolledDevice, Person
from gateway.signatures.keys import check_device_key

MOST_DEVICES = 20
"""Live devices of one person."""
BELIEVED = 0.5
"""Seconds."""

_MOST_REMEMBERED = 4096
_LONGEST_NAME = 64


class _Remembered(msgspec.Struct, frozen=True):
    device: Device
    until: float


class EnrolledDevices:
    """The devices of all persons (gateway.facts.Devices).

    Args:
        database: where they are kept.
        clock: wall clock, Unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[str, _Remembered] = {}
        self._asking: dict[str, asyncio.Task[Device | None]] = {}
        self._removals = 0

    async def find(self, id: str) -> Device | None:  # noqa: A002 - as in facts.Devices
        """The device of this id; None when there is none any more.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        known = self._remembered.get(id)
        if known is not None and known.until > self._database.monotonic():
            return known.device
        asking = self._asking.get(id)
        if asking is None:
            asking = self._asking[id] = asyncio.get_running_loop().create_task(self._read(id))
            asking.add_done_callback(lambda asked: self._forget_question(id, asked))
        return await asyncio.shield(asking)

    async def enrol(self, algorithm: str, public_key: bytes, name: str, issuer: str, subject: str) -> Device:
        """Take a device's key for a person who is signed in.

        Args:
            algorithm: `ed25519`, `ecdsa-p256` or `sm2`; of this device, always.
            public_key: as docs/channels.md says, raw.
            name: what she calls the device, 1 to 64 characters.
            issuer: the person's platform.
            subject: the person, or the unit whose operators share the device.

        Raises:
            SignInMalformed: no key of that algorithm, or no name; 400.
            Conflict: `too-many-devices`, she has `MOST_DEVICES`; 409.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        _check(algorithm, public_key, name)
        owner, now = Person(issuer, subject), self._clock()
        device = Device(secrets.token_urlsafe(16), algorithm, public_key, issuer, subject)
        values = msgspec.structs.asdict(device)
        async with self._database.writing() as connection:
            await self._require_room(connection, owner)
            await connection.execute(insert(DEVICES).values(**values, name=name, created_at=now))
            await note_change(connection, now, owner, "device.enrolled", device.id)
        return device

    async def of(self, issuer: str, subject: str) -> list[EnrolledDevice]:
        """A person's devices, the oldest first.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        conditions = _of_owner(Person(issuer, subject))
        question = select(DEVICES).where(*conditions).order_by(DEVICES.c.created_at, DEVICES.c.id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [EnrolledDevice(row.id, row.algorithm, row.name, row.created_at) for row in rows]

    async def remove(self, id: str, issuer: str, subject: str) -> bool:  # noqa: A002 - as in facts.Devices
        """Believe a device of this person no longer; False when she has none of that id.

        Raises:
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        owner, now = Person(issuer, subject), self._clock()
        ending = update(DEVICES).where(DEVICES.c.id == id, *_of_owner(owner)).values(removed_at=now)
        async with self._database.writing() as connection:
            removed = (await connection.execute(ending)).rowcount == 1
            if removed:
                await note_change(connection, now, owner, "device.removed", id)
        self._removals += 1  # voids what is being read meanwhile
        self._remembered.pop(id, None)
        return removed

    async def _read(self, id: str) -> Device | None:  # noqa: A002 - as in facts.Devices
        until, removals = self._database.monotonic() + BELIEVED, self._removals
        question = select(DEVICES).where(DEVICES.c.id == id, DEVICES.c.removed_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(question)).one_or_none()
        if row is None:
            self._remembered.pop(id, None)
            return None
        device = Device(row.id, row.algorithm, row.public_key, row.issuer, row.subject)
        if removals == self._removals:
            self._remember(_Remembered(device, until))
        return device

    def _remember(self, entry: _Remembered) -> None:
        self._remembered.pop(entry.device.id, None)
        if len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[entry.device.id] = entry

    def _forget_question(self, id: str, asked: asyncio.Task[Device | None]) -> None:  # noqa: A002 - as above
        self._asking.pop(id, None)
        if not asked.cancelled():
            asked.exception()  # is looked at here in case that everybody who waited for it has left

    async def _require_room(self, connection: AsyncConnection, owner: Person) -> None:
        count = await connection.scalar(select(func.count()).select_from(DEVICES).where(*_of_owner(owner)))
        if count is not None and count >= MOST_DEVICES:
            raise Conflict(
                f"{MOST_DEVICES} devices of one person",
                code="too-many-devices",
                title=(
                    "登记的设备过多，请先移除不用的设备。",
                    "Too many devices are enrolled. Remove one that you no longer use.",
                ),
            )


def _check(algorithm: str, public_key: bytes, name: str) -> None:
    try:
        check_device_key(algorithm, public_key)
    except ValueError as error:
        raise SignInMalformed(f"device: {error}") from error
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or not name.strip():
        raise SignInMalformed(f"device: its name is not 1 to {_LONGEST_NAME} printable characters")


def _of_owner(owner: Person) -> tuple[ColumnElement[bool], ...]:
    return DEVICES.c.issuer == owner.issuer, DEVICES.c.subject == owner.subject, DEVICES.c.removed_at.is_(None)

"""Designated devices (指定设备): the computers on which a unit does what its grants or items ask one for.

A client certificate, addresses, or a passkey of the browser (WebAuthn). A plugin, designated_device, decides.
"""

import base64
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, select, update

from gateway.codes import CodeError, read_fingerprint
from gateway.errors import Conflict, FieldProblem, InputRefused
from gateway.ledger.acting import Act, Office, Party, check_version, new_id
from gateway.ledger.entries import DesignatedRecord, PasskeyRecord
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.designated import DeviceInput, PasskeyInput
from gateway.ledger.inputs.texts import read_network, read_reason
from gateway.ledger.looks import looking
from gateway.ledger.office_tables import DESIGNATED
from gateway.ledger.powers import Power
from gateway.ledger.refusals import check_ready, check_second_person, check_state, not_yours
from gateway.ledger.rows import change_row, end_row, own_party, owned, owner_row, staff_row
from gateway.ledger.rules import Rules
from gateway.ledger.unit_entries import Entries, UnitEntries
from gateway.ledger.values import Officer, Owner, Page

MOST_DESIGNATED = 50
"""Devices of one unit that were not ended."""


class DesignatedDevices(UnitEntries[DesignatedRecord]):
    """The designated devices of all units.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        super().__init__(office, DESIGNATED_ENTRIES)

    async def register(self, by: Officer, party: str, given: DeviceInput) -> DesignatedRecord:
        """Designate a certificate or addresses; live at once where `opening` needs no second person.

        Args:
            by: who registers, under DEVICE_REGISTER.
            party: id of the unit's record.
            given: as entered.

        Raises:
            InputRefused: with every problem of `given`.
            Conflict: `unit-not-reviewed`, `device-known`, `too-many-devices`.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        value = _read_value(given, self._office.rules)
        async with self._office.by_staff(by, Power.DEVICE_REGISTER) as act:
            unit = await act.party(party)
            check_ready(unit)
            kept = {"kind": given.kind, "value": value, "name": given.name, "items": list(dict.fromkeys(given.items))}
            row = await _propose(act, unit, kept)
            if "opening" not in self._office.rules.two_people:
                await _approve(act, row)
            return await DESIGNATED_ENTRIES.one(act, row.id)

    async def propose_passkey(
        self, owner: Owner, credential_id: bytes, public_key: bytes, sign_count: int, name: str
    ) -> str:
        """Propose the computer that the owner sits at; staff approve it, so that nobody designates her own.

        Args:
            owner: of the unit.
            credential_id: as the authenticator made it, at most 1023 bytes.
            public_key: COSE_Key (RFC 9052 §7) of a registration that was checked, at most 2048 bytes.
            sign_count: of that registration.
            name: what she calls it, at most 64 characters.

        Returns:
            The id of the entry.

        Raises:
            InputRefused: no name, or no such credential.
            Conflict: `unit-not-reviewed`, `device-known`, `too-many-devices`.
            Forbidden: `not-yours`, no record here.
            CannotDecide: as in Office.by_staff.
        """
        told = {"credential_id": credential_id, "public_key": public_key, "sign_count": sign_count, "name": name}
        given = check_input(PasskeyInput, told)
        async with self._office.by_owner(owner.human) as act:
            unit = await own_party(act, owner)
            if unit is None:
                raise not_yours()
            check_ready(unit)
            kept = {"kind": "passkey", "value": _in_base64(given.credential_id), "name": given.name, "items": []}
            row = await _propose(act, unit, kept, public_key=given.public_key, sign_count=given.sign_count)
        return str(row.id)

    async def approve(self, by: Officer, id: str, version: int) -> DesignatedRecord:  # noqa: A002 - as in contracts.Devices
        """Approve a proposed device.

        Raises:
            Conflict: `changed-meanwhile`, `state-not-reachable`, `unit-not-reviewed`.
            Forbidden: `second-person-needed`; and, as CannotDecide, as in Office.by_staff.
        """
        async with self._office.by_staff(by, Power.DEVICE_APPROVE) as act:
            row, unit = await staff_row(act, DESIGNATED, id)
            check_version(row.version, version)
            check_state(row, "proposed")
            if "opening" in self._office.rules.two_people:
                check_second_person(act, row.proposed_by)
            check_ready(unit)
            await _approve(act, row)
            return await DESIGNATED_ENTRIES.one(act, id)

    async def end(self, by: Officer, id: str, reason: str, version: int) -> DesignatedRecord:  # noqa: A002 - as above
        """End a device, or say no to one that is proposed.

        Raises:
            InputRefused: no reason.
            Conflict: `changed-meanwhile`; `state-not-reachable`, it has ended.
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_staff(by, Power.DEVICE_END) as act:
            row, _ = await staff_row(act, DESIGNATED, id)
            check_version(row.version, version)
            check_state(row, "proposed", "live")
            await end_row(act, DESIGNATED, row, "device.ended", reason)
            return await DESIGNATED_ENTRIES.one(act, id)

    async def drop(self, owner: Owner, id: str, reason: str) -> DesignatedRecord:  # noqa: A002 - as above
        """The unit ends one of its devices (a computer is gone).

        Raises:
            InputRefused: no reason.
            Conflict: `state-not-reachable`, it has ended.
            Forbidden: `not-yours`.
            CannotDecide: as in Office.by_staff.
        """
        reason = read_reason(reason)
        async with self._office.by_owner(owner.human) as act:
            row, _ = await owner_row(act, DESIGNATED, id, owner)
            check_state(row, "proposed", "live")
            await end_row(act, DESIGNATED, row, "device.dropped", reason)
            return await DESIGNATED_ENTRIES.one(act, id)

    async def not_ended(self, by: Officer, party: str) -> list[DesignatedRecord]:
        """A unit's devices but those that ended, MOST_DESIGNATED at most, the newest first. The unit sees who looked.

        Raises:
            Forbidden, CannotDecide: as in Office.by_staff.
        """
        async with looking(self._office, by, party) as (connection, unit):
            kept = (DESIGNATED.c.party_id == unit.id) & (DESIGNATED.c.state != "ended")
            return await self._entries.all(connection, kept)

    async def of(self, owner: Owner, page: int = 1) -> Page[DesignatedRecord]:
        """A page, from 1, of the devices of the owner's unit, the newest first, also those that ended.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            return await self._entries.page(connection, owned(DESIGNATED, owner), page)

    async def passkeys(self, owner: Owner) -> list[PasskeyRecord]:
        """The live passkeys of the owner's unit, to check an assertion with.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        question = select(DESIGNATED).where(
            owned(DESIGNATED, owner), DESIGNATED.c.kind == "passkey", DESIGNATED.c.state == "live"
        )
        async with self._office.database.reading() as connection:
            rows = (await connection.execute(question.order_by(DESIGNATED.c.id))).all()
        return [PasskeyRecord(row.id, _from_base64(row.value), row.public_key, row.sign_count) for row in rows]

    async def note_use(self, owner: Owner, id: str, sign_count: int) -> None:  # noqa: A002 - as above
        """Note the counter of an assertion that was checked (WebAuthn Level 2 §6.1.1, §7.2 step 21).

        A counter that did not go up means that somebody has a copy of the key. That is refused and goes into the
        history; the device stays, as nobody can tell which of the two is the copy.

        Raises:
            Conflict: `passkey-cloned`; `state-not-reachable`, it is not live.
            Forbidden: `not-yours`.
            CannotDecide: as in Office.by_staff.
        """
        async with self._office.by_owner(owner.human) as act:
            row, _ = await owner_row(act, DESIGNATED, id, owner)
            if row.kind != "passkey":
                raise not_yours()
            check_state(row, "live")
            counts = sign_count or row.sign_count
            cloned = bool(counts) and sign_count <= row.sign_count
            if cloned:
                await act.note("device.clone-suspected", row.id, party=row.party_id)
            elif counts:
                noting = update(DESIGNATED).where(DESIGNATED.c.id == row.id)
                await act.connection.execute(noting.values(sign_count=sign_count))
        if cloned:
            raise _cloned()


def _read_value(given: DeviceInput, rules: Rules) -> str:
    """The value in its one form."""
    problems = [
        FieldProblem(f"items.{place}", _NO_ITEM) for place, code in enumerate(given.items) if code not in rules.items
    ]
    value = ""
    try:
        value = read_fingerprint(given.value) if given.kind == "certificate" else read_network(given.value)
    except CodeError as error:
        problems.append(FieldProblem("value", error.title))
    if problems:
        raise InputRefused(*problems)
    return value


async def _propose(
    act: Act, unit: Party, kept: dict[str, Any], *, public_key: bytes | None = None, sign_count: int = 0
) -> Row[Any]:
    await _require_room(act, unit.id, kept["kind"], kept["value"])
    values = kept | {
        "id": new_id(),
        "party_id": unit.id,
        "state": "proposed",
        "version": 1,
    }
    values |= {"public_key": public_key, "sign_count": sign_count}
    values |= {"proposed_at": act.now, "proposed_by": act.by.subject}
    row: Row[Any] = (await act.connection.execute(insert(DESIGNATED).values(**values).returning(DESIGNATED))).one()
    await act.note("device.proposed", row.id, party=unit.id, kind=row.kind)
    return row


async def _require_room(act: Act, party: str, kind: str, value: str) -> None:
    of_unit = (DESIGNATED.c.party_id == party, DESIGNATED.c.state != "ended")
    same = select(DESIGNATED.c.id).where(*of_unit, DESIGNATED.c.kind == kind, DESIGNATED.c.value == value)
    if (await act.connection.execute(same)).first() is not None:
        raise Conflict(
            "designated already",
            code="device-known",
            title=("该设备已登记。", "This device is designated already, or waits to be approved."),
        )
    count = await act.connection.scalar(select(func.count()).select_from(DESIGNATED).where(*of_unit))
    if count is not None and count >= MOST_DESIGNATED:
        raise Conflict(
            f"{MOST_DESIGNATED} designated devices of one unit",
            code="too-many-devices",
            title=(
                "登记的设备过多，请先移除不用的设备。",
                "Too many devices are enrolled. Remove one that you no longer use.",
            ),
        )


async def _approve(act: Act, row: Row[Any]) -> None:
    values = {"state": "live", "approved_at": act.now, "approved_post": act.staff.post}
    await change_row(act, DESIGNATED, row, "device.approved", values)


def _question(condition: ColumnElement[bool]) -> Select[Any]:
    return select(DESIGNATED).where(condition).order_by(DESIGNATED.c.proposed_at.desc(), DESIGNATED.c.id)


def _read(row: Row[Any]) -> DesignatedRecord:
    return DesignatedRecord(
        row.id, row.party_id, row.kind, row.value, row.name, tuple(row.items), row.state, row.proposed_at,
        row.proposed_by, row.approved_at, row.ended_at, row.ended_reason, row.version,
    )  # fmt: skip


DESIGNATED_ENTRIES = Entries(DESIGNATED, _question, _read)


def _in_base64(credential_id: bytes) -> str:
    return base64.urlsafe_b64encode(credential_id).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _cloned() -> Conflict:
    return Conflict(
        "the counter of the passkey did not go up",
        code="passkey-cloned",
        title=(
            "该通行密钥可能已被复制，请联系经办机构。",
            "The passkey may have been copied. Please tell the agency's staff.",
        ),
    )


_NO_ITEM = ("没有该事项。", "There is no such item.")

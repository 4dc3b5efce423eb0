"""Designated devices: certificates, addresses and passkeys of a unit's computers, and keys that somebody copied."""

import os

from sqlalchemy import insert, select

from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.office_tables import DESIGNATED
from gateway.ledger.values import Owner
from tests.ledger.grants_world import PENSION, refused
from tests.ledger.office_world import ISSUER, seed_staff

FINGERPRINT = "AB" * 32


def device(kind="certificate", value=FINGERPRINT, **more) -> DeviceInput:
    return DeviceInput(kind=kind, value=value, **{"name": "一号柜台"} | more)


async def passkey(scene, unit, *, counter: int = 0) -> str:
    """A live passkey of a unit; gives its id."""
    id_ = await scene.devices.propose_passkey(unit.owners[0], os.urandom(32), b"key", counter, "财务室")
    await scene.devices.approve(scene.reviewer, id_, 1)
    return id_


async def test_a_device_is_live_when_a_second_person_has_approved_it(scene):
    unit = await scene.unit()
    written = ":".join([FINGERPRINT[:2]] * 32)
    proposed = await scene.devices.register(scene.reviewer, unit.id, device(value=written, items=[PENSION, PENSION]))
    assert (proposed.state, proposed.value, proposed.items) == ("proposed", "ab" * 32, (PENSION,))
    with refused("second-person-needed"):
        await scene.devices.approve(scene.reviewer, proposed.id, proposed.version)
    with refused("not-your-role"):
        await scene.devices.approve(scene.clerk, proposed.id, proposed.version)
    assert (await scene.facts(unit.id)).devices == ()
    other = await seed_staff(scene.office, "reviewer")
    await scene.devices.approve(other, proposed.id, proposed.version)
    [fact] = (await scene.facts(unit.id)).devices
    assert (fact.id, fact.kind, fact.value, fact.items) == (proposed.id, "certificate", "ab" * 32, (PENSION,))
    with refused("changed-meanwhile"):
        await scene.devices.approve(other, proposed.id, proposed.version)
    assert await scene.history(proposed.id) == ["device.proposed", "device.approved"]


async def test_where_one_person_is_enough_a_device_is_live_at_once_but_no_passkey_is(scene):
    scene.rule(two_people=frozenset())
    unit = await scene.unit()
    live = await scene.devices.register(scene.clerk, unit.id, device("network", "10.1.2.3/24"))
    assert (live.state, live.value) == ("live", "10.1.2.0/24")
    id_ = await scene.devices.propose_passkey(unit.owners[0], b"id", b"key", 0, "财务室")
    assert await scene.devices.passkeys(unit.owners[0]) == []
    await scene.devices.approve(scene.reviewer, id_, 1)
    [key] = await scene.devices.passkeys(unit.owners[0])
    assert (key.id, key.credential_id, key.public_key, key.sign_count) == (id_, b"id", b"key", 0)


WRONG = [
    (device(value="abc"), ["value"]),
    (device("network", "10.0.0.0/8"), ["value"]),
    (device(items=[PENSION, "no-item"]), ["items.1"]),
    (device("network", "x", items=["no-item"]), ["items.0", "value"]),
]


async def test_what_is_no_device_is_told_by_its_field(scene):
    for given, fields in WRONG:
        with refused("input-refused", *fields):
            await scene.devices.register(scene.clerk, "any", given)


async def test_a_device_is_designated_once_until_it_is_ended(scene):
    unit, other = await scene.unit(), await scene.unit()
    first = await scene.devices.register(scene.clerk, unit.id, device())
    with refused("device-known"):
        await scene.devices.register(scene.clerk, unit.id, device(value=FINGERPRINT.lower()))
    await scene.devices.register(scene.clerk, other.id, device())
    ended = await scene.devices.end(scene.clerk, first.id, "证书到期", first.version)
    assert (ended.state, ended.ended_reason) == ("ended", "证书到期")
    with refused("state-not-reachable"):
        await scene.devices.end(scene.clerk, first.id, "证书到期", ended.version)
    await scene.devices.register(scene.clerk, unit.id, device())


async def test_a_unit_has_a_bounded_number_of_devices(scene):
    unit = await scene.unit()
    first = await scene.devices.register(scene.clerk, unit.id, device())
    async with scene.office.by_itself() as act:
        row = (await act.connection.execute(select(DESIGNATED).where(DESIGNATED.c.id == first.id))).one()
        more = [dict(row._mapping) | {"id": f"{row.id[:20]}{number}", "value": str(number)} for number in range(49)]
        await act.connection.execute(insert(DESIGNATED), more)
    with refused("too-many-devices"):
        await scene.devices.propose_passkey(unit.owners[0], b"id", b"key", 0, "财务室")


async def test_only_units_that_were_reviewed_have_devices(scene):
    unit = await scene.unit("applied")
    with refused("unit-not-reviewed"):
        await scene.devices.register(scene.clerk, unit.id, device())
    with refused("unit-not-reviewed"):
        await scene.devices.propose_passkey(unit.owners[0], b"id", b"key", 0, "财务室")
    with refused("not-yours"):
        await scene.devices.propose_passkey(Owner(ISSUER, "unknown", "legal", "x"), b"id", b"key", 0, "财务室")


NO_PASSKEYS = [
    ((b"", b"key", 0, "x"), "credential_id"),
    ((b"i" * 1024, b"key", 0, "x"), "credential_id"),
    ((b"id", b"", 0, "x"), "public_key"),
    ((b"id", b"key", -1, "x"), "sign_count"),
    ((b"id", b"key", 0, " "), "name"),
]


async def test_a_passkey_that_cannot_be_one_is_not_kept(scene):
    for wrong, field in NO_PASSKEYS:
        with refused("input-refused", field):
            await scene.devices.propose_passkey(Owner(ISSUER, "any", "legal", "x"), *wrong)


async def test_a_unit_drops_its_own_devices_alone_and_sees_them_alone(scene):
    unit, other = await scene.unit(), await scene.unit()
    id_ = await passkey(scene, unit)
    for step in (scene.devices.drop(other.owners[0], id_, "坏了"), scene.devices.note_use(other.owners[0], id_, 1)):
        with refused("not-yours"):
            await step
    assert (await scene.devices.of(other.owners[0])).found == await scene.devices.passkeys(other.owners[0]) == []
    dropped = await scene.devices.drop(unit.owners[1], id_, "电脑报废")
    assert dropped.state == "ended"
    assert (await scene.devices.of(unit.owners[0])).found == [dropped]
    assert await scene.devices.passkeys(unit.owners[0]) == []
    assert (await scene.facts(unit.id)).devices == ()


async def test_staff_of_another_region_designate_nothing(scene):
    unit, elsewhere = await scene.unit(), await seed_staff(scene.office, "reviewer", "3502")
    id_ = await scene.devices.propose_passkey(unit.owners[0], b"id", b"key", 0, "财务室")
    for step in (
        scene.devices.register(elsewhere, unit.id, device()),
        scene.devices.approve(elsewhere, id_, 1),
        scene.devices.end(elsewhere, id_, "不对", 1),
        scene.devices.of_party(elsewhere, unit.id),
    ):
        with refused("not-your-region"):
            await step
    assert [one.id for one in (await scene.devices.of_party(scene.clerk, unit.id)).found] == [id_]
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]


COUNTERS = [(0, [0, 0], None), (0, [5, 6], None), (5, [6], 6), (5, [], 5), (5, [], 0)]
"""That of the registration, those of good assertions, that of a bad one."""


async def test_a_counter_that_does_not_go_up_means_a_copy_of_the_key(scene):
    """Authenticators that never count say 0 forever. The device stays, and the history has what was suspected."""
    unit = await scene.unit()
    for first, seen, cloned in COUNTERS:
        id_ = await passkey(scene, unit, counter=first)
        for counter in seen:
            await scene.devices.note_use(unit.owners[1], id_, counter)
        if cloned is not None:
            with refused("passkey-cloned"):
                await scene.devices.note_use(unit.owners[1], id_, cloned)
            assert (await scene.history(id_))[-1] == "device.clone-suspected"
        keys = {key.id: key.sign_count for key in await scene.devices.passkeys(unit.owners[0])}
        assert keys[id_] == max([first, *seen])


async def test_what_is_no_live_passkey_is_not_used_as_one(scene):
    unit = await scene.unit()
    certificate = await scene.devices.register(scene.clerk, unit.id, device())
    proposed = await scene.devices.propose_passkey(unit.owners[0], b"id", b"key", 0, "财务室")
    with refused("not-yours"):
        await scene.devices.note_use(unit.owners[0], certificate.id, 1)
    with refused("state-not-reachable"):
        await scene.devices.note_use(unit.owners[0], proposed, 1)

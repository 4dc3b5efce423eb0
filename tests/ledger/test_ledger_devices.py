"""Devices: whose they are, and that a removed one is known to every worker within a second."""

import asyncio
import time

import msgspec
import pytest

from gateway.errors import Conflict, SignInMalformed
from gateway.facts import Device
from gateway.ledger import open_ledger
from gateway.ledger.devices import BELIEVED, MOST_DEVICES
from gateway.ledger.values import Change, Person
from tests.plugin_world import NOW
from tests.plugins.signing import DEVICE_ALGORITHMS, SIGNERS

PROVINCE = "https://id.province.example"
KEY = SIGNERS["ed25519"].raw
each_algorithm = pytest.mark.parametrize("algorithm", DEVICE_ALGORITHMS)


async def enrol(ledger, subject: str = "ann", name: str = "手机") -> Device:
    return await ledger.devices.enrol("ed25519", KEY, name, PROVINCE, subject)


@each_algorithm
async def test_an_enrolled_device_is_found_on_every_worker(make_ledger, algorithm):
    one, other = await make_ledger(), await make_ledger()
    device = await one.devices.enrol(algorithm, SIGNERS[algorithm].raw, "手机", PROVINCE, "ann")
    assert msgspec.structs.replace(device, id="") == Device("", algorithm, SIGNERS[algorithm].raw, PROVINCE, "ann")
    assert await one.devices.find(device.id) == device
    assert await other.devices.find(device.id) == device


async def test_a_device_that_nobody_enrolled_is_not_found(ledger):
    assert await ledger.devices.find("nobody") is None


async def test_a_person_sees_her_own_devices(ledger, clock):
    first = await enrol(ledger)
    clock.advance(1)
    second = await enrol(ledger, name="tablet")
    await enrol(ledger, "ben")
    seen = await ledger.devices.of(PROVINCE, "ann")
    assert [(one.id, one.name, one.created_at) for one in seen] == [
        (first.id, "手机", NOW),
        (second.id, "tablet", NOW + 1),
    ]


async def test_only_its_owner_removes_a_device(ledger):
    device = await enrol(ledger)
    assert not await ledger.devices.remove(device.id, PROVINCE, "ben")
    assert not await ledger.devices.remove(device.id, "https://id.other.example", "ann")
    assert await ledger.devices.find(device.id) == device
    assert await ledger.devices.remove(device.id, PROVINCE, "ann")
    assert await ledger.devices.find(device.id) is None
    assert not await ledger.devices.remove(device.id, PROVINCE, "ann")
    ann = Person(PROVINCE, "ann")
    assert await ledger.history.of(device.id) == [
        Change(NOW, ann, "device.enrolled", device.id),
        Change(NOW, ann, "device.removed", device.id),
    ]


async def test_another_worker_believes_a_removed_device_for_half_a_second_at_most(make_ledger, clock):
    one, other = await make_ledger(), await make_ledger()
    device = await enrol(one)
    assert await other.devices.find(device.id) == device
    await one.devices.remove(device.id, PROVINCE, "ann")
    clock.advance(BELIEVED - 0.01)
    assert await other.devices.find(device.id) == device, "otherwise each request would ask the database"
    clock.advance(0.01)
    assert await other.devices.find(device.id) is None


async def test_a_removal_reaches_another_worker_within_one_second_of_real_time(tmp_path):
    one, other = (open_ledger("sqlite:///ledger.db", tmp_path) for _ in range(2))
    await one.start()
    await other.start()
    try:
        device = await enrol(one)
        assert await other.devices.find(device.id) == device
        await one.devices.remove(device.id, PROVINCE, "ann")
        removed = time.monotonic()
        for _ in range(500):
            if await other.devices.find(device.id) is None:
                break
            await asyncio.sleep(0.01)
        assert await other.devices.find(device.id) is None
        assert time.monotonic() - removed < 1
    finally:
        await one.close()
        await other.close()


async def test_a_removal_drops_what_is_being_read_meanwhile(ledger):
    """The reading began before the removal and ends after it: its answer is not remembered."""
    device = await enrol(ledger)
    asked = [asyncio.create_task(ledger.devices.find(device.id)) for _ in range(5)]
    await asyncio.sleep(0)
    await ledger.devices.remove(device.id, PROVINCE, "ann")
    await asyncio.gather(*asked)
    assert await ledger.devices.find(device.id) is None


async def test_somebody_who_leaves_takes_the_answer_from_nobody(ledger):
    device = await enrol(ledger)
    leaves, stays = (asyncio.create_task(ledger.devices.find(device.id)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    assert await stays == device


NO_KEYS = {
    "nothing": b"",
    "zeros": b"\0" * 32,
    "small order": b"\1" + b"\0" * 31,
    "no point": b"\0" * 65,
    "infinity": b"\4" + b"\0" * 64,
    "too large": b"\4" + b"\xff" * 64,
    "compressed": b"\2" * 33,
    "too long": b"\4" * 66,
}


@each_algorithm
async def test_what_is_no_public_key_is_not_enrolled(ledger, algorithm):
    for name, key in NO_KEYS.items():
        with pytest.raises(SignInMalformed):
            await ledger.devices.enrol(algorithm, key, "x", PROVINCE, "ann")
        assert await ledger.devices.of(PROVINCE, "ann") == [], name


OTHER_KEYS = [
    ("sm2", SIGNERS["ecdsa-p256"].raw),
    ("ecdsa-p256", SIGNERS["sm2"].raw),
    ("rsa-sha256", KEY),
    ("hmac-sha256", KEY),
    ("", KEY),
]


async def test_a_key_of_another_algorithm_is_not_enrolled(ledger):
    for algorithm, key in OTHER_KEYS:
        with pytest.raises(SignInMalformed):
            await ledger.devices.enrol(algorithm, key, "x", PROVINCE, "ann")


async def test_a_device_has_a_name_that_can_be_shown(ledger):
    for name in ("", " ", "a\nb", "\x1b[31m", "x" * 65):
        with pytest.raises(SignInMalformed):
            await enrol(ledger, name=name)


async def test_a_person_has_a_bounded_number_of_devices(ledger):
    devices = [await enrol(ledger) for _ in range(MOST_DEVICES)]
    with pytest.raises(Conflict) as caught:
        await enrol(ledger)
    assert caught.value.code == "too-many-devices"
    await ledger.devices.remove(devices[0].id, PROVINCE, "ann")
    assert await enrol(ledger) is not None

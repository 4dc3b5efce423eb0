"""Everything of one record, read at once: what its parts say, in one transaction, and one look that its owner sees."""

import pytest

from gateway.ledger.applications import Applications
from gateway.ledger.changes import History
from gateway.ledger.dossier import LISTS, Dossiers
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from tests.ledger.grants_world import claim, new_number, refused
from tests.ledger.office_world import counted_writes, seed_staff

FIRST = dict.fromkeys(LISTS, 1)
"""The first page of each list."""


@pytest.fixture
def dossiers(scene) -> Dossiers:
    return Dossiers(scene.office)


async def test_a_dossier_says_what_its_parts_say(scene, dossiers):
    unit = await scene.unit()
    grant, binding = await scene.granted(unit), await scene.bound(unit, new_number())
    appeal = await scene.appeals.open(unit.owners[0], claim(new_number()))
    office, by = scene.office, scene.clerk
    read = await dossiers.read(by, unit.id, FIRST)
    assert read.detail == await Parties(office).find(by, unit.id)
    assert read.applications == await Applications(office).of_party(by, unit.id)
    assert read.operators == await Operators(office).of_party(by, unit.id)
    assert read.devices == await scene.devices.of_party(by, unit.id)
    assert (read.grants.found, read.bindings.found, read.appeals.found) == ([grant], [binding], [appeal])
    assert read.history == await History(office).of_party(by, unit.id)


async def test_each_list_of_a_dossier_is_turned_by_itself(scene, dossiers):
    unit = await scene.unit()
    for name in LISTS:
        turned = FIRST | {name: 2}
        read = await dossiers.read(scene.clerk, unit.id, turned)
        assert {one: getattr(read, one).page for one in LISTS} == turned


async def test_a_dossier_is_one_transaction_and_one_look(scene, dossiers):
    unit = await scene.unit()
    with counted_writes(scene.office) as writes:
        await dossiers.read(scene.clerk, unit.id, FIRST)
    assert len(writes) == 1
    assert await scene.looks(unit.id) == [(scene.clerk.staff, "unit")]


async def test_who_may_not_see_a_dossier_has_not_looked(scene, dossiers):
    unit = await scene.unit()
    with refused("not-your-region"):
        await dossiers.read(await seed_staff(scene.office, "clerk", "99"), unit.id, FIRST)
    with refused("not-your-role"):
        await dossiers.read(await seed_staff(scene.office, "audit", ""), unit.id, FIRST)
    assert await scene.looks(unit.id) == []


async def test_a_dossier_that_could_not_be_read_to_its_end_was_not_looked_at(scene, dossiers):
    """Nobody was shown anything: the look is taken back with the transaction."""
    unit = await scene.unit()
    with pytest.raises(TypeError):
        await dossiers.read(scene.clerk, unit.id, FIRST | {"history": "two"})
    assert await scene.looks(unit.id) == []

"""Who did what and who looked: as staff, auditors and owners may read it."""

from datetime import date

import pytest

from gateway.errors import Forbidden
from gateway.ledger.acting import ITSELF
from gateway.ledger.history import note_change
from gateway.ledger.inputs.units import HistoryInput
from gateway.ledger.values import Person
from gateway.signin import ChannelAccount
from tests.ledger.office_world import ISSUER
from tests.ledger.units_world import applied_for, owner_of, shared, shared_url, why, world

__all__ = ["shared", "shared_url", "world"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIDNIGHT = 1700064000.0
"""2023-11-16 00:00 in China, where it still is the day before in London."""


async def actions(world, by, **asked) -> list[str]:
    return [entry.action for entry in (await world.history.everything(by, HistoryInput(**asked))).found]


async def test_staff_read_the_history_of_a_record_of_their_region_and_the_owner_sees_that(world):
    party, subject = await world.unit("reviewed")
    reviewer = await world.staff()
    await world.parties.suspend(reviewer, party, why(reason="年检未过"))
    page = await world.history.of_party(reviewer, party)
    suspended, created = page.found
    assert (suspended.by, suspended.role, suspended.region) == (reviewer.name, "reviewer", world.scope)
    assert suspended.detail == {"before": "reviewed", "after": "suspended", "reason": "年检未过"}
    assert (created.by, created.role, page.total) == ("gateway", None, 2)
    assert [look.what for look in (await world.looks.of(owner_of(subject))).found] == ["unit"]
    for stranger, code in (
        (await world.staff(scope="99"), "not-your-region"),
        (await world.staff("audit"), "not-your-role"),
    ):
        with pytest.raises(Forbidden) as caught:
            await world.history.of_party(stranger, party)
        assert caught.value.code == code


async def test_an_auditor_with_a_region_reads_what_concerns_its_records_alone(world):
    reviewer, elsewhere = await world.staff(), await world.staff(scope=f"9{world.scope}")
    party, _ = await world.unit("reviewed")
    other, _ = await world.unit("reviewed", region=f"9{world.scope}0")
    await world.parties.suspend(reviewer, party, why())
    await world.parties.suspend(elsewhere, other, why())
    async with world.office.by_itself() as act:
        await act.note("staff.created", reviewer.staff)
    assert await actions(world, await world.staff("audit")) == ["party.suspended", "party.created"]
    whole = await world.staff("audit", "")
    assert await actions(world, whole, subject=elsewhere.login) == ["party.suspended"]
    assert await actions(world, whole, action="staff.created") != []


async def test_an_auditor_finds_by_action_person_and_day(world):
    party, _ = await world.unit("reviewed")
    reviewer, auditor = await world.staff(), await world.staff("audit")
    world.clock.wall = MIDNIGHT - 1
    await world.parties.suspend(reviewer, party, why())
    world.clock.advance(1)
    await world.parties.resume(reviewer, party, why(2))
    for asked, expected in (
        ({"action": "party.r"}, ["party.resumed"]),
        ({"action": "r.suspended"}, []),
        ({"subject": reviewer.login}, ["party.resumed", "party.suspended"]),
        ({"subject": reviewer.staff}, ["party.resumed", "party.suspended"]),
        ({"subject": "gateway"}, ["party.created"]),
        ({"since": date(2023, 11, 16)}, ["party.resumed"]),
        ({"since": date(2023, 11, 15), "until": date(2023, 11, 15)}, ["party.suspended", "party.created"]),
        ({"until": date(2023, 11, 14)}, []),
    ):
        found = await actions(world, auditor, **asked)
        assert found == expected, asked


@pytest.mark.parametrize("role", ["system", "security", "clerk", "reviewer"])
async def test_nobody_else_reads_everything(world, role):
    with pytest.raises(Forbidden) as caught:
        await world.history.everything(await world.staff(role, ""), HistoryInput())
    assert caught.value.code == "not-your-role"


async def test_an_owner_reads_what_happened_to_her_record_and_her_links_with_staff_masked(world):
    party, subject = await world.unit()
    clerk = await world.staff("clerk")
    await world.applications.record(clerk, party, applied_for())
    async with world.office.database.writing() as connection:
        await note_change(connection, world.clock.wall, Person(ISSUER, subject), "device.enrolled", "device-1")
        await note_change(connection, world.clock.wall, Person(ISSUER, "another"), "device.enrolled", "device-2")
    page = await world.history.mine(owner_of(subject))
    assert [entry.action for entry in page.found] == [
        "device.enrolled", "party.applied", "application.received", "party.created",
    ]  # fmt: skip
    assert page.found[1].by == clerk.name[0] + "*" * (len(clerk.name) - 1)
    assert (await world.history.mine(owner_of("nobody"))).found == []


async def test_a_row_has_its_own_history_in_order(world):
    party, _ = await world.unit("reviewed")
    await world.parties.suspend(await world.staff(), party, why())
    created, suspended = await world.history.of(party)
    assert (created.action, created.by, suspended.action) == ("party.created", ITSELF, "party.suspended")


async def test_an_owner_sees_who_looked_at_what_and_when_but_no_whole_names(world):
    party, subject = await world.unit("reviewed")
    reviewer = await world.staff()
    await world.parties.find(reviewer, party)
    world.clock.advance(60)
    await world.operators.of_party(reviewer, party)
    page = await world.looks.of(owner_of(subject))
    assert [(look.what, look.at) for look in page.found] == [
        ("unit", world.clock.wall),
        ("unit", world.clock.wall - 60),
    ]
    assert {(look.role, look.region) for look in page.found} == {("reviewer", world.scope)}
    assert reviewer.name not in {look.staff for look in page.found}
    assert (page.total, page.more) == (2, False)
    assert (await world.looks.of(owner_of(subject, kind="natural"))).found == []


async def test_looks_of_one_post_within_a_minute_are_one_and_those_of_another_post_are_not(world):
    """A page asks for a record in several parts; that is no more than one look."""
    party, subject = await world.unit("reviewed")
    reviewer, other = await world.staff(), await world.staff()
    await world.parties.find(reviewer, party)
    world.clock.advance(59)
    await world.operators.of_party(reviewer, party)
    await world.applications.of_party(reviewer, party)
    await world.parties.find(other, party)
    found = (await world.looks.of(owner_of(subject))).found
    assert [look.at for look in found] == [world.clock.wall, world.clock.wall - 59]


async def test_a_look_that_is_refused_is_none(world):
    party, subject = await world.unit()
    with pytest.raises(Forbidden):
        await world.parties.find(await world.staff(scope="99"), party)
    assert (await world.looks.of(owner_of(subject))).found == []


async def test_links_of_channels_stand_in_the_history_as_before(shared):
    link = await shared.links.link(ChannelAccount("wechat", "wx1", "openid-of-ann"), ISSUER, "ann")
    assert [change.action for change in await shared.history.of(link.id)] == ["channel-link.created"]
    assert [entry.entry for entry in (await shared.history.mine(owner_of("ann", None, "natural"))).found] == [link.id]

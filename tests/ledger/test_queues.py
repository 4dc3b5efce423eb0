"""What waits: within the region, the longest first, and whether whoever asks may decide it herself."""

import pytest
from sqlalchemy import insert

from gateway.errors import Forbidden
from gateway.ledger.acting import new_id
from gateway.ledger.office_tables import APPEALS, APPLICATIONS
from gateway.ledger.queues import MOST_SHOWN
from gateway.ledger.rules import Rules
from tests.ledger.units_world import ITEMS, applied_for, shared, shared_url, verdict, world

__all__ = ["shared", "shared_url", "world"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUEUES = ("applications", "grants", "bindings", "devices", "appeals")


async def seed_appeal(world, party: str) -> str:
    appeal = new_id()
    async with world.office.by_itself() as act:
        await act.connection.execute(
            insert(APPEALS).values(
                id=appeal, party_id=party, system="pension", local_id="1", reason="样例", state="open",
                opened_at=world.clock.wall, opened_by="operator-a", version=1,
            )
        )  # fmt: skip
    return appeal


async def test_everything_that_waits_is_there_and_nothing_that_does_not(world):
    reviewer, clerk, other = await world.staff(), await world.staff("clerk"), await world.staff()
    party, _ = await world.unit("reviewed")
    decided, _ = await world.unit("new")
    entries = await world.entries(reviewer, party, state="proposed")
    application = await world.applications.record(clerk, party, applied_for())
    done = await world.applications.record(clerk, decided, applied_for())
    await world.applications.review(reviewer, done.id, verdict())
    appeal = await seed_appeal(world, party)
    pending = await world.queues.pending(other)
    expected = [application.id, entries["grant"], entries["binding"], entries["device"], appeal]
    for queue, id_ in zip(QUEUES, expected, strict=True):
        found = getattr(pending, queue)
        [waiting] = found.first
        assert (found.total, waiting.id, waiting.party) == (1, id_, party)
        assert (waiting.name, waiting.since, waiting.mine) == ("样例一有限公司", world.clock.wall, True)
    assert pending.applications.first[0].proposed_by == clerk.name
    assert pending.appeals.first[0].proposed_by is None
    assert "样例" not in repr(pending.appeals.first)


async def mine(world, officer) -> list[bool]:
    pending = await world.queues.pending(officer)
    return [getattr(pending, queue).first[0].mine for queue in QUEUES[1:4]]


async def test_nobody_is_told_to_decide_what_she_may_not(world):
    """Not what she proposed, not as a clerk, and no grant that reaches beyond her region."""
    proposer = await world.staff()
    party, _ = await world.unit("reviewed")
    await world.entries(proposer, party, state="proposed")
    assert await mine(world, proposer) == [False, False, False]
    assert await mine(world, await world.staff("clerk")) == [False, False, False]
    assert await mine(world, await world.staff(scope=world.region)) == [False, True, True]
    world.office.rules = Rules(ITEMS, two_people=frozenset())
    assert await mine(world, proposer) == [False, False, True]


async def test_other_regions_wait_elsewhere_and_administrators_have_no_queue(world):
    party, _ = await world.unit("reviewed")
    await world.entries(await world.staff(), party, state="proposed")
    pending = await world.queues.pending(await world.staff(scope="99"))
    assert {getattr(pending, queue).total for queue in QUEUES} == {0}
    for role in ("system", "security", "audit"):
        with pytest.raises(Forbidden):
            await world.queues.pending(await world.staff(role))


async def test_the_longest_wait_comes_first_and_a_long_queue_is_counted_whole(world):
    clerk, parties = await world.staff("clerk"), await world.units(MOST_SHOWN + 1)
    columns = {"items": [], "note": "", "state": "received", "two_people": True, "version": 1}
    columns |= {"proposed_post": clerk.post, "proposed_staff": clerk.staff}
    rows = [
        columns | {"id": new_id(), "party_id": party, "proposed_at": float(1000 - place)}
        for place, party in enumerate(parties)
    ]
    async with world.office.by_itself() as act:
        await act.connection.execute(insert(APPLICATIONS), rows)
    waiting = (await world.queues.pending(await world.staff())).applications
    assert [one.party for one in waiting.first] == parties[:0:-1]
    assert waiting.total == MOST_SHOWN + 1

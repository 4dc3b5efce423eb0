"""The first visit: one record however many requests, known here at once, and not more at a time than can be written."""

import asyncio

import pytest

from gateway.errors import CannotDecide, Overloaded
from gateway.ledger.view import MOST_WAITING
from tests.ledger.office_world import ISSUER, seed_unit
from tests.ledger.view_world import all_facts, until, visitor

ONE = "91350100M000100Y43"


async def test_who_was_recorded_is_known_here_at_once_and_soon_everywhere(make_ledger):
    here, elsewhere = await make_ledger(), await make_ledger()
    await here.view.follow()
    await elsewhere.view.follow()
    facts = await here.view.register(visitor(ONE))
    assert (facts.kind, facts.state) == ("legal", "new")
    assert here.view.facts(ISSUER, ONE) == facts
    assert await until(lambda: elsewhere.view.facts(ISSUER, ONE) == facts) < 1.0


async def test_many_requests_of_a_new_person_in_many_workers_make_one_record(make_ledger):
    ledgers = [await make_ledger() for _ in range(3)]
    said = await asyncio.gather(*(ledger.view.register(visitor(ONE)) for ledger in ledgers for _ in range(10)))
    assert len({facts.party for facts in said}) == 1
    assert len(await all_facts(ledgers[0])) == 1


async def test_a_record_that_is_there_is_found(ledger):
    party = await seed_unit(ledger.office, ONE, state="bound")
    await ledger.view.follow()
    facts = await ledger.view.register(visitor(ONE))
    assert (facts.party, facts.state) == (party, "bound")


async def test_a_client_that_leaves_takes_the_record_from_nobody(ledger):
    await ledger.view.follow()
    leaving, staying = (asyncio.create_task(ledger.view.register(visitor(ONE))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).state == "new"


async def test_a_flood_of_new_people_is_told_to_come_later_and_those_in_line_have_their_turn(ledger):
    await ledger.view.follow()
    async with ledger.view._turn:
        inside = [asyncio.create_task(ledger.view.register(visitor(f"unit-{one}"))) for one in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await ledger.view.register(visitor("one-more"))
        assert (caught.value.status, caught.value.retry_after) == (503, 1.0)
        again = asyncio.create_task(ledger.view.register(visitor("unit-0")))
        await asyncio.sleep(0)
    said = await asyncio.gather(*inside, return_exceptions=True)
    assert {type(one) for one in said} <= {type(await again), Overloaded}
    assert said[0] == await again
    assert (await ledger.view.register(visitor("one-more"))).state == "new"


async def test_a_ledger_that_cannot_be_written_records_nobody(make_ledger):
    ledger, other = await make_ledger(), await make_ledger()
    await ledger.view.follow()
    async with other.database.writing():
        with pytest.raises(CannotDecide):
            await ledger.view.register(visitor(ONE))
    assert ledger.view.facts(ISSUER, ONE) is None
    assert (await ledger.view.register(visitor(ONE))).state == "new"

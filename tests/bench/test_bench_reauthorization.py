"""bench/ledgers.py and bench/chains.py: what is asked by is a ledger as the product writes it, and it says yes."""

import asyncio

import msgspec
import pytest
from sqlalchemy import select

from bench.chains import CHAIN, time_chain
from bench.contestants.tongguan_files import GUIDE
from bench.ledgers import GRANTS_OF_UNIT, UNITS, make_ledger
from gateway.errors import Forbidden
from gateway.ledger import open_ledger
from gateway.ledger.facts import read_facts, refresh_facts
from gateway.ledger.office_tables import FACTS, PARTIES


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return make_ledger(tmp_path_factory.mktemp("ledgers") / "small", GUIDE, len(UNITS) * GRANTS_OF_UNIT)


def test_four_re_authorizers_let_every_operator_pass_and_are_timed(ledger):
    assert len(CHAIN) == 4
    assert asyncio.run(time_chain(ledger, GUIDE, 500)) > 0


def test_an_item_that_was_not_granted_is_refused(ledger):
    """Else a chain that lets everybody pass would be timed."""
    with pytest.raises(Forbidden):
        asyncio.run(time_chain(ledger, "another-item", 1))


def test_the_facts_are_those_that_the_product_makes_of_the_rows(ledger):
    before, after = asyncio.run(_facts_made_anew(ledger))
    assert _unordered(before) == _unordered(after)


def _unordered(facts):
    return msgspec.structs.replace(facts, grants=frozenset(facts.grants))


async def _facts_made_anew(file):
    opened = open_ledger(f"sqlite:///{file}", file.parent)
    await opened.start()
    try:
        async with opened.database.writing() as connection:
            party = await connection.scalar(select(PARTIES.c.id).where(PARTIES.c.subject == UNITS[7]))
            bodies = select(FACTS.c.body).where(FACTS.c.party_id == party)
            before = await connection.scalar(bodies)
            await refresh_facts(connection, party)
            return read_facts(before), read_facts(await connection.scalar(bodies))
    finally:
        await opened.close()

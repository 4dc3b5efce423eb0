"""The view over a PostgreSQL that is stopped, killed or frozen: closed after a while, and healed in seconds."""

import pytest

from gateway.errors import StateUnavailable
from tests.ledger.office_world import ISSUER, seed_unit
from tests.ledger.view_world import move, state_of, until

pytestmark = pytest.mark.needs("postgres")

ONE = "91350100M000100Y43"
HEALED = 5.0


@pytest.fixture
def ledger_url(postgresql_url):
    return postgresql_url


@pytest.mark.parametrize(("end", "begin"), [("stop", "start"), ("kill", "start"), ("freeze", "resume")])
async def test_a_server_that_is_away_closes_the_view_after_a_while_and_is_heard_when_it_is_back(
    ledger, postgres_server, clock, log, end, begin
):
    party = await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    getattr(postgres_server, end)()
    await until(lambda: "not heard" in str(log.calls))
    clock.advance(5.0)
    assert state_of(ledger.view, ONE) == "new"
    clock.advance(0.1)
    with pytest.raises(StateUnavailable):
        ledger.view.facts(ISSUER, ONE)
    getattr(postgres_server, begin)()
    assert await until(lambda: ledger.view.status()["current"], HEALED) < HEALED
    await move(ledger.office, party, "applied")
    assert await until(lambda: state_of(ledger.view, ONE) == "applied") < 1.0


async def test_a_lost_connection_is_replaced_before_anybody_notices(ledger, postgres_server, ledger_url, log):
    """An administrator, or a firewall, ends it; the server runs on."""
    party = await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    await ledger.database.engine.dispose()
    ended = postgres_server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
        "pg_backend_pid()",
        ledger_url,
    )
    assert len(ended) == 1
    await move(ledger.office, party, "applied")
    assert await until(lambda: state_of(ledger.view, ONE) == "applied") < 1.0
    await until(lambda: "heard again" in str(log.calls))


async def test_what_a_change_does_not_tell_is_found_by_asking(ledger):
    """Some poolers swallow notifications."""
    party = await seed_unit(ledger.office, ONE)
    await ledger.view.follow()
    async with ledger.database.writing() as connection:
        await connection.exec_driver_sql("UPDATE facts SET seq = 2 WHERE seq = 1")
        await connection.exec_driver_sql("UPDATE facts_clock SET seq = 2")
    assert await until(lambda: ledger.view.status()["seq"] == 2) < 1.0
    assert ledger.view.facts(ISSUER, ONE).party == party

"""PostgreSQL that is locked, hangs or is gone: 503 in time, nothing half saved, and all is well when it is back.

A file's failures are in test_ledger_faults.py.
"""

import asyncio
import time
from contextlib import nullcontext

import pytest
from sqlalchemy import text

from gateway.errors import CannotDecide, ConfigurationError
from gateway.ledger import open_ledger
from gateway.ledger.tables import SCHEMA
from gateway.signin import ChannelAccount
from tests.plugins.signing import SIGNERS

pytestmark = pytest.mark.needs("postgres")

PROVINCE = "https://id.province.example"
OPENID = ChannelAccount("wechat", "wx1", "openid-of-ann")


@pytest.fixture
def ledger_url(postgresql_url):
    return postgresql_url


@pytest.fixture
def empty_url(postgres_server):
    url = postgres_server.empty_database()
    yield url
    postgres_server.ensure()
    postgres_server.drop_database(url)


async def enrol(ledger) -> None:
    await ledger.devices.enrol("ed25519", SIGNERS["ed25519"].raw, "x", PROVINCE, "ann")


async def test_an_empty_database_is_not_used_until_the_command(empty_url, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger(empty_url, tmp_path).start()
    assert caught.value.problems[0].endswith("run tongguan db upgrade")
    before, after = await open_ledger(empty_url, tmp_path).upgrade()
    assert (before.found, before.empty, after.found) == (None, True, SCHEMA)
    ledger = open_ledger(empty_url, tmp_path)
    await ledger.start()
    await ledger.close()


async def test_of_two_commands_at_once_one_makes_the_tables(empty_url, tmp_path):
    ended = await asyncio.gather(*(open_ledger(empty_url, tmp_path).upgrade() for _ in range(2)))
    assert {after.found for _, after in ended} == {SCHEMA}


async def test_a_locked_database_is_told_within_a_second_or_so_and_reading_goes_on(make_ledger):
    """Another worker writes and does not end."""
    one, other = await make_ledger(), await make_ledger()
    await enrol(one)
    async with other.database.writing():
        began = time.monotonic()
        with pytest.raises(CannotDecide) as caught:
            await enrol(one)
        assert time.monotonic() - began < 1.5
        assert caught.value.detail == one.status()["last_failure"] == "ledger: LockNotAvailableError"
        assert len(await one.devices.of(PROVINCE, "ann")) == 1
    await enrol(one)
    assert one.status()["last_failure"] is None


async def test_a_writer_that_ends_in_time_is_waited_for(make_ledger):
    one, other = await make_ledger(), await make_ledger()
    async with other.database.writing():
        enrolling = asyncio.create_task(enrol(one))
        await asyncio.sleep(0.1)
        assert not enrolling.done()
    await enrolling


async def test_a_server_that_is_gone_is_told_at_once_and_missed_no_longer_than_it_is_away(ledger, postgres_server):
    await enrol(ledger)
    postgres_server.stop()
    began = time.monotonic()
    with pytest.raises(CannotDecide):
        await enrol(ledger)
    with pytest.raises(CannotDecide):
        await ledger.links.find(OPENID)
    assert time.monotonic() - began < 1
    postgres_server.start()
    await enrol(ledger)
    assert len(await ledger.devices.of(PROVINCE, "ann")) == 2


async def test_a_server_that_hangs_is_told_in_seconds(ledger, postgres_server):
    await enrol(ledger)
    postgres_server.freeze()
    began = time.monotonic()
    with pytest.raises(CannotDecide) as caught:
        await ledger.links.find(OPENID)
    assert time.monotonic() - began < 3
    assert caught.value.detail == "ledger: TimeoutError"
    postgres_server.resume()
    assert await ledger.links.find(OPENID) is None


async def test_a_server_that_crashes_keeps_every_change_and_no_half_of_one(ledger, postgres_server):
    link = await ledger.links.link(OPENID, PROVINCE, "ann")
    with pytest.raises(CannotDecide):
        await crash_within_a_change(ledger, postgres_server)
    postgres_server.start()
    assert await ledger.links.of(PROVINCE, "ann") == [link]
    assert len(await ledger.history.of(link.id)) == 1


async def crash_within_a_change(ledger, server) -> None:
    async with ledger.database.writing() as connection:
        await connection.execute(text("UPDATE channel_links SET subject = 'ben'"))
        server.kill()


async def test_an_upgrade_may_take_its_time(empty_url, tmp_path):
    """A question is cut off after a second; making an index of a large table is not."""
    ledger = open_ledger(empty_url, tmp_path)
    for patient, expected in [(False, pytest.raises(CannotDecide)), (True, nullcontext())]:
        ledger.database.open(create=False, patient=patient)
        with expected:
            async with ledger.database.writing() as connection:
                await connection.execute(text("SELECT pg_sleep(1.1)"))
        await ledger.close()


async def test_a_database_that_is_not_there_is_a_sentence(postgres_server, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger(postgres_server.url("nowhere"), tmp_path).start()
    assert caught.value.problems[0].startswith("ledger: InvalidCatalogNameError")

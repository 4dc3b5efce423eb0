"""A file that is locked, full or gone: 503 in time, reading goes on, nothing is half saved, no name is told.

PostgreSQL's failures are in test_ledger_postgresql.py.
"""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing

import pytest
from sqlalchemy import event, func, select

from gateway.errors import CannotDecide
from gateway.ledger import open_ledger
from gateway.ledger.tables import CHANGES, CHANNEL_LINKS, DEVICES
from gateway.signin import ChannelAccount
from tests.plugins.signing import SIGNERS

PROVINCE = "https://id.province.example"
OPENID = ChannelAccount("wechat", "wx1", "openid-of-ann")
KEY = SIGNERS["ed25519"].raw


@pytest.fixture
def ledger_url(sqlite_url):
    return sqlite_url


@pytest.fixture
def other(tmp_path, ledger):
    """Another program's connection to the same file."""
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as connection:
        yield connection


def changing(ledger) -> dict[str, object]:
    return {
        "link": lambda: ledger.links.link(OPENID, PROVINCE, "ann"),
        "remove a link": lambda: ledger.links.remove("x", PROVINCE, "ann"),
        "enrol": lambda: ledger.devices.enrol("ed25519", KEY, "x", PROVINCE, "ann"),
        "remove a device": lambda: ledger.devices.remove("x", PROVINCE, "ann"),
    }


async def test_a_locked_database_is_told_within_a_second_or_so(ledger, other):
    """Whatever was to be changed."""
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    said = await asyncio.gather(*(step() for step in changing(ledger).values()), return_exceptions=True)
    assert time.monotonic() - began < 1.5
    assert {type(one) for one in said} == {CannotDecide}
    assert {(one.status, one.detail) for one in said} == {(503, "ledger: SQLITE_BUSY")}
    assert ledger.status()["last_failure"] == "ledger: SQLITE_BUSY"


async def test_reading_goes_on_while_the_database_is_locked_and_writing_when_it_is_free(ledger, other):
    device = await ledger.devices.enrol("ed25519", KEY, "x", PROVINCE, "ann")
    await ledger.links.link(OPENID, PROVINCE, "ann")
    other.execute("BEGIN EXCLUSIVE")
    assert await ledger.devices.find(device.id) == device
    assert await ledger.devices.of(PROVINCE, "ann") != []
    assert await ledger.links.find(OPENID) is not None
    other.execute("ROLLBACK")
    assert await ledger.devices.remove(device.id, PROVINCE, "ann")
    assert ledger.status()["last_failure"] is None


async def test_a_writer_that_ends_in_time_is_waited_for(ledger, other):
    other.execute("BEGIN IMMEDIATE")
    linking = asyncio.create_task(ledger.links.link(OPENID, PROVINCE, "ann"))
    await asyncio.sleep(0.1)
    assert not linking.done()
    other.execute("COMMIT")
    assert await linking is not None


async def test_a_locked_database_keeps_nobody_from_signing_in(ledger, other, clock, log):
    """That a link was used is noted when it can be; the log tells it without telling who."""
    await ledger.links.link(OPENID, PROVINCE, "ann")
    clock.advance(7200)
    other.execute("BEGIN EXCLUSIVE")
    assert await ledger.links.find(OPENID) is not None
    written = str(log.calls)
    assert "SQLITE_BUSY" in written
    assert OPENID.id not in written
    assert "'ann'" not in written


async def test_a_full_database_takes_nothing_more_goes_on_with_what_it_has_and_keeps_no_half(ledger):
    device = await ledger.devices.enrol("ed25519", KEY, "x", PROVINCE, "ann")
    await limit_to_its_size(ledger)
    with pytest.raises(CannotDecide) as caught:
        await link_many(ledger)
    assert caught.value.detail == "ledger: SQLITE_FULL"
    assert await ledger.devices.find(device.id) == device
    async with ledger.database.reading() as connection:
        links = await connection.scalar(select(func.count()).select_from(CHANNEL_LINKS))
        devices = await connection.scalar(select(func.count()).select_from(DEVICES))
        changes = await connection.scalar(select(func.count()).select_from(CHANGES))
    assert links + devices == changes


async def link_many(ledger) -> None:
    for number in range(2000):
        await ledger.links.link(ChannelAccount("wechat", "wx1", f"{number:0256d}"), PROVINCE, f"person-{number}")


async def limit_to_its_size(ledger) -> None:
    """No page more than there are: what a full disk means to SQLite, without filling one."""

    def limit(connection, _):
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count = 1")  # means: as many as there are
        cursor.close()

    await ledger.database.engine.dispose()
    event.listen(ledger.database.engine.sync_engine, "connect", limit)


@pytest.mark.parametrize("step", ["link", "remove a link", "enrol", "remove a device"])
@pytest.mark.parametrize("instead", [None, b"", b"something else"], ids=["gone", "empty", "another file"])
async def test_a_database_whose_file_is_gone_is_not_begun_anew(ledger, tmp_path, step, instead):
    os.rename(tmp_path / "ledger.db", tmp_path / "away.db")
    if instead is not None:
        (tmp_path / "ledger.db").write_bytes(instead)
    with pytest.raises(CannotDecide) as caught:
        await changing(ledger)[step]()
    assert "gone" in caught.value.detail
    with pytest.raises(CannotDecide):
        await ledger.devices.find("x")
    with pytest.raises(CannotDecide):
        await ledger.links.find(OPENID)
    assert (tmp_path / "ledger.db").exists() == (instead is not None)
    os.rename(tmp_path / "away.db", tmp_path / "ledger.db")
    assert await ledger.links.find(OPENID) is None


async def test_more_at_once_than_there_are_connections_is_answered_in_time(ledger, other):
    """Fifty that want to write while the database is locked: each is told, none hangs."""
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    asked = [ledger.links.link(ChannelAccount("wechat", "wx1", f"o-{number}"), PROVINCE, "ann") for number in range(50)]
    said = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in said} == {CannotDecide}
    assert time.monotonic() - began < 3


async def test_a_ledger_that_is_not_open_cannot_tell(tmp_path):
    with pytest.raises(CannotDecide):
        await open_ledger("sqlite:///ledger.db", tmp_path).devices.find("x")


KILLED = """
import asyncio, os, pathlib, signal, sys
from sqlalchemy import text
from gateway.ledger import open_ledger
from gateway.signin import ChannelAccount

async def main():
    ledger = open_ledger("sqlite:///ledger.db", pathlib.Path(sys.argv[1]))
    await ledger.start()
    await ledger.links.link(ChannelAccount("wechat", "wx1", "kept"), "province", "ann")
    async with ledger.database.writing() as connection:
        await connection.execute(text("UPDATE channel_links SET subject = 'ben'"))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_process_that_is_killed_within_a_change_leaves_none_of_it(tmp_path):
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path))
    assert await process.wait() == -signal.SIGKILL
    ledger = open_ledger("sqlite:///ledger.db", tmp_path)
    await ledger.start()
    try:
        [link] = await ledger.links.of("province", "ann")
        assert len(await ledger.history.of(link.id)) == 1
    finally:
        await ledger.close()

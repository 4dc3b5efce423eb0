"""The first sign-in makes a record (首次登录建档), and whatever the ledger does, nobody is kept from signing in."""

import asyncio
import sqlite3

import pytest
from my_world import MyWorld

from gateway.desk.acting import as_identity, identities_of
from gateway.desk.recording import MOST, Recording
from gateway.errors import CannotDecide
from gateway.identity.sessions import SignedIn
from gateway.ledger.values import Owner
from gateway.model import Kind
from tests.identity.session_world import person, sign_in
from tests.plugin_world import ISSUER


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


async def record(world, subject: str, kind: str = "natural"):
    return await world.my.parties.of(Owner(ISSUER, subject, kind))


async def test_signing_in_makes_the_person_s_record_and_not_her_units(world, browser):
    await browser.sign_in()
    assert (await record(world, "u-1")).name == "张三丰"
    assert await record(world, "unit-1", "legal") is None


async def test_a_unit_s_login_makes_the_unit_s_record_and_not_the_person_s(world, browser):
    await browser.sign_in(**{"as": "legal"})
    assert (await record(world, "unit-0", "legal")).name == "总公司"
    assert await record(world, "u-1") is None


async def test_going_on_as_a_unit_makes_its_record(world, browser):
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    await browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": token})
    assert (await record(world, "unit-1", "legal")).name == "示例公司"


async def test_a_login_under_a_unit_s_session_refreshes_that_unit_alone(world, browser):
    await browser.sign_in()
    token = (await browser.state())["csrf_token"]
    await browser.post("/sso/identity", {"unit": "unit-1", "csrf_token": token})
    before = await record(world, "u-1")
    await browser.sign_in()
    assert (await browser.state())["identity"] == "unit-1"
    assert await record(world, "u-1") == before


async def test_a_ledger_that_somebody_has_locked_keeps_nobody_out(world, browser, tmp_path):
    """The answer is there before the record, which is made when it can be."""
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await browser.sign_in(return_to="/medical/x")).location == "/medical/x"
    assert await record(world, "u-1") is None
    other.execute("ROLLBACK")
    other.close()
    await world.recording.stop()
    assert (await record(world, "u-1")).state == "new"


class Parties:
    """Says what a test wants, when it wants."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.gate = asyncio.Event()
        self.done = 0

    async def arrive(self, sign_in) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.done += 1


def signed_in() -> SignedIn:
    return SignedIn(sign_in(), person(), 0.0, 0.0, "0" * 16)


async def test_a_slow_ledger_holds_a_sign_in_back_no_longer_than_the_patience(world):
    parties = Parties()
    recording = Recording(parties, patience=0.0)
    await recording.note(signed_in(), world.log)
    assert parties.done == 0
    parties.gate.set()
    await recording.stop()
    assert parties.done == 1


@pytest.mark.parametrize("error", [CannotDecide("locked"), RuntimeError("broke")])
async def test_what_goes_wrong_is_told_and_stops_nothing(world, error):
    parties = Parties(error)
    parties.gate.set()
    await Recording(parties).note(signed_in(), world.log)
    [line] = world.log.of("sign-in not recorded")
    assert line["handle"] == "0" * 16


async def test_no_more_than_so_many_wait_for_a_slow_ledger(world):
    parties = Parties()
    recording = Recording(parties, patience=0.0)
    for _ in range(MOST + 3):
        await recording.note(signed_in(), world.log)
    assert len(world.log.of("sign-in not recorded")) == 3
    parties.gate.set()
    await recording.stop()
    assert parties.done == MOST


def test_a_unit_of_the_login_is_recorded_with_what_the_platform_told_of_it():
    told = sign_in()
    [unit] = [one for one in identities_of(told) if one.principal.kind == Kind.LEGAL]
    assert as_identity(told, unit.principal).profile.name == "示例公司"
    assert as_identity(told, told.principal).profile.name == "张三"

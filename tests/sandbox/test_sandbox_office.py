"""The ledger that a new sandbox begins with: its staff, and units each of which has come to another point."""

import re
import time
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from gateway.configuration.loading import load
from gateway.console.opening import SEALED
from gateway.identity.sealing import Sealing
from gateway.ledger import open_ledger
from gateway.ledger.facts import read_facts
from gateway.ledger.ledger import Ledger
from gateway.ledger.office_tables import FACTS, PARTIES, STAFF
from gateway.ledger.passwords import Passwords
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_sessions import StaffSessions
from gateway.ledger.staff_sign_in import StaffSignIn
from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.furnishing import furnish
from sandbox.office import begin_ledger
from sandbox.places import Places
from sandbox.staff import SAMPLE_STAFF, STEP, main
from sandbox.unit_case import DECLARATION

DOCUMENT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def places(tmp_path_factory):
    """A sandbox that was furnished and has begun its ledger, after somebody had interrupted that once."""
    places = Places(12000, tmp_path_factory.mktemp("office") / "sandbox")
    furnish(places)
    places.ledger.with_suffix(".new").write_bytes(b"half")
    assert await begin_ledger(places)
    return places


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ledger(places) -> Ledger:
    ledger = open_ledger("sqlite:///ledger.db", places.edge)
    await ledger.start()
    yield ledger
    await ledger.close()


async def rows(ledger, question):
    async with ledger.database.reading() as connection:
        return (await connection.execute(question)).all()


async def facts_of(ledger, user):
    """What decisions about a unit rest on."""
    question = (
        select(FACTS.c.body)
        .join(PARTIES, PARTIES.c.id == FACTS.c.party_id)
        .where(PARTIES.c.subject == SAMPLE_ACCOUNTS[user].sub)
    )
    [(body,)] = await rows(ledger, question)
    return read_facts(body)


async def test_the_staff_have_the_posts_that_the_table_names(ledger):
    """Nobody else has an account."""
    passwords = Passwords(12)
    records = await StaffRegister(ledger.office, passwords).everybody()
    passwords.close()
    found = {one.login: (one.name, one.role, one.region, one.second_factor) for one in records}
    assert found == {one.login: (one.name, one.role, one.region, True) for one in SAMPLE_STAFF.values()}


async def test_every_authenticator_app_makes_the_codes_that_are_expected(ledger, places):
    """What is sealed in the ledger is the secret of the table, and the console's key opens it."""
    seal = Sealing(load(places.gateway_yaml).settings.console.keys, SEALED)
    found = {row.login: seal.open(row.id.encode(), row.second_factor) for row in await rows(ledger, select(STAFF))}
    assert found == {one.login: one.secret.encode() for one in SAMPLE_STAFF.values()}


async def test_a_clerk_signs_in_with_password_and_code(ledger, places):
    """By the product's own sign-in, and nothing is due to be changed."""
    settings = load(places.gateway_yaml).settings.console
    sessions, passwords = StaffSessions(ledger.office, settings), Passwords(settings.password_length)
    seal = Sealing(settings.keys, SEALED)
    sign_in = StaffSignIn(ledger.office, sessions, passwords, settings, seal)
    clerk = SAMPLE_STAFF["clerk-1"]
    step = await sign_in.password(clerk.login, clerk.password, "127.0.0.1")
    step = await sign_in.second_factor(await sessions.find(step.token), clerk.code(time.time()), "127.0.0.1")
    passwords.close()
    assert step.missing is None


async def test_each_password_is_one_that_she_could_have_chosen():
    """Long enough, not too common, without her login and name."""
    passwords = Passwords(12)
    problems = [passwords.problem(one.password, one.login, one.name) for one in SAMPLE_STAFF.values()]
    passwords.close()
    assert problems == [None] * len(SAMPLE_STAFF)


async def test_the_documentation_lists_everybody_with_her_password():
    """With region and password, as they are."""
    listed = re.findall(r"^\| `([a-z0-9-]+)` \| [^|]+ \| ([0-9]{6})[^|]* \| `([^`]+)` \|$", DOCUMENT, re.MULTILINE)
    assert listed == [(one.login, one.region, one.password) for one in SAMPLE_STAFF.values()]


async def test_each_unit_has_come_to_another_point(ledger):
    """And those that nobody knows yet are not there."""
    users = {account.sub: user for user, account in SAMPLE_ACCOUNTS.items()}
    found = {users[row.subject]: (row.state, row.region, row.name) for row in await rows(ledger, select(PARTIES))}
    assert found == {
        "unit-1": ("bound", "350100", "样例一有限公司"),
        "unit-2": ("reviewed", "350100", "样例二有限公司"),
        "unit-4": ("bound", "350200", "样例四有限公司"),
    }


async def test_unit_1_may_declare_through_both_operators_and_through_citizen_1(ledger):
    """As everything that declares in the documentation does."""
    facts, now = await facts_of(ledger, "unit-1"), time.time()
    assert facts.bindings == {"pension": "35010020141000000101"}
    for operator in ("operator-1", "operator-1b", SAMPLE_ACCOUNTS["citizen-1"].sub):
        [grant] = facts.grants_of[DECLARATION, operator]
        assert grant.valid_from < now < grant.valid_until
    assert facts.exclusive == {}


async def test_the_grant_of_unit_4_has_run_out(ledger):
    """Though it is bound."""
    facts = await facts_of(ledger, "unit-4")
    assert facts.bindings == {"pension": "35020020141000000401"}
    [grant] = facts.grants_of[DECLARATION, "operator-4"]
    assert grant.valid_until < time.time()


async def test_what_is_there_is_not_begun_again(ledger, places):
    """Whatever somebody has done in it since."""
    before = places.ledger.stat().st_ino
    assert not await begin_ledger(places)
    assert places.ledger.stat().st_ino == before
    assert list(places.edge.glob("*.new*")) == []


async def test_the_code_of_a_clerk_is_told_to_whoever_asks(capsys):
    """`tongguan sandbox code clerk-1`: for newcomers without an authenticator app."""
    clerk, before = SAMPLE_STAFF["clerk-1"], time.time()
    assert main(["clerk-1"]) == 0
    code, left, *_ = capsys.readouterr().out.split()
    assert code in (clerk.code(before), clerk.code(before + STEP))
    assert 0 < int(left) <= STEP


async def test_the_code_of_nobody_is_not():
    """Exit code 2; the logins that there are stand in the message."""
    with pytest.raises(SystemExit) as ended:
        main(["nobody"])
    assert ended.value.code == 2

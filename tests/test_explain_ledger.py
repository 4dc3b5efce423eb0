"""`tongguan explain` and the ledger: decided by what stands in it, and nothing of it made or changed."""

import asyncio
from hashlib import sha256

import pytest
from sqlalchemy import insert

from gateway.errors import ConfigurationError
from gateway.explain.paper import explain
from gateway.explain.question import Question, parse_principal
from gateway.ledger import open_ledger
from gateway.ledger.acting import new_id
from gateway.ledger.office_tables import DESIGNATED, SWITCHES
from tests.cli.conftest import run
from tests.configuration.conftest import identity, world
from tests.ledger.office_world import ISSUER, seed_staff, seed_unit

__all__ = ["identity", "run", "world"]

PARTS = """\
reauthorizers:
  - {name: first-visit, use: "plugins.reauthorizers.first_visit:FirstVisit"}
  - {name: device, use: "plugins.reauthorizers.designated_device:DesignatedDevice", config: {when: registered}}
"""
URL = "/medical/settlements/1"


def person(subject: str, **said: str):
    more = "".join(f",{name}={value}" for name, value in said.items())
    return parse_principal(f"subject={subject},kind=natural,assurance=3,issuer={ISSUER}{more}")


@pytest.fixture
def office_world(world):
    """The usual world, whose item rests on a ledger that is not there yet."""
    world.edit("gateway.yaml", "workers: 1", "ledger: sqlite:///ledger.db")
    world.edit("policy.yaml", "tests.configuration.config_parts:Door", "tests.building_parts:Gate")
    world.edit("policy.yaml", "{window: 5m}", "{label: door}")
    world.edit(
        "policy.yaml", "tests.configuration.config_parts:Hours", "plugins.reauthorizers.owner_switch:OwnerSwitch"
    )
    world.edit("policy.yaml", "{opens: 8}", "{}")
    world.edit("policy.yaml", "reauthorizers:\n", PARTS)
    world.edit("policy.yaml", "reauthorize: [owner-switch]", "reauthorize: [first-visit, owner-switch, device]")
    return world


async def _furnish(folder) -> None:
    ledger = open_ledger("sqlite:///ledger.db", folder)
    await ledger.start()
    try:
        parties = {
            subject: await seed_unit(ledger.office, subject, kind="natural", state=state)
            for subject, state in (("open", "new"), ("closed", "new"), ("barred", "suspended"), ("seated", "new"))
        }
        async with ledger.office.by_itself() as act:
            closed = {"setting": "closed", "set_at": act.now, "set_by": "closed"}
            await act.connection.execute(
                insert(SWITCHES).values(party_id=parties["closed"], item="settlements", **closed)
            )
            await act.note("switch.set", "settlements", party=parties["closed"])
    finally:
        await ledger.close()


@pytest.fixture
def furnished(office_world):
    """The same, with a ledger in which one has closed the item and one is suspended."""
    asyncio.run(_furnish(office_world.folder))
    return office_world


def asked(world, subject: str, **said: str):
    return explain(world.path, Question("GET", URL, principal=person(subject, **said)))


def decisions(explanation) -> tuple[str, ...]:
    [step] = [step for step in explanation.steps if step.stage == "reauthorize"]
    return step.details


def content(world) -> str:
    return sha256((world.folder / "ledger.db").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("subject", "code", "last"),
    [
        ("open", None, "device: allow"),
        ("closed", "item-closed-by-owner", "owner-switch: deny: item-closed-by-owner"),
        ("barred", "unit-suspended", "first-visit: deny: unit-suspended"),
    ],
)
def test_it_is_decided_by_what_stands_in_the_ledger(furnished, subject, code, last):
    explained = asked(furnished, subject)
    assert explained.code == code
    said = [one for one in decisions(explained) if not one.startswith("403")]
    assert said[-1] == last


def test_a_first_visit_is_told_and_makes_no_record(furnished):
    before = content(furnished)
    for _ in range(2):
        explained = asked(furnished, "nobody yet")
        assert explained.carried
        assert decisions(explained)[-1] == f"ledger: would make a record of this person of issuer {ISSUER}"
    assert content(furnished) == before
    assert not list(furnished.folder.glob("ledger.db-*")), "it was not closed"


def test_where_there_is_no_ledger_it_cannot_tell_and_makes_none(office_world):
    explained = asked(office_world, "open")
    assert (explained.status, explained.code) == (503, "cannot-decide")
    assert decisions(explained)[-2] == "first-visit: cannot tell"
    assert "ledger.db: No such file" in explained.reason
    assert not list(office_world.folder.glob("ledger*"))


@pytest.mark.parametrize("found", [b"", b"this is no database" * 100])
def test_what_is_no_ledger_is_left_as_it_is(office_world, found):
    office_world.write("ledger.db", found)
    explained = asked(office_world, "open")
    assert explained.code == "cannot-decide"
    assert (office_world.folder / "ledger.db").read_bytes() == found


def test_items_that_need_no_ledger_are_explained_without_one(office_world):
    assert explain(office_world.path, Question("GET", "/guides/1")).carried


def test_parts_that_need_a_ledger_where_none_is_configured_are_wrong(office_world, run):
    """`check` tells it too, with the line, and what to write."""
    office_world.edit("gateway.yaml", "ledger: sqlite:///ledger.db", "workers: 1")
    with pytest.raises(ConfigurationError, match="needs a ledger"):
        asked(office_world, "open")
    done = run("--config", str(office_world.path), "check")
    assert done.exit_code == 2
    assert "policy.yaml:" in done.stderr
    assert "it needs a ledger; write `ledger: sqlite:///ledger.db` in gateway.yaml" in done.stderr


def test_a_shown_passkey_can_be_assumed(furnished):
    """`--as …,device=ID`: as if the session had shown the passkey of that designated computer."""
    device = asyncio.run(_designate(furnished.folder, "seated"))
    assert asked(furnished, "seated").code == "device-not-allowed"
    assert asked(furnished, "seated", device=device).carried


async def _designate(folder, subject: str) -> str:
    ledger, device = open_ledger("sqlite:///ledger.db", folder), new_id()
    await ledger.start()
    await ledger.view.follow()
    try:
        facts = ledger.view.facts(ISSUER, subject)
        reviewer = await seed_staff(ledger.office, "reviewer")
        row = {"id": device, "party_id": facts.party, "kind": "passkey", "value": "c", "sign_count": 0, "name": "甲"}
        stated = {"items": [], "state": "live", "proposed_by": "样例", "proposed_at": 0.0, "version": 1}
        async with ledger.office.by_itself() as act:
            await act.connection.execute(insert(DESIGNATED).values(**row, **stated, approved_post=reviewer.post))
            await act.note("device.designated", device, party=facts.party)
    finally:
        await ledger.close()
    return device

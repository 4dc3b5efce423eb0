"""Whatever happens to a unit, in whatever order: its state moves as documented, the history tells all, facts follow.

Grants and bindings take part, as their own use cases do them.
"""

from collections.abc import Awaitable, Callable
from datetime import date

import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from gateway.errors import Conflict, Forbidden, InputRefused
from gateway.ledger import open_ledger
from gateway.ledger.acting import Office, digest_with
from gateway.ledger.bindings import Bindings
from gateway.ledger.facts import read_facts, refresh_facts
from gateway.ledger.grants import Grants
from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.units import LeaveInput, RegionInput
from gateway.ledger.office_tables import APPLICATIONS, BINDINGS, FACTS, GRANTS, OPERATORS, PARTIES
from gateway.ledger.rules import LocalId, Rules
from gateway.ledger.tables import CHANGES
from gateway.ledger.values import Owner
from tests.ledger.office_world import ISSUER, seed_staff
from tests.ledger.units_world import ITEMS, World, applied_for, operator, sign_in, uscc_of, verdict, why
from tests.plugin_world import Clock

LOCAL_IDS = {"pension": LocalId("pension", "社保编号", r"[0-9]{20}", ("应为 20 位。", "20 digits."))}

MOVES = {
    "party.created": {(None, "new")},
    "party.applied": {("new", "applied"), ("revoked", "applied")},
    "party.rejected": {("applied", "new")},
    "party.reviewed": {("applied", "reviewed")},
    "party.bound": {("reviewed", "bound")},
    "party.unbound": {("bound", "reviewed")},
    "party.suspended": {("reviewed", "suspended"), ("bound", "suspended")},
    "party.resumed": {("suspended", "reviewed"), ("suspended", "bound")},
    "party.revoked": {(state, "revoked") for state in ("new", "applied", "reviewed", "bound", "suspended")},
}
"""As docs/ledger.md has them."""

KINDS = {"party": PARTIES, "application": APPLICATIONS, "grant": GRANTS, "binding": BINDINGS, "operator": OPERATORS}
REVIEWED = ("apply", "approve application", "enter operator")
BOUND = (*REVIEWED, "propose grant", "approve grant", "propose binding", "approve binding")


class Undone(Exception):
    """Takes back what was written to compare with."""


class Life:
    """One unit, and everybody who does something to it.

    Attributes:
        party: id of its record.
    """

    party: str

    def __init__(self, world: World, clerk, reviewer, other) -> None:
        self.world, self.clerk, self.reviewer, self.other = world, clerk, reviewer, other
        self.grants, self.bindings = Grants(world.office), Bindings(world.office)
        self.owner = Owner(ISSUER, uscc_of(world.region), "legal", "operator-a")
        self.logins = 0

    async def begin(self) -> None:
        self.party = (await self.world.parties.arrive(sign_in(self.owner.subject))).id

    async def row(self, table, *conditions):
        """The latest row of the unit of this kind; one that is nobody's where there is none."""
        column = table.c.id if table is PARTIES else table.c.party_id
        order = next(table.c[name] for name in ("changed_at", "proposed_at", "added_at") if name in table.c)
        question = select(table).where(column == self.party, *conditions).order_by(order.desc()).limit(1)
        async with self.world.office.database.reading() as connection:
            return (await connection.execute(question)).one_or_none()

    async def open_of(self, table, state: str) -> tuple[str, int]:
        row = await self.row(table, table.c.state == state)
        return ("nothing", 1) if row is None else (row.id, row.version)

    async def operator(self) -> str:
        row = await self.row(OPERATORS, OPERATORS.c.left_at.is_(None))
        return "nothing" if row is None else row.id

    async def log_in(self):
        self.logins += 1
        await self.world.parties.arrive(sign_in(self.owner.subject, version=self.logins, name=f"样例{self.logins}"))

    async def apply(self):
        await self.world.applications.record(self.clerk, self.party, applied_for())

    async def approve_application(self):
        id_, version = await self.open_of(APPLICATIONS, "received")
        await self.world.applications.review(self.reviewer, id_, verdict(version))

    async def reject_application(self):
        id_, version = await self.open_of(APPLICATIONS, "received")
        await self.world.applications.review(self.reviewer, id_, verdict(version, approve=False, reason="材料不全"))

    async def change_state(self, step):
        await step(self.reviewer, self.party, why((await self.row(PARTIES)).version))

    async def suspend(self):
        await self.change_state(self.world.parties.suspend)

    async def resume(self):
        await self.change_state(self.world.parties.resume)

    async def revoke(self):
        await self.change_state(self.world.parties.revoke)

    async def relocate(self):
        version = (await self.row(PARTIES)).version
        where = RegionInput(region=f"{self.world.scope}02", version=version)
        await self.world.parties.relocate(self.reviewer, self.party, where)

    async def enter_operator(self):
        await self.world.operators.enter(self.clerk, self.party, operator())

    async def leave(self):
        await self.world.operators.leave(self.clerk, await self.operator(), LeaveInput(reason="已离职"))

    async def dismiss(self):
        await self.world.operators.dismiss(self.owner, await self.operator(), LeaveInput(reason="已离职"))

    async def propose_grant(self):
        days = {"valid_from": date(2023, 11, 15), "valid_until": date(2024, 11, 14)}
        await self.grants.propose(
            self.clerk, self.party, GrantInput(operator=await self.operator(), items=("declare",), **days)
        )

    async def approve_grant(self):
        await self.grants.approve(self.reviewer, *await self.open_of(GRANTS, "proposed"))

    async def propose_binding(self):
        local_id = f"{int(self.world.scope):020}"
        await self.bindings.propose(self.clerk, self.party, BindingInput(system="pension", local_id=local_id))

    async def approve_binding(self):
        await self.bindings.approve(self.other, *await self.open_of(BINDINGS, "proposed"))

    async def end_binding(self):
        id_, version = await self.open_of(BINDINGS, "live")
        await self.bindings.end(self.other, id_, "更换编号", version)


STEPS: dict[str, Callable[[Life], Awaitable[None]]] = {
    "log in": Life.log_in,
    "apply": Life.apply,
    "approve application": Life.approve_application,
    "reject application": Life.reject_application,
    "suspend": Life.suspend,
    "resume": Life.resume,
    "revoke": Life.revoke,
    "relocate": Life.relocate,
    "enter operator": Life.enter_operator,
    "leave": Life.leave,
    "dismiss": Life.dismiss,
    "propose grant": Life.propose_grant,
    "approve grant": Life.approve_grant,
    "propose binding": Life.propose_binding,
    "approve binding": Life.approve_binding,
    "end binding": Life.end_binding,
}


async def tables_say(connection, party: str) -> dict[tuple[str, str], str]:
    """State of everything the unit has, by kind and id."""
    found = {}
    for kind, table in KINDS.items():
        column = table.c.id if table is PARTIES else table.c.party_id
        for row in await connection.execute(select(table).where(column == party)):
            state = ("live" if row.left_at is None else "left") if table is OPERATORS else row.state
            found[kind, row.id] = state
    return found


async def history_says(connection, party: str) -> dict[tuple[str, str], str]:
    """The same, by doing again what the history tells; each step has to begin where the one before it ended."""
    found: dict[tuple[str, str], str] = {}
    for row in await connection.execute(select(CHANGES).where(CHANGES.c.party_id == party).order_by(CHANGES.c.id)):
        kind, _, what = row.action.partition(".")
        key, detail = (kind, row.entry), row.detail or {}
        if key not in found:
            found[key] = detail.get("after", what)
            assert kind != "party" or row.action == "party.created"
        elif "after" in detail:
            assert detail["before"] == found[key]
            assert kind != "party" or (found[key], detail["after"]) in MOVES[row.action]
            found[key] = detail["after"]
    return found


async def facts_say(connection, party: str):
    return read_facts(await connection.scalar(select(FACTS.c.body).where(FACTS.c.party_id == party)))


async def check(life: Life) -> None:
    try:
        async with life.world.office.database.writing() as connection:
            assert await history_says(connection, life.party) == await tables_say(connection, life.party)
            kept = await facts_say(connection, life.party)
            await refresh_facts(connection, life.party)
            assert kept == await facts_say(connection, life.party)
            raise Undone
    except Undone:
        return


async def entries_of(life: Life) -> int:
    async with life.world.office.database.reading() as connection:
        return await connection.scalar(
            select(func.count()).select_from(CHANGES).where(CHANGES.c.party_id == life.party)
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lives(new_ledger, tmp_path_factory):
    """Makes lives in one file; the staff are the same in all of them."""
    folder, clock = tmp_path_factory.mktemp("lives"), Clock()
    (folder / "ledger.db").write_bytes(new_ledger)
    ledger = open_ledger("sqlite:///ledger.db", folder)
    await ledger.start()

    def office() -> Office:
        return Office(ledger.database, lambda: clock.wall, digest_with(b"k" * 32))

    staff = [await seed_staff(office(), role, "") for role in ("clerk", "reviewer", "reviewer")]

    async def begin(two_people: frozenset[str]) -> Life:
        world = World(office(), clock)
        world.office.rules = Rules(ITEMS, LOCAL_IDS, two_people, acceptance=False)
        life = Life(world, *staff)
        await life.begin()
        return life

    yield begin
    await ledger.close()


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=8, phases=[Phase.reuse, Phase.generate])  # a life is short enough to be read as it is
@given(
    two_people=st.sampled_from([frozenset({"opening", "binding"}), frozenset()]),
    first=st.sampled_from([(), REVIEWED, BOUND]),
    then=st.lists(st.sampled_from(sorted(STEPS)), min_size=4, max_size=8),
)
async def test_a_unit_moves_as_documented_and_history_and_facts_keep_step(lives, two_people, first, then):
    """A step that is refused leaves nothing behind."""
    life = await lives(two_people)
    for step in (*first, *then):
        life.world.clock.advance(1)
        before = await entries_of(life)
        try:
            await STEPS[step](life)
        except (Conflict, Forbidden, InputRefused):
            assert await entries_of(life) == before, step
        await check(life)

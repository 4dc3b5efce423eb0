"""Role × operation × region, every cell: what a post of region 3501 may do in it, beside it, and above it.

Each cell is played over the JSON API. What is refused leaves the ledger's file as it was, to the byte.
"""

import sqlite3

import pytest
import pytest_asyncio

from gateway.console.operations import OPERATIONS, Operation
from gateway.ledger.staff_sessions import token_digest
from tests.console.console_world import PASSWORD, Visitor, content_of
from tests.console.targets import PREPARE, Stage, Target, grant_input

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROLES = ("system", "security", "audit", "clerk", "reviewer")
REGIONS = ("350102", "350203", "350000")
"""Inside the post's region, beside it, and the one that holds it."""

TABLE = {
    # In each group of three: inside, beside, above.
    # +  done                     r  refused: not-your-role      g  refused: not-your-region
    # -  answered, without it     x  the file's row is refused, nothing is saved
    #                       system security audit clerk reviewer
    "queues.pending":       "rrr   rrr   rrr   +--   +--",
    "units.search":         "rrr   rrr   rrr   +--   +--",
    "units.find":           "rrr   rrr   rrr   +gg   +gg",
    "units.suspend":        "rrr   rrr   rrr   rrr   +gg",
    "units.resume":         "rrr   rrr   rrr   rrr   +gg",
    "units.revoke":         "rrr   rrr   rrr   rrr   +gg",
    "units.relocate":       "rrr   rrr   rrr   rrr   +gg",
    "applications.of_unit": "rrr   rrr   rrr   +gg   +gg",
    "applications.record":  "rrr   rrr   rrr   +gg   +gg",
    "applications.review":  "rrr   rrr   rrr   rrr   +gg",
    "operators.of_unit":    "rrr   rrr   rrr   +gg   +gg",
    "operators.enter":      "rrr   rrr   rrr   +gg   +gg",
    "operators.leave":      "rrr   rrr   rrr   +gg   +gg",
    "history.of_unit":      "rrr   rrr   rrr   +gg   +gg",
    "history.everything":   "rrr   rrr   +--   rrr   rrr",
    "grants.of_unit":       "rrr   rrr   rrr   +gg   +gg",
    "grants.propose":       "rrr   rrr   rrr   +gg   +gg",
    "grants.approve":       "rrr   rrr   rrr   rrr   +gg",
    "grants.reject":        "rrr   rrr   rrr   rrr   +gg",
    "grants.end":           "rrr   rrr   rrr   +gg   +gg",
    "devices.of_unit":      "rrr   rrr   rrr   +gg   +gg",
    "devices.register":     "rrr   rrr   rrr   +gg   +gg",
    "devices.approve":      "rrr   rrr   rrr   rrr   +gg",
    "devices.end":          "rrr   rrr   rrr   +gg   +gg",
    "bindings.search":      "rrr   rrr   rrr   +gg   +gg",
    "bindings.compare":     "rrr   rrr   rrr   +gg   +gg",
    "bindings.of_unit":     "rrr   rrr   rrr   +gg   +gg",
    "bindings.propose":     "rrr   rrr   rrr   +gg   +gg",
    "bindings.approve":     "rrr   rrr   rrr   rrr   +gg",
    "bindings.reject":      "rrr   rrr   rrr   rrr   +gg",
    "bindings.end":         "rrr   rrr   rrr   rrr   +gg",
    "appeals.of_unit":      "rrr   rrr   rrr   +gg   +gg",
    "appeals.decide":       "rrr   rrr   rrr   rrr   +gg",
    "staff.list":           "+--   +--   +--   rrr   rrr",
    "staff.create":         "+++   rrr   rrr   rrr   rrr",
    "staff.disable":        "+gg   rrr   rrr   rrr   rrr",
    "staff.enable":         "+gg   rrr   rrr   rrr   rrr",
    "staff.appoint":        "rrr   +gg   rrr   rrr   rrr",
    "staff.dismiss":        "rrr   +gg   rrr   rrr   rrr",
    "staff.unlock":         "rrr   +gg   rrr   rrr   rrr",
    "staff.reset":          "rrr   +gg   rrr   rrr   rrr",
    "imports.staff.check":  "+++   rrr   rrr   rrr   rrr",
    "imports.staff.take":   "+++   rrr   rrr   rrr   rrr",
    "imports.posts.check":  "rrr   +xx   rrr   rrr   rrr",
    "imports.posts.take":   "rrr   +xx   rrr   rrr   rrr",
    "imports.grants.check": "rrr   rrr   rrr   +xx   +xx",
    "imports.grants.take":  "rrr   rrr   rrr   +xx   +xx",
}  # fmt: skip
"""Written down by hand, so that a slip in gateway/ledger/powers.py is found."""

BY_NAME = {one.name: one for one in OPERATIONS}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(shared_world) -> Stage:
    return await Stage.open(shared_world)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seats(shared_world) -> dict[str, Visitor]:
    """One of each role, whose post covers 3501, signed in."""
    return {role: await shared_world.sit(role, "3501") for role in ROLES}


@pytest.fixture
def commits(shared_world):
    """Gives a number that grows with every commit that changes the ledger's file (SQLite, PRAGMA data_version)."""
    connection = sqlite3.connect(shared_world.office.database.name)
    yield lambda: connection.execute("PRAGMA data_version").fetchone()[0]
    connection.close()


async def test_the_table_names_every_operation():
    assert set(TABLE) == set(BY_NAME) == set(PREPARE)
    assert all([len(group) for group in row.split()] == [3] * len(ROLES) for row in TABLE.values())


@pytest.mark.parametrize("name", TABLE)
async def test_every_cell_is_as_the_table_says(name, stage, seats, commits):
    shared = {region: await PREPARE[name](stage, region) for region in REGIONS}
    for role, group in zip(ROLES, TABLE[name].split(), strict=True):
        for region, mark in zip(REGIONS, group, strict=True):
            target = await PREPARE[name](stage, region) if mark == "+" else shared[region]
            before = commits()
            found = await outcome(seats[role], BY_NAME[name], target)
            assert (role, region, found) == (role, region, mark)
            assert mark == "+" or commits() == before, f"{role} in {region} was refused, and something was written"


async def outcome(visitor: Visitor, operation: Operation, target: Target) -> str:
    """What became of a call, as the table's marks have it."""
    answer = await call(visitor, operation, target)
    body = await answer.json(content_type=None)
    if answer.status == 403:
        return {"not-your-role": "r", "not-your-region": "g"}.get(body["code"], body["code"])
    if answer.status != operation.status:
        return f"{answer.status} {body}"
    if isinstance(body, dict) and body.get("problems"):
        return "x"
    return "-" if "{id}" not in operation.path and target.id not in str(body) else "+"


async def call(visitor: Visitor, operation: Operation, target: Target):
    path = operation.path.replace("{id}", target.id)
    if operation.method == "GET":
        return await visitor.send("GET", f"/api{path}", params=target.input)
    return await visitor.send(operation.method, f"/api{path}", json=target.input)


async def test_nobody_and_somebody_halfway_may_do_nothing_at_all(shared_world, stage, commits):
    halfway = shared_world.visitor()
    await halfway.post("/sign-in", {"login": (await shared_world.hire("reviewer")).login, "password": PASSWORD})
    assert await shared_world.console.sessions.find(halfway.token)
    before = commits()
    for operation in OPERATIONS:
        for visitor in (shared_world.visitor(), halfway):
            assert (await call(visitor, operation, Target("some-id", {}))).status in {401, 403}, operation.name
    assert commits() == before
    assert len(token_digest(halfway.token)) == 64


@pytest.mark.parametrize(
    ("role", "name", "replaced", "refused"),
    [
        ("reviewer", "units.relocate", {"region": "350203"}, 403),
        ("reviewer", "units.relocate", {"region": "350000"}, 403),
        ("clerk", "grants.propose", {"scope": "350203"}, 422),
        ("clerk", "grants.propose", {"scope": "350000"}, 422),
        ("security", "staff.appoint", {"region": "350203"}, 403),
        ("security", "staff.appoint", {"region": "350000"}, 403),
        ("security", "staff.appoint", {"region": "000000"}, 403),
    ],
)
async def test_what_is_inside_cannot_be_carried_out_of_the_region(
    role, name, replaced, refused, shared_world, stage, seats
):
    target = await PREPARE[name](stage, "350102")
    before = await content_of(shared_world.office)
    answer = await call(seats[role], BY_NAME[name], Target(target.id, target.input | replaced))
    assert answer.status == refused
    assert await content_of(shared_world.office) == before


async def test_an_unknown_id_and_one_outside_get_the_same_answer(stage, seats):
    there, _ = await stage.unit("350203")
    answers = [await seats["clerk"].call("GET", f"/units/{id_}") for id_ in (there, "no-such-id")]
    bodies = [await answer.json() for answer in answers]
    assert [answer.status for answer in answers] == [403, 403]
    assert len({body["code"] for body in bodies} | {body["detail"] for body in bodies}) == 2


async def test_a_grant_cannot_name_another_regions_operator(stage, seats):
    inside, _ = await stage.unit("350102")
    outside, _ = await stage.unit("350203")
    answer = await seats["clerk"].call("POST", f"/units/{inside}/grants", grant_input(await stage.operator(outside)))
    assert answer.status == 422

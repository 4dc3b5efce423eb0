"""The JSON API: signing in, what it answers to good and bad input, and its description."""

import re

import pytest
import pytest_asyncio
from openapi_spec_validator import validate

from gateway.console.api_session import SESSION_CALLS
from gateway.console.operations import OPERATIONS
from gateway.ledger.paging import SIZE
from tests.console.console_world import PASSWORD
from tests.console.pages_world import seed_case
from tests.console.targets import NUMBER, Stage, grant_input
from tests.ledger.office_world import seed_ended

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def world(shared_world):
    return shared_world


@pytest_asyncio.fixture(loop_scope="module")
async def stage(world) -> Stage:
    return await Stage.open(world)


# ── the session ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_program_signs_in_with_password_and_code(world):
    account, program = await world.hire("reviewer"), world.visitor()
    begun = await program.call("POST", "/session", {"login": account.login, "password": PASSWORD})
    assert await begun.json() == {"missing": "second-factor", "csrf_token": program.csrf_token}
    done = await program.call("POST", "/session/second-factor", {"code": account.code()})
    assert await done.json() == {"missing": None, "csrf_token": program.csrf_token}
    told = await program.call("GET", "/session")
    assert await told.json() == {
        "login": account.login,
        "name": account.officer.name,
        "role": "reviewer",
        "region": "350100",
        "missing": None,
        "csrf_token": program.csrf_token,
    }


async def test_a_program_changes_a_one_time_password_and_enrols_an_app(world):
    founder, program = await world.sit("system", ""), world.visitor()
    issued = await (await founder.call("POST", "/staff", {"login": "programm.neu", "name": "样例新人"})).json()
    login = {"login": "programm.neu", "password": issued["password"]}
    assert (await (await program.call("POST", "/session", login)).json())["missing"] == "password-change"
    changed = await program.call("POST", "/session/password", {"old": issued["password"], "new": PASSWORD})
    assert (await changed.json())["missing"] == "second-factor-enrolment"
    enrolment = await (await program.call("POST", "/session/second-factor/enrolment")).json()
    account = await world.hire()
    account.secret = enrolment["secret"]
    done = await program.call("POST", "/session/second-factor", {"code": account.code()})
    assert (await done.json())["missing"] is None


async def test_signing_out_ends_the_session(world):
    program = await world.sit("clerk")
    token = program.token
    assert (await program.call("DELETE", "/session")).status == 200
    assert (await world.visitor(token).call("GET", "/session")).status == 401


async def test_a_program_that_is_no_browser_needs_no_origin(world):
    program = await world.sit("clerk")
    assert (await program.call("DELETE", "/session", headers={"Origin": None})).status == 200


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"X-Csrf-Token": "0" * 64}]
)
async def test_another_sites_page_cannot_call(world, headers):
    visitor = await world.sit("clerk")
    answer = await visitor.call("POST", "/units/some-id/applications", {"items": ["pension"]}, headers=headers)
    assert (answer.status, (await answer.json())["code"]) == (403, "cross-site-request")


async def test_who_is_not_signed_in_any_more_is_told_so(world):
    """A program that was away too long has to see that its session ended, not that it were another site's page."""
    program = await world.sit("clerk")
    await program.call("DELETE", "/session", headers={"Origin": None})
    answer = await program.call("POST", "/units/some-id/applications", {"items": ["pension"]}, headers={"Origin": None})
    assert (answer.status, (await answer.json())["code"]) == (401, "token-missing")


# ── input ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def problems_of(answer) -> dict[str, str]:
    assert answer.status == 422
    assert answer.content_type == "application/problem+json"
    return {problem["field"]: problem["title"] for problem in (await answer.json())["problems"]}


async def test_every_bad_field_is_named_at_once(world, stage):
    party, _ = await stage.unit("350102")
    clerk = await world.sit("clerk")
    answer = await clerk.call("POST", f"/units/{party}/operators", {"name": "", "id_number": "1234", "more": 1})
    assert set(await problems_of(answer)) == {"account", "name", "id_number", "more"}


async def test_problems_are_told_in_the_callers_language(world, stage):
    party, _ = await stage.unit("350102")
    clerk, path = await world.sit("clerk"), f"/units/{party}/operators"
    chinese = await (await clerk.call("POST", path, {})).json()
    english = await (await clerk.call("POST", path, {}, headers={"Accept-Language": "en"})).json()
    assert chinese["problems"][0]["detail"] == "此项必填。"
    assert english["problems"][0]["detail"] == "This has to be filled in."


async def test_numbers_and_texts_are_not_taken_for_each_other(world, stage):
    application = (await stage.application("350102"))[1]
    reviewer = await world.sit("reviewer")
    answer = await reviewer.call("POST", f"/applications/{application}/review", {"approve": "yes", "version": "1"})
    assert set(await problems_of(answer)) == {"approve", "version"}


async def test_rules_that_a_model_cannot_know_are_told_beside_their_fields(world, stage):
    party, _ = await stage.unit("350102")
    clerk = await world.sit("clerk")
    grant = grant_input("no-such-operator") | {"items": ["pension", "nothing"], "valid_until": "2020-01-01"}
    answer = await clerk.call("POST", f"/units/{party}/grants", grant)
    assert set(await problems_of(answer)) == {"operator", "items.1", "valid_until"}
    binding = await clerk.call("POST", f"/units/{party}/bindings", {"system": "si", "local_id": "12"})
    assert await problems_of(binding) == {"local_id": "It has to be 20 digits."}


async def test_an_identity_number_stays_out_of_answers_and_log(world, stage):
    party, _ = await stage.unit("350102")
    clerk = await world.sit("clerk")
    entered = {"account": "operator-x", "name": "样例甲", "id_number": NUMBER}
    made = await clerk.call("POST", f"/units/{party}/operators", entered)
    assert made.status == 201
    wrong = await clerk.call("POST", f"/units/{party}/operators", entered | {"id_number": NUMBER[:-1] + "1"})
    assert NUMBER[6:14] not in await made.text()
    assert NUMBER[6:14] not in await wrong.text()
    assert NUMBER[6:14] not in repr(world.log.calls)


async def test_what_somebody_else_changed_meanwhile_is_409(world, stage):
    party, _ = await stage.unit("350102")
    reviewer, path = await world.sit("reviewer"), f"/units/{party}/suspend"
    assert (await reviewer.call("POST", path, {"reason": "核查", "version": 1})).status == 200
    again = await reviewer.call("POST", path, {"reason": "核查", "version": 1})
    assert (again.status, (await again.json())["code"]) == (409, "changed-meanwhile")


@pytest.mark.parametrize("step", ["post", "dismiss", "unlock", "reset", "disable", "enable"])
async def test_an_account_that_was_changed_meanwhile_is_409_and_one_without_a_version_422(world, stage, step):
    account = (await stage.staff("350102")).staff
    more = {"role": "reviewer", "region": "350102"} if step == "post" else {}
    system, security = await world.sit("system"), await world.sit("security")
    by = system if step in ("disable", "enable") else security
    assert await problems_of(await by.call("POST", f"/staff/{account}/{step}", more)) != {}
    assert (await security.call("POST", f"/staff/{account}/unlock", {"version": 1})).status == 200
    answer = await by.call("POST", f"/staff/{account}/{step}", {"version": 1} | more)
    assert (answer.status, (await answer.json())["code"]) == (409, "changed-meanwhile")


async def test_nobody_approves_what_she_proposed_herself(world, stage):
    party, _ = await stage.unit("350102")
    reviewer = await world.sit("reviewer")
    proposed = await reviewer.call("POST", f"/units/{party}/bindings", {"system": "si", "local_id": "9" * 20})
    binding = await proposed.json()
    answer = await reviewer.call("POST", f"/bindings/{binding['id']}/approve", {"version": binding["version"]})
    assert (answer.status, (await answer.json())["code"]) == (403, "second-person-needed")


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"{}", "application/json; charset=utf-8", 422),
    ],
)
async def test_a_body_that_is_no_object_is_refused(world, data, content_type, status):
    clerk = await world.sit("clerk")
    answer = await clerk.send("POST", "/api/units/x/applications", data=data, headers={"Content-Type": content_type})
    assert answer.status == status


async def test_a_query_is_checked_like_a_form(world):
    clerk = await world.sit("clerk")
    answer = await clerk.get("/api/units?state=odd&page=0&more=1")
    assert set(await problems_of(answer)) == {"state", "page", "more"}
    twice = await clerk.get("/api/units?page=1&page=2")
    assert set(await problems_of(twice)) == {"page"}


async def test_what_a_unit_has_is_answered_in_pages(world, stage):
    case, clerk = await seed_case(world, "350102", "unit-in-pages", "7" * 20), await world.sit("clerk")
    for kind in ("application", "operator", "grant", "device", "binding", "appeal"):
        newer = await seed_ended(stage.everywhere["reviewer"], world.office, f"{kind}s", case.names[kind], SIZE)
        path = case.at(f"/api/units/{{unit}}/{kind}s")
        shown = [await (await clerk.get(f"{path}?page={page}")).json() for page in (1, 2)]
        assert [one["id"] for page in shown for one in page["found"]] == [*newer, case.names[kind]]
        assert [(page["page"], page["more"], page["total"]) for page in shown] == [(1, True, 21), (2, False, 21)]
        assert set(await problems_of(await clerk.get(f"{path}?page=0&more=1"))) == {"page", "more"}


async def test_where_a_unit_stands_is_told_with_its_record(world, stage):
    party, _ = await stage.unit("350102")
    clerk = await world.sit("clerk")
    await stage.operator(party)
    told = (await (await clerk.get(f"/api/units/{party}")).json())["standing"]
    nothing = dict.fromkeys(("application", "appeal", "proposed", "offered", "granted"), False)
    assert told == nothing | {"operators": True, "systems": []}


async def test_an_import_says_what_is_wrong_with_each_row_and_saves_nothing(world):
    system = await world.sit("system")
    file = "登录名,姓名\nimport.one,样例一\n?,样例二\n"
    report = await (await system.call("POST", "/imports/staff", {"file": file})).json()
    assert (report["rows"], report["accepted"], report["passwords"]) == (2, 1, [])
    assert [(problem["row"], problem["column"]) for problem in report["problems"]] == [(3, "login")]
    listed = await (await system.get("/api/staff?text=import.one")).json()
    assert listed["found"] == []


# ── the description ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest_asyncio.fixture(loop_scope="module")
async def description(world) -> dict:
    answer = await world.visitor().get("/api/openapi.json")
    assert answer.status == 200
    return await answer.json()


async def test_the_description_is_valid_openapi(description):
    validate(description)


async def test_the_description_has_every_operation_with_its_power_and_input(description):
    described = {
        one["operationId"]: (method.upper(), path, one)
        for path, methods in description["paths"].items()
        for method, one in methods.items()
    }
    assert set(described) == {one.name for one in (*OPERATIONS, *SESSION_CALLS)}
    for operation in OPERATIONS:
        method, path, one = described[operation.name]
        assert (method, path) == (operation.method, operation.path)
        assert f"`{operation.power}`" in one["description"]
        assert ("requestBody" in one) == (method == "POST" and operation.input is not None)
        assert set(re.findall(r"\{(\w+)\}", path)) <= set(_parameters(one))
        assert ("x-csrf-token" in _parameters(one)) == (method != "GET")


async def test_every_field_of_an_input_is_described_in_both_languages(description):
    for name, schema in description["components"]["schemas"].items():
        for field, one in schema.get("properties", {}).items() if name.endswith("Input") else ():
            assert "·" in one["description"], f"{name}.{field}"


async def test_answers_are_as_they_are_described(world, stage, description):
    party, _ = await stage.unit("350102")
    clerk = await world.sit("clerk")
    found = await (await clerk.call("GET", f"/units/{party}")).json()
    schema = description["components"]["schemas"]["PartyDetail"]
    assert set(found) == set(schema["properties"])
    assert set(found["record"]) == set(description["components"]["schemas"]["PartyRecord"]["properties"])


def _parameters(operation: dict) -> dict[str, dict]:
    return {one["name"]: one for one in operation.get("parameters", [])}

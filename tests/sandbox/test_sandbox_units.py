"""What business systems have on file of units, to whom they show it, and what a bound number does."""

import re
from dataclasses import asdict

import pytest

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.business import create_business
from sandbox.units import UNIT_RECORDS

PENSION = {record.local_id: record for record in UNIT_RECORDS["pension"]}
UNIT_3 = "35010020141000000301"
STAFF = {"sub": "clerk-1", "sub_type": "natural", "sub_iss": "dept-hrss"}


@pytest.fixture
async def pension(aiohttp_client, signer):
    return await aiohttp_client(create_business("pension", signer.keys()))


async def look(system, signer, path, **claims):
    """What staff are answered; `claims` may make somebody else of them."""
    asked = STAFF | {"aud": "pension", "route": "pension-units" if "?" in path else "pension-unit"} | claims
    async with system.get(path, headers=signer.header(**asked)) as answer:
        return answer.status, await answer.json()


async def declare(pension, signer, *local_ids):
    """What unit-3's operator is answered, bound to a number."""
    claims = {"aud": "pension", "route": "pension-declare", "method": "POST", "sub": "12350100MB0030007Q"}
    fields = [*signer.header(body=b"{}", **claims).items(), ("Content-Type", "application/json")]
    fields += [("Tongguan-Local-Id", local_id) for local_id in local_ids]
    async with pension.post("/declarations", data=b"{}", headers=fields) as answer:
        return answer.status, (await answer.json())["result"]


@pytest.mark.parametrize("system", UNIT_RECORDS)
def test_a_local_id_has_twenty_digits_and_begins_with_its_region(system):
    """社保编号, one for each record."""
    records = UNIT_RECORDS[system]
    assert len({record.local_id for record in records}) == len(records)
    for record in records:
        assert re.fullmatch(f"{record.region}[0-9]{{14}}", record.local_id)


async def test_a_record_is_found_by_its_number(pension, signer):
    """Plainly, with the seven members that are compared."""
    assert await look(pension, signer, f"/units/{UNIT_3}") == (
        200,
        {
            "local_id": UNIT_3,
            "name": "样例三中学",
            "uscc": "12350100MB0030007Q",
            "legal_representative": "样例己",
            "registered_on": "20120901",
            "region": "350100",
            "status": "active",
        },
    )


@pytest.mark.parametrize(
    ("user", "local_ids"),
    [
        ("unit-1", ["35010020141000000101"]),
        ("unit-2", []),
        ("unit-3", [UNIT_3]),
        ("unit-4", ["35020020141000000401", "35020020141000000402"]),
        ("unit-5", []),
        ("unit-6", ["35020020141000000601"]),
    ],
)
async def test_a_code_is_carried_by_none_one_or_several_records(pension, signer, user, local_ids):
    """None is a 404 with an empty list."""
    status, answer = await look(pension, signer, f"/units?uscc={SAMPLE_ACCOUNTS[user].sub}")
    assert (status, [unit["local_id"] for unit in answer["units"]]) == (200 if local_ids else 404, local_ids)


async def test_a_number_that_nobody_has_is_404(pension, signer):
    """With a code of its own."""
    assert await look(pension, signer, "/units/35010020141000000501") == (404, {"code": "unit-unknown"})


@pytest.mark.parametrize(
    ("user", "local_id", "differs"),
    [
        ("unit-2", "35010020141000000201", {"uscc"}),
        ("unit-3", UNIT_3, set()),
        ("unit-6", "35020020141000000601", {"name", "legal_representative"}),
        ("unit-6", "35020020141000000602", {"uscc", "legal_representative", "registered_on"}),
    ],
)
def test_a_record_differs_from_the_provinces_as_it_is_meant_to(user, local_id, differs):
    """What staff see when both lie side by side."""
    profile = SAMPLE_ACCOUNTS[user].profile
    told = {
        "name": profile["organization_name"],
        "uscc": profile["unified_social_credit_code"],
        "legal_representative": profile["legal_representative"],
        "registered_on": profile["registration_date"],
    }
    record = asdict(PENSION[local_id])
    assert {name for name, value in told.items() if record[name] != value} == differs


def test_the_code_that_was_typed_wrongly_differs_in_one_digit():
    """So that searching by the right one finds nothing, and no check digit is right."""
    typed, right = PENSION["35010020141000000201"].uscc, SAMPLE_ACCOUNTS["unit-2"].sub
    assert sum(one != other for one, other in zip(typed, right, strict=True)) == 1


@pytest.mark.parametrize("path", [f"/units/{UNIT_3}", "/units?uscc=12350100MB0030007Q"])
@pytest.mark.parametrize(
    "claims", [{"sub_iss": "https://id.province.example"}, {"sub_type": "legal"}, {"sub_iss": None}]
)
async def test_units_are_shown_to_the_departments_own_staff_only(pension, signer, path, claims):
    """Whatever is offered outside: people and units come from identity platforms, and are refused here as well."""
    status, answer = await look(pension, signer, path, **claims)
    assert (status, answer["code"]) == (403, "staff-only")


async def test_the_identity_comes_first(pension, signer):
    """A number that there is not, without a valid identity, is 403 and not 404."""
    status, answer = await look(pension, signer, "/units/0", route="pension-declare")
    assert (status, answer["identity"]["error"]) == (403, "signed for another route")


@pytest.mark.parametrize("query", ["", "uscc=A&uscc=B", "name=x"])
async def test_a_search_needs_one_code(pension, signer, query):
    """400 otherwise."""
    status, answer = await look(pension, signer, f"/units?{query}", route="pension-units")
    assert (status, answer["error"]) == (400, "the query needs one 'uscc'")


async def test_social_insurance_has_numbers_of_its_own(aiohttp_client, signer):
    """The same unit, another system, another number; a number of the pension system is unknown."""
    system = await aiohttp_client(create_business("social-insurance", signer.keys()))
    asked = {"aud": "social-insurance", "route": "social-insurance-units"}
    _, answer = await look(system, signer, "/units?uscc=12350100MB0030007Q", **asked)
    assert [unit["local_id"] for unit in answer["units"]] == ["35010019960100000301"]
    asked["route"] = "social-insurance-unit"
    assert (await look(system, signer, f"/units/{UNIT_3}", **asked))[0] == 404


async def test_a_declaration_names_the_number_that_its_unit_is_bound_to(pension, signer):
    """As the gateway said it; without one there is none."""
    status, result = await declare(pension, signer, UNIT_3)
    assert (status, result["local_id"], result["unit"]) == (201, UNIT_3, "12350100MB0030007Q")
    status, result = await declare(pension, signer)
    assert (status, "local_id" in result) == (201, False)


@pytest.mark.parametrize("local_ids", [("35010020141000000999",), (UNIT_3, UNIT_3), ("",)])
async def test_a_declaration_for_a_number_that_is_not_there_is_refused(pension, signer, local_ids):
    """422, and nothing is accepted."""
    status, result = await declare(pension, signer, *local_ids)
    assert (status, result["code"]) == (422, "unit-unknown")
    async with pension.get("/sandbox/received") as answer:
        assert (await answer.json())["declarations"] == 0

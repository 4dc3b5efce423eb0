"""The description of the self-service API, and the one table that it and the routes are made of."""

import re

import pytest
from desk_world import HOST
from my_world import PLAIN, MyWorld
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.desk.my_operations import OPERATIONS, PAGES


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


async def described(client) -> dict:
    async with client.get("/sso/my/openapi.json", headers=PLAIN) as answer:
        assert (answer.status, answer.headers["X-Content-Type-Options"]) == (200, "nosniff")
        return await answer.json()


async def test_the_description_is_valid_and_names_every_operation(client):
    said = await described(client)
    OpenAPIV31SpecValidator(said).validate()
    found = {
        (method.upper(), path.removeprefix("/"), one["operationId"])
        for path, methods in said["paths"].items()
        for method, one in methods.items()
    }
    assert found == {(one.method, one.path, one.name) for one in OPERATIONS}
    assert said["servers"] == [{"url": "/sso/my"}]


async def test_what_needs_a_browser_says_so(client):
    """A token opens the others as well."""
    said = await described(client)
    for one in OPERATIONS:
        shown = said["paths"][f"/{one.path}"][one.method.lower()]
        assert ("security" in shown) == one.path.startswith("computer/")


async def test_every_input_is_described_field_by_field(client):
    said = await described(client)
    schemas = said["components"]["schemas"]
    for one in OPERATIONS:
        if one.input is None:
            continue
        shown = said["paths"][f"/{one.path}"][one.method.lower()]
        if one.method == "GET":
            assert {parameter["name"] for parameter in shown["parameters"]} == {"page"}
        else:
            fields = schemas[one.input.__name__]["properties"]
            assert fields.keys() == one.input.model_fields.keys()
            assert all("·" in field["description"] for field in fields.values())


async def test_every_operation_asks_who_is_there_and_nobody_s_page_may_send_it(world, client):
    """Without a session 401, whatever the operation."""
    for one in OPERATIONS:
        path = re.sub(r"\{\w+\}", "x", one.path)
        async with client.request(one.method, f"/sso/my/{path}", headers=PLAIN) as answer:
            assert answer.status == 401, one.name
    assert set(world.codes()) == {"token-missing"}
    assert HOST in PLAIN.values()


def test_every_operation_belongs_to_a_page_that_there_is():
    assert {one.page for one in OPERATIONS} <= {page.path for page in PAGES}
    assert len({one.name for one in OPERATIONS}) == len(OPERATIONS)

"""Pieces of an OpenAPI 3.1 description: what a model of an input, a type of a result and a refusal look like in it.

The back office (gateway/console) and self-service (gateway/desk) put theirs together of them.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.contracts import Settings

SCHEMAS = "#/components/schemas/"
_PARAMETER = re.compile(r"\{(\w+)\}")

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "continue_at": {"type": "string", "description": "where the person can do what is missing"},
        "problems": {
            "type": "array",
            "description": "what is wrong with each field",
            "items": {
                "type": "object",
                "required": ["field", "detail", "title"],
                "properties": {name: {"type": "string"} for name in ("field", "detail", "title")},
            },
        },
    },
}
"""The schema `Problem`, which `refusals` names."""


def parameter(place: str, name: str, schema: Mapping[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A parameter in the `path`, the `query` or the `header`."""
    return {"in": place, "name": name, "required": required, "schema": schema}


def path_parameters(path: str) -> list[dict[str, Any]]:
    """Parameters that a path has in braces."""
    return [parameter("path", name, {"type": "string"}) for name in _PARAMETER.findall(path)]


def query_parameters(model: type[Settings]) -> list[dict[str, Any]]:
    """Fields of an input that comes in the query."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    fields = schema.get("properties", {})
    return [parameter("query", name, one, required=name in required) for name, one in fields.items()]


def request_body(model: type[Settings], schemas: dict[str, Any]) -> dict[str, Any]:
    """The body of an input that comes as JSON.

    Args:
        model: of the input.
        schemas: of the description; what the model needs is added.
    """
    schema = model.model_json_schema(ref_template=SCHEMAS + "{model}")
    schemas |= schema.pop("$defs", {})
    schemas[model.__name__] = schema
    content = {"application/json": {"schema": {"$ref": SCHEMAS + model.__name__}}}
    return {"required": True, "content": content}


def answer(result: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """A good answer.

    Args:
        result: type of it; None: nothing but an empty object.
        schemas: of the description; what the type needs is added.
    """
    schema: dict[str, Any] = {"type": "object"}
    if result is not None:
        (schema,), components = msgspec.json.schema_components([result], ref_template=SCHEMAS + "{name}")
        schemas |= components
    return {"description": "done", "content": {"application/json": {"schema": schema}}}


def refusals(told: Mapping[str, str]) -> dict[str, Any]:
    """Answers with a problem.

    Args:
        told: what each status means.
    """
    problem = {"application/problem+json": {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
    return {status: {"description": text, "content": problem} for status, text in told.items()}

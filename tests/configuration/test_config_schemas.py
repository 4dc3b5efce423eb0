"""gateway.configuration.schemas: an exported schema accepts what it itself offers."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.configuration.parts import available_parts
from gateway.configuration.schemas import schema_of
from gateway.settings import PolicySettings, StaticSettings

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),),
    "array": (list,), "object": (dict,),
}  # fmt: skip


@pytest.mark.parametrize(
    "schema", [schema_of(StaticSettings), schema_of(PolicySettings, available_parts())], ids=["static", "policy"]
)
def test_a_schema_accepts_its_own_defaults(schema: dict[str, Any]) -> None:
    defaults = list(nodes_with_default(schema))

    assert len(defaults) > 20
    assert [node for node in defaults if not accepts(node, node["default"], schema["$defs"])] == []


def test_the_check_of_this_test_tells_a_number_from_a_duration() -> None:
    duration = {"anyOf": [{"type": "string", "pattern": "^[0-9]+s$"}, {"$ref": "#/$defs/r"}]}
    definitions = {"r": {"type": "object"}}

    assert accepts(duration, "5s", definitions)
    assert not accepts(duration, 5.0, definitions)
    assert not accepts(duration, "5", definitions)


def nodes_with_default(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if "default" in node and "title" not in node.get("properties", {}):
            yield node
        for key, inner in node.items():
            if key != "default":
                yield from nodes_with_default(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from nodes_with_default(inner)


def accepts(schema: dict[str, Any], value: Any, definitions: dict[str, Any]) -> bool:
    """So much of JSON Schema as defaults need: references, unions, types, patterns, members."""
    if "$ref" in schema:
        return accepts(definitions[unquote(schema["$ref"]).removeprefix("#/$defs/")], value, definitions)
    branches = schema.get("anyOf") or schema.get("oneOf")
    if branches:
        return any(accepts(branch, value, definitions) for branch in branches)
    if "type" in schema and (not isinstance(value, TYPES[schema["type"]])):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, list):
        return all(accepts(schema.get("items", {}), entry, definitions) for entry in value)
    if not isinstance(value, dict):
        return True
    members, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    chosen = [(members.get(key, others), inner) for key, inner in value.items()]
    return all(member is not False and accepts(member, inner, definitions) for member, inner in chosen)

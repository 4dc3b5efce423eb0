"""Settings as JSON Schema, as they are written in YAML, so that editors complete them. settings.py holds them."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaSerializer
from pydantic_core.core_schema import WithDefaultSchema

from gateway.configuration.parts import import_part

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_REFERENCE = {
    "description": "a value that stands elsewhere",
    "oneOf": [
        {
            "type": "object",
            "properties": {key: {"type": "string", "description": what}},
            "required": [key],
            "additionalProperties": False,
        }
        for key, what in (("$env", "environment variable"), ("$file", "file, relative to this one"))
    ],
}


class _AsWritten(GenerateJsonSchema):
    """Shows the default of a duration or a size as people write it, by the field's own serializer."""

    def default_schema(self, schema: WithDefaultSchema) -> JsonSchemaValue:
        shown = super().default_schema(schema)
        if isinstance(shown.get("default"), int | float):
            shown["default"] = SchemaSerializer(schema).to_python(shown["default"], mode="json")
        return shown


def schema_of(model: type[BaseModel], uses: Iterable[str] = ()) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a settings model as it is written in YAML.

    Args:
        model: the settings.
        uses: parts whose own schema applies to `config` beside their `use`.
    """
    uses = list(uses)
    schema = model.model_json_schema(schema_generator=_AsWritten)
    definitions = schema.setdefault("$defs", {})
    for use in uses:
        definitions[f"config of {use}"] = _nested(import_part(use).Config)
    for name in ("ChannelSettings", "PartSettings"):
        if name in definitions:
            definitions[name]["allOf"] = [_applies(use) for use in uses]
    allowed: dict[str, Any] = _allow_references(schema)
    allowed["$defs"]["reference"] = _REFERENCE
    return {"$schema": DIALECT, **allowed}


def _nested(model: type[BaseModel]) -> dict[str, Any]:
    """A schema that brings its own definitions, whose references are rewritten to point into it."""
    schema = model.model_json_schema(ref_template="{model}", schema_generator=_AsWritten)
    inner = schema.pop("$defs", {})
    inlined: dict[str, Any] = _inline(schema, inner)
    return inlined


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(entry, definitions) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inline(definitions[schema["$ref"]], definitions), **own}
    return {key: _inline(value, definitions) for key, value in schema.items()}


def _applies(use: str) -> dict[str, Any]:
    return {
        "if": {"properties": {"use": {"const": use}}, "required": ["use"]},
        "then": {"properties": {"config": {"$ref": f"#/$defs/config of {use}".replace(" ", "%20")}}},
    }


def _allow_references(schema: Any) -> Any:
    """Let `{$env: …}` and `{$file: …}` stand wherever text may; nothing else may stand for a secret."""
    if isinstance(schema, list):
        return [_allow_references(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("writeOnly"):
        said = {key: schema[key] for key in ("title", "description") if key in schema}
        return {**said, "$ref": "#/$defs/reference"}
    if schema.get("type") == "string" and "const" not in schema and "enum" not in schema:
        said = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        text = {key: value for key, value in schema.items() if key not in said}
        return {**said, "anyOf": [text, {"$ref": "#/$defs/reference"}]}
    return {
        key: value if key in ("propertyNames", "default", "examples") else _allow_references(value)
        for key, value in schema.items()
    }

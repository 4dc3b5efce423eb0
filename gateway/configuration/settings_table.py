"""Every key of gateway.yaml, policy.yaml and a part's `config` as a table: type, default, meaning. docs/ holds them."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, BeforeValidator, PlainValidator, SecretStr
from pydantic.fields import FieldInfo

from gateway.settings import PolicySettings, StaticSettings
from gateway.units import (
    Address,
    parse_address,
    parse_duration,
    parse_network,
    parse_rate,
    parse_size,
    write_duration,
    write_size,
)

_UNITS: dict[Callable[..., Any], str] = {
    parse_duration: "duration",
    parse_size: "size",
    parse_rate: "rate",
    parse_address: "address",
    parse_network: "network",
}
_PLAIN: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    date: "date",
    AwareDatetime: "date and time with zone",
    SecretStr: "reference",
}
_WRITERS: dict[str, Callable[[Any], str]] = {"duration": write_duration, "size": write_size}


def markdown_of() -> str:
    """Every key of gateway.yaml and policy.yaml: type, default, meaning. docs/configuration.md holds it."""
    return (
        "\n".join([*_tables("gateway.yaml", StaticSettings), *_tables("policy.yaml", PolicySettings)]).rstrip() + "\n"
    )


def markdown_of_part(config: type[BaseModel]) -> str:
    """Every key of a part's `config`, as a table: the documents hold those of the shipped parts."""
    return "\n".join(_table(config)) + "\n"


def keys_of_all() -> list[str]:
    """Every key as the tables write it: `limits.body`, `items[].operations[].path`."""
    return [key for model in (StaticSettings, PolicySettings) for key, _ in _fields(model)]


def _tables(title: str, model: type[BaseModel]) -> Iterator[str]:
    yield from (f"### {title}", "")
    yield from _table(model)
    yield ""


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield from ("| Key | Type | Default | Meaning |", "| --- | --- | --- | --- |")
    for key, field in _fields(model):
        default = "required" if field.is_required() else _default(field)
        kind = _type(field.annotation, field.metadata)
        yield f"| `{key}` | {kind} | {default} | {field.description or ''} |"


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        yield key, field
        many = any(get_origin(branch) is tuple for branch in _branches(field.annotation))
        models = list(_models(field.annotation))
        for inner in models:
            index = f"[{_tag(inner)}]" if len(models) > 1 else "[]" if many else ""
            yield from _fields(inner, f"{key}{index}.")


def _tag(model: type[BaseModel]) -> str:
    """What tells a model from the others of its union: the one value of its `via` or `kind`."""
    choices = (_choices(field.annotation) for field in model.model_fields.values())
    tag: str = next(one[0] for one in choices if len(one) == 1)
    return tag


def _branches(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _branches(branch)
    elif get_origin(annotation) is Annotated:
        yield from _branches(get_args(annotation)[0])
    else:
        yield annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for branch in _branches(annotation):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            yield branch
        elif get_origin(branch) is tuple:
            yield from _models(get_args(branch)[0])


def _type(annotation: Any, metadata: list[Any]) -> str:
    for mark in metadata:
        if isinstance(mark, BeforeValidator | PlainValidator) and mark.func in _UNITS:
            return _UNITS[mark.func]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], list(arguments[1:]))
    if origin in (Union, UnionType):
        kinds = dict.fromkeys(_type(branch, []) for branch in arguments if branch is not type(None))
        return " or ".join(kinds)
    if origin in (tuple, frozenset):
        return f"list of {_plural(_type(arguments[0], []))}"
    return " or ".join(f"`{value}`" for value in _choices(annotation)) or _PLAIN.get(annotation, "mapping")


def _choices(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ()


def _plural(kind: str) -> str:
    return kind if kind.startswith("`") or kind == "text" else f"{kind}s"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else "`{}`" if isinstance(value, BaseModel) else f"`{value_text(field, value)}`"


def value_text(field: FieldInfo, value: Any) -> str:
    """Write a value of a field as YAML does."""
    kind = _type(field.annotation, field.metadata)
    if kind in _WRITERS and value is not None:
        return _WRITERS[kind](value)
    return json.dumps(str(value) if isinstance(value, Address) else value, ensure_ascii=False).strip('"')

"""Pydantic's findings as plain sentences, each at the line where the value is written. problems.py collects them."""

from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.configuration.problems import Placed, Problems, did_you_mean, reach
from gateway.configuration.yaml_source import Where
from gateway.units import NAME_PATTERN

MOST_EXPLAINED = 10_000
"""Findings that get a sentence: a broken file may have a million."""


def explain_errors(
    error: ValidationError, model: type[BaseModel], source: Placed, problems: Problems, at: Where = ()
) -> None:
    """Note what pydantic found, one plain sentence for each value that is wrong.

    Args:
        error: what validating `source.data`, or the part of it under `at`, raised.
        model: the model it was validated against.
        source: where the data comes from.
        problems: where to note it.
        at: the place of the validated part.
    """
    found: dict[Where, list[ErrorDetails]] = {}
    every = error.errors(include_url=False)
    problems.skip(len(every[MOST_EXPLAINED:]))
    for detail in every[:MOST_EXPLAINED]:
        place = _place_of(detail, source.data, at)
        found.setdefault(place, []).append(detail)
    parents = {place[:length] for place in found for length in range(len(place))}
    for place, details in found.items():
        if place not in parents or not _is_shadow(reach(source.data, place), details):
            problems.at(source, place, _tell(details, model, source, place, at))


def _place_of(detail: ErrorDetails, data: Any, at: Where) -> Where:
    """The place without pydantic's own steps (names of union branches, of functions)."""
    place: list[str | int] = list(at)
    node = reach(data, at)
    steps = detail["loc"]
    for number, step in enumerate(steps):
        known = (isinstance(node, dict) and step in node) or (isinstance(node, list) and isinstance(step, int))
        if known:
            node = node[step]
        if known or (detail["type"] == "missing" and number == len(steps) - 1):
            place.append(step)
    if detail["type"].startswith("union_tag"):
        place.append(detail["ctx"]["discriminator"].strip("'"))
    return tuple(place)


def _is_shadow(value: Any, details: list[ErrorDetails]) -> bool:
    """Tell whether it only follows from a deeper problem: a union's other branches, a list without its bad entries."""
    types = {detail["type"] for detail in details}
    return bool(value) and (types == {"too_short"} or (isinstance(value, dict) and types <= _SHAPES.keys()))


def _tell(details: list[ErrorDetails], model: type[BaseModel], source: Placed, place: Where, at: Where) -> str:
    if any(detail["type"] == "extra_forbidden" for detail in details):
        key = str(place[-1])
        return "unknown key" + did_you_mean(key, _sibling_keys(model, place[len(at) :]))
    if len(details) > 1:
        details = _of_fitting_branch(details)
    reference = source.is_reference(place)
    text = _join_or([_sentence(detail) for detail in details])
    value = details[0]["input"]
    if reference and isinstance(value, str) and value:
        return text.replace(repr(value), "the referenced value")
    return f"has no value; {text}" if value is None else text


def _of_fitting_branch(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Of a union's findings, those of the branches whose shape fits; all of them when none does."""
    fitting = [detail for detail in details if detail["type"] not in _SHAPES]
    return fitting or details


def _join_or(sentences: list[str]) -> str:
    first, *others = dict.fromkeys(sentences)
    if not others:
        return first
    first = first.removesuffix(_QUOTES)
    return " or ".join([first, *(other.removesuffix(_QUOTES).removeprefix("should be ") for other in others)])


_QUOTES = "; put it in quotes"


_SHAPES = {
    "string_type": "should be text",
    "string_sub_type": "should be text",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "set_type": "should be a list",
    "frozen_set_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
}

_SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda _: "is required and missing",
    "literal_error": lambda ctx: f"should be {ctx['expected']}",
    "enum": lambda ctx: f"should be {ctx['expected']}",
    "union_tag_invalid": lambda ctx: f"should be {ctx['expected_tags'].replace(', ', ' or ')}",
    "union_tag_not_found": lambda _: "is required and missing",
    "string_too_short": lambda ctx: f"should have at least {_count(ctx['min_length'], 'character')}",
    "string_too_long": lambda ctx: f"should have at most {_count(ctx['max_length'], 'character')}",
    "too_short": lambda ctx: f"needs at least {_count(ctx['min_length'], 'entry')}",
    "too_long": lambda ctx: f"takes at most {_count(ctx['max_length'], 'entry')}",
    "greater_than_equal": lambda ctx: f"should be at least {ctx['ge']}",
    "greater_than": lambda ctx: f"should be more than {ctx['gt']:g}",
    "less_than_equal": lambda ctx: f"should be at most {ctx['le']}",
    "less_than": lambda ctx: f"should be less than {ctx['lt']:g}",
    "value_error": lambda ctx: str(ctx["error"]),
    "assertion_error": lambda ctx: str(ctx["error"]),
}


def _sentence(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind in _SHAPES:
        quoted = kind == "string_type" and isinstance(value, int | float)
        return _SHAPES[kind] + (_QUOTES if quoted else "")
    if kind == "string_pattern_mismatch":
        return _of_pattern(value, detail["ctx"]["pattern"])
    if kind in _SENTENCES:
        return _SENTENCES[kind](detail.get("ctx", {})) + _suggestion(detail)
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _of_pattern(value: str, pattern: str) -> str:
    if pattern == NAME_PATTERN:
        return f"{value!r} is no name; write a-z, 0-9 and hyphens, beginning with a letter, at most 63"
    return f"{value!r} does not match {pattern}"


def _suggestion(detail: ErrorDetails) -> str:
    context, value = detail.get("ctx", {}), detail["input"]
    expected = context.get("expected", "")
    if "tag" in context:
        value, expected = context["tag"], context["expected_tags"]
    return did_you_mean(value, expected.split("'")[1::2]) if isinstance(value, str) and expected else ""


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"one {noun}"
    return f"{number} {noun.removesuffix('y') + 'ies' if noun.endswith('y') else noun + 's'}"


def _sibling_keys(model: type[BaseModel], place: Where) -> list[str]:
    """Keys that were possible where an unknown one stands."""
    types: list[Any] = [model]
    for step in place[:-1]:
        types = [inner for outer in types for inner in _step_into(outer, step)]
    key = place[-1]
    models = [kind for outer in types for kind in _models(outer)]
    return [name for kind in models if key not in keys_of(kind) for name in keys_of(kind)]


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """A model's keys as YAML writes them, each with the field's name in Python."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _step_into(annotation: Any, step: str | int) -> Iterator[Any]:
    if isinstance(step, int):
        yield from _entries(annotation)
        return
    for model in _models(annotation):
        name = keys_of(model).get(step)
        if name is not None:
            yield model.model_fields[name].annotation


def _entries(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (tuple, list, set, frozenset):
        yield get_args(annotation)[0]
    elif get_origin(annotation) in (Union, UnionType, Annotated):
        for branch in get_args(annotation):
            yield from _entries(branch)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models an annotation allows: itself, the branches of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in (Union, UnionType, Annotated):
        for branch in get_args(annotation):
            yield from _models(branch)

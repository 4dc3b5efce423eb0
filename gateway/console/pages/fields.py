"""Fields of a form, made of the model that its post is checked with: what is asked and what is taken are the same."""

import types
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic.fields import FieldInfo

from gateway.contracts import Settings
from gateway.ledger.words import Words, word

_SEVERAL_LINES = 500
"""A text that may be longer than this gets several lines."""
_FEW = 3
"""Options that are shown at once; more of them open on a press."""


class Option(msgspec.Struct, frozen=True):
    """Something to choose.

    Attributes:
        value: what is sent.
        label: what people read.
    """

    value: str
    label: Words


class Field(msgspec.Struct, frozen=True):
    """A field of a form.

    Attributes:
        name: of the model's field.
        label: what people call it.
        hint: what else there is to know before it is filled in; None when nothing is.
        kind: `text`, `date`, `prose` (several lines), `lines` (one entry in each line), `select`, `radio`, `ticks`
            (any of the options), `tick` (yes), or `hidden` (never taken over from what was entered).
        required: True when it may not be empty.
        longest: characters at most; None for any number.
        options: of `select`, `radio` and `ticks`.
        value: what stands there.
    """

    name: str
    label: Words
    hint: Words | None
    kind: str
    required: bool
    longest: int | None
    options: tuple[Option, ...]
    value: tuple[str, ...]


def fields_of(
    model: type[Settings],
    values: Mapping[str, tuple[str, ...]],
    options: Mapping[str, tuple[Option, ...]],
    hidden: frozenset[str] = frozenset(),
) -> list[Field]:
    """The fields of a model, in its order.

    Args:
        model: of the input.
        values: what stands in them, by name.
        options: what there is to choose, by name, where the model does not say.
        hidden: names of those that are sent along and not shown; `version` always is.
    """
    return [
        _field(name, info, values.get(name, ()), options.get(name), hidden | {"version"})
        for name, info in model.model_fields.items()
    ]


def _field(
    name: str, info: FieldInfo, value: tuple[str, ...], options: tuple[Option, ...] | None, hidden: frozenset[str]
) -> Field:
    longest = next((one.max_length for one in info.metadata if hasattr(one, "max_length")), None)
    many = get_origin(info.annotation) is tuple
    chosen = _own_options(name, info.annotation) if options is None else options
    required = info.is_required()
    kind = "hidden" if name in hidden else _kind(info.annotation, longest, chosen, many=many, required=required)
    label, hint = _described(name, info)
    return Field(name, label, hint, kind, required, None if many else longest, chosen or (), value)


def _kind(
    annotation: Any, longest: int | None, options: tuple[Option, ...] | None, *, many: bool, required: bool
) -> str:
    if many:
        return "lines" if options is None else "ticks"
    if options is not None:
        return "radio" if required and len(options) <= _FEW else "select"
    if annotation is bool:
        return "tick"
    if annotation is date:
        return "date"
    return "prose" if longest is not None and longest >= _SEVERAL_LINES else "text"


def _own_options(name: str, annotation: Any) -> tuple[Option, ...] | None:
    """What a model itself allows: the members of an enumeration, or the literals."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        values = get_args(annotation)
    elif isinstance(annotation, type) and issubclass(annotation, StrEnum):
        values = tuple(one.value for one in annotation)
    else:
        return None
    return tuple(Option(value, word(_TABLES.get(name, name), value)) for value in values)


_TABLES = {"state": "party"}
"""Tables of words for fields that have another name."""


def _described(name: str, info: FieldInfo) -> tuple[Words, Words | None]:
    """Label and hint. A description is `标签，说明 · label; hint`: in Chinese and, behind the dot, in English."""
    chinese, _, english = (info.description or "").partition("·")
    chinese, _, more = chinese.strip().partition("，")
    english, _, more_english = english.strip().partition("; ")
    label = LABELS.get(name, (chinese, english[:1].upper() + english[1:]))
    return label, (more, more_english) if more or more_english else None


LABELS: Mapping[str, Words] = {
    "operator": ("经办人", "Operator"),
    "items": ("事项", "Items"),
    "devices": ("限定指定设备", "Designated devices, one of which has to be used"),
    "account": ("省平台经办人账号", "Account at the province"),
}
"""Where a description tells a program more than people need."""

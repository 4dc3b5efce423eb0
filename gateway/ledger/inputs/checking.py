"""From what somebody entered to a checked model, each problem in two languages beside its field."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.codes import CodeError
from gateway.contracts import Settings
from gateway.errors import FieldProblem, InputRefused

S = TypeVar("S", bound=Settings)


def check_input(model: type[S], data: Mapping[str, Any], *, strict: bool | None = None) -> S:
    """Make an input of plain data.

    Args:
        model: of the input.
        data: by field.
        strict: False reads numbers and dates from text, as a form or a CSV file has them; None as the model says.

    Raises:
        InputRefused: with every problem, each by its field.
    """
    try:
        return model.model_validate(data, strict=strict)
    except ValidationError as error:
        raise InputRefused(*_problems(error.errors(include_url=False))) from None


def check_json(model: type[S], body: bytes) -> S:
    """Make an input of a JSON object, strictly: text is no number, and a number no text; dates are text.

    Args:
        model: of the input.
        body: JSON.

    Raises:
        InputRefused: with every problem, each by its field.
    """
    try:
        return model.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise InputRefused(*_problems(error.errors(include_url=False))) from None


def _problems(errors: Iterable[ErrorDetails]) -> list[FieldProblem]:
    return [FieldProblem(".".join(map(str, error["loc"])), _told(error)) for error in errors]


def _told(error: ErrorDetails) -> tuple[str, str]:
    """One problem in two languages; a rule of ours says it itself, pydantic's kinds are in the table."""
    context = error.get("ctx", {})
    own = context.get("error")
    if isinstance(own, CodeError):
        return own.title
    chinese, english = _KINDS.get(error["type"], _OTHER)
    values = {name: str(value) for name, value in context.items()}
    return chinese.format_map(values | {"listed": _listed(values.get("expected", ""))}), english.format_map(values)


def _listed(expected: str) -> str:
    """`'open', 'closed' or 'left'` as a Chinese sentence has it."""
    return expected.replace("'", "").replace(", ", "、").replace(" or ", " 或 ")


_OTHER = ("此项填写有误。", "This cannot be taken.")
_DATE = ("应为日期，如 2026-01-31。", "A date is expected, such as 2026-01-31.")
_YES_OR_NO = ("应为是或否。", "Yes or no is expected.")
_WHOLE_NUMBER = ("应为整数。", "A whole number is expected.")
_ONE_OF = ("只能是 {listed}。", "One of {expected} is expected.")
_KINDS: Mapping[str, tuple[str, str]] = {
    "missing": ("此项必填。", "This has to be filled in."),
    "extra_forbidden": ("没有此项。", "There is no such field."),
    "string_too_short": ("至少 {min_length} 个字符。", "At least {min_length} characters."),
    "string_too_long": ("至多 {max_length} 个字符。", "At most {max_length} characters."),
    "string_pattern_mismatch": ("格式不正确。", "This is not written as it has to be."),
    "string_type": ("应为文字。", "Text is expected."),
    "too_short": ("至少选择 {min_length} 项。", "Choose at least {min_length}."),
    "too_long": ("至多 {max_length} 项。", "At most {max_length}."),
    "bool_parsing": _YES_OR_NO,
    "bool_type": _YES_OR_NO,
    "int_parsing": _WHOLE_NUMBER,
    "int_type": _WHOLE_NUMBER,
    "greater_than_equal": ("不得小于 {ge}。", "Not less than {ge}."),
    "less_than_equal": ("不得大于 {le}。", "Not more than {le}."),
    "date_from_datetime_parsing": _DATE,
    "date_parsing": _DATE,
    "date_type": _DATE,
    "literal_error": _ONE_OF,
    "enum": _ONE_OF,
}

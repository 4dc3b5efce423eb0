"""What a grant is asked for with, and its terms as the ledger keeps them. grants.py holds them against the database."""

from collections.abc import Callable
from datetime import date

import msgspec
from pydantic import Field

from gateway.beijing import begin_of, end_of
from gateway.codes import CodeError, is_within, region_scope
from gateway.contracts import Settings
from gateway.errors import FieldProblem, InputRefused
from gateway.ledger.inputs.lines import Line
from gateway.ledger.inputs.texts import read_network
from gateway.ledger.rules import Rules
from gateway.units import parse_span

LONGEST_YEARS = 5
"""Years that a grant may hold at most."""


class GrantInput(Settings):
    """What an operator shall be able to do for her unit."""

    operator: Line = Field(min_length=1, max_length=32, description="经办人编号 · id of the operator's entry")
    items: tuple[Line, ...] = Field(
        min_length=1, max_length=50, description="事项编码 · codes of the items, a grant for each"
    )
    scope: Line = Field(
        "", max_length=12, description="适用区划代码，空为单位所在区划 · region it covers; empty: the unit's own"
    )
    valid_from: date = Field(description="生效日期 · first day, Asia/Shanghai")
    valid_until: date = Field(description="截止日期（含当日）· last day, Asia/Shanghai")
    exclusive: bool = Field(False, description="独占：本单位仅此经办人可办理 · nobody else of the unit may")
    networks: tuple[Line, ...] = Field((), max_length=20, description="限定网段（CIDR）· addresses to come from")
    devices: tuple[Line, ...] = Field(
        (), max_length=20, description="限定指定设备编号 · ids of the unit's designated devices to use one of"
    )
    hours: tuple[Line, ...] = Field((), max_length=10, description="限定时段，如 09:00-17:00 · hours of the day")


class Ground(msgspec.Struct, frozen=True):
    """What the ledger knows and a grant has to fit.

    Attributes:
        region: of the unit.
        post: scope of the post that proposes.
        today: in China.
        operator: True when the operator is one of the unit's, now.
        devices: ids of the unit's designated devices that were not ended.
    """

    region: str
    post: str
    today: date
    operator: bool
    devices: frozenset[str]


class Terms(msgspec.Struct, frozen=True):
    """A grant's terms as they are kept; see gateway.facts.Grant.

    Attributes:
        items: each once.
        scope: prefix of GB/T 2260 codes.
        valid_from: Unix seconds.
        valid_until: Unix seconds, the end of the last day.
        exclusive: as entered.
        constraints: `networks`, `devices`, `hours`; those that are not empty.
    """

    items: tuple[str, ...]
    scope: str
    valid_from: float
    valid_until: float
    exclusive: bool
    constraints: dict[str, list[str]]


def read_terms(given: GrantInput, rules: Rules, ground: Ground) -> Terms:
    """Check everything that was entered.

    Raises:
        InputRefused: with every problem there is.
    """
    problems = [] if ground.operator else [FieldProblem("operator", _NO_OPERATOR)]
    problems += _item_problems(given, rules) + _date_problems(given, ground.today)
    scope = _scope(given.scope, ground, problems)
    constraints = {
        "networks": _each("networks", given.networks, read_network, problems),
        "devices": _each("devices", given.devices, lambda id_: _device(id_, ground), problems),
        "hours": _each("hours", given.hours, _hours, problems),
    }
    if problems:
        raise InputRefused(*problems)
    return Terms(
        tuple(dict.fromkeys(given.items)),
        scope,
        begin_of(given.valid_from),
        end_of(given.valid_until),
        given.exclusive,
        {name: values for name, values in constraints.items() if values},
    )


def _item_problems(given: GrantInput, rules: Rules) -> list[FieldProblem]:
    granted = {code for code, item in rules.items.items() if item.granted}
    return [FieldProblem(f"items.{place}", _NO_ITEM) for place, code in enumerate(given.items) if code not in granted]


def _date_problems(given: GrantInput, today: date) -> list[FieldProblem]:
    first, last = given.valid_from, given.valid_until
    problems = [FieldProblem("valid_from", _PAST)] if first < today else []
    if last < max(first, today):
        problems.append(FieldProblem("valid_until", _ENDS_EARLY))
    elif (last.year, last.month, last.day) > (first.year + LONGEST_YEARS, first.month, first.day):
        problems.append(FieldProblem("valid_until", _TOO_LONG))
    return problems


def _scope(code: str, ground: Ground, problems: list[FieldProblem]) -> str:
    """The prefix that is kept. It lies within the post's scope and covers the unit, which would else never use it."""
    try:
        scope = region_scope(code or ground.region or "000000")
    except CodeError as error:
        problems.append(FieldProblem("scope", error.title))
        return ""
    if not is_within(scope, ground.post):
        problems.append(FieldProblem("scope", _WIDE))
    elif not is_within(ground.region, scope):
        problems.append(FieldProblem("scope", _ELSEWHERE))
    return scope


def _each(name: str, given: tuple[str, ...], read: Callable[[str], str], problems: list[FieldProblem]) -> list[str]:
    """Read the entries of a list, each once."""
    found: dict[str, None] = {}
    for place, text in enumerate(given):
        try:
            found[read(text)] = None
        except CodeError as error:
            problems.append(FieldProblem(f"{name}.{place}", error.title))
    return list(found)


def _device(id_: str, ground: Ground) -> str:
    if id_ not in ground.devices:
        raise CodeError("没有该指定设备，或已停用。", "The unit has no such designated device, or it was ended.")
    return id_


def _hours(text: str) -> str:
    try:
        parse_span(text)
    except ValueError:
        raise CodeError(
            "时段应写作 09:00-17:00，止时晚于起时；跨零点请分为两段。",
            "Hours are written 09:00-17:00 and end after they begin; over midnight write two of them.",
        ) from None
    return text


_NO_OPERATOR = ("本单位没有该经办人，或其已离开。", "The unit has no such operator, or she has left.")
_NO_ITEM = ("没有该事项，或该事项不需授权。", "There is no such item, or operators need no grant for it.")
_PAST = ("生效日期不能早于今天。", "The first day cannot be in the past.")
_ENDS_EARLY = ("截止日期不能早于生效日期或今天。", "The last day is not before the first one, nor in the past.")
_TOO_LONG = ("授权最长五年。", "A grant holds for five years at most.")
_WIDE = ("适用区划超出您的辖区。", "The region is not within your own.")
_ELSEWHERE = ("适用区划应包含单位所在区划。", "The region has to cover the one that the unit is in.")

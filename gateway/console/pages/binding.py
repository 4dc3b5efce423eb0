"""Binding a unit to its record in a business system: search there, look at both sides, propose, approve, unbind."""

from typing import Any
from urllib.parse import quote

from aiohttp import web

from gateway.console.comparing import Comparison
from gateway.console.console import console_of
from gateway.console.forms import by_field
from gateway.console.pages.forms import Fact, Form, Sheet, require_power
from gateway.console.pages.unit_forms import unit_of
from gateway.console.rendering import page, see_other
from gateway.console.session import require_officer
from gateway.errors import FieldProblem, InputRefused
from gateway.ledger.entries import BindingRecord
from gateway.ledger.parties import PartyRecord
from gateway.ledger.powers import Power
from gateway.ledger.rules import LocalId
from gateway.ledger.values import Officer
from gateway.ledger.words import word


async def show_candidates(request: web.Request) -> web.Response:
    """What the business system has under the unit's code; and a field for an id that somebody brought on paper."""
    officer, named = await require_officer(request), request.match_info
    require_power(officer, Power.BINDING_PROPOSE)
    unit = await unit_of(request, officer)
    rule = console_of(request).rules().local_ids.get(named["system"])
    typed = request.query.get("local_id", "").strip()
    problem = None if rule is None or not typed else rule.problem(typed)
    if rule is not None and typed and problem is None:
        return see_other(f"/units/{unit.id}/records/{rule.system}/{quote(typed, safe='')}")
    return await _candidates(request, officer, unit, rule, typed, problem)


async def _candidates(
    request: web.Request,
    officer: Officer,
    unit: PartyRecord,
    rule: LocalId | None,
    typed: str,
    problem: FieldProblem | None,
) -> web.Response:
    candidates = await console_of(request).comparing.candidates(officer, unit.id, request.match_info["system"])
    values: dict[str, Any] = {"unit": unit, "candidates": candidates, "rule": rule, "typed": typed}
    problems = {} if problem is None else by_field([problem])
    return page(request, "candidates", status=422 if problems else 200, problems=problems, **values)


async def _proposal(request: web.Request, officer: Officer) -> Sheet:
    unit, named = await unit_of(request, officer), request.match_info
    comparison = await _compared(request, officer, unit, named["system"], named["local_id"])
    return Sheet(unit=unit, comparison=comparison)


async def _decision(request: web.Request, officer: Officer) -> Sheet:
    """What was proposed, with both sides fetched anew."""
    unit, found = await _binding(request, officer)
    comparison = await _compared(request, officer, unit, found.system, found.local_id)
    changed = comparison is None or comparison.entries() != found.compared
    return Sheet(_version(found), {}, _facts(found), unit, _CHANGED if changed else None, comparison)


async def _ending(request: web.Request, officer: Officer) -> Sheet:
    unit, found = await _binding(request, officer)
    return Sheet(_version(found), {}, _facts(found), unit)


async def _binding(request: web.Request, officer: Officer) -> tuple[PartyRecord, BindingRecord]:
    unit = await unit_of(request, officer)
    return unit, await console_of(request).bindings.find(officer, unit.id, request.match_info["id"])


async def _compared(
    request: web.Request, officer: Officer, unit: PartyRecord, system: str, local_id: str
) -> Comparison | None:
    """Both sides; None where the address names no system or id that could be: the form says what is wrong."""
    try:
        return await console_of(request).comparing.compare(officer, unit.id, system, local_id)
    except InputRefused:
        return None


def _version(binding: BindingRecord) -> dict[str, tuple[str, ...]]:
    return {"version": (str(binding.version),)}


def _facts(binding: BindingRecord) -> tuple[Fact, ...]:
    return (
        (("业务系统", "Business system"), binding.system),
        (("编号", "Id there"), binding.local_id),
        (("备注", "Note"), binding.note or "—"),
        (("状态", "State"), word("binding", binding.state)),
    )


_CHANGED = (
    "比对结果与提交绑定时不同，请重新核对。",
    "What both sides say has changed since this was proposed. Please look again.",
)

_SECTION = "/units/{unit}"

BINDING_FORMS = (
    Form(
        "bindings.propose",
        "/units/{id}/records/{system}/{local_id}",
        "/units/{id}",
        _proposal,
        placed=("system", "local_id"),
    ),
    Form("bindings.approve", f"{_SECTION}/bindings/{{id}}/approve", _SECTION, _decision),
    Form("bindings.reject", f"{_SECTION}/bindings/{{id}}/reject", _SECTION, _decision),
    Form("bindings.end", f"{_SECTION}/bindings/{{id}}/end", _SECTION, _ending, grave=True),
)
"""The forms about bindings."""

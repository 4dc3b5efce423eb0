"""The forms about one person or unit: its state, applications, operators, grants, designated devices, appeals.

binding.py has those that show a comparison.
"""

from datetime import timedelta

from aiohttp import web

from gateway.beijing import day_of
from gateway.console.console import Console, console_of
from gateway.console.pages.fields import Option
from gateway.console.pages.forms import Fact, Form, Sheet
from gateway.ledger.entries import DesignatedRecord, GrantRecord
from gateway.ledger.parties import PartyRecord
from gateway.ledger.values import Officer
from gateway.ledger.words import TABLES, word
from gateway.model import Kind

_YEAR = timedelta(days=365)


async def unit_of(request: web.Request, officer: Officer) -> PartyRecord:
    """The unit that the address names: `unit`, or `id` where the form is about the unit itself."""
    named = request.match_info
    found = await console_of(request).parties.find(officer, named.get("unit", named["id"]))
    return found.record


# ── the unit itself ───────────────────────────────────────────────────────────────────────────────────────────────


async def _unit(request: web.Request, officer: Officer) -> Sheet:
    unit = await unit_of(request, officer)
    facts: tuple[Fact, ...] = (
        (("当前状态", "State"), word("party", unit.state)),
        (("行政区划", "Region"), unit.region),
    )
    return Sheet(values={"version": (str(unit.version),)}, facts=facts, unit=unit)


async def _operator(request: web.Request, officer: Officer) -> Sheet:
    return Sheet(unit=await unit_of(request, officer))


# ── applications ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _application(request: web.Request, officer: Officer) -> Sheet:
    return Sheet(options={"items": _items(console_of(request))}, unit=await unit_of(request, officer))


async def _review(request: web.Request, officer: Officer) -> Sheet:
    unit, console = await unit_of(request, officer), console_of(request)
    found = await console.applications.find(officer, unit.id, request.match_info["id"])
    facts: tuple[Fact, ...] = (
        (("申请事项", "Items"), "、".join(_name(console, item) for item in found.items)),
        (("备注", "Note"), found.note or "—"),
        (("受理人", "Recorded by"), found.received_by),
    )
    choice = (Option("true", ("通过", "Approve")), Option("false", ("退回", "Reject")))
    return Sheet({"version": (str(found.version),)}, {"approve": choice}, facts, unit)


# ── operators and grants ──────────────────────────────────────────────────────────────────────────────────────────


async def _leave(request: web.Request, officer: Officer) -> Sheet:
    unit = await unit_of(request, officer)
    found = await console_of(request).operators.find(officer, unit.id, request.match_info["id"])
    facts: tuple[Fact, ...] = ((("经办人", "Operator"), f"{found.name} · {found.account}"),)
    warning = ("其全部授权将同时终止。", "All of her grants end with this.")
    return Sheet(facts=facts, unit=unit, warning=warning)


async def _grant(request: web.Request, officer: Officer) -> Sheet:
    """Items to open, for one of the operators, for a year to begin with."""
    unit, console = await unit_of(request, officer), console_of(request)
    operators = await console.operators.present(officer, unit.id)
    devices = await console.devices.not_ended(officer, unit.id)
    today = day_of(console.clock())
    options = {
        "operator": tuple(Option(one.id, (one.name, one.account)) for one in operators),
        "items": _items(console),
        "devices": tuple(Option(one.id, (one.name, word("device-kind", one.kind)[1])) for one in devices),
    }
    values = {"valid_from": (today.isoformat(),), "valid_until": ((today + _YEAR).isoformat(),)}
    return Sheet(values, options, unit=unit)


async def _granted(request: web.Request, officer: Officer) -> Sheet:
    unit, console = await unit_of(request, officer), console_of(request)
    found = await console.grants.find(officer, unit.id, request.match_info["id"])
    return Sheet({"version": (str(found.version),)}, facts=_grant_facts(console, found), unit=unit)


def _grant_facts(console: Console, grant: GrantRecord) -> tuple[Fact, ...]:
    exclusive = ("是，仅此经办人可办理", "yes, nobody else of the unit may") if grant.exclusive else ("否", "no")
    limits = ", ".join((*grant.networks, *grant.devices, *grant.hours))
    return (
        (("经办人", "Operator"), f"{grant.operator_name} · {grant.account}"),
        (("事项", "Item"), _name(console, grant.item)),
        (("有效期", "From and until"), f"{grant.first_day} — {grant.last_day}"),
        (("适用区划", "Region"), grant.scope or "—"),
        (("独占", "Exclusive"), exclusive),
        (("限定条件", "Only"), limits or "—"),
        (("状态", "State"), word("grant", grant.state)),
    )


# ── designated devices and appeals ────────────────────────────────────────────────────────────────────────────────


async def _device(request: web.Request, officer: Officer) -> Sheet:
    kinds = tuple(Option(kind, TABLES["device-kind"][kind]) for kind in ("certificate", "network"))
    options = {"kind": kinds, "items": _items(console_of(request))}
    return Sheet(options=options, unit=await unit_of(request, officer))


async def _designated(request: web.Request, officer: Officer) -> Sheet:
    unit, console = await unit_of(request, officer), console_of(request)
    found = await console.devices.find(officer, unit.id, request.match_info["id"])
    return Sheet({"version": (str(found.version),)}, facts=_device_facts(console, found), unit=unit)


def _device_facts(console: Console, device: DesignatedRecord) -> tuple[Fact, ...]:
    return (
        (("设备名称", "Name"), device.name),
        (("类型", "Kind"), word("device-kind", device.kind)),
        (("标识", "Identified by"), device.value),
        (("限定事项", "For"), "、".join(_name(console, item) for item in device.items) or "—"),
        (("状态", "State"), word("device", device.state)),
    )


async def _appeal(request: web.Request, officer: Officer) -> Sheet:
    unit = await unit_of(request, officer)
    found = await console_of(request).appeals.find(officer, unit.id, request.match_info["id"])
    facts: tuple[Fact, ...] = (
        (("业务系统", "Business system"), found.system),
        (("编号", "Id there"), found.local_id),
        (("申诉理由", "Why"), found.reason),
    )
    choice = (Option("true", ("成立", "Uphold")), Option("false", ("不成立", "Dismiss")))
    return Sheet({"version": (str(found.version),)}, {"uphold": choice}, facts, unit, _UPHOLDING)


def _items(console: Console) -> tuple[Option, ...]:
    """The items for which operators of units need a grant."""
    granted = (one for one in console.rules().items.values() if one.granted and Kind.LEGAL in one.audience)
    return tuple(Option(one.code, (one.name, one.code)) for one in granted)


def _name(console: Console, item: str) -> str:
    known = console.rules().items.get(item)
    return item if known is None else known.name


_UPHOLDING = (
    "申诉成立时，对方单位与该编号的现有绑定将解除；申诉单位须另行比对、绑定。",
    "Upholding ends the other unit's binding to this number. The claimant is then compared and bound as usual.",
)

_SECTION = "/units/{unit}"

UNIT_FORMS = (
    Form("units.suspend", "/units/{id}/suspend", "/units/{id}", _unit),
    Form("units.resume", "/units/{id}/resume", "/units/{id}", _unit),
    Form("units.revoke", "/units/{id}/revoke", "/units/{id}", _unit, grave=True),
    Form("units.relocate", "/units/{id}/region", "/units/{id}", _unit),
    Form("applications.record", "/units/{id}/applications", "/units/{id}", _application),
    Form("applications.review", f"{_SECTION}/applications/{{id}}/review", _SECTION, _review),
    Form("operators.enter", "/units/{id}/operators", "/units/{id}", _operator),
    Form("operators.leave", f"{_SECTION}/operators/{{id}}/leave", _SECTION, _leave, grave=True),
    Form("grants.propose", "/units/{id}/grants", "/units/{id}", _grant),
    Form("grants.approve", f"{_SECTION}/grants/{{id}}/approve", _SECTION, _granted),
    Form("grants.reject", f"{_SECTION}/grants/{{id}}/reject", _SECTION, _granted),
    Form("grants.end", f"{_SECTION}/grants/{{id}}/end", _SECTION, _granted, grave=True),
    Form("devices.register", "/units/{id}/devices", "/units/{id}", _device),
    Form("devices.approve", f"{_SECTION}/devices/{{id}}/approve", _SECTION, _designated),
    Form("devices.end", f"{_SECTION}/devices/{{id}}/end", _SECTION, _designated, grave=True),
    Form("appeals.decide", f"{_SECTION}/appeals/{{id}}/decide", _SECTION, _appeal, grave=True),
)
"""Every form about a unit but those of bindings."""

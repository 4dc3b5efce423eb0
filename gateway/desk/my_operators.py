"""Operators of my unit and what they may do (经办人授权); accounts that it is bound to, and appeals (申诉)."""

from collections import defaultdict
from typing import Any

from msgspec.structs import replace

from gateway.beijing import local_time
from gateway.desk.my_operation import Asked, Operation, Page, WhyInput
from gateway.ledger import values
from gateway.ledger.entries import AppealRecord, BindingRecord, GrantRecord
from gateway.ledger.inputs.claims import AppealInput
from gateway.ledger.inputs.searching import PageInput
from gateway.ledger.inputs.units import LeaveInput
from gateway.ledger.operators import OperatorRecord

_OPEN = ("proposed", "offered", "live")


async def _operators(asked: Asked) -> dict[str, Any]:
    """Operators with their grants, she who asks before all others; she alone can answer what is offered to her.

    Twenty at a time: a large unit has thousands of grants, and no other request is served while they are drawn.
    """
    page = await asked.my.operators.of(asked.owner, asked.input.page)
    grants: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for grant in await asked.my.grants.of_operators(asked.owner, [one.id for one in page.found]):
        grants[grant.operator].append(_grant(asked, grant))
    shown = [_operator(asked, one) | {"grants": grants[one.id]} for one in page.found]
    return {"operators": replace(page, found=shown)}


def _operator(asked: Asked, record: OperatorRecord) -> dict[str, Any]:
    left = None if record.left_at is None else local_time(record.left_at)
    return {"record": record, "added": local_time(record.added_at), "left": left, "me": _is_me(asked, record.account)}


def _grant(asked: Asked, record: GrantRecord) -> dict[str, Any]:
    item = asked.my.rules.items.get(record.item)
    offered = record.state == "offered" and _is_me(asked, record.account)
    name = record.item if item is None else item.name
    return {"record": record, "item": name, "mine": offered, "open": record.state in _OPEN}


def _is_me(asked: Asked, account: str) -> bool:
    return account == asked.caller.principal.operator


async def _bindings(asked: Asked) -> dict[str, Any]:
    labels = {name: one.label for name, one in asked.my.rules.local_ids.items()}
    bindings = await asked.my.bindings.of(asked.owner)
    appeals = await asked.my.appeals.of(asked.owner, asked.input.page)
    opened = [{"record": one, "opened": local_time(one.opened_at)} for one in appeals.found]
    return {
        "systems": labels,
        "bindings": [{"record": one, "since": local_time(one.approved_at or one.proposed_at)} for one in bindings],
        "appeals": replace(appeals, found=opened),
        "may_appeal": asked.owner.kind == "legal" and bool(labels),
    }


OPERATIONS = (
    Operation(
        "operators.list", "GET", "operators", ("本单位经办人", "Operators of my unit"),
        lambda asked: asked.my.operators.of(asked.owner, asked.input.page),
        PageInput, values.Page[OperatorRecord], page="operators",
    ),
    Operation(
        "operators.dismiss", "POST", "operators/{id}/dismiss", ("注销经办人", "Say that an operator has left"),
        lambda asked: asked.my.operators.dismiss(asked.owner, asked.id, asked.input),
        LeaveInput, OperatorRecord, page="operators",
    ),
    Operation(
        "grants.list", "GET", "grants", ("本单位的授权", "Grants of my unit"),
        lambda asked: asked.my.grants.of(asked.owner, asked.input.page),
        PageInput, values.Page[GrantRecord], page="operators",
    ),
    Operation(
        "grants.accept", "POST", "grants/{id}/accept", ("接受授权", "Accept a grant that is offered to me"),
        lambda asked: asked.my.grants.accept(asked.owner, asked.id),
        result=GrantRecord, page="operators",
    ),
    Operation(
        "grants.decline", "POST", "grants/{id}/decline", ("谢绝授权", "Decline a grant that is offered to me"),
        lambda asked: asked.my.grants.decline(asked.owner, asked.id, asked.input.reason),
        WhyInput, GrantRecord, page="operators",
    ),
    Operation(
        "grants.withdraw", "POST", "grants/{id}/withdraw", ("收回授权", "Withdraw a grant of my unit"),
        lambda asked: asked.my.grants.withdraw(asked.owner, asked.id, asked.input.reason),
        WhyInput, GrantRecord, page="operators",
    ),
    Operation(
        "bindings.list", "GET", "bindings", ("账户绑定", "Accounts that my unit is bound to"),
        lambda asked: asked.my.bindings.of(asked.owner),
        result=list[BindingRecord], page="bindings",
    ),
    Operation(
        "appeals.list", "GET", "appeals", ("申诉", "Appeals of my unit"),
        lambda asked: asked.my.appeals.of(asked.owner, asked.input.page),
        PageInput, values.Page[AppealRecord], page="bindings",
    ),
    Operation(
        "appeals.open", "POST", "appeals", ("提出申诉", "Appeal: somebody else has registered our number"),
        lambda asked: asked.my.appeals.open(asked.owner, asked.input),
        AppealInput, AppealRecord, 201, page="bindings",
    ),
)  # fmt: skip

PAGES = (
    Page("operators", "my_operators", _operators, PageInput),
    Page("bindings", "my_bindings", _bindings, PageInput),
)

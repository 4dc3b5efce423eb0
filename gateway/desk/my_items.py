"""What is open and closed for me: the owner's switches, each set after a page that asks (本人开关)."""

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from gateway.beijing import local_time
from gateway.desk.addresses import MY, login_address
from gateway.desk.my_operation import Asked, Operation, Page
from gateway.desk.pages import see_other
from gateway.errors import FieldProblem, InputRefused, StepUpRequired
from gateway.ledger.entries import SwitchRecord
from gateway.ledger.inputs.switches import SwitchInput
from gateway.reauthorization import is_fresh

FRESH = 300.0
"""Seconds that the login may be old of whoever opens or leaves an item. Closing one needs no new login."""

_LOG_IN_AGAIN = (
    "开通事项前请重新登录以确认是您本人。",
    "Please sign in again before you open an item, so that we know it is you.",
)


async def set_switch(asked: Asked) -> SwitchRecord:
    """Set a switch.

    Raises:
        StepUpRequired: the login is too old to open anything with.
        InputRefused, Forbidden, CannotDecide: see Switches.set.
    """
    given: SwitchInput = asked.input
    if not _may_set(asked, given):
        error = StepUpRequired("a switch by an old login", acr_values="0", max_age=int(FRESH), title=_LOG_IN_AGAIN)
        error.way = _login(f"{MY}items/confirm?{urlencode({'item': given.item, 'setting': given.setting})}")
        raise error
    return await asked.my.switches.set(asked.owner, given)


def _may_set(asked: Asked, given: SwitchInput) -> bool:
    return given.setting == "closed" or is_fresh(asked.caller.principal, FRESH, asked.desk.clock())


def _login(return_to: str) -> str:
    return login_address(return_to, max_age=str(int(FRESH)))


async def _items(asked: Asked) -> dict[str, Any]:
    found = await asked.my.switches.of(asked.owner)
    return {"items": [{"record": one, "set_at": _when(one), "choices": _choices(asked, one)} for one in found]}


def _when(record: SwitchRecord) -> str | None:
    return None if record.set_at is None else local_time(record.set_at)


def _choices(asked: Asked, record: SwitchRecord) -> list[str]:
    """Settings that it could have instead."""
    settings = ["open", "closed", *(["left"] if asked.owner.kind == "legal" else [])]
    return [one for one in settings if one != record.setting]


async def _confirm(asked: Asked) -> dict[str, Any] | web.Response:
    given: SwitchInput = asked.input
    if not _may_set(asked, given):
        return see_other(_login(asked.request.raw_path))
    found = [one for one in await asked.my.switches.of(asked.owner) if one.item == given.item]
    if not found:
        raise InputRefused(FieldProblem("item", ("没有该事项。", "There is no such item.")))
    return {"record": found[0], "setting": given.setting}


OPERATIONS = (
    Operation(
        "items.list", "GET", "items", ("我的事项开关", "What is open and closed for me"),
        lambda asked: asked.my.switches.of(asked.owner),
        result=list[SwitchRecord], page="items",
    ),
    Operation(
        "items.set", "POST", "items", ("开通、关闭或转再次授权", "Open, close or leave an item"), set_switch,
        SwitchInput, SwitchRecord, page="items",
    ),
)  # fmt: skip

PAGES = (Page("items", "my_items", _items), Page("items/confirm", "my_confirm", _confirm, SwitchInput))

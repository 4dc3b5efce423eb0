"""The staff, for the administrators: who there is, new accounts, posts, locks. A one-time password is shown once."""

from typing import Any

from aiohttp import web

from gateway.console.console import console_of
from gateway.console.pages.forms import Fact, Form, Sheet, require_power
from gateway.console.pages.listing import listing
from gateway.console.rendering import page
from gateway.console.session import require_officer
from gateway.ledger.inputs.searching import SearchInput
from gateway.ledger.powers import Power
from gateway.ledger.staff_accounts import StaffRecord
from gateway.ledger.values import Officer
from gateway.ledger.words import word


async def list_staff(request: web.Request) -> web.Response:
    """The accounts of the post's region."""
    officer, console = await require_officer(request), console_of(request)
    require_power(officer, Power.STAFF_LOOK)
    return await listing(
        request, "staff", SearchInput, lambda asked: console.staff.listing(officer, asked), now=console.clock()
    )


async def _nobody(_: web.Request, __: Officer) -> Sheet:
    return Sheet()


async def _account(request: web.Request, officer: Officer) -> Sheet:
    found = await console_of(request).staff.find(officer, request.match_info["id"])
    return Sheet(_version(found), facts=_facts(found))


async def _post(request: web.Request, officer: Officer) -> Sheet:
    found = await console_of(request).staff.find(officer, request.match_info["id"])
    values = _version(found) | ({"role": (found.role.value,)} if found.role else {})
    return Sheet(values, facts=_facts(found), warning=_ONE_POST if found.role else None)


def _version(staff: StaffRecord) -> dict[str, tuple[str, ...]]:
    return {"version": (str(staff.version),)}


def _facts(staff: StaffRecord) -> tuple[Fact, ...]:
    return (
        (("登录名", "Login"), staff.login),
        (("姓名", "Name"), staff.name),
        (("岗位", "Post"), word("role", staff.role)),
        (("辖区", "Region"), staff.region or "—"),
    )


def _issued(request: web.Request, result: Any) -> web.Response:
    """The one-time password, on the answer itself: no address leads to it a second time."""
    return page(request, "issued", issued=result)


_ONE_POST = (
    "现有岗位将同时终止：每人只有一个岗位。",
    "Her present post ends with this: nobody holds two.",
)

STAFF_FORMS = (
    Form("staff.create", "/staff/new", "/staff", _nobody, finish=_issued),
    Form("staff.appoint", "/staff/{id}/post", "/staff", _post),
    Form("staff.dismiss", "/staff/{id}/dismiss", "/staff", _account, grave=True),
    Form("staff.disable", "/staff/{id}/disable", "/staff", _account),
    Form("staff.enable", "/staff/{id}/enable", "/staff", _account),
    Form("staff.unlock", "/staff/{id}/unlock", "/staff", _account),
    Form("staff.reset", "/staff/{id}/reset", "/staff", _account, grave=True, finish=_issued),
)
"""The forms about the staff."""

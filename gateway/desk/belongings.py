"""What belongs to a person beside her session: linked channel accounts, and devices with keys of their own."""

from base64 import b64decode
from binascii import Error as Base64Error
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from gateway.beijing import local_time
from gateway.desk.acting import human
from gateway.desk.addresses import login_address
from gateway.desk.browser import Caller, check_same_site, find_caller, require_caller
from gateway.desk.desk import Desk, desk_of
from gateway.desk.pages import data, page, see_other, wants_page
from gateway.desk.parameters import Parameters, read_fields, read_query
from gateway.errors import CannotDecide, Forbidden, SignInMalformed
from gateway.ledger.values import ChannelLink, EnrolledDevice
from gateway.signin_settings import SIGN_IN_PREFIX

_OWN_LOGIN = (
    "请先通过统一身份认证平台登录，再登记设备。",
    "Sign in at the identity platform itself before you enrol a device.",
)


class Owned(NamedTuple):
    """One thing in a list: its id, what it is called, and since when it is there (Unix seconds)."""

    id: str
    name: str
    created_at: float


# ── linked accounts ───────────────────────────────────────────────────────────────────────────────────────────────


async def list_links(request: web.Request) -> web.Response:
    """The person's links: a page with buttons for people, a list for programs."""
    caller = await find_caller(request)
    if caller is None and wants_page(request):
        return see_other(login_address(f"{SIGN_IN_PREFIX}links"))
    caller = caller or await require_caller(request)
    found = await _links_of(desk_of(request), caller)
    if wants_page(request):
        return _page(request, caller, "links", [Owned(one.id, one.channel, one.created_at) for one in found])
    return data({"links": [msgspec.structs.asdict(one) for one in found]})


async def remove_link(request: web.Request) -> web.Response:
    """End a link, by `remove` of a form or `id` of the address. It signs nobody in from now on."""
    desk = desk_of(request)
    caller, id = await _asked_removal(request)  # noqa: A001
    owner = human(caller.principal)
    if desk.links is None or owner is None:
        raise SignInMalformed("nobody whose links these could be")
    removed = await desk.links.remove(id, caller.principal.issuer, owner)
    desk.log.info("link removed", link=id, outcome="removed" if removed else "was-not-there")
    return see_other(f"{SIGN_IN_PREFIX}links") if wants_page(request) else data({"removed": removed})


async def _links_of(desk: Desk, caller: Caller) -> list[ChannelLink]:
    owner = human(caller.principal)
    if desk.links is None or owner is None:
        return []
    return await desk.links.of(caller.principal.issuer, owner)


# ── devices ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def list_devices(request: web.Request) -> web.Response:
    """The person's devices: a page with buttons for people, a list for programs."""
    caller = await find_caller(request)
    if caller is None and wants_page(request):
        return see_other(login_address(f"{SIGN_IN_PREFIX}devices"))
    caller = caller or await require_caller(request)
    found = await _devices_of(desk_of(request), caller)
    if wants_page(request):
        return _page(request, caller, "devices", [Owned(one.id, one.name, one.created_at) for one in found])
    return data({"devices": [msgspec.structs.asdict(one) for one in found]})


async def change_devices(request: web.Request) -> web.Response:
    """Enrol a device by `algorithm`, `public_key` (base64) and `name`; or end one by `remove`."""
    desk = desk_of(request)
    caller = await require_caller(request)
    fields = await read_fields(request)
    check_same_site(request, caller.session, fields)
    if "remove" in fields:
        return await _remove_device(request, caller, fields["remove"])
    if caller.principal.verifier in desk.channels:
        raise Forbidden("signed in by a linked account", code="own-login-needed", title=_OWN_LOGIN)
    if desk.devices is None:
        raise CannotDecide("there is no ledger that could keep a device")
    key, who = _read_key(fields), caller.principal
    device = await desk.devices.enrol(fields.get("algorithm", ""), key, fields.get("name", ""), who.issuer, who.subject)
    desk.log.info("device enrolled", device=device.id, algorithm=device.algorithm)
    return data({"id": device.id, "algorithm": device.algorithm}, status=201)


async def remove_device(request: web.Request) -> web.Response:
    """End a device by `id` of the address. Nothing that it signs counts from now on."""
    caller, id = await _asked_removal(request)  # noqa: A001
    return await _remove_device(request, caller, id)


async def _remove_device(request: web.Request, caller: Caller, id: str) -> web.Response:  # noqa: A002
    desk = desk_of(request)
    if desk.devices is None:
        raise CannotDecide("there is no ledger that could end a device")
    removed = await desk.devices.remove(id, caller.principal.issuer, caller.principal.subject)
    desk.log.info("device removed", device=id, outcome="removed" if removed else "was-not-there")
    return see_other(f"{SIGN_IN_PREFIX}devices") if wants_page(request) else data({"removed": removed})


async def _devices_of(desk: Desk, caller: Caller) -> list[EnrolledDevice]:
    if desk.devices is None:
        return []
    return await desk.devices.of(caller.principal.issuer, caller.principal.subject)


def _read_key(fields: Parameters) -> bytes:
    try:
        return b64decode(fields.get("public_key", ""), validate=True)
    except (Base64Error, ValueError):
        raise SignInMalformed("public_key is not base64") from None


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _asked_removal(request: web.Request) -> tuple[Caller, str]:
    """Who asks, and the id of what is to end."""
    caller = await require_caller(request)
    fields = await read_fields(request) if request.can_read_body else {}
    check_same_site(request, caller.session, fields)
    id = fields.get("remove") or read_query(request).get("id")  # noqa: A001
    if not id:
        raise SignInMalformed("the id of what is to end is missing")
    return caller, id


def _page(request: web.Request, caller: Caller, what: str, owned: list[Owned]) -> web.Response:
    desk = desk_of(request)
    token = "" if caller.session is None else desk.sessions.request_token(caller.session.id)
    rows: list[dict[str, Any]] = [one._asdict() | {"since": local_time(one.created_at)} for one in owned]
    return page("belongings", what=what, owned=rows, csrf_token=token, my=desk.my is not None)

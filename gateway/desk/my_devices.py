"""Designated computers of my unit (指定设备): listed, ended, enrolled from the computer itself, and shown.

Showing one changes the session: from then on `Principal.device` says which computer it is used on. passkeys.py checks
the keys, templates/passkey.js asks the browser for them; what each kind of computer proves is in docs/self-service.md.
"""

from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from msgspec.structs import replace
from pydantic import Field

from gateway.beijing import local_time
from gateway.contracts import Settings
from gateway.desk import passkeys
from gateway.desk.addresses import COMPUTER, MY, check_return, login_address, may_return, public_address
from gateway.desk.browser import Session
from gateway.desk.my_operation import Asked, Operation, Page, WhyInput
from gateway.desk.pages import see_other
from gateway.desk.parameters import read_query
from gateway.errors import AudienceNotAllowed, Conflict, Forbidden, SignInMalformed, TokenMissing
from gateway.identity.logins import Challenge
from gateway.identity.storage import remember
from gateway.ledger import values
from gateway.ledger.entries import DesignatedRecord
from gateway.ledger.inputs.lines import Line
from gateway.ledger.inputs.searching import PageInput

_ENROL, _SHOW = "enrol", "show"

_OWN_LOGIN = (
    "请先通过统一身份认证平台登录，再登记电脑。",
    "Sign in at the identity platform itself before you enrol a computer.",
)
_OVER = ("验证已超时，请重新操作。", "This took too long. Please begin again.")
_NOT_REVIEWED = (
    "该单位尚未通过审核，或已被暂停、撤销。",
    "The unit has not been reviewed yet, or was suspended or revoked.",
)
_NO_PASSKEY = (
    "本单位没有已生效的通行密钥。请先登记，并等待经办机构审核。",
    "Your unit has no passkey that was approved. Enrol this computer first, and wait for the agency's approval.",
)


class NameInput(Settings):
    """What the computer is going to be called."""

    name: Line = Field(min_length=1, max_length=64, description="设备名称 · what people call it")


class AnswerInput(Settings):
    """What the browser's `navigator.credentials` answered."""

    credential: dict[str, Any] = Field(
        description="浏览器返回的凭据，二进制均为 base64url · PublicKeyCredential, what is binary in base64url"
    )
    return_to: str = Field("", max_length=2048, description="完成后返回的地址 · where to go afterwards")


class Proposed(msgspec.Struct, frozen=True):
    """A computer that waits for the agency's approval; `id` is that of the entry."""

    id: str
    state: str = "proposed"


class Shown(msgspec.Struct, frozen=True):
    """A computer was shown.

    Attributes:
        device: id of it.
        continue_at: where to go now.
    """

    device: str
    continue_at: str


class _Browser(NamedTuple):
    """A session of a unit, and where its browser is: only such a one can show a computer."""

    session: Session
    place: passkeys.Place


# ── enrolling ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def begin_enrolment(asked: Asked) -> dict[str, Any]:
    """Options for `navigator.credentials.create`.

    Raises:
        Conflict: `unit-not-reviewed`; asked before a key is made that nobody would take.
        TokenMissing, AudienceNotAllowed, Forbidden: see _browser, _check_own_login.
    """
    browser = _browser(asked)
    _check_own_login(asked)
    record = await asked.my.parties.of(asked.owner)
    if record is None or record.state not in ("reviewed", "bound"):
        raise Conflict("a unit that was not reviewed", code="unit-not-reviewed", title=_NOT_REVIEWED)
    name = asked.input.name
    challenge = await asked.desk.logins.new_challenge(browser.session.id, _ENROL, name)
    known = await asked.my.devices.passkeys(asked.owner)
    return passkeys.ask_to_enrol(browser.place, challenge, name, known)


async def enrol(asked: Asked) -> Proposed:
    """Propose the computer; staff approve it.

    Raises:
        Forbidden: `passkey-rejected`. SignInMalformed: nobody asked for it, or too long ago.
        Conflict, CannotDecide: see DesignatedDevices.propose_passkey.
    """
    browser = _browser(asked)
    _check_own_login(asked)
    challenge = await _challenge(asked, browser, _ENROL)
    made = passkeys.check_enrolled(browser.place, challenge.value, asked.input.credential)
    id = await asked.my.devices.propose_passkey(asked.owner, *made, challenge.name)  # noqa: A001
    asked.desk.log.info("designated computer proposed", device=id)
    return Proposed(id)


# ── showing ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def begin_showing(asked: Asked) -> dict[str, Any]:
    """Options for `navigator.credentials.get`.

    Raises:
        Conflict: `passkey-missing`, the unit has none that is live.
        TokenMissing, AudienceNotAllowed: see _browser.
    """
    browser = _browser(asked)
    known = await asked.my.devices.passkeys(asked.owner)
    if not known:
        raise Conflict("no live passkey", code="passkey-missing", title=_NO_PASSKEY)
    challenge = await asked.desk.logins.new_challenge(browser.session.id, _SHOW)
    return passkeys.ask_to_show(browser.place, challenge, known)


async def show(asked: Asked) -> Shown:
    """Check the computer's key; the session goes on as one that is used on this computer, under a new id.

    Raises:
        Forbidden: `passkey-rejected`. SignInMalformed: nobody asked for it, too long ago, or `return_to` is none.
        Conflict, CannotDecide: see DesignatedDevices.note_use.
    """
    desk, browser = asked.desk, _browser(asked)
    return_to = check_return(asked.input.return_to or MY, desk.login.return_to)
    challenge = await _challenge(asked, browser, _SHOW)
    known = await asked.my.devices.passkeys(asked.owner)
    passkey, count = passkeys.check_shown(browser.place, challenge.value, asked.input.credential, known)
    await asked.my.devices.note_use(asked.owner, passkey.id, count)
    principal = replace(browser.session.signed_in.principal, device=passkey.id)
    id, signed_in = await desk.sessions.change(browser.session.id, principal)  # noqa: A001
    remember(asked.request, id, signed_in)
    desk.log.info("designated computer shown", device=passkey.id, handle=signed_in.handle)
    return Shown(passkey.id, return_to)


async def shown_device(asked: Asked) -> str | None:
    """Id of the computer that this session has shown, as long as it is designated; None without one."""
    device = asked.caller.principal.device
    if device is None:
        return None
    return device if device in {one.id for one in await asked.my.devices.passkeys(asked.owner)} else None


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _browser(asked: Asked) -> _Browser:
    """The browser's session.

    Raises:
        TokenMissing: there is none; a token cannot be tied to a computer.
        AudienceNotAllowed: it is no unit's.
    """
    if asked.caller.session is None:
        raise TokenMissing("a session of a browser is needed")
    if asked.owner.kind != "legal":
        raise AudienceNotAllowed("designated computers are units'")
    return _Browser(asked.caller.session, passkeys.place_of(public_address(asked.request, "")))


def _check_own_login(asked: Asked) -> None:
    if asked.caller.principal.verifier in asked.desk.channels:
        raise Forbidden("signed in by a linked account", code="own-login-needed", title=_OWN_LOGIN)


async def _challenge(asked: Asked, browser: _Browser, what: str) -> Challenge:
    challenge = await asked.desk.logins.take_challenge(browser.session.id, what)
    if challenge is None:
        raise SignInMalformed("no challenge of this session, or its time is over", title=_OVER)
    return challenge


# ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _devices(asked: Asked) -> dict[str, Any]:
    page = await asked.my.devices.of(asked.owner, asked.input.page)
    return {"devices": replace(page, found=[_device(asked, one) for one in page.found])}


def _device(asked: Asked, record: DesignatedRecord) -> dict[str, Any]:
    items = asked.my.rules.items
    return {
        "record": record,
        "since": local_time(record.proposed_at),
        "items": [items[code].name if code in items else code for code in record.items],
        "here": record.id == asked.caller.principal.device,
    }


async def _computer(asked: Asked) -> dict[str, Any] | web.Response:
    if asked.caller.session is None:
        return see_other(login_address(COMPUTER))
    asked_for = read_query(asked.request).get("return_to", MY)
    return_to = asked_for if may_return(asked_for, asked.desk.login.return_to) else MY
    known = await asked.my.devices.passkeys(asked.owner)
    here = asked.caller.principal.device in {one.id for one in known}
    return {"return_to": return_to, "unit": asked.owner.kind == "legal", "known": bool(known), "here": here}


OPERATIONS = (
    Operation(
        "devices.list", "GET", "devices", ("指定电脑", "Designated computers of my unit"),
        lambda asked: asked.my.devices.of(asked.owner, asked.input.page),
        PageInput, values.Page[DesignatedRecord], page="devices",
    ),
    Operation(
        "devices.drop", "POST", "devices/{id}/drop", ("停用指定电脑", "End a designated computer"),
        lambda asked: asked.my.devices.drop(asked.owner, asked.id, asked.input.reason),
        WhyInput, DesignatedRecord, page="devices",
    ),
    Operation(
        "computer.begin-enrolment", "POST", "computer/enrol", ("开始登记本机", "Begin to enrol this computer"),
        begin_enrolment, NameInput, dict[str, Any], page="computer", browser=True,
    ),
    Operation(
        "computer.enrol", "POST", "computer/enrol/answer", ("登记本机", "Enrol this computer"), enrol,
        AnswerInput, Proposed, 201, page="computer", browser=True,
    ),
    Operation(
        "computer.begin-showing", "POST", "computer/show", ("开始验证本机", "Begin to show this computer"),
        begin_showing, result=dict[str, Any], page="computer", browser=True,
    ),
    Operation(
        "computer.show", "POST", "computer/show/answer", ("验证本机", "Show this computer"), show,
        AnswerInput, Shown, page="computer", browser=True,
    ),
)  # fmt: skip

PAGES = (Page("devices", "my_devices", _devices, PageInput), Page("computer", "my_computer", _computer, scripts=True))

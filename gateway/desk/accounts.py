"""Signing in with a channel's account (an openid): only through a link, which a person made after her own login.

Three ways in: a code that a client without cookies hands over, the channel's own page in a browser inside its app
(H5 OAuth), and, for either, the page on which a new link is made.
"""

from typing import Any

import msgspec
from aiohttp import web

from gateway.desk.acting import human
from gateway.desk.addresses import (
    HOME,
    check_return,
    link_address,
    login_address,
    may_return,
    public_address,
    way_back,
)
from gateway.desk.arriving import Arrival
from gateway.desk.browser import check_same_site, find_session, read_binding, require_session, tell_caller
from gateway.desk.call import note
from gateway.desk.desk import AnyChannel, Desk, desk_of
from gateway.desk.me import token_answer
from gateway.desk.pages import data, page, see_other
from gateway.desk.parameters import read_form, read_json, read_query
from gateway.desk.signing_in import begin
from gateway.errors import CannotDecide, Conflict, GatewayError, SignInMalformed
from gateway.identity.logins import new_login
from gateway.identity.sessions import SignedIn
from gateway.identity.storage import remember
from gateway.model import Kind, Principal
from gateway.signin import ChannelAccount, SignIn
from gateway.signin_settings import SIGN_IN_PREFIX

_NOT_LINKED = (
    "该渠道账号尚未关联，请先登录统一身份认证平台完成关联。",
    "This account is not linked to anybody yet. Sign in at the identity platform once to link it.",
)
_OVER = (
    "关联请求已过期，请从渠道重新进入。",
    "The request to link has expired. Please come from the channel again.",
)


class Code(msgspec.Struct, frozen=True):
    """A client's login code; `data` is what the channel encrypted for us, as the channel names its parts."""

    code: str
    data: dict[str, str] = {}


# ── clients without cookies ───────────────────────────────────────────────────────────────────────────────────────


async def sign_in(request: web.Request) -> web.Response:
    """Exchange a code for a token of a session; 409 `link-missing` says where a link is made."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    code = await _read_code(request)

    async def once() -> tuple[SignedIn, str, float] | str:
        account = await _redeem(desk, channel, code.code)
        arrived = await _enter(desk, account, replaces=None)
        if arrived is None:
            return await desk.logins.keep_account(account)
        return arrived.signed_in, *await desk.sessions.issue_token(arrived.id)

    outcome = await desk.logins.exchange_once(f"{channel.name}\n{code.code}", once, caller=tell_caller(request))
    if isinstance(outcome, str):
        note(request, channel.name, "no link")
        raise _link_missing(request, channel, outcome)
    signed_in, token, until = outcome
    note(request, channel.name, "signed in", signed_in.principal)
    return data(token_answer(token, until - desk.clock()))


def _link_missing(request: web.Request, channel: AnyChannel, kept: str) -> Conflict:
    error = Conflict("the channel account is nobody's", code="link-missing", title=_NOT_LINKED)
    error.way = public_address(request, login_address(link_address(channel.name, kept, HOME)))
    return error


async def open_data(request: web.Request) -> web.Response:
    """Open what a channel's client handed over encrypted, with the key of the login that the code stands for."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    code = await _read_code(request)
    if not code.data:
        raise SignInMalformed("no data to open")

    async def once() -> dict[str, Any]:
        return dict(channel.open(await _redeem(desk, channel, code.code), code.data))

    what = f"{channel.name}\n{code.code}\ndata"
    caller = f"{tell_caller(request)}\n{sorted(code.data.items())}"  # what was opened is no answer to anything else
    return data(await desk.logins.exchange_once(what, once, caller=caller))


async def _read_code(request: web.Request) -> Code:
    read = await read_json(request, Code) if request.content_type == "application/json" else None
    code = Code((await read_form(request)).get("code", "")) if read is None else read
    if not 0 < len(code.code) <= 512 or not code.code.isascii() or not code.code.isprintable():
        raise SignInMalformed("no login code, or none that could be one")
    return code


# ── a browser inside the channel's app ────────────────────────────────────────────────────────────────────────────


async def ask_channel(request: web.Request) -> web.Response:
    """Send the browser to the channel's page, which tells who sits there."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    return_to = check_return(read_query(request).get("return_to", HOME), desk.login.return_to)
    callback = public_address(request, f"{SIGN_IN_PREFIX}channels/{channel.name}/callback")
    began = new_login(_as_platform(channel), Kind.NATURAL, callback, desk.clock())
    address = channel.authorize_address(began.state, callback)
    if address is None:
        raise SignInMalformed(f"{channel.name} has no page to sign in at")
    response = see_other(address)
    await begin(request, response, began, return_to)
    return response


async def channel_callback(request: web.Request) -> web.Response:
    """Sign in whoever the account is linked to; whose account is nobody's signs in at the platform and links it."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    answer = read_query(request)
    binding = read_binding(request)
    if binding is None or "state" not in answer or channel.code_parameter not in answer:
        raise SignInMalformed("a callback without code or state, or of another browser")

    async def once(pending: Any) -> Arrival | str:
        account = await _redeem(desk, channel, answer[channel.code_parameter])
        arrived = await _enter(desk, account, replaces=pending.session, return_to=pending.return_to)
        if arrived is not None:
            return arrived
        kept = await desk.logins.keep_account(account, binding)
        return login_address(link_address(channel.name, kept, pending.return_to))

    outcome = await desk.logins.finish(answer["state"], binding, _as_platform(channel), answer, once)
    if isinstance(outcome, str):
        return see_other(outcome)
    remember(request, outcome.id, outcome.signed_in)
    return see_other(outcome.return_to)


def _as_platform(channel: AnyChannel) -> str:
    """What its logins are noted under; no platform can have such a name."""
    return f"channel/{channel.name}"


# ── the link ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def ask_link(request: web.Request) -> web.Response:
    """The page that asks whether the account shall sign in this person from now on."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    session = await find_session(request)
    if session is None or session.signed_in.account is not None:
        return see_other(login_address(way_back(request.raw_path, ()) or HOME))
    return_to = read_query(request).get("return_to", HOME)
    return page(
        "link",
        channel=channel.name,
        action=request.path,
        return_to=return_to if may_return(return_to, desk.login.return_to) else HOME,
        csrf_token=desk.sessions.request_token(session.id),
    )


async def link(request: web.Request) -> web.Response:
    """Make the link. Only a login at the platform counts: a linked account cannot link another one."""
    desk = desk_of(request)
    channel = desk.channel(request.match_info["channel"])
    session = await require_session(request)
    fields = await read_form(request)
    check_same_site(request, session, fields)
    owner = human(session.signed_in.principal)
    if desk.links is None or owner is None or session.signed_in.account is not None:
        raise SignInMalformed("a link needs a person's own login at the platform, and a ledger")
    account = await desk.logins.take_account(request.match_info["id"], read_binding(request))
    if account is None or account.channel != channel.name:
        raise SignInMalformed("the account is not kept any more", title=_OVER)
    made = await desk.links.link(account, session.signed_in.principal.issuer, owner)
    desk.log.info("account linked", channel=channel.name, link=made.id, handle=session.signed_in.handle)
    return see_other(check_return(fields.get("return_to", HOME), desk.login.return_to))


# ── both ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _redeem(desk: Desk, channel: AnyChannel, code: str) -> ChannelAccount:
    try:
        return await channel.redeem(code)
    except GatewayError as error:
        desk.log.warning("sign-in refused", channel=channel.name, outcome=error.code, reason=error.detail)
        raise


async def _enter(desk: Desk, account: ChannelAccount, *, replaces: str | None, return_to: str = HOME) -> Arrival | None:
    """Begin a session of the person whom the account is linked to; None when it is nobody's."""
    if desk.links is None:
        raise CannotDecide("there is no ledger that could say whose account it is")
    person = await desk.links.find(account)
    if person is None:
        return None
    now = desk.clock()
    principal = Principal(
        person.issuer,
        person.subject,
        Kind.NATURAL,
        desk.login.link_assurance,
        expires_at=now,  # the session's own end takes its place
        issued_at=now,
        verifier=account.channel,
    )
    kept = msgspec.structs.replace(account, secret=b"")
    id, signed_in = await desk.sessions.begin(SignIn(principal), kept, replaces)  # noqa: A001
    await desk.recorded(signed_in)
    desk.log.info("signed in", channel=account.channel, outcome="signed-in", handle=signed_in.handle)
    return Arrival(id, signed_in, return_to)

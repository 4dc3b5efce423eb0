"""Who is signed in: a page for people, the same for programs; acting for a unit; a token for another department."""

from typing import Any

from aiohttp import web

from gateway.beijing import local_time
from gateway.desk.acting import SELF, current_identity, identities_of
from gateway.desk.addresses import HOME
from gateway.desk.browser import Session, check_same_site, find_session, require_session
from gateway.desk.desk import desk_of
from gateway.desk.pages import data, page, see_other, wants_page
from gateway.desk.parameters import read_fields
from gateway.desk.signing_in import Wish, ways_in
from gateway.errors import Forbidden, SignInMalformed
from gateway.identity.storage import remember


async def home(request: web.Request) -> web.Response:
    """The page: who is signed in, or where to sign in."""
    desk = desk_of(request)
    session = await find_session(request)
    if session is None:
        return page("home", places=ways_in(desk, Wish()), who=None)
    who = described(session, desk.sessions.request_token(session.id))
    times = {name: local_time(who[name]) for name in ("since", "expires")}
    return page("home", places=[], who=who | times, my=desk.my is not None, kept=desk.kept())


async def session_state(request: web.Request) -> web.Response:
    """The same for the scripts of a page; `csrf_token` is what their unsafe requests have to carry."""
    session = await find_session(request)
    if session is None:
        return data({"signed_in": False})
    return data(described(session, desk_of(request).sessions.request_token(session.id)))


def described(session: Session, csrf_token: str) -> dict[str, Any]:
    """A session as its owner may see it: no number, no address, a masked name."""
    signed_in = session.signed_in
    principal = signed_in.principal
    now = current_identity(signed_in.sign_in, principal)
    choices = [one for one in identities_of(signed_in.sign_in) if one.id != SELF]
    return {
        "signed_in": True,
        "kind": principal.kind.value,
        "identity": now.id,
        "name": now.name,
        "assurance": principal.assurance,
        "since": int(signed_in.began_at),
        "expires": int(principal.expires_at),
        "handle": signed_in.handle,
        "csrf_token": csrf_token,
        "units": [{"id": one.id, "name": one.name} for one in choices],
    }


async def switch_identity(request: web.Request) -> web.Response:
    """Go on as oneself (`self`) or as a unit (`unit`). The session gets a new id."""
    desk = desk_of(request)
    session = await require_session(request)
    fields = await read_fields(request)
    check_same_site(request, session, fields)
    if ("unit" in fields) == ("self" in fields):
        raise SignInMalformed("name either a unit or self")
    wanted = fields.get("unit", SELF)
    for identity in identities_of(session.signed_in.sign_in):
        if identity.id == wanted:
            break
    else:
        raise Forbidden("the login names no such identity", code="identity-not-yours", title=_NOT_YOURS)
    id, signed_in = await desk.sessions.change(session.id, identity.principal)  # noqa: A001
    remember(request, id, signed_in)
    await desk.recorded(signed_in)
    desk.log.info("identity changed", outcome=identity.principal.kind.value, handle=signed_in.handle)
    if wants_page(request):
        return see_other(HOME)
    return data(described(Session(id, signed_in), desk.sessions.request_token(id)))


_NOT_YOURS = (
    "您不能以该身份办理：登录时统一身份认证平台没有列出这个单位。",
    "You cannot act for this unit: the identity platform did not name it when you signed in.",
)


async def give_token(request: web.Request) -> web.Response:
    """A token with which another department recognises the person (RFC 6749 §5.1); it ends with the session."""
    desk = desk_of(request)
    session = await require_session(request)
    fields = await read_fields(request) if request.can_read_body else {}
    check_same_site(request, session, fields)
    token, until = await desk.sessions.issue_token(session.id)
    desk.log.info("token given out", handle=session.signed_in.handle)
    return data(token_answer(token, until - desk.clock()))


def token_answer(token: str, seconds: float) -> dict[str, Any]:
    """Members of a token response (RFC 6749 §5.1)."""
    return {"access_token": token, "token_type": "Bearer", "expires_in": int(seconds)}

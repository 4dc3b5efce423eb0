"""What the desk knows of the browser before it: the cookie that binds a login to it, its session, its own pages.

The login cookie is `SameSite=None`: some platforms come back with a POST from their own page, and a browser sends no
stricter cookie along with that (RFC 6265bis §5.8.3).
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web
from aiohttp_session import get_session

from gateway.desk.call import name_principal
from gateway.desk.desk import desk_of
from gateway.errors import CredentialRejected, CrossSite, RequestMalformed, TokenMissing
from gateway.identity.cross_site import TOKEN_FIELD, TOKEN_PARAMETER, check_page
from gateway.identity.sessions import SignedIn
from gateway.identity.storage import SIGNED_IN
from gateway.model import Inbound, Principal
from gateway.tokens.bearer import cookie_values, read_bearer

LOGIN_COOKIE = "__Host-login"

_BINDING = re.compile(rb"[A-Za-z0-9_-]{43}")


class Session(NamedTuple):
    """A browser's session: its id, and what it is."""

    id: str
    signed_in: SignedIn


class Caller(NamedTuple):
    """Who asks: with a session cookie, or with a token of a session. `session` is None without a cookie."""

    principal: Principal
    session: Session | None


def as_inbound(request: web.Request) -> Inbound:
    """The request in the nouns of the request path, without its body: checks of the path serve here as well."""
    fields = {name.lower(): value for name, value in request.raw_headers}
    path, _, query = request.raw_path.partition("?")
    return Inbound(
        request.headers.get("X-Request-Id", ""),
        request.method,
        path,
        query,
        fields,
        request.headers.get("X-Forwarded-For", ""),
        request.headers["X-Forwarded-Host"],
        request.headers["X-Forwarded-Proto"],
    )


# ── a login belongs to the browser that began it ──────────────────────────────────────────────────────────────────


def read_binding(request: web.Request) -> str | None:
    """The secret in the browser's login cookie; None when it has none.

    Raises:
        RequestMalformed: there are two of them, so somebody may have planted one.
    """
    lines = [value for name, value in request.raw_headers if name.lower() == b"cookie"]
    found = [value for line in lines for value in cookie_values(line, LOGIN_COOKIE.encode())]
    if len(found) > 1:
        raise RequestMalformed(f"{len(found)} login cookies")
    return found[0].decode("ascii") if found and _BINDING.fullmatch(found[0]) else None


def new_binding() -> str:
    """A secret for a browser that has none, 256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def bind(response: web.Response, binding: str, seconds: float) -> None:
    """Give the browser its login cookie, for as long as its login may take."""
    response.set_cookie(
        LOGIN_COOKIE, binding, max_age=int(seconds), path="/", secure=True, httponly=True, samesite="None"
    )


def tell_caller(request: web.Request) -> str:
    """What tells who brings a code again from whoever else has it: the login cookie, else address and User-Agent.

    Raises:
        RequestMalformed: as read_binding.
    """
    binding = read_binding(request)
    if binding is not None:
        return f"browser {binding}"
    inbound = as_inbound(request)
    return f"client {inbound.client} {inbound.fields.get(b'user-agent', b'').decode('latin-1')}"


# ── who asks ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def find_session(request: web.Request) -> Session | None:
    """The browser's session; None when nobody is signed in.

    Raises:
        RequestMalformed: two session cookies. StateUnavailable: nobody can say now.
    """
    found = await get_session(request)
    signed_in = found.get(SIGNED_IN)
    if signed_in is None:
        return None
    name_principal(request, signed_in.principal)
    return Session(str(found.identity), signed_in)


async def require_session(request: web.Request) -> Session:
    """The browser's session.

    Raises:
        TokenMissing: nobody is signed in; and as in find_session.
    """
    session = await find_session(request)
    if session is None:
        raise TokenMissing("nobody is signed in")
    return session


async def find_caller(request: web.Request) -> Caller | None:
    """Who asks, by a token that was given out here or else by the session cookie; None when nobody is signed in.

    Raises:
        CredentialRejected: there is a token, and it is none of ours or has ended; and as in find_session.
    """
    token = read_bearer(as_inbound(request))
    if token is None:
        session = await find_session(request)
        return None if session is None else Caller(session.signed_in.principal, session)
    principal = await desk_of(request).sessions.find(token)
    if principal is None:
        raise CredentialRejected("the token was not given out here")
    return Caller(principal, None)


async def require_caller(request: web.Request) -> Caller:
    """Who asks.

    Raises:
        TokenMissing: nobody is signed in; and as in find_caller.
    """
    caller = await find_caller(request)
    if caller is None:
        raise TokenMissing("nobody is signed in")
    return caller


def check_same_site(request: web.Request, session: Session | None, fields: Mapping[str, str]) -> None:
    """Check that a page of our own sent what would change something, and that it knows the session's token.

    Args:
        request: the request.
        session: of the cookie that came along; None when a token did, which no other site's page can send.
        fields: of the form, or of the JSON body.

    Raises:
        CrossSite: another site's page may have sent it.
    """
    if session is None:
        return
    inbound = as_inbound(request)
    check_page(inbound)
    given = inbound.fields.get(TOKEN_FIELD) or fields.get(TOKEN_PARAMETER, "").encode("utf-8", "surrogatepass")
    expected = desk_of(request).sessions.request_token(session.id)
    if not hmac.compare_digest(given, expected.encode()):
        raise CrossSite("no synchronizer token, or another one")

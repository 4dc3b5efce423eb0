"""Who sits before the page: the cookie of a staff session, the post behind it, and the token that its forms carry."""

import hmac
import re

from aiohttp import web

from gateway.console.console import console_of
from gateway.errors import CrossSite, Forbidden, RequestMalformed, TokenMissing
from gateway.identity.cross_site import SAFE_METHODS, TOKEN_FIELD, TOKEN_PARAMETER, check_page
from gateway.ledger.staff_sessions import StaffSession
from gateway.ledger.values import Officer
from gateway.model import Inbound
from gateway.tokens.bearer import cookie_values

COOKIE = "__Host-console"

INBOUND: web.RequestKey[Inbound] = web.RequestKey("inbound", Inbound)
"""The request as the raw-request check has read it; application.py puts it there."""

_TOKEN = re.compile(rb"[A-Za-z0-9_-]{43}")
_SESSION = web.RequestKey("session", StaffSession)


async def open_session(request: web.Request) -> StaffSession | None:
    """The session of the cookie; None when there is none that lives. Asked once per request.

    Raises:
        RequestMalformed: there are two cookies, so somebody may have planted one.
        CannotDecide: the ledger cannot be read now.
    """
    if _SESSION in request:
        return request[_SESSION]
    token = read_token(request)
    session = None if token is None else await console_of(request).sessions.find(token)
    if session is not None:
        request[_SESSION] = session
    return session


def known_session(request: web.Request) -> StaffSession | None:
    """The session, if the request has asked for it already (open_session); asks nobody."""
    return request.get(_SESSION)


def known_staff(request: web.Request) -> str | None:
    """Id of the staff member whose session it is, for the log; None as in known_session."""
    session = known_session(request)
    return None if session is None else session.staff


def read_token(request: web.Request) -> str | None:
    """The cookie's value; None when there is none.

    Raises:
        RequestMalformed: there are two.
    """
    found = cookie_values(request[INBOUND].fields.get(b"cookie", b""), COOKIE.encode())
    if len(found) > 1:
        raise RequestMalformed(f"{len(found)} session cookies")
    return found[0].decode("ascii") if found and _TOKEN.fullmatch(found[0]) else None


async def require_session(request: web.Request) -> StaffSession:
    """The session of whoever has begun to sign in, complete or not.

    Raises:
        TokenMissing: nobody has.
    """
    session = await open_session(request)
    if session is None:
        raise TokenMissing("no session")
    return session


async def require_officer(request: web.Request) -> Officer:
    """The post of whoever has signed in completely.

    Raises:
        TokenMissing: nobody has.
        Forbidden: `not-your-role`, she holds no post.
    """
    session = await require_session(request)
    if session.missing is not None:
        raise TokenMissing(f"{session.missing} is missing")
    if session.officer is None:
        raise Forbidden("no post", code="not-your-role", title=_NO_POST)
    return session.officer


def give_cookie(response: web.StreamResponse, token: str) -> None:
    """Give the browser a session; it ends with the browser at the latest."""
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")


def take_cookie(response: web.StreamResponse) -> None:
    """Take the session away."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")


def form_token(request: web.Request) -> str:
    """The synchronizer token of the session's forms; empty without a session that lives."""
    token = None if known_session(request) is None else read_token(request)
    return "" if token is None else token_of(token)


def token_of(session: str) -> str:
    """The synchronizer token that goes with the token of a session."""
    return hmac.digest(session.encode(), b"tongguan console form", "sha256").hex()


def check_origin(request: web.Request) -> None:
    """Check that a page of ours sent what would change something.

    Raises:
        CrossSite: another site's page may have sent it.
    """
    if request.method not in SAFE_METHODS:
        check_page(request[INBOUND])


def check_same_site(request: web.Request, given: str) -> None:
    """Check that a page of ours sent what would change something, and that it knows the session's token.

    Args:
        request: the request, its session open.
        given: the form's token; the field `x-csrf-token` counts as well.

    Raises:
        CrossSite: another site's page may have sent it.
    """
    check_origin(request)
    check_token(request, given)


def check_token(request: web.Request, given: str = "") -> None:
    """Check that whoever would change something knows the session's token; see check_same_site."""
    if request.method in SAFE_METHODS:
        return
    token, expected = request.headers.get(TOKEN_FIELD.decode(), given), form_token(request)
    if not expected or not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), expected.encode()):
        raise CrossSite(f"no {TOKEN_PARAMETER}, or another one")


_NO_POST = (
    "您的账户没有岗位，请联系安全管理员。",
    "Your account holds no post. Please ask the security administrator.",
)

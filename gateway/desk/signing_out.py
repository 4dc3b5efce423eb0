"""Signing out (统一登出): here at once, then at the platform; and the truth about how far it went."""

import asyncio

from aiohttp import web
from aiohttp_session import get_session

from gateway.desk.addresses import public_address
from gateway.desk.browser import Session, as_inbound, check_same_site, find_caller, find_session
from gateway.desk.call import note
from gateway.desk.desk import Desk, desk_of
from gateway.desk.pages import data, page, see_other, wants_page
from gateway.desk.parameters import read_fields
from gateway.errors import VerifierUnavailable
from gateway.identity.sessions import SignedIn
from gateway.tokens.bearer import read_bearer

_FORGET = '"cache", "storage"'
"""What the browser is to forget of this host (Clear-Site-Data): the next person at a kiosk finds nothing.

Not `cookies`: that reaches the whole registrable domain, where the platform still needs its own to sign her out.
"""


async def ask(request: web.Request) -> web.Response:
    """The page with the button: a mere link, wherever it stands, signs nobody out."""
    desk = desk_of(request)
    session = await find_session(request)
    if session is None:
        return page("signed_out", told=True, onward=None, was_signed_in=False)
    onward = _logout_address(request, desk, session.signed_in)
    return page("sign_out", csrf_token=desk.sessions.request_token(session.id), form_to=onward)


async def sign_out(request: web.Request) -> web.Response:
    """End the session here and on every worker, then tell the platform, directly or through the browser."""
    desk = desk_of(request)
    caller = await find_caller(request)
    if caller is None:
        return _answer(request, desk, told=True, onward=None, was_signed_in=False)
    fields = await read_fields(request) if request.can_read_body else {}
    check_same_site(request, caller.session, fields)
    signed_in = await _end(request, desk, caller.session)
    if signed_in is None:  # somebody else ended it at the same moment, who tells the platform as well
        return _answer(request, desk, told=True, onward=None, was_signed_in=True)
    note(request, "session", "ended", signed_in.principal)
    told = await _tell(desk, signed_in)
    outcome = "signed-out" if told else "platform-not-told"
    name = signed_in.sign_in.principal.verifier
    desk.log.info("signed out", platform=name, outcome=outcome, handle=signed_in.handle)
    onward = _logout_address(request, desk, signed_in)
    return _answer(request, desk, told=told, onward=onward, was_signed_in=True)


async def _end(request: web.Request, desk: Desk, session: Session | None) -> SignedIn | None:
    """End the browser's session, or the one that the token of a client without cookies stands for."""
    if session is None:
        return await desk.sessions.end_token(read_bearer(as_inbound(request)) or "")
    await desk.sessions.end(session.id)
    (await get_session(request)).invalidate()
    return session.signed_in


async def _tell(desk: Desk, signed_in: SignedIn) -> bool:
    """Tell the platform, without the browser; False when it could not be told in time."""
    platform = desk.platforms.get(signed_in.sign_in.principal.verifier)
    if platform is None:  # signed in by a channel's account: there is nobody to be told
        return True
    try:
        async with asyncio.timeout(desk.telling):
            await platform.end(signed_in.sign_in)
    except (VerifierUnavailable, TimeoutError) as error:
        reason = getattr(error, "detail", "") or "too slow"
        desk.log.warning("the platform was not told of a sign-out", platform=platform.name, reason=reason)
        return False
    except Exception as exc:  # signed out here is signed out, whatever a plugin does
        desk.log.error("the platform was not told of a sign-out", platform=platform.name, exc_info=exc)
        return False
    return True


def _logout_address(request: web.Request, desk: Desk, signed_in: SignedIn) -> str | None:
    platform = desk.platforms.get(signed_in.sign_in.principal.verifier)
    if platform is None:
        return None
    return platform.logout_address(signed_in.sign_in, public_address(request, desk.login.signed_out))


def _answer(request: web.Request, desk: Desk, *, told: bool, onward: str | None, was_signed_in: bool) -> web.Response:
    """For a person: onward to the platform's own logout page, or back; where it was not told, that is said first."""
    if not wants_page(request):
        response = data({"signed_out": True, "platform_told": told and was_signed_in, "continue_at": onward})
    elif told:
        response = see_other(onward or desk.login.signed_out)
    else:
        response = page("signed_out", told=told, onward=onward, was_signed_in=was_signed_in)
        if onward is not None:
            response.headers["Refresh"] = f"5; url={onward}"
    if was_signed_in:
        response.headers["Clear-Site-Data"] = _FORGET
    return response

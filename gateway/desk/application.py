"""Every page of the desk, in one table, and what happens around each of them: the session, and errors.

host.py runs it and lists the same places for the router; a test holds the two together.
"""

from collections.abc import Callable

import aiohttp_session
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.desk import accounts, belongings, continuing, me, pages, signing_in, signing_out
from gateway.desk.addresses import HOME
from gateway.desk.call import CALL, Call
from gateway.desk.desk import DESK, Desk
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    InternalError,
    ItemUnknown,
    SignInMalformed,
    SignInRefused,
    StepUpRequired,
)
from gateway.identity.storage import EncryptedStorage

LARGEST_BODY = 256 << 10
"""Bytes; the items of the desk allow less."""

_BEGIN_AGAIN = (SignInMalformed, SignInRefused, StepUpRequired)
"""After these a person can begin anew, and is shown where."""

CallOf = Callable[[str], Call | None]
"""The call of a request's id; None when whoever asked has left."""

_PAGES = (
    web.get("/sso/", me.home),
    web.get("/sso/style.css", pages.style),
    web.get("/sso/session", me.session_state),
    web.post("/sso/identity", me.switch_identity),
    web.post("/sso/token", me.give_token),
    web.get("/sso/login", signing_in.login),
    web.get("/sso/callback/{platform}", signing_in.callback),
    web.post("/sso/callback/{platform}", signing_in.callback),
    web.get("/sso/logout", signing_out.ask),
    web.post("/sso/logout", signing_out.sign_out),
    web.get("/sso/continue/{id}", continuing.offer),
    web.post("/sso/continue/{id}", continuing.send),
    web.post("/sso/channels/{channel}", accounts.sign_in),
    web.post("/sso/channels/{channel}/data", accounts.open_data),
    web.get("/sso/channels/{channel}/login", accounts.ask_channel),
    web.get("/sso/channels/{channel}/callback", accounts.channel_callback),
    web.get("/sso/channels/{channel}/link/{id}", accounts.ask_link),
    web.post("/sso/channels/{channel}/link/{id}", accounts.link),
    web.get("/sso/links", belongings.list_links),
    web.post("/sso/links", belongings.remove_link),
    web.delete("/sso/links", belongings.remove_link),
    web.get("/sso/devices", belongings.list_devices),
    web.post("/sso/devices", belongings.change_devices),
    web.delete("/sso/devices", belongings.remove_device),
)
"""Pages for people. Self-service (`/sso/my/…`) is in my_routes.py; pages for platforms and departments
(`/sso/introspect`, `/sso/notices/…`) are `Desk.peers`."""


def make_desk(desk: Desk, call_of: CallOf) -> web.Application:
    """The desk as a web application.

    Args:
        desk: what it works with.
        call_of: see CallOf. A call is told how it is refused; the answer that goes with it is a stand-in with the
            refusal's status and code.
    """
    pages.templates()  # read now, so that no visitor waits for it
    application = web.Application(middlewares=[_refusals(call_of)], client_max_size=LARGEST_BODY)
    aiohttp_session.setup(application, EncryptedStorage(desk.sessions))
    application[DESK] = desk
    application.add_routes([*_PAGES, *_my_pages(desk), *desk.peers])
    application.on_cleanup.append(_finish)
    return application


async def _finish(application: web.Application) -> None:
    recording = application[DESK].recording
    if recording is not None:
        await recording.stop()


def _my_pages(desk: Desk) -> list[web.RouteDef]:
    """Self-service, where there is a ledger; SQLAlchemy is imported there, and not before."""
    if desk.my is None:
        return []
    from gateway.desk.my_routes import my_routes  # noqa: PLC0415

    return my_routes(desk, desk.my)


def _refusals(call_of: CallOf) -> Middleware:
    """The outermost middleware: whatever is raised becomes a refusal. An answer takes no cookie along then."""

    @web.middleware
    async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
        call = request[CALL] = call_of(request.headers.get("X-Request-Id", "")) or Call()
        try:
            return await handler(request)
        except GatewayError as error:
            refusal: GatewayError = error
            if isinstance(error, _BEGIN_AGAIN) and error.way is None:
                error.way = HOME
        except web.HTTPException as exc:  # aiohttp's own: a page that the configuration does not open, a huge body
            refusal = BodyTooLarge(exc.reason) if exc.status == 413 else ItemUnknown(exc.reason)
        except Exception as exc:  # noqa: BLE001 - whatever broke, nobody is signed in by it
            refusal = InternalError(f"sign-in desk: {exc!r}")
            refusal.__cause__ = exc
        call.refusal = refusal
        return web.Response(status=refusal.status, text=refusal.code, headers=pages.PRIVATE)

    return refusals

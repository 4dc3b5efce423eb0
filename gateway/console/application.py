"""The back office as a web application: its routes, and what happens around each request. process.py serves it."""

import secrets
import time

from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.typedefs import Handler

from gateway.answers import render
from gateway.console import pages, signing_in
from gateway.console.api import PREFIX, api_routes
from gateway.console.api_session import SESSION_CALLS
from gateway.console.console import CONSOLE, Console, console_of
from gateway.console.forms import LARGEST
from gateway.console.operations import OPERATIONS
from gateway.console.rendering import SHELL, Shell, problem_page, style
from gateway.console.session import INBOUND, known_staff
from gateway.errors import BodyTooLarge, GatewayError, InternalError, ItemUnknown, MethodNotAllowed, TokenMissing
from gateway.model import Inbound


def make_console(console: Console) -> web.Application:
    """Make the application of one back office."""
    application = web.Application(middlewares=[_accounted], client_max_size=LARGEST)
    application[CONSOLE] = console
    application[SHELL] = Shell(pages.NAVIGATION, {one.name: one.title for one in OPERATIONS})
    application.add_routes(
        [
            web.get("/style.css", style),
            *signing_in.routes(),
            *pages.routes(),
            *api_routes(OPERATIONS, SESSION_CALLS),
        ]
    )
    return application


@web.middleware
async def _accounted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost step: every request gets an id, an answer and one line in the log, whatever happens."""
    began, id = time.monotonic(), secrets.token_hex(16)  # noqa: A001 - as in model.Inbound
    refusal: GatewayError | None = None
    try:
        request[INBOUND] = _read(request, id)
        response = await handler(request)
    except Exception as exc:  # noqa: BLE001 - whatever broke, nothing passes and somebody is told
        refusal = _refusal(request, exc, id)
        response = _refused(request, refusal, id)
    response.headers.update({"X-Request-Id": id, "Server": "tongguan"})
    _note(request, response, refusal, id, time.monotonic() - began)
    return response


def _read(request: web.Request, id: str) -> Inbound:  # noqa: A002 - as above
    """The raw-request check of the public listener, for this one too.

    Raises:
        RequestMalformed (and its kinds), HostUnknown, MethodNotAllowed: see InboundReader.read.
    """
    reader, peer = console_of(request).reader, request.remote or ""
    message = RawRequestMessage(
        request.method, request.raw_path, request.version, request.headers, request.raw_headers,
        False, None, False, False, request.rel_url,
    )  # fmt: skip
    return reader.read(message, id, peer, reader.trusts(peer))


def _refusal(request: web.Request, exc: Exception, id: str) -> GatewayError:  # noqa: A002 - as above
    """What ends a request; aiohttp's own are a page that is not there, a method that it does not take, a huge body."""
    if isinstance(exc, GatewayError):
        return exc
    if isinstance(exc, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(exc.reason, allow=tuple(sorted(exc.allowed_methods)))
    if isinstance(exc, web.HTTPException):
        return BodyTooLarge(exc.reason) if exc.status == 413 else ItemUnknown(exc.reason, title=_NO_PAGE)
    console_of(request).log.error("the back office broke", request_id=id, exc_info=exc)
    return InternalError(f"back office: {exc!r}")


_NO_PAGE = ("没有找到该页面。", "There is no such page.")


def _refused(request: web.Request, error: GatewayError, id: str) -> web.Response:  # noqa: A002 - as above
    wants_page = not request.path.startswith(PREFIX) and "text/html" in request.headers.get("Accept", "").lower()
    if wants_page and isinstance(error, TokenMissing) and request.method == "GET":
        location = signing_in.sign_in_address(request.raw_path)
        return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})
    fields, body = render(error, id, b"", request.headers.get("Accept-Language", "").encode("latin-1", "replace"))
    response = problem_page(request, error, id) if wants_page else web.Response(status=error.status, body=body)
    for name, value in fields:
        response.headers.setdefault(name.decode(), value.decode("latin-1"))
    return response


def _note(
    request: web.Request,
    response: web.StreamResponse,
    refusal: GatewayError | None,
    id: str,  # noqa: A002 - as above
    seconds: float,
) -> None:
    """One line for each request: the path's template and no query, as names and numbers stand there."""
    route, inbound = request.match_info.route.resource, request.get(INBOUND)
    console_of(request).log.info(
        "console",
        request_id=id,
        client=request.remote if inbound is None else inbound.client,
        method=request.method,
        route=None if route is None else route.canonical,
        status=response.status,
        code=None if refusal is None else refusal.code,
        reason=None if refusal is None else refusal.detail,
        staff=known_staff(request),
        ms=round(seconds * 1000, 1),
    )

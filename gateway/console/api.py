"""The JSON API: every operation of the table under `/api`, with the session's cookie and the powers of the pages.

Programs that are no browsers send neither `Origin` nor `Sec-Fetch-Site`; what they change asks for the session's token.
"""

from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.console.console import console_of
from gateway.console.forms import LARGEST, SMALL, read_body, read_form_input, read_json_input
from gateway.console.openapi import describe
from gateway.console.operations import Asked, Operation, SessionCall
from gateway.console.rendering import PRIVATE
from gateway.console.session import INBOUND, check_origin, check_token, known_session, open_session, require_officer
from gateway.contracts import Settings
from gateway.errors import RequestMalformed
from gateway.identity.cross_site import SAFE_METHODS

PREFIX = "/api"


def api_routes(operations: tuple[Operation, ...], calls: tuple[SessionCall, ...]) -> list[web.RouteDef]:
    """Routes of the operations, of the calls that begin and end a session, and of their description (OpenAPI 3.1)."""
    description = msgspec.json.encode(describe(operations, calls))

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json", headers=PRIVATE)

    return [
        *(web.route(one.method, PREFIX + one.path, _doing(one)) for one in operations),
        *(web.route(one.method, PREFIX + one.path, _calling(one)) for one in calls),
        web.get(f"{PREFIX}/openapi.json", openapi),
    ]


def _doing(operation: Operation) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        await open_session(request)
        _check_sender(request)
        officer = await require_officer(request)
        asked = Asked(dict(request.match_info), await _read_input(request, operation.input, LARGEST))
        result = await operation.call(console_of(request), officer, asked)
        return _answer(result, operation.status)

    return answer


def _calling(call: SessionCall) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        await open_session(request)
        _check_sender(request, token=call.token)
        given = await _read_input(request, call.input, SMALL)
        response = _answer(None, call.status)
        response.body = msgspec.json.encode(await call.call(request, response, given))
        return response

    return answer


def _answer(result: Any, status: int) -> web.Response:
    body = b"{}" if result is None else msgspec.json.encode(result)
    return web.Response(body=body, status=status, content_type="application/json", headers=PRIVATE)


def _check_sender(request: web.Request, *, token: bool = True) -> None:
    """Check that no other site's page sent this. Browsers say where a page is from; what does not is no browser.

    Without a session that lives there is nothing to forge, and whoever needs one is told so: 401.
    """
    fields = request[INBOUND].fields
    if b"origin" in fields or b"sec-fetch-site" in fields:
        check_origin(request)
    if token and known_session(request) is not None:
        check_token(request)


async def _read_input(request: web.Request, model: type[Settings] | None, limit: int) -> Settings | None:
    if model is None:
        return None
    if request.method in SAFE_METHODS:
        return read_form_input(model, {name: request.query.getall(name) for name in request.query})
    return read_json_input(model, await _read_json(request, limit))


async def _read_json(request: web.Request, limit: int) -> Any:
    if request.content_type != "application/json":
        raise RequestMalformed("a body that is no application/json")
    try:
        return msgspec.json.decode(await read_body(request, limit))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise RequestMalformed("a body that is no JSON") from None

"""Serves self-service under `/sso/my/`: pages for people, the same operations as JSON for programs (my_operations.py).

A program asks for JSON (`Accept`) with the session's cookie or with a token of a session. Whatever changes something
with a cookie has to come from a page of ours and to know the session's token.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.beijing import local_time
from gateway.codes import region_code
from gateway.contracts import Settings
from gateway.desk import pages
from gateway.desk.addresses import MY, login_address, way_back
from gateway.desk.browser import Caller, check_same_site, find_caller, require_caller
from gateway.desk.desk import Desk, desk_of
from gateway.desk.my import SelfService
from gateway.desk.my_openapi import describe
from gateway.desk.my_operation import Asked, Failed, Operation, Page, Problems, Title
from gateway.desk.my_operations import OPERATIONS, PAGES
from gateway.desk.parameters import read_form, read_json, read_query
from gateway.errors import FieldProblem, GatewayError, InputRefused
from gateway.fields import FORM
from gateway.identity.cross_site import TOKEN_PARAMETER
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.words import word
from gateway.signin_settings import SIGN_IN_PREFIX

_PAGES = {page.path: page for page in PAGES}


def my_routes(desk: Desk, my: SelfService) -> list[web.RouteDef]:
    """Routes of all pages and operations, of the script and of the description.

    Args:
        desk: whose sessions are asked for.
        my: what there is to see and to change.
    """
    served = Serving(my)
    looking = {one.path: one for one in OPERATIONS if one.method == "GET"}
    changing = [one for one in OPERATIONS if one.method != "GET"]
    description = msgspec.json.encode(describe(OPERATIONS, desk.sessions.cookie))

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json", headers=pages.PRIVATE)

    return [
        *(web.get(MY + path, served.looking(looking.get(path), path)) for path in looking | _PAGES),
        *(web.route(one.method, MY + one.path, served.changing(one)) for one in changing),
        web.get(f"{MY}openapi.json", openapi),
        web.get(f"{SIGN_IN_PREFIX}passkey.js", _script),
    ]


async def _script(_: web.Request) -> web.Response:
    """The one script of the desk: a browser's keys cannot be reached without one."""
    text = files("gateway.desk").joinpath("templates/passkey.js").read_text(encoding="utf-8")
    headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="text/javascript", headers=headers)


class Serving:
    """Makes the handlers.

    Args:
        my: what there is to see and to change.
    """

    def __init__(self, my: SelfService) -> None:
        self._my = my

    def looking(self, operation: Operation | None, path: str) -> Handler:
        """What answers a GET: with the page that is there, the page it belongs to, or JSON."""

        async def answer(request: web.Request) -> web.Response:
            wants_page = operation is None or pages.wants_page(request)
            caller = await find_caller(request)
            if caller is None and wants_page:
                return pages.see_other(login_address(way_back(request.raw_path, ()) or MY))
            caller = caller or await require_caller(request)
            if operation is None or (wants_page and path in _PAGES):
                return await self._page(request, caller, _PAGES[path])
            if wants_page:
                return pages.see_other(MY + operation.page)
            return _answer(operation, await operation.call(self._asked(request, caller, operation.input)))

        return answer

    def changing(self, operation: Operation) -> Handler:
        """What answers a POST: sends people back to the page, with what is wrong where something is."""

        async def answer(request: web.Request) -> web.Response:
            caller = await require_caller(request)
            entered = await _read_entered(request)
            check_same_site(request, caller.session, {TOKEN_PARAMETER: str(entered.pop(TOKEN_PARAMETER, ""))})
            try:
                asked = self._asked(request, caller, operation.input, entered)
                result = await operation.call(asked)
            except InputRefused as error:
                if not pages.wants_page(request):
                    raise
                failed = Failed(request.path, {name: str(value) for name, value in entered.items()}, _by_field(error))
                return await self._page(request, caller, _PAGES[operation.page], failed)
            except GatewayError as error:
                error.way = error.way or MY + operation.page
                raise
            if pages.wants_page(request):
                return pages.see_other(MY + operation.page)
            return _answer(operation, result)

        return answer

    def _asked(
        self,
        request: web.Request,
        caller: Caller,
        model: type[Settings] | None,
        entered: Mapping[str, Any] | None = None,
    ) -> Asked:
        """What is asked, with an input that was checked: of the query where nothing was entered."""
        given = None
        if model is not None:
            text = entered is None or request.content_type == FORM
            given = check_input(model, read_query(request) if entered is None else entered, strict=not text)
        return Asked(request, desk_of(request), self._my, caller, given)

    async def _page(
        self, request: web.Request, caller: Caller, page: Page, failed: Failed | None = None
    ) -> web.Response:
        asked = self._asked(request, caller, page.input)
        shown = await page.view(asked)
        if isinstance(shown, web.Response):
            return shown
        token = "" if caller.session is None else asked.desk.sessions.request_token(caller.session.id)
        status = 200 if failed is None else InputRefused.status
        around: dict[str, Any] = {"csrf_token": token, "failed": failed, "legal": asked.owner.kind == "legal"}
        around |= {"word": word, "at": local_time, "region_code": region_code}
        return pages.page(page.template, status=status, scripts=page.scripts, **around, **shown)


async def _read_entered(request: web.Request) -> dict[str, Any]:
    """Fields of a form or members of a JSON object, the session's token among them where no header has it.

    Raises:
        SignInMalformed, BodyTooLarge: see parameters.py.
    """
    if not request.can_read_body:
        return {}
    if request.content_type == FORM:
        return dict(await read_form(request))
    return await read_json(request, dict[str, Any])


def _answer(operation: Operation, result: Any) -> web.Response:
    body = msgspec.json.encode(result)
    return web.Response(body=body, status=operation.status, content_type="application/json", headers=pages.PRIVATE)


def _by_field(error: InputRefused) -> Problems:
    found: defaultdict[str, list[Title]] = defaultdict(list)
    problems: Iterable[FieldProblem] = error.problems
    for problem in problems:
        found[problem.field.partition(".")[0]].append(problem.title)
    return dict(found)

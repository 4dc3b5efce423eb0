"""Pages of the back office: Chinese with English beside it, without a script, readable large and aloud (GB/T 37668).

Templates are in templates/; everything in them is escaped unless it was written there. The counterpart for people is
gateway/desk/pages.py.
"""

from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from gateway.beijing import local_time
from gateway.codes import region_code
from gateway.console.session import form_token, known_session
from gateway.errors import GatewayError, InputRefused
from gateway.ledger.powers import POWERS, Power
from gateway.ledger.values import Officer
from gateway.ledger.words import ROLES, told, word

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}
"""Of every answer: nothing of it is kept anywhere. With no referrer a browser calls the origin of a form `null`."""


class Place(msgspec.Struct, frozen=True):
    """A page that the navigation leads to.

    Attributes:
        address: its path.
        title: what it is, Chinese first, then English.
        power: what a post needs to get there; None leads everybody who has signed in there.
    """

    address: str
    title: tuple[str, str]
    power: Power | None = None


class Shell(msgspec.Struct, frozen=True):
    """What stands around every page. application.py makes it of the pages and of the table of operations.

    Attributes:
        navigation: in the order in which it is shown.
        notices: what was done, by the name that `see_other` takes along.
    """

    navigation: tuple[Place, ...] = ()
    notices: Mapping[str, tuple[str, str]] = {}


SHELL: web.AppKey[Shell] = web.AppKey("shell", Shell)


def page(request: web.Request, name: str, *, status: int = 200, **values: Any) -> web.Response:
    """An answer with a page.

    Args:
        request: whose session's post, navigation and form token the page gets; and the notice of what was done just
            before, where the request's address names it (see_other).
        name: of the template, without its ending.
        status: HTTP status code.
        values: what the template asks for besides.
    """
    session, shell = known_session(request), request.app[SHELL]
    officer = None if session is None else session.officer
    around = {
        "session": session,
        "officer": officer,
        "navigation": _navigation(shell, officer),
        "here": request.path,
        "csrf_token": form_token(request),
        "notice": shell.notices.get(request.query.get("done", "")),
    }
    return web.Response(
        status=status,
        text=templates().get_template(f"{name}.html").render(around | values),
        content_type="text/html",
        headers=PRIVATE | {"Content-Security-Policy": _POLICY, "Content-Language": "zh-CN, en"},
    )


def problem_page(request: web.Request, error: GatewayError, id: str) -> web.Response:  # noqa: A002 - as model.Inbound
    """An error as a page: the sentence, the fields that are wrong, and the code by which it can be asked about."""
    problems = error.problems if isinstance(error, InputRefused) else ()
    return page(request, "problem", status=error.status, error=error, problems=problems, id=id)


def see_other(address: str, done: str | None = None) -> web.Response:
    """An answer that leads the browser to a page of ours (RFC 9110 §15.4.4).

    Args:
        address: a path here, with its query and fragment.
        done: name of the operation that was done, which the page then says; None says nothing.
    """
    if done is not None:
        parts = urlsplit(address)
        query = "&".join(filter(None, (parts.query, urlencode({"done": done}))))
        address = parts._replace(query=query).geturl()
    return web.Response(status=303, headers=PRIVATE | {"Location": address})


def _local_time(at: float | None) -> str:
    return "" if at is None else local_time(at)


def may(officer: Officer | None, power: Power | str) -> bool:
    """Tell whether a page shows something to a post. Nothing rests on it: the ledger asks again in the act."""
    return officer is not None and officer.role in POWERS[Power(power)]


async def style(_: web.Request) -> web.Response:
    """Answer with the stylesheet."""
    headers = {"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"}
    return web.Response(text=_stylesheet(), content_type="text/css", headers=headers)


@cache
def templates() -> Environment:
    """All templates; `local_time` is a filter (empty for None), `may` a function, the others are words for codes."""
    environment = Environment(
        loader=PackageLoader("gateway.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["local_time"] = _local_time
    environment.globals |= {
        "may": may,
        "roles": ROLES,
        "region_code": region_code,
        "word": word,
        "told": partial(told, show=local_time),
    }
    return environment


@cache
def _stylesheet() -> str:
    return files("gateway.console").joinpath("templates/style.css").read_text(encoding="utf-8")


def _navigation(shell: Shell, officer: Officer | None) -> list[Place]:
    if officer is None:
        return []
    return [place for place in shell.navigation if place.power is None or may(officer, place.power)]

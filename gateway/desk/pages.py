"""The desk's pages: Chinese with English beside it, one alone with a script, readable large and aloud (GB/T 37668).

Templates are in templates/; everything in them is escaped unless it was written there.
"""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

if TYPE_CHECKING:
    from jinja2 import Environment

PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer: nothing of it is kept anywhere."""


_SCRIPTS = "script-src 'self'; connect-src 'self'; "


@cache
def templates() -> "Environment":
    """All templates. Jinja is imported here, where there is a desk, and not before."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    return Environment(
        loader=PackageLoader("gateway.desk"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def stylesheet() -> str:
    """The one stylesheet of all pages."""
    return files("gateway.desk").joinpath("templates/style.css").read_text(encoding="utf-8")


def page(
    name: str, *, status: int = 200, form_to: str | None = None, scripts: bool = False, **values: Any
) -> web.Response:
    """An answer with a page.

    Args:
        name: of the template, without its ending.
        status: HTTP status code.
        form_to: an address elsewhere to which an answer to the page's form may lead; its origin is allowed.
        scripts: True allows scripts that are files of ours, and what they ask of us.
        values: what the template asks for.
    """
    policy = (
        f"default-src 'none'; style-src 'self'; {_SCRIPTS if scripts else ''}base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self'{_origin(form_to)}"
    )
    return web.Response(
        status=status,
        text=templates().get_template(f"{name}.html").render(values),
        content_type="text/html",
        headers=PRIVATE
        | {
            "Content-Security-Policy": policy,
            "Content-Language": "zh-CN, en",
            "Referrer-Policy": "same-origin",  # with none at all a browser calls the origin of a form `null`
        },
    )


def _origin(address: str | None) -> str:
    """Browsers hold redirects after a form to `form-action` as well (CSP 3 §6.4.1)."""
    if address is None:
        return ""
    parts = urlsplit(address)
    return f" {parts.scheme}://{parts.netloc}"


def see_other(address: str) -> web.Response:
    """An answer that sends the browser somewhere (RFC 9110 §15.4.4), and tells nobody where it was."""
    return web.Response(status=303, headers=PRIVATE | {"Location": address, "Referrer-Policy": "no-referrer"})


def data(values: dict[str, Any], status: int = 200) -> web.Response:
    """An answer for programs."""
    return web.json_response(values, status=status, headers=PRIVATE)


def wants_page(request: web.Request) -> bool:
    """Tell whether a person sits before it."""
    return "text/html" in request.headers.get("Accept", "").lower()


async def style(_: web.Request) -> web.Response:
    """Answer with the stylesheet."""
    return web.Response(
        text=stylesheet(),
        content_type="text/css",
        headers={"Cache-Control": "max-age=3600", "X-Content-Type-Options": "nosniff"},
    )

"""Pages that the sandbox's platforms show in a browser: plain HTML, no scripts, Chinese with English beside it."""

from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

SAFETY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def page(name: str, *, status: int = 200, **values: Any) -> web.Response:
    """Answer with one of the pages in this folder.

    Args:
        name: file name without its ending.
        status: HTTP status.
        values: what the page shows.
    """
    text = _ENVIRONMENT.get_template(f"{name}.html").render(values)
    return web.Response(text=text, status=status, content_type="text/html", headers=SAFETY)


def redirect(address: str) -> web.Response:
    """Send the browser on, with GET (303)."""
    headers = {"Location": address, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, body=b"", headers=headers)

"""Browsers that sign in at the desk of a gateway under measurement, as people do.

Their platform is `plugins/reception.py`. What they bring home are session cookies, which `load.py` then asks with.
"""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from urllib.parse import parse_qs, urlencode, urlsplit

from bench.load import Credential

_FOUND = 303


class SignInError(Exception):
    """A login did not end with a session; the text says at which step."""


def sign_in(port: int, persons: Sequence[str]) -> list[Credential]:
    """Sign each person in on a browser of her own; tell the session cookies.

    Args:
        port: of the gateway, on 127.0.0.1.
        persons: as the platform is to call them.

    Raises:
        SignInError: one of them was not signed in.
        OSError, http.client.HTTPException: the gateway did not answer.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10.0)
    try:
        return [_sign_in(connection, person) for person in persons]
    finally:
        connection.close()


def _sign_in(connection: http.client.HTTPConnection, person: str) -> Credential:
    sent_away, binding = _ask(connection, "/sso/login?return_to=/", "")
    asked = parse_qs(urlsplit(sent_away).query)
    answer = urlencode({"state": asked["state"][0], "code": person})
    _, session = _ask(connection, f"{urlsplit(asked['redirect_uri'][0]).path}?{answer}", binding)
    return "Cookie", session


def _ask(connection: http.client.HTTPConnection, path: str, cookie: str) -> tuple[str, str]:
    """Follow one step of a login: where it leads, and the cookie that it sets."""
    connection.request("GET", path, headers={"Accept": "text/html", **({"Cookie": cookie} if cookie else {})})
    reply = connection.getresponse()
    reply.read()
    place, cookies = reply.getheader("Location"), reply.headers.get_all("Set-Cookie", [])
    if reply.status != _FOUND or place is None or len(cookies) != 1:
        raise SignInError(f"{urlsplit(path).path} was answered {reply.status} with {len(cookies)} cookies")
    return place, cookies[0].partition(";")[0]

"""A browser without scripts: keeps cookies, follows redirects, presses the buttons of forms.

The tour and the journeys walk through the sign-in pages with it; tests/browser does the same with Chromium.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import CookieError, SimpleCookie
from typing import Any

import aiohttp
from yarl import URL

MOST_REDIRECTS = 10
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml",
    "Accept-Language": "zh-CN,zh;q=0.9",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}


class PageError(Exception):
    """The page is not as it should be: no such form or link, or redirects without end."""


@dataclass(slots=True)
class Form:
    """A form of a page.

    Attributes:
        action: where it is sent.
        method: `get` or `post`.
        fields: names and values as they stand: hidden ones, and of radio buttons the one that is checked.
    """

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown.

    Attributes:
        url: its address.
        status: HTTP status.
        fields: header fields.
        text: the body.
        trail: addresses that led here, without their queries.
    """

    url: URL
    status: int
    fields: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)
    trail: tuple[URL, ...] = ()

    @property
    def forms(self) -> list[Form]:
        """Its forms, in order."""
        return _read(self.text).forms

    @property
    def links(self) -> list[str]:
        """Addresses of its links, in order."""
        return _read(self.text).links

    def form(self, action: str = "") -> Form:
        """The first form whose address has this text in it.

        Raises:
            PageError: there is none.
        """
        for form in self.forms:
            if action in form.action:
                return form
        raise PageError(f"{self.url} ({self.status}) has no form {action!r}: {self.text[:400]}")

    def link(self, part: str) -> str:
        """The first link whose address has this text in it.

        Raises:
            PageError: there is none.
        """
        for address in self.links:
            if part in address:
                return address
        raise PageError(f"{self.url} ({self.status}) has no link {part!r}")


class Browser:
    """One visitor's browser. Cookies know no ports, as in every browser.

    Attributes:
        cookies: by name, of this machine.
        seen: method and address of every request, for people.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.cookies: dict[str, str] = {}
        self.seen: list[str] = []
        self._session = session

    async def open(self, address: str | URL) -> Page:
        """Go to an address, and on from there while it redirects."""
        return await self._go("GET", URL(address, encoded=isinstance(address, str)), None, "none")

    async def press(self, page: Page, form: Form | None = None, **chosen: str) -> Page:
        """Send a form of a page, the first one unless another is named; `chosen` is what the visitor filled in."""
        form = form or page.form()
        address = page.url.join(URL(form.action or str(page.url)))
        data = form.fields | chosen
        if form.method == "get":
            return await self._go("GET", address.update_query(data), None, _site(page.url, address))
        return await self._go("POST", address, data, _site(page.url, address), origin=str(page.url.origin()))

    async def follow(self, page: Page, part: str) -> Page:
        """Press the link whose address has this text in it."""
        address = page.url.join(URL(page.link(part)))
        return await self._go("GET", address, None, _site(page.url, address))

    async def _go(
        self, method: str, url: URL, data: dict[str, str] | None, site: str, *, origin: str | None = None
    ) -> Page:
        trail: list[URL] = []
        for _ in range(MOST_REDIRECTS):
            fields = NAVIGATION | {"Sec-Fetch-Site": site} | ({"Origin": origin} if origin and data is not None else {})
            page = await self.ask(method, url, data=data, headers=fields, trail=tuple(trail))
            if page.status not in (301, 302, 303, 307, 308):
                return page
            trail.append(url.with_query(None))
            following = url.join(URL(page.fields["Location"], encoded=True))
            site = "cross-site" if site == "cross-site" else _site(url, following) if site != "none" else "none"
            if page.status not in (307, 308):
                method, data = "GET", None
            url = following
        raise PageError(f"{MOST_REDIRECTS} redirects: {' → '.join(map(str, trail))}")

    async def ask(self, method: str, url: str | URL, *, trail: tuple[URL, ...] = (), **options: Any) -> Page:
        """Send one request with the browser's cookies, as a script of a page would, and stay where redirects lead."""
        headers = dict(options.pop("headers", {}))
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        address = url if isinstance(url, URL) else URL(url, encoded=True)
        self.seen.append(f"{method} {address.with_query(None)}")
        async with self._session.request(method, address, headers=headers, allow_redirects=False, **options) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self._keep(line)
            return Page(address, answer.status, answer.headers.copy(), await answer.text(), trail)

    def _keep(self, line: str) -> None:
        try:
            morsels = SimpleCookie(line).items()
        except CookieError as error:
            raise PageError(f"no cookie: {error}") from None
        for name, morsel in morsels:
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value


class _Reader(HTMLParser):
    """Collects forms and links."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, a field of it, or a link."""
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower()))
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "input" and self.forms and "name" in found and _counts(found):
            self.forms[-1].fields[found["name"]] = found.get("value", "")


def _counts(found: dict[str, str]) -> bool:
    """Whether a field is sent as it stands: of radio buttons, only the one that is checked."""
    return found.get("type") not in ("radio", "checkbox") or "checked" in found


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    return reader


def _site(before: URL, after: URL) -> str:
    """`Sec-Fetch-Site` of a request from one address to another; here, one host has everything."""
    if before.origin() == after.origin():
        return "same-origin"
    return "same-site" if before.host == after.host else "cross-site"

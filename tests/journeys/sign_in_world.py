"""People who sign in: what the journeys through two departments share."""

import asyncio
import time

from record_files import records_in
from yarl import URL

from sandbox.browsing import Browser
from sandbox.visitor import Answer, Visitor

WITHIN = 1.0
"""Seconds in which a logout has reached everything."""
CONTRIBUTIONS = "/social-insurance/contributions"
SETTLEMENT = "/medical/settlements/S2026-0042"
VISITS = "/outpatient/visits"
BOOKING = "/outpatient/booking"


class People:
    """Makes visitors, and looks behind the scenes.

    Attributes:
        places: the sandbox.
    """

    def __init__(self, places, session):
        self.places = places
        self._session = session

    def person(self):
        """Somebody with a browser of her own."""
        return Person(self.places, self._session)

    async def province(self, path, method="GET", **query):
        """Ask the province behind the scenes; gives the answer's data."""
        return await self._ask(method, "province", path, query)

    async def look(self, where, path, **query):
        """Look behind the scenes of one of the sandbox's platforms."""
        return await self._ask("GET", where, path, query)

    async def records(self, edge):
        """Access records of a department, once it has written what it answered."""
        path = self.places.access_records if edge == "edge" else self.places.logs / "medical-access.jsonl"
        async with self._session.get(self.places.url(edge) + "/no-such-item") as answer:
            marked = answer.headers["X-Request-Id"]
        async with asyncio.timeout(5):
            while marked not in {one.get("trace.id") for one in records_in(path)}:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.01)
        found = records_in(path)
        return [one for one in found if one.get("trace.id") != marked]

    async def routes_since(self, edge, count):
        """Routes of the records after so many, those of `records` itself left out."""
        return [one["http.route"] for one in (await self.records(edge))[count:] if "http.route" in one]

    async def order(self, where, path, **query):
        """Tell one of the sandbox's platforms to do something."""
        return await self._ask("POST", where, path, query)

    async def _ask(self, method, where, path, query):
        async with self._session.request(method, self.places.url(where) + path, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


class Person:
    """Somebody with a browser, and with tokens that programs send for her.

    Attributes:
        browser: her browser.
    """

    def __init__(self, places, session):
        self.browser = Browser(session)
        self._visitor = Visitor(places, session)
        self._places = places

    def url(self, edge, path):
        return self._places.url(edge) + path

    async def open(self, edge, path):
        """Open a page of a department."""
        return await self.browser.open(self.url(edge, path))

    async def sign_in(self, edge="edge", path="/sso/", *, user="citizen-1", kind="natural", **asked):
        """Sign in at a department through the province; gives the page where that leads."""
        query = {"return_to": path, "platform": "province", "as": kind} | asked
        page = await self.browser.open(URL(self.url(edge, "/sso/login")).with_query(query))
        if "/authorize" in str(page.url):
            page = await self.browser.press(page, user=user)
        if page.url.path == "/login":
            page = await self.browser.press(page)
        return page

    async def session(self, edge="edge"):
        """What a department says of her session."""
        return read(await self.browser.ask("GET", self.url(edge, "/sso/session"))).data

    async def post(self, edge, path, **options):
        """Send what a page of the department would, with the session's synchronizer token; gives status and data."""
        token = (await self.session(edge)).get("csrf_token", "")
        fields = {"X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
        page = await self.browser.ask("POST", self.url(edge, path), headers=fields, **options)
        return page.status, read(page).data

    async def token_of(self, edge="edge"):
        """A token that the department gives out for other departments."""
        status, answer = await self.post(edge, "/sso/token")
        assert status == 200, answer
        return answer["access_token"]

    async def with_session(self, edge, path):
        """Ask with the session cookie, as a program would; gives status and code."""
        page = await self.browser.ask("GET", self.url(edge, path), headers={"Accept": "application/json"})
        return page.status, read(page).code

    async def with_token(self, edge, path, token):
        """Ask with a bearer token and nothing else; gives status and code."""
        answer = await self._visitor.ask("GET", path, token=token, to=edge)
        return answer.status, answer.code

    async def sign_out(self, edge="edge"):
        """Press the button of the department's logout page."""
        page = await self.open(edge, "/sso/logout")
        return await self.browser.press(page)


def read(page):
    """A page as an answer with data and code."""
    return Answer(page.status, page.fields, page.text)


async def within(ask, expected, seconds=WITHIN):
    """Ask again and again until the answer is as expected; fails when that takes longer. Gives the seconds it took."""
    began = time.monotonic()
    while (found := await ask()) != expected:
        assert time.monotonic() - began < seconds, f"still {found} after {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began

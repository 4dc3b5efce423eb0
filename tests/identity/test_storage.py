"""aiohttp-session over our sessions: on a real listener, as the desk uses it."""

import asyncio

import aiohttp_session
import pytest
from aiohttp import web

from gateway.errors import RequestMalformed, StateUnavailable
from gateway.identity.storage import SIGNED_IN, EncryptedStorage, remember
from tests.identity.session_world import House, sign_in


class Desk:
    """The smallest desk: signs in, says who is there, signs out; errors as their status."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.held = asyncio.Event()
        self.go_on = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self.errors])
        aiohttp_session.setup(app, EncryptedStorage(self.house.sessions))
        app.router.add_get("/who", self.who)
        app.router.add_post("/login", self.login)
        app.router.add_post("/logout", self.logout)
        return app

    @staticmethod
    @web.middleware
    async def errors(request, handler):
        try:
            return await handler(request)
        except (RequestMalformed, StateUnavailable) as error:
            return web.Response(status=error.status)

    async def who(self, request):
        session = await aiohttp_session.get_session(request)
        known = session.get(SIGNED_IN)
        return web.Response(text="nobody" if known is None else known.principal.subject)

    async def login(self, request):
        session = await aiohttp_session.get_session(request)
        fresh, known = await self.house.sessions.begin(sign_in(), replaces=session.identity)
        remember(request, fresh, known)
        raise web.HTTPSeeOther("/who")

    async def logout(self, request):
        session = await aiohttp_session.get_session(request)
        await self.house.sessions.end(session.identity)
        session.invalidate()
        return web.Response()


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
async def client(house, aiohttp_client):
    return await aiohttp_client(Desk(house).application())


async def ask(client, method: str, path: str, *cookies: str):
    fields = [("Cookie", cookie) for cookie in cookies]
    return await client.request(method, path, headers=fields, allow_redirects=False)


async def signed_in(client, *cookies: str) -> str:
    """The fresh that a login gives."""
    answer = await ask(client, "POST", "/login", *cookies)
    return answer.headers["Set-Cookie"].partition(";")[0].partition("=")[2]


async def who(client, *cookies: str) -> str:
    return await (await ask(client, "GET", "/who", *cookies)).text()


async def test_the_cookie_is_for_this_host_over_tls_and_no_script(client):
    answer = await ask(client, "POST", "/login")
    assert answer.status == 303
    value, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert value.startswith("__Host-sid=")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]


async def test_the_cookie_says_who_it_is(client):
    fresh = await signed_in(client)
    assert await who(client, f"theme=dark; __Host-sid={fresh}") == "u-1"


async def test_reading_sets_no_cookie(client):
    fresh = await signed_in(client)
    assert "Set-Cookie" not in (await ask(client, "GET", "/who", f"__Host-sid={fresh}")).headers
    assert "Set-Cookie" not in (await ask(client, "GET", "/who")).headers


@pytest.mark.parametrize(
    "cookie", ["", "theme=dark", "__Host-sid=", "__Host-sid=x", "__Host-sid=" + "A" * 43, "__Host-sid=\xe9"]
)
async def test_everything_else_is_nobody(client, cookie):
    assert await who(client, cookie) == "nobody"


async def test_a_login_does_not_go_on_under_the_id_that_the_browser_brought(client):
    first = await signed_in(client)
    second = await signed_in(client, f"__Host-sid={first}")
    assert await who(client, f"__Host-sid={first}") == "nobody"
    assert await who(client, f"__Host-sid={second}") == "u-1"


async def test_logging_out_takes_the_cookie_away(client, house):
    """A browser deletes a `__Host-` cookie only by one that is `Secure` and has the path."""
    fresh = await signed_in(client)
    answer = await ask(client, "POST", "/logout", f"__Host-sid={fresh}")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith('__Host-sid="";')
    assert {"Max-Age=0", "Path=/", "Secure"} <= set(cookie.split("; "))
    assert await who(client, f"__Host-sid={fresh}") == "nobody"


@pytest.mark.parametrize("cookies", [["__Host-sid=A; __Host-sid=B"], ["__Host-sid=A", "__Host-sid=B"]])
async def test_two_session_cookies_are_refused(client, cookies):
    assert (await ask(client, "GET", "/who", *cookies)).status == 400


async def test_a_store_that_is_away_is_no_logout(client, house):
    fresh = await signed_in(client)
    house.store.down = True
    answer = await ask(client, "GET", "/who", f"__Host-sid={fresh}")
    assert (answer.status, "Set-Cookie" in answer.headers) == (503, False)
    assert (await ask(client, "POST", "/logout", f"__Host-sid={fresh}")).status == 503
    house.store.down = False
    assert await who(client, f"__Host-sid={fresh}") == "u-1"


async def test_a_request_that_is_cancelled_ends_no_session(client, house):
    """The browser goes away while the use of its session is being noted."""
    fresh = await signed_in(client)
    house.clock.advance(61)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hold(step: str) -> None:
        if step == "replace":
            reached.set()
            await go_on.wait()

    house.store.before = hold
    leaving = asyncio.ensure_future(ask(client, "GET", "/who", f"__Host-sid={fresh}"))
    await asyncio.wait_for(reached.wait(), 5)
    leaving.cancel()
    await asyncio.wait({leaving})
    house.store.before = None
    go_on.set()
    assert await who(client, f"__Host-sid={fresh}") == "u-1"

"""The desk inside a worker: reached like a system, over sockets without an address; its errors stay what they are."""

import asyncio
import gc
import tempfile
import warnings
from urllib.parse import urlencode

import pytest
import structlog
from aiohttp import web
from desk_world import HOST, HTML, World
from msgspec.structs import replace

from gateway.desk.application import make_desk
from gateway.desk.host import REQUEST_FIELDS, DeskForwarder, desk_items
from gateway.errors import ItemUnknown, SignInMalformed, SignInRefused, UpstreamUnavailable, VerifierUnavailable
from gateway.model import NO_BODY, Inbound, Item, Kind, Outbound, Visit
from gateway.signin_settings import OWN_CHANNELS

ITEM = Item("sso-login", "统一登录", "identity", frozenset({Kind.ANYONE}), 0, "sso")


class Body:
    """A body that has arrived."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    async def whole(self) -> bytes:
        return self.data


ID = "1" * 32


def outbound(path: str, query: str = "", method: str = "GET", body=NO_BODY, **fields) -> Outbound:
    sent = {"accept": HTML, "x-request-id": ID, "x-forwarded-host": HOST, "x-forwarded-proto": "https"}
    sent |= {"x-forwarded-for": "192.0.2.1"} | {name.replace("_", "-"): value for name, value in fields.items()}
    inbound = Inbound(ID, method, path, query, {}, "192.0.2.1", HOST, "https", body)
    visit = Visit(inbound, ITEM, "route", path, {}, "sso", 0.0)
    return Outbound(visit, None, [(name.encode(), value.encode()) for name, value in sent.items()], body, 5.0)


@pytest.fixture
async def forwarder(world):
    forwarder = DeskForwarder(world.desk, structlog.get_logger())
    await forwarder.start()
    yield forwarder
    await forwarder.stop()


async def begin(forwarder) -> tuple[str, str]:
    """Begin a login; gives the state and the login cookie."""
    async with forwarder.send(outbound("/sso/login", "return_to=/x")) as reply:
        fields = dict(reply.fields)
    location = fields[b"location"].decode()
    state = location.partition("state=")[2].partition("&")[0]
    return state, fields[b"set-cookie"].decode().partition(";")[0]


def callback(state: str, cookie: str, ticket: str = "ST-1") -> Outbound:
    query = urlencode({"state": state, "ticket": ticket})
    return outbound("/sso/callback/province", query, cookie=cookie)


async def test_a_login_goes_through_like_any_request(forwarder):
    state, cookie = await begin(forwarder)
    async with forwarder.send(callback(state, cookie)) as reply:
        fields = reply.fields
        assert (reply.status, dict(fields)[b"location"]) == (303, b"/x")
    assert any(value.startswith(b"__Host-sid=") for name, value in fields if name == b"set-cookie")


async def test_a_post_goes_through_with_its_form(forwarder):
    state, cookie = await begin(forwarder)
    body = Body(urlencode({"state": state, "ticket": "ST-1"}).encode())
    content_type = "application/x-www-form-urlencoded"
    sent = outbound("/sso/callback/province", method="POST", body=body, cookie=cookie, content_type=content_type)
    async with forwarder.send(sent) as reply:
        assert reply.status == 303


async def test_what_the_desk_refuses_is_raised_in_the_request_path(forwarder):
    with pytest.raises(SignInMalformed):
        async with forwarder.send(outbound("/sso/login", "return_to=//evil.example")):
            pass
    state, cookie = await begin(forwarder)
    with pytest.raises(SignInRefused) as caught:
        async with forwarder.send(callback(state, cookie, "forged")):
            pass
    assert caught.value.detail == "no such ticket"


async def test_platforms_that_fail_close_no_breaker_before_the_desk(world, forwarder):
    """Signing out has to work while nobody can sign in."""
    world.province.error = VerifierUnavailable("down")
    for _ in range(12):
        state, cookie = await begin(forwarder)
        with pytest.raises(VerifierUnavailable):
            async with forwarder.send(callback(state, cookie)):
                pass
    async with forwarder.send(outbound("/sso/logout")) as reply:
        assert reply.status == 200


async def test_a_sign_in_is_finished_when_the_client_leaves(world, forwarder):
    """The browser comes again, and finds itself signed in by the exchange that was made."""
    world.province.gate = asyncio.Event()
    state, cookie = await begin(forwarder)

    async def ask():
        async with forwarder.send(callback(state, cookie)) as reply:
            return reply.status

    left = asyncio.create_task(ask())
    await world.province.asked.wait()
    left.cancel()
    await asyncio.wait({left})
    world.province.gate.set()
    assert await ask() == 303
    assert len(world.province.redeemed) == 1


async def test_nothing_is_kept_of_requests_that_have_ended(world, forwarder):
    await test_a_sign_in_is_finished_when_the_client_leaves(world, forwarder)
    with pytest.raises(SignInMalformed):
        async with forwarder.send(outbound("/sso/login", "return_to=//evil.example")):
            pass
    assert forwarder._calls == {}


async def test_nothing_of_the_desk_is_in_the_file_system(world, tmp_path, monkeypatch):
    """A worker that is killed leaves nothing behind, and one whose root is read-only has a desk as well."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    forwarder = DeskForwarder(world.desk, structlog.get_logger())
    await forwarder.start()
    async with forwarder.send(outbound("/sso/session")) as reply:
        assert reply.status == 200
    await forwarder.stop()


async def test_a_desk_that_has_closed_is_503_and_not_broken(world):
    forwarder = DeskForwarder(world.desk, structlog.get_logger())
    await forwarder.start()
    await forwarder.stop()
    with pytest.raises(UpstreamUnavailable, match="closed"):
        async with forwarder.send(outbound("/sso/session")):
            pass


@pytest.mark.parametrize("turns", range(1, 5))
async def test_who_leaves_while_the_desk_is_dialled_takes_both_sockets_along(forwarder, turns):
    """At whatever turn of the loop that is: a socket that nobody closes says so when it is collected."""

    async def ask():
        async with forwarder.send(outbound("/sso/session")):
            pass

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asking = asyncio.create_task(ask())
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        del asking
        await forwarder.stop()
        gc.collect()
    assert [one for one in told if issubclass(one.category, ResourceWarning)] == []


async def test_a_desk_that_never_opened_closes(world):
    await DeskForwarder(world.desk, structlog.get_logger()).stop()


def places(routes) -> set[tuple[str, str]]:
    return {(route.method, route.resource.canonical) for route in routes if route.method != "HEAD"}


async def test_the_router_s_list_and_the_application_s_are_the_same(my_world):
    """But for the pages of platforms and departments, which the desk is given."""
    told = {operation for item in desk_items() if item.channel == OWN_CHANNELS[0] for operation in item.operations}
    assert told == places(my_world.application.router.routes())


def test_pages_for_platforms_and_departments_are_listed_apart():
    told = {operation for item in desk_items() if item.channel == OWN_CHANNELS[1] for operation in item.operations}
    assert told == {
        ("POST", "/sso/introspect"),
        ("POST", "/sso/notices/backchannel"),
        ("POST", "/sso/notices/cas"),
        ("POST", "/sso/notices/signed"),
    }


async def test_a_page_that_the_configuration_does_not_open_is_404(forwarder):
    """The router knows it, the desk does not: nobody asks about tokens where `login.introspection` is missing."""
    with pytest.raises(ItemUnknown):
        async with forwarder.send(outbound("/sso/introspect", method="POST")):
            pass


async def test_the_desk_is_given_pages_for_platforms_and_departments(aiohttp_client):
    async def introspect(_):
        return web.json_response({"active": False})

    world = World()
    desk = world.desk
    given = desk.__class__(
        **{name: getattr(desk, name) for name in desk.__struct_fields__}
        | {
            "peers": [web.post("/sso/introspect", introspect)],
        }
    )
    client = await aiohttp_client(make_desk(given, {}.get))
    assert (await client.post("/sso/introspect")).status == 200


def test_items_have_their_own_codes_and_no_field_is_passed_that_claims_an_identity():
    codes = [item.code for item in desk_items()]
    assert len(set(codes)) == len(codes)
    assert not {name for name in REQUEST_FIELDS if name.startswith((b"tongguan", b"x-tongguan", b"x-tif"))}


async def test_a_burst_is_not_turned_away_by_the_desk_s_own_sockets(forwarder):
    """Who finds all connections in use waits for one; there is no queue that could be full while the desk is idle."""

    async def ask(number):
        asked = outbound("/sso/session")
        inbound = replace(asked.visit.inbound, id=f"{number:032x}")
        async with forwarder.send(replace(asked, visit=replace(asked.visit, inbound=inbound))) as reply:
            return reply.status

    statuses = await asyncio.gather(*(ask(number) for number in range(400)))
    assert set(statuses) == {200}

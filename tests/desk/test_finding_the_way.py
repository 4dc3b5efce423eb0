"""Every page of the desk is found by its links, as somebody who knows one address finds it, and leads back."""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest
from desk_world import Browser, World
from msgspec.structs import replace
from my_world import MyWorld

from gateway.desk.application import make_desk

NO_PAGES = {"style.css", "passkey.js", "session", "login", "my/openapi.json", "my/grants", "my/appeals"}
"""What a GET answers with something else than a page of its own; and confirming needs an item that can be set."""
UNITS_ONLY = {"my/operators", "my/bindings", "my/devices", "my/computer"}


@pytest.fixture
def world(my_world) -> MyWorld:
    return my_world


def all_pages(world: World) -> set[str]:
    routes = world.application.router.routes()
    paths = {route.resource.canonical.removeprefix("/sso/") for route in routes if route.method == "GET"}
    return {path for path in paths if "{" not in path} - NO_PAGES


async def found(browser: Browser, start: str = "/sso/") -> dict[str, set[str]]:
    """Every page that somebody comes to from there by links alone, with the pages that it links to."""
    pages, waiting = {}, [start]
    while waiting:
        path = waiting.pop()
        page = await browser.get(path)
        assert page.status == 200, path
        links = {unescape(address) for address in re.findall(r'<a [^>]*href="(/sso/[^"]*)"', page.text)}
        pages[urlsplit(path).path.removeprefix("/sso/")] = {urlsplit(link).path for link in links}
        waiting += [link for link in links if urlsplit(link).path.removeprefix("/sso/") not in pages]
    return pages


def lead_back(pages: dict[str, set[str]]) -> set[str]:
    """The pages from which self-service is one step away."""
    return {path for path, links in pages.items() if "/sso/my/" in links}


async def test_a_person_finds_every_page_that_is_for_her_and_back(world, browser):
    await browser.sign_in()
    pages = await found(browser)
    assert set(pages) == all_pages(world) - UNITS_ONLY
    assert lead_back(pages) == set(pages) - {"my/", "my/items/confirm", "logout"}


async def test_an_operator_finds_every_page_and_back(world, browser):
    await world.sign_in(browser, await world.scene.unit())
    pages = await found(browser)
    assert set(pages) == all_pages(world)
    assert lead_back(pages) == set(pages) - {"my/", "my/items/confirm", "logout"}


async def test_where_no_channel_s_account_signs_in_no_page_leads_to_links(world, aiohttp_client):
    application = make_desk(replace(world.desk, channels={}), world._call)
    browser = Browser(await aiohttp_client(application))
    await browser.sign_in()
    pages = await found(browser)
    assert set(pages) == all_pages(world) - UNITS_ONLY - {"links"}


@pytest.mark.parametrize("links", [set(), {"links", "devices"}])
async def test_without_self_service_the_start_page_leads_to_what_there_is(aiohttp_client, links):
    world = World(**dict.fromkeys(links, object()))
    browser = Browser(await aiohttp_client(world.application))
    await browser.sign_in()
    text = (await browser.get("/sso/")).text
    assert {name for name in ("my/", "links", "devices") if f'"/sso/{name}"' in text} == links

"""The browser without scripts: cookies, redirects, forms, and what it says of where a request comes from."""

import aiohttp
import pytest
from aiohttp import web

from sandbox.browsing import Browser, PageError

PAGE = """<form action="/first" method="post"><input type="hidden" name="a" value="1">
<input type="radio" name="who" value="x"><input type="radio" name="who" value="y" checked><button>go</button></form>
<form action="/second"><input name="q" value="2"></form><a href="/elsewhere?x=1">there</a>"""


@pytest.fixture
async def site(aiohttp_server):
    seen = []

    async def page(request):
        form = dict(await request.post()) if request.method == "POST" else {}
        seen.append((request.method, request.path_qs, dict(request.headers), form))
        match request.path:
            case "/from":
                return web.Response(status=303, headers={"Location": "/to", "Set-Cookie": "sid=1; Path=/"})
            case "/keep":
                return web.Response(status=307, headers={"Location": "/to"})
            case "/circle":
                return web.Response(status=302, headers={"Location": "/circle"})
            case "/forget":
                return web.Response(headers={"Set-Cookie": "sid=; Max-Age=0; Path=/"})
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    server = await aiohttp_server(app)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Browser(session), str(server.make_url("")).rstrip("/"), seen


async def test_a_redirect_is_followed_with_its_cookies(site):
    """303 becomes a GET; the trail says where it went."""
    browser, base, seen = site
    page = await browser.open(f"{base}/from")
    assert (page.url.path, [url.path for url in page.trail]) == ("/to", ["/from"])
    assert seen[-1][2]["Cookie"] == "sid=1"
    await browser.open(f"{base}/forget")
    assert browser.cookies == {}


async def test_a_form_is_sent_with_its_fields_and_what_was_chosen(site):
    """Hidden ones and the checked radio button; `Origin` and `Sec-Fetch-Site` as a browser sends them."""
    browser, base, seen = site
    page = await browser.open(f"{base}/page")
    assert seen[-1][2]["Sec-Fetch-Site"] == "none"
    await browser.press(page, extra="3")
    method, path, fields, form = seen[-1]
    assert (method, path, form) == ("POST", "/first", {"a": "1", "who": "y", "extra": "3"})
    assert (fields["Origin"], fields["Sec-Fetch-Site"]) == (base, "same-origin")
    await browser.press(page, page.form("/second"))
    assert seen[-1][:2] == ("GET", "/second?q=2")
    await browser.follow(page, "elsewhere")
    assert seen[-1][:2] == ("GET", "/elsewhere?x=1")


async def test_307_sends_the_form_again(site):
    """RFC 9110 §15.4.8."""
    browser, base, seen = site
    page = await browser.open(f"{base}/page")
    form = page.form("/first")
    form.action = "/keep"
    await browser.press(page, form)
    assert seen[-1][0] == "POST"
    assert seen[-1][3]["a"] == "1"


async def test_what_is_not_there_is_said(site):
    """No such form or link, and redirects without end."""
    browser, base, _ = site
    page = await browser.open(f"{base}/page")
    with pytest.raises(PageError, match="no form"):
        page.form("/third")
    with pytest.raises(PageError, match="no link"):
        page.link("nowhere")
    with pytest.raises(PageError, match="redirects"):
        await browser.open(f"{base}/circle")

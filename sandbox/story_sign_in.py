"""The part of the story that needs a browser: one login for two departments, and one logout for both.

`sandbox.story` plays these scenes between its own. Played in this order they are one visit of one person; each of them
begins one where there is none.
"""

import asyncio
import time

from sandbox.browsing import Page
from sandbox.visitor import Visitor, require

CONTRIBUTIONS = "/social-insurance/contributions"
SETTLEMENT = "/medical/settlements/S2026-0042"
VISITS = "/outpatient/visits"
BOOKING = "/outpatient/booking"
OTHER = "medical-edge"
WITHIN = 1.0
"""Seconds in which a logout has reached everything."""


async def sign_in(visitor: Visitor) -> str:
    """A page that needs a login leads to the province and back."""
    visitor.new_browser()
    page = await _open(visitor, CONTRIBUTIONS)
    require(page.url.path == "/authorize", f"the login page is elsewhere: {page.url}")
    page = await visitor.browser.press(page, user="citizen-1")
    require((page.status, page.url.path) == (200, CONTRIBUTIONS), f"back at {page.status} {page.url}")
    require("code" not in page.url.query, "the code stands in the address")
    session = await visitor.session()
    require(session["signed_in"] and session["assurance"] == 2, "no session of this login")
    return "跳转省平台登录后返回原页面，本部门不接触密码。 Back where she wanted to go; no password was ever here."


async def carry_token(visitor: Visitor) -> str:
    """The token of the first department at the second one."""
    await _be_signed_in(visitor)
    token = await _take_token(visitor)
    require(token.endswith("@hrss"), "the token does not say whose it is")
    answer = (await visitor.ask("GET", VISITS, token=token, to=OTHER, note="…@hrss")).must_be(200)
    require(answer.data["identity"]["sub"] == "8f2c61d0b7e94a53c1d6", "the second department sees another person")
    passed = (await visitor.ask("GET", "/sandbox/routed", to="province")).must_be(200).data[-1]
    told = {"asked_by": "dept-medical", "asked": "dept-hrss", "outcome": "active"}
    require(passed == told, f"the province was asked otherwise: {passed}")
    visitor.seen.append("= dept-medical → province → dept-hrss → province → dept-medical: active")
    return (
        "乙部门问省平台，省平台问甲部门；甲乙互不直连。 B asked the province, the province asked A; A and B never met."
    )


async def strengthen(visitor: Visitor) -> str:
    """A stronger login where the page needs one."""
    await _be_signed_in(visitor)
    page = await _open(visitor, SETTLEMENT)
    require("实人核验" in page.text, f"no second factor at {page.url}")
    page = await visitor.browser.press(page)
    require((page.status, page.url.path) == (200, SETTLEMENT), f"back at {page.status} {page.url}")
    require((await visitor.session())["assurance"] == 3, "the session is as weak as before")
    return "等级不足时到省平台加强认证，随后继续原请求。 She showed more, and the page she wanted followed."


async def second_login(visitor: Visitor) -> str:
    """At the second department, without another login."""
    await _be_signed_in(visitor)
    page = await visitor.browser.open(visitor.places.url(OTHER) + BOOKING)
    _show(visitor, page)
    require((page.status, page.url.path) == (200, BOOKING), f"ends at {page.status} {page.url}")
    return "省平台已登录，乙部门无需再次登录。 One login: the province sent her straight on."


async def sign_out(visitor: Visitor) -> str:
    """Log out at the first department: the second one refuses all of it."""
    await _be_signed_in(visitor)
    token = await _take_token(visitor)
    (await visitor.ask("GET", VISITS, token=token, to=OTHER, note="…@hrss")).must_be(200)
    cookies = dict(visitor.browser.cookies)
    page = await _open(visitor, "/sso/logout")
    page = await visitor.browser.press(page)
    _show(visitor, page)
    visitor.browser.cookies = cookies  # even whoever kept them has nothing
    began = time.monotonic()
    while (answer := await visitor.ask("GET", VISITS, token=token, to=OTHER, note="the same token")).status != 401:
        require(time.monotonic() - began < WITHIN, "the second department still takes the token")
        del visitor.seen[-2:]
        await asyncio.sleep(0.02)
    answer.must_be(401, "token-revoked")
    for edge in ("edge", OTHER):
        require(not (await visitor.session(edge))["signed_in"], f"the session at {edge} goes on")
    return "一处退出，处处退出，一秒之内。 Logged out here is logged out everywhere, within a second."


async def _be_signed_in(visitor: Visitor) -> None:
    if not (await visitor.session())["signed_in"]:
        await sign_in(visitor)


async def _take_token(visitor: Visitor) -> str:
    token = str((await visitor.post_as_page("/sso/token")).must_be(200).data["access_token"])
    visitor.tokens.append(token)
    return token


async def _open(visitor: Visitor, path: str) -> Page:
    page = await visitor.browser.open(visitor.places.url("edge") + path)
    _show(visitor, page)
    return page


def _show(visitor: Visitor, page: Page) -> None:
    """Tell where the browser was led."""
    names = {port: name for name, port in visitor.places.ports.items()}
    stations = [f"({names.get(url.port or 0, '?')}) {url.path}" for url in (*page.trail, page.url)]
    visitor.seen += [f"> GET {stations[0]}   [browser]", *(f"~ → {one}" for one in stations[1:]), f"< {page.status}"]

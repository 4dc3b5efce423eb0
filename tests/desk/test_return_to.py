"""Where a visitor may be sent after signing in: to a path of this host, read in one way, or nowhere."""

from urllib.parse import quote, urlencode

import pytest
from desk_world import PORTAL, Browser
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from gateway.desk.addresses import LONGEST, is_local, may_return, way_back
from gateway.inbound import check_target

ELSEWHERE = {
    "another host": "https://evil.example/",
    "another host without a scheme": "//evil.example/",
    "three slashes": "///evil.example/",
    "a backslash for a slash": "/\\evil.example/",
    "a backslash before": "\\\\evil.example/",
    "an escaped backslash": "/%5cevil.example/",
    "an escaped slash": "/%2fevil.example/",
    "an escaped slash, upper case": "/%2F%2Fevil.example/",
    "twice escaped": "/%252f/evil.example",
    "a tab, which browsers drop": "/\t/evil.example",
    "an escaped tab": "/%09/evil.example",
    "a line break": "/mine\r\nSet-Cookie: a=b",
    "an escaped line break": "/mine%0d%0aSet-Cookie:%20a=b",
    "a line break at the end": "/mine\n",
    "a NUL": "/mine%00",
    "a DEL": "/mine%7f",
    "a script": "javascript:alert(1)",
    "data": "data:text/html,x",
    "no slash at the beginning": "evil.example",
    "nothing": "",
    "a user": "@evil.example/",
    "a dot segment": "/services/../admin",
    "an escaped dot segment": "/services/%2e%2e/admin",
    "a dot segment at the end": "/services/..",
    "a fragment": "/services#//evil.example",
    "two slashes within": "/services//evil.example",
    "two slashes in the query": "/services?next=//evil.example",
    "a backslash in the query": "/services?next=%5cevil.example",
    "a space": "/services /x",
    "something that is not ASCII": "/服务",
    "a full-width slash": "/／evil.example",
    "a broken escape": "/%zz",
    "a semicolon, which systems cut paths at": "/services;x",
    "very long": "/" + "a" * 4000,
    "the login again": "/sso/login?return_to=/",
    "the logout": "/sso/logout",
    "a callback": "/sso/callback/province",
}


@pytest.mark.parametrize("address", ELSEWHERE.values(), ids=ELSEWHERE)
def test_nobody_is_sent_elsewhere(address):
    assert not may_return(address, ["/"])


@pytest.mark.parametrize("address", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_the_login_answers_400_and_redirects_nowhere(world, browser, address):
    page = await browser.get(f"/sso/login?return_to={quote(address, safe='')}")
    assert (page.status, page.location, page.cookies) == (400, None, [])
    assert world.codes() == ["sign-in-malformed"]


@pytest.mark.parametrize(
    "address",
    ["/", "/services", "/services/1/", "/a.b~c/@x:y?state=1&to=/x", "/%E6%9C%8D?q=%E5%8A%A1", "/sso/", "/sso/links"],
)
def test_a_path_of_this_host_is_fine(address):
    assert may_return(address, ["/"])


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("/portal", True),
        ("/portal/x", True),
        ("/portal?x=1", True),
        ("/portalevil", False),
        ("/forms/1", True),
        ("/forms", False),
        ("/other", False),
        ("/", False),
        ("/sso/", True),
    ],
)
def test_only_the_listed_beginnings_are_come_back_to(address, fine):
    """A beginning ends at a slash, so that no other path has it by chance; our own home page is always there."""
    assert may_return(address, ["/portal", "/forms/"]) is fine


LONG = "/x?q=" + "%E6%9C%8D" * 100
"""905 characters; 1,511 where it stands in another address, and 2,117 where that one stands in one in turn."""


def test_an_address_is_measured_as_it_stands_in_another_one():
    """`%` is three characters there: what just fits by itself would make a redirect that proxies refuse."""
    fits, begins = "/" + "a" * (LONGEST - len("%2F")), "/x?q="
    escapes = (LONGEST - len(quote(begins, safe=""))) // len("%2541")
    for address, longer in ((fits, fits + "a"), (begins + "%41" * escapes, begins + "%41" * (escapes + 1))):
        assert may_return(address, ["/"])
        assert not may_return(longer, ["/"])


@pytest.mark.parametrize(
    ("target", "back"),
    [
        ("/x?q=1", "/x?q=1"),
        (LONG, LONG),
        (LONG * 2, "/x"),
        ("/x?q=1;2", "/x"),
        ("/" + "x" * LONGEST, None),
        ("/y?q=1", None),
    ],
    ids=["short", "long", "too long", "odd", "a path that is too long", "somewhere else"],
)
def test_who_signs_in_comes_back_to_what_she_asked_for_or_to_its_path(target, back):
    assert way_back(target, ["/x"]) == back


PAGES = (f"/sso/channels/wechat/link/{'k' * 43}", "/sso/my/computer", "/sso/my/history")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("times", [1, 2, 5])
async def test_a_page_of_the_desk_leads_to_the_login_by_a_short_address(my_world, aiohttp_client, path, times):
    """However long the address was that was asked for, and the login takes it."""
    browser = Browser(await aiohttp_client(my_world.application))
    page = await browser.get(f"{path}?{urlencode({'return_to': LONG * times})}")
    assert len(page.location) < LONGEST + 100
    assert page.asked()["return_to"] == path
    page = await browser.get(page.location)
    assert (page.status, page.location.startswith(f"{PORTAL}/")) == (303, True)


@example("%a0")
@example("%41")
@given(st.text(alphabet="/\\.%25?#;:@ea0\t\n", max_size=24))
def test_whatever_is_local_is_this_host_to_a_browser_and_a_plain_path_to_the_gateway(text):
    if is_local(f"/{text}"):
        joined = URL("https://dept.example/sso/").join(URL(f"/{text}"))
        assert joined.host == "dept.example"
        path, _, query = f"/{text}".partition("?")
        check_target(path, query)

"""The web channel: one bearer token or one session, or nothing; everything else is refused."""

import msgspec
import pytest

from gateway import SESSION_MARK, CredentialRejected, CrossSite, RequestMalformed, is_bearer_token
from plugins.channels.web import Web, WebConfig
from tests.plugin_world import inbound

SID = "AbCdEfGhIjKlMnOpQrStUv-_"


@pytest.fixture
def web(context) -> Web:
    return Web(WebConfig(session_cookie="__Host-sid"), context)


async def token_of(web: Web, **fields: str) -> str | None:
    return (await web.identify(inbound(fields={name.replace("_", "-"): value for name, value in fields.items()}))).token


async def test_any_request_is_recognised(web):
    credential = await web.identify(inbound())
    assert (credential.channel, credential.token, credential.client) == ("part", None, None)


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc"])
async def test_a_bearer_token_is_the_credential(web, value):
    assert await token_of(web, authorization=value) == "abc"


@pytest.mark.parametrize("token", ["a", "AZaz09-._~+/", "abc==", "x" * 8192, "eyJ.eyJ.sig", "AQIC5w.*AAJ*@node1"])
async def test_every_token_of_the_field_is_a_bearer_token(web, token):
    assert await token_of(web, authorization=f"Bearer {token}") == token


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer\tabc",
        "Bearerabc",
        "Basic dXNlcjpwYXNz",
        "DPoP abc",
        "Bearer a b",
        "Bearer a, Bearer b",
        "Bearer a,b",
        "Bearer =",
        "Bearer a=b",
        'Bearer "abc"',
        "Bearer abc ",
        " Bearer abc",
        "Bearer abc\n",
        "Bearer session:" + SID,
        "Bearer tok\xe9n",
        "Bearer " + "x" * 8193,
    ],
)
async def test_another_scheme_or_no_token_is_rejected(web, value):
    with pytest.raises(CredentialRejected) as caught:
        await token_of(web, authorization=value)
    assert (caught.value.status, caught.value.code) == (401, "token-invalid")


async def test_a_session_becomes_a_token_that_no_bearer_token_can_be(web):
    token = await token_of(web, cookie=f"theme=dark; __Host-sid={SID}; a=b")
    assert token == SESSION_MARK + SID
    assert not is_bearer_token(token)


async def test_a_bearer_token_comes_before_the_session(web):
    assert await token_of(web, authorization="Bearer abc", cookie=f"__Host-sid={SID}") == "abc"


@pytest.mark.parametrize(
    "cookie", ["", "theme=dark", "__host-sid=" + SID, "x__Host-sid=" + SID, ";;;", "__Host-sid2=x"]
)
async def test_other_cookies_are_no_session(web, cookie):
    assert await token_of(web, cookie=cookie) is None


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\x0b", "\x1c"])
async def test_a_name_that_only_unicode_takes_for_the_sessions_is_no_session(web, space):
    """`str.strip()` would turn it into the session's cookie, which a browser would let any subdomain set."""
    assert await token_of(web, cookie=f"{space}__Host-sid={SID}") is None


@pytest.mark.parametrize("between", ["; ", ";", " ;\t", "; a=b; "])
async def test_two_session_cookies_are_refused(web, between):
    with pytest.raises(RequestMalformed):
        await token_of(web, cookie=f"__Host-sid={SID}{between}__Host-sid={SID}")


@pytest.mark.parametrize(
    "value", ["", "short", "x" * 257, f'"{SID}"', f"{SID},__Host-sid={SID}", f"{SID}\xe9", f"{SID}:"]
)
async def test_a_session_cookie_without_a_session_id_is_rejected(web, value):
    with pytest.raises(CredentialRejected):
        await token_of(web, cookie=f"__Host-sid={value}")


async def test_cookies_are_not_read_unless_configured(context):
    web = Web(WebConfig(), context)
    assert await token_of(web, cookie=f"__Host-sid={SID}; __Host-sid={SID}") is None


# ── other sites' pages ────────────────────────────────────────────────────────────────────────────────────────────

OWN = "https://gw.example.gov.cn"
PARTNER = "https://www.example.gov.cn"
TOKEN = "the request token of " + SID
FORM = "application/x-www-form-urlencoded"


class Sessions:
    """Knows each session's request token and nothing else."""

    cookie = "__Host-sid"
    remember = 10.0

    async def find(self, token):
        return None

    def request_token(self, session):
        return f"the request token of {session}"


@pytest.fixture
def desk(context) -> Web:
    """The web channel where people sign in."""
    return Web(WebConfig(), msgspec.structs.replace(context, sessions=Sessions()))


def sent(method="POST", *, upgrade=None, body=None, **fields):
    given = {"cookie": f"__Host-sid={SID}"} | {name.replace("_", "-"): value for name, value in fields.items()}
    asked = inbound(method, fields={name: value for name, value in given.items() if value is not None}, body=body)
    return msgspec.structs.replace(asked, upgrade=upgrade)


async def test_the_cookies_name_is_that_of_the_sessions(desk):
    assert (await desk.identify(sent("GET"))).token == SESSION_MARK + SID


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("site", ["cross-site", "none", None])
async def test_a_safe_request_may_come_from_anywhere(desk, method, site):
    assert (await desk.identify(sent(method, sec_fetch_site=site, origin="https://evil.example"))).token is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "page",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "same-origin", "origin": OWN},
        {"sec_fetch_site": "same-origin", "origin": "null"},
        {"origin": OWN},
        {"origin": OWN.upper()},
    ],
)
async def test_our_own_page_with_the_token_passes(desk, method, page):
    assert (await desk.identify(sent(method, x_csrf_token=TOKEN, **page))).token == SESSION_MARK + SID


@pytest.mark.parametrize(
    "page",
    [
        {},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "https://evil.example"},
        {"origin": PARTNER},
        {"origin": PARTNER, "sec_fetch_site": "same-site"},
        {"origin": "http://gw.example.gov.cn"},
        {"origin": OWN + ".evil.example"},
        {"origin": OWN + ":8443"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin, same-origin"},
        {"sec_fetch_site": "cross-site", "origin": OWN},
        {"sec_fetch_site": "same-origin", "origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site", "origin": "null"},
    ],
)
async def test_another_page_is_refused_even_with_the_token(desk, page):
    with pytest.raises(CrossSite) as caught:
        await desk.identify(sent(x_csrf_token=TOKEN, **page))
    assert (caught.value.status, caught.value.code) == (403, "cross-site-request")


@pytest.mark.parametrize("token", [None, "", "x", TOKEN[:-1], TOKEN + "x", "the request token of another", "\xe9"])
async def test_our_own_page_without_the_token_is_refused(desk, token):
    with pytest.raises(CrossSite):
        await desk.identify(sent(sec_fetch_site="same-origin", x_csrf_token=token))


@pytest.mark.parametrize("content_type", [FORM, FORM + "; charset=utf-8", FORM.upper(), FORM + " "])
async def test_a_form_carries_the_token_in_its_body_and_the_body_stays_readable(desk, content_type):
    asked = sent(
        sec_fetch_site="same-origin", content_type=content_type, body=b"amount=1&csrf_token=" + TOKEN.encode() + b"&b="
    )
    assert (await desk.identify(asked)).token == SESSION_MARK + SID
    assert (await asked.body.whole()).startswith(b"amount=1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"csrf_token",
        b"csrf_token=",
        b"csrf_token=x",
        b"xcsrf_token=TOKEN",
        b"csrf_token[]=TOKEN",
        b"a=csrf_token=TOKEN",
    ],
)
async def test_a_form_without_the_token_is_refused(desk, body):
    asked = sent(sec_fetch_site="same-origin", content_type=FORM, body=body.replace(b"TOKEN", TOKEN.encode()))
    with pytest.raises(CrossSite):
        await desk.identify(asked)


async def test_a_form_with_two_tokens_is_refused(desk):
    field = b"csrf_token=" + TOKEN.encode()
    with pytest.raises(RequestMalformed):
        await desk.identify(sent(sec_fetch_site="same-origin", content_type=FORM, body=field + b"&" + field))


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data; boundary=x", "application/json", None])
async def test_only_an_urlencoded_body_is_looked_into(desk, content_type):
    asked = sent(sec_fetch_site="same-origin", content_type=content_type, body=b"csrf_token=" + TOKEN.encode())
    with pytest.raises(CrossSite):
        await desk.identify(asked)
    assert asked.body.read == 0


async def test_a_bearer_token_needs_no_other_proof(desk):
    """No browser sends it along by itself."""
    assert (await desk.identify(sent(authorization="Bearer abc", origin="https://evil.example"))).token == "abc"


async def test_a_request_without_a_session_needs_no_proof(desk):
    assert (await desk.identify(sent(cookie=None, origin="https://evil.example"))).token is None


async def test_a_websocket_is_opened_by_our_own_page_only(desk):
    """Browsers let any page open one, with the cookie; there is no place for a token in it."""
    with pytest.raises(CrossSite):
        await desk.identify(sent("GET", upgrade="websocket", origin="https://evil.example"))
    assert (await desk.identify(sent("GET", upgrade="websocket", origin=OWN))).token is not None


async def test_where_nobody_signs_in_a_session_changes_nothing(web):
    with pytest.raises(CrossSite):
        await web.identify(sent(sec_fetch_site="same-origin", x_csrf_token=TOKEN))

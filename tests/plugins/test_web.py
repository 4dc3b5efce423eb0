"""The web channel: one bearer token or one session, or nothing; everything else is refused."""

import pytest

from gateway import SESSION_MARK, CredentialRejected, RequestMalformed, is_bearer_token
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

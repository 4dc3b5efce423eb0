"""The simulated platforms of the channels: what they tell verifies as a program of theirs would verify it."""

import asyncio
import hashlib
import json
import stat
import sys
from base64 import b64decode, b64encode
from datetime import datetime, timedelta, timezone

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.channel_platforms import alipay, create_channel_platforms, unionpay, wechat

NOW = 1_700_000_000.0
CHINA = timezone(timedelta(hours=8))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    alipay.make_keys(folder)
    return folder


@pytest.fixture
async def platforms(aiohttp_client, keys):
    return await aiohttp_client(create_channel_platforms(keys, lambda: NOW))


async def told(platforms, path, **order):
    async with platforms.post(path, json=order) as answer:
        return answer.status, await answer.json()


async def code_at(platforms, application, user="citizen-1"):
    return (await told(platforms, "/sandbox/codes", user=user, application=application))[1]["code"]


def question(code, **changed):
    said = {"appid": wechat.PROGRAM, "secret": wechat.SECRET, "js_code": code, "grant_type": "authorization_code"}
    return {name: value for name, value in (said | changed).items() if value is not None}


async def ask_wechat(platforms, **asked):
    async with platforms.get("/sns/jscode2session", params=asked) as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        return json.loads(await answer.text())


def alipay_form(keys, given, at=NOW, **changed):
    said = {
        "app_id": alipay.APP,
        "method": "alipay.system.oauth.token",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": f"{datetime.fromtimestamp(at, CHINA):%Y-%m-%d %H:%M:%S}",
        "version": "1.0",
        "grant_type": "authorization_code",
        "code": given,
    } | changed
    text = "&".join(f"{name}={said[name]}" for name in sorted(said)).encode()
    private = alipay.read_key(keys / alipay.APPLICATION_KEY)
    return said | {"sign": b64encode(private.sign(text, PKCS1v15(), SHA256())).decode()}


async def ask_alipay(platforms, form):
    async with platforms.post("/gateway.do", data=form) as answer:
        return await answer.read()


def verify_alipay(keys, body, name):
    """The signature covers the characters between the member's name and `,"sign"`."""
    public = load_pem_public_key((keys / "alipay.pub.pem").read_bytes())
    source = body[len(name) + 4 : body.rindex(b',"sign"')]
    public.verify(b64decode(json.loads(body)["sign"]), source, PKCS1v15(), SHA256())


async def backend_token(platforms, secret=unionpay.SECRET, at=NOW, app_id=unionpay.APP):
    text = f"appId={app_id}&nonceStr=n1&secret={secret}&timestamp={at:.0f}"
    signature = hashlib.sha256(text.encode()).hexdigest()
    asked = {"appId": app_id, "nonceStr": "n1", "timestamp": f"{at:.0f}", "signature": signature}
    return (await told(platforms, "/open/access/1.0/backendToken", **asked))[1]


async def test_a_code_of_wechat_tells_an_account_once(platforms):
    code = await code_at(platforms, wechat.PROGRAM)
    said = await ask_wechat(platforms, **question(code))
    assert set(said) == {"openid", "unionid", "session_key"}
    assert len(b64decode(said["session_key"])) == 16
    assert (await ask_wechat(platforms, **question(code)))["errcode"] == 40163


@pytest.mark.parametrize(
    ("changed", "errcode"),
    [
        ({"js_code": "nobody's"}, 40029),
        ({"js_code": None}, 41008),
        ({"appid": "wx9"}, 40013),
        ({"appid": None}, 41002),
        ({"secret": "x"}, 40125),
        ({"secret": None}, 41004),
        ({"grant_type": "x"}, 40002),
    ],
)
async def test_wechat_says_no_with_status_200(platforms, changed, errcode):
    asked = question(await code_at(platforms, wechat.PROGRAM), **changed)
    assert (await ask_wechat(platforms, **asked))["errcode"] == errcode


async def test_alipay_signs_the_characters_of_its_answer(platforms, keys):
    body = await ask_alipay(platforms, alipay_form(keys, await code_at(platforms, alipay.APP)))
    verify_alipay(keys, body, "alipay_system_oauth_token_response")
    written_anew = json.dumps(json.loads(body), separators=(",", ":")).encode()
    with pytest.raises(InvalidSignature):
        verify_alipay(keys, written_anew, "alipay_system_oauth_token_response")


@pytest.mark.parametrize(
    ("changed", "after", "sub_code"),
    [
        ({"code": "nobody's"}, {}, "isv.code-invalid"),
        ({}, {"version": "2.0"}, "isv.invalid-signature"),
        ({"timestamp": "2023-11-14 00:00:00"}, {}, "isv.invalid-timestamp"),
        ({"timestamp": "yesterday"}, {}, "isv.invalid-timestamp"),
        ({"method": "alipay.trade.pay"}, {}, "isv.invalid-method"),
        ({"grant_type": "x"}, {}, "isv.grant-type-invalid"),
    ],
)
async def test_alipay_says_no_and_signs_it(platforms, keys, changed, after, sub_code):
    form = alipay_form(keys, await code_at(platforms, alipay.APP), **changed) | after
    body = await ask_alipay(platforms, form)
    assert json.loads(body)["error_response"]["sub_code"] == sub_code
    verify_alipay(keys, body, "error_response")


async def test_alipay_signs_nothing_for_an_application_that_it_does_not_know(platforms, keys):
    said = json.loads(await ask_alipay(platforms, alipay_form(keys, "x", app_id="2014000000000000")))
    assert said["error_response"]["sub_code"] == "isv.invalid-app-id"
    assert "sign" not in said


async def test_unionpay_tells_an_account_for_a_backend_token_and_a_code(platforms):
    given = await backend_token(platforms)
    assert (given["resp"], given["params"]["expiresIn"]) == ("00", 7200)
    asked = {"appId": unionpay.APP, "backendToken": given["params"]["backendToken"], "grantType": "authorization_code"}
    code = await code_at(platforms, unionpay.APP)
    _, said = await told(platforms, "/open/access/1.0/token", **asked, code=code)
    assert said["params"]["openId"].startswith("o")
    _, said = await told(platforms, "/open/access/1.0/token", **asked, code=code)
    assert said["resp"] == "a31"
    _, said = await told(platforms, "/open/access/1.0/token", **asked | {"backendToken": "x"}, code=code)
    assert said["resp"] == "a10"
    _, said = await told(platforms, "/open/access/1.0/token", **asked | {"grantType": "x"}, code=code)
    assert said["resp"] == "N62106"


@pytest.mark.parametrize(
    ("changed", "resp"), [({"secret": "x"}, "BC0025"), ({"at": NOW - 301}, "BC0024"), ({"app_id": "x"}, "BC2126")]
)
async def test_unionpay_says_no(platforms, changed, resp):
    assert (await backend_token(platforms, **changed))["resp"] == resp


@pytest.mark.parametrize(
    ("path", "application", "address", "parameter"),
    [
        ("/connect/oauth2/authorize", "appid", "redirect_uri", "code"),
        ("/oauth2/publicAppAuthorize.htm", "app_id", "redirect_uri", "auth_code"),
        ("/s/open/html/oauth.html", "appId", "redirectUri", "code"),
    ],
)
async def test_a_page_sends_the_visitor_who_sits_there_back(platforms, path, application, address, parameter):
    assert (await told(platforms, "/sandbox/visitor", user="citizen-2"))[0] == 200
    asked = {application: "app-1", address: "https://gw.example.gov.cn/back?x=1", "state": "s1"}
    async with platforms.get(path, params=asked, allow_redirects=False) as answer:
        back = answer.headers["Location"]
    assert answer.status == 302
    assert back.startswith(f"https://gw.example.gov.cn/back?x=1&{parameter}=")
    assert back.endswith("&state=s1")


@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("/sandbox/codes", {"user": "nobody", "application": "x"}),
        ("/sandbox/codes", {"user": "citizen-1"}),
        ("/sandbox/visitor", {"user": "nobody"}),
        ("/sandbox/outcomes", {"endpoint": "nowhere", "code": "40029"}),
        ("/sandbox/outcomes", {"endpoint": "gateway", "code": "40029"}),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused(platforms, path, order):
    assert (await told(platforms, path, **order))[0] == 400


async def test_everybody_has_the_same_account_each_time(platforms):
    seen = set()
    for user in SAMPLE_ACCOUNTS:
        said = [await ask_wechat(platforms, **question(await code_at(platforms, wechat.PROGRAM, user))) for _ in "12"]
        assert said[0] == said[1]
        seen.add(said[0]["openid"])
    assert len(seen) == len(SAMPLE_ACCOUNTS)


def test_keys_are_made_once_and_private_keys_are_private(tmp_path):
    alipay.make_keys(tmp_path)
    before = (tmp_path / alipay.PLATFORM_KEY).read_bytes()
    alipay.make_keys(tmp_path)
    assert (tmp_path / alipay.PLATFORM_KEY).read_bytes() == before
    assert stat.S_IMODE((tmp_path / alipay.PLATFORM_KEY).stat().st_mode) == 0o600


async def test_they_run_as_a_process_that_says_where_it_is_and_stops_when_told(tmp_path):
    command = [sys.executable, "-m", "sandbox.channel_platforms", "--port", "0", "--keys", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        ready = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        assert ready.startswith("channel platforms ready on http://127.0.0.1:")
        async with aiohttp.ClientSession() as session, session.get(f"{ready.split()[4]}/sandbox/counters") as answer:
            assert set((await answer.json()).values()) == {0}
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0

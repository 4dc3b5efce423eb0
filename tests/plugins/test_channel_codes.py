"""Login codes of WeChat, Alipay and 云闪付, exchanged with the sandbox's platforms on real sockets; encrypted data."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from gateway import ChannelAccount, HttpAnswer, SignInRefused, VerifierUnavailable
from gateway.fetch import HttpFetch
from plugins.channels.alipay import Alipay, AlipayConfig
from plugins.channels.unionpay import UnionPay, UnionPayConfig
from plugins.channels.wechat import WeChat, WeChatConfig
from sandbox.channel_platforms import alipay, create_channel_platforms, unionpay, wechat
from tests.channel_world import remembering
from tests.plugin_world import NOW, answer

USER = "citizen-1"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    alipay.make_keys(folder)
    return folder


@pytest.fixture
async def platforms(aiohttp_client, keys, clock):
    return await aiohttp_client(create_channel_platforms(keys, lambda: clock.wall))


@pytest.fixture
async def fetching(context, clock):
    """The context with a real client in it."""
    fetch = HttpFetch()
    held = remembering(context, clock)
    yield type(held)("part", fetch, held.once, held.clock, held.monotonic, held.log)
    await fetch.close()


SECRET = "application-secret"


def settings(kind, base, keys, **changed):
    """Settings of a channel whose platform is there, and the application that its codes are for."""
    if kind == "alipay":
        said = {
            "app_id": alipay.APP,
            "public_keys": [keys.joinpath("alipay.pub.pem").read_text()],
            "private_key": keys.joinpath("alipay-application.pem").read_text(),
            "interface": f"{base}/gateway.do",
        }
        return AlipayConfig.model_validate(said | changed)
    if kind == "unionpay":
        said = {"app_id": unionpay.APP, "secret": unionpay.SECRET, "interface": f"{base}/open/access/1.0"}
        return UnionPayConfig.model_validate(said | changed)
    app_id = wechat.PROGRAM if kind == "mini-program" else wechat.ACCOUNT
    said = {"app_id": app_id, "kind": kind, "secret": wechat.SECRET, "interface": base}
    return WeChatConfig.model_validate(said | changed)


CLASSES = {"alipay": Alipay, "unionpay": UnionPay, "mini-program": WeChat, "official-account": WeChat}
each_kind = pytest.mark.parametrize("kind", CLASSES)


@pytest.fixture
def make(platforms, fetching, keys):
    """A channel of this kind that asks the sandbox's platforms."""
    base = str(platforms.make_url("/")).rstrip("/")
    return lambda kind, **changed: CLASSES[kind](settings(kind, base, keys, **changed), fetching)


@pytest.fixture
def code_for(platforms):
    async def code(channel, user=USER):
        order = {"user": user, "application": channel.config.app_id}
        async with platforms.post("/sandbox/codes", json=order) as given:
            return (await given.json())["code"]

    return code


async def post(platforms, path, **order):
    async with platforms.post(path, json=order) as given:
        assert given.status == 200, await given.text()


async def counters(platforms):
    async with platforms.get("/sandbox/counters") as given:
        return await given.json()


# ── good codes ────────────────────────────────────────────────────────────────────────────────────────────────────


@each_kind
async def test_a_code_becomes_an_account(make, code_for, kind):
    channel = make(kind)
    account = await channel.redeem(await code_for(channel))
    assert (account.channel, account.application) == ("part", channel.config.app_id)
    assert account.id.startswith("o")
    assert (len(account.secret) == 16) == (kind == "mini-program")
    assert (await channel.redeem(await code_for(channel))).id == account.id
    assert (await channel.redeem(await code_for(channel, "citizen-2"))).id != account.id


async def test_two_applications_of_one_owner_share_the_union_id_and_nothing_else(make, code_for):
    program, page = make("mini-program"), make("official-account")
    one, other = await program.redeem(await code_for(program)), await page.redeem(await code_for(page))
    assert one.union_id == other.union_id
    assert one.id != other.id


async def test_an_older_alipay_application_goes_by_user_ids(make, code_for):
    channel = make("alipay", account="user_id")
    assert (await channel.redeem(await code_for(channel))).id.startswith("2088")


async def test_a_backend_token_is_fetched_once_for_many_codes_and_anew_when_it_is_refused(make, code_for, platforms):
    channel = make("unionpay")
    for _ in range(3):
        await channel.redeem(await code_for(channel))
    assert (await counters(platforms))["backendToken"] == 1
    await post(platforms, "/sandbox/outcomes", endpoint="token", code="a10")
    assert await channel.redeem(await code_for(channel)) is not None
    assert (await counters(platforms))["backendToken"] == 2


async def test_a_backend_token_is_not_used_to_its_last_moment(make, code_for, platforms, clock):
    channel = make("unionpay")
    await channel.redeem(await code_for(channel))
    clock.advance(unionpay.TOKEN_LIFE / 2 + 1)
    await channel.redeem(await code_for(channel))
    assert (await counters(platforms))["backendToken"] == 2


@pytest.mark.parametrize("kind", ["alipay", "unionpay", "official-account"])
async def test_the_page_sends_the_browser_back_with_a_good_code(make, platforms, kind):
    real = make(kind)
    page = urlsplit(real.config.page).path
    channel = make(kind, page=str(platforms.make_url(page)))
    address = channel.authorize_address("state-1", "https://gw.example.gov.cn/sso/channels/x/callback")
    async with platforms.session.get(address, allow_redirects=False) as given:
        asked = parse_qs(urlsplit(given.headers["Location"]).query)
    assert asked["state"] == ["state-1"]
    assert await channel.redeem(asked[channel.code_parameter][0]) is not None


def test_a_mini_program_has_no_page(context, keys):
    channel = WeChat(settings("mini-program", "http://127.0.0.1:1", keys), context)
    assert channel.authorize_address("s", "https://gw.example.gov.cn/") is None


def test_wechats_page_is_asked_in_the_order_that_it_wants(context, keys):
    channel = WeChat(settings("official-account", "http://127.0.0.1:1", keys), context)
    assert channel.authorize_address("s", "https://a.example/b") == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0000000000000002&redirect_uri=https%3A%2F%2Fa.example%2Fb"
        "&response_type=code&scope=snsapi_base&state=s#wechat_redirect"
    )


# ── bad codes, and platforms that say no ──────────────────────────────────────────────────────────────────────────


@each_kind
async def test_a_code_that_nobody_gave_out_is_refused(make, kind):
    with pytest.raises(SignInRefused):
        await make(kind).redeem("0123456789abcdef0123456789abcdef")


@each_kind
async def test_a_code_of_another_application_is_refused(make, code_for, kind):
    other = make("alipay" if kind != "alipay" else "unionpay")
    with pytest.raises(SignInRefused):
        await make(kind).redeem(await code_for(other))


@each_kind
async def test_a_code_is_asked_about_once_and_never_again(make, code_for, platforms, kind):
    channel = make(kind)
    code = await code_for(channel)
    await channel.redeem(code)
    before = await counters(platforms)
    with pytest.raises(SignInRefused):
        await channel.redeem(code)
    assert await counters(platforms) == before


@each_kind
async def test_a_code_that_was_used_elsewhere_is_refused(make, code_for, kind, fetching, clock):
    channel = make(kind)
    code = await code_for(channel)
    await channel.redeem(code)
    elsewhere = CLASSES[kind](channel.config, remembering(fetching, clock))
    with pytest.raises(SignInRefused):
        await elsewhere.redeem(code)


@each_kind
async def test_a_code_that_is_too_old_is_refused(make, code_for, clock, kind):
    channel = make(kind)
    code = await code_for(channel)
    clock.advance(301)
    with pytest.raises(SignInRefused):
        await channel.redeem(code)


@each_kind
async def test_what_has_not_the_form_of_a_code_is_not_sent(make, platforms, kind):
    for code in ("", "a b", "x" * 600, "é", "a\n", "a&secret=1", "../x"):
        with pytest.raises(SignInRefused):
            await make(kind).redeem(code)
    assert set((await counters(platforms)).values()) == {0}


FAILURES = [
    ("mini-program", "jscode2session", wechat.CODES),
    ("official-account", "access_token", wechat.CODES),
    ("alipay", "gateway", alipay.CODES),
    ("unionpay", "token", unionpay.CODES.keys() - {"a10", "BC2127"}),  # these two ask for another backendToken
    ("unionpay", "backendToken", unionpay.CODES),
]
OF_THE_CODE = {40029, 40163, 40226, 41008, "isv.code-invalid", "a31"}


@pytest.mark.parametrize(("kind", "endpoint", "failures"), FAILURES, ids=[endpoint for _, endpoint, _ in FAILURES])
async def test_every_documented_failure_is_the_codes_or_nobodys(make, code_for, platforms, kind, endpoint, failures):
    """What is wrong with the code or its user is a refused sign-in; what is wrong with us or them is 503."""
    for failure in failures:
        channel = make(kind)
        await post(platforms, "/sandbox/outcomes", endpoint=endpoint, code=str(failure))
        refused = failure in OF_THE_CODE and endpoint != "backendToken"
        with pytest.raises(SignInRefused if refused else VerifierUnavailable):
            await channel.redeem(await code_for(channel))


async def test_users_who_ask_too_often_do_not_close_the_channel_for_others(make, code_for, platforms):
    channel = make("mini-program")
    for _ in range(channel.config.calls.failures):
        await post(platforms, "/sandbox/outcomes", endpoint="jscode2session", code="45011")
        with pytest.raises(VerifierUnavailable) as caught:
            await channel.redeem(await code_for(channel))
        assert caught.value.retry_after == 60.0
    assert channel.status()["breaker"] == "closed"
    assert await channel.redeem(await code_for(channel)) is not None


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("mini-program", {"secret": "wrong"}),
        ("official-account", {"app_id": "wx9"}),
        ("unionpay", {"secret": "wrong"}),
        ("alipay", {"app_id": "2014000000000000"}),
    ],
)
async def test_settings_that_the_platform_does_not_accept_are_nobodys_fault_but_ours(make, code_for, kind, changed):
    with pytest.raises(VerifierUnavailable):
        await make(kind, **changed).redeem(await code_for(make(kind)))


async def test_an_alipay_request_under_another_key_is_refused_by_the_platform(make, code_for, keys):
    channel = make("alipay", private_key=keys.joinpath("alipay.pem").read_text())
    with pytest.raises(VerifierUnavailable, match="invalid-signature"):
        await channel.redeem(await code_for(channel))


@pytest.mark.parametrize("kind", ["alipay", "unionpay"])
async def test_a_clock_that_is_wrong_is_a_failure_of_ours(make, code_for, clock, kind, fetching):
    channel = make(kind)
    code = await code_for(channel)
    late = type(fetching)("part", fetching.fetch, fetching.once, lambda: clock.wall - 1000, log=fetching.log)
    with pytest.raises(VerifierUnavailable):
        await CLASSES[kind](channel.config, late).redeem(code)


# ── platforms that are out of order ───────────────────────────────────────────────────────────────────────────────

ENDPOINTS = {
    "alipay": "gateway",
    "unionpay": "token",
    "mini-program": "jscode2session",
    "official-account": "access_token",
}


@each_kind
async def test_a_platform_out_of_order_is_no_answer(make, code_for, platforms, kind):
    for fault in ("down", "error", "html", "redirect", "huge", "garbage", "empty"):
        channel = make(kind)
        await post(platforms, "/sandbox/faults", endpoint=ENDPOINTS[kind], fault=fault)
        with pytest.raises(VerifierUnavailable):
            await channel.redeem(await code_for(channel))


@each_kind
async def test_a_slow_platform_is_not_waited_for(make, code_for, platforms, kind):
    channel = make(kind, calls={"timeout": "50ms"})
    code = await code_for(channel)
    await post(platforms, "/sandbox/faults", endpoint=ENDPOINTS[kind], fault="slow", seconds=5)
    with pytest.raises(VerifierUnavailable):
        await channel.redeem(code)


@each_kind
async def test_a_platform_that_keeps_failing_is_left_alone_for_a_while(make, code_for, platforms, clock, kind):
    channel = make(kind)
    await post(platforms, "/sandbox/faults", endpoint=ENDPOINTS[kind], fault="error")
    for _ in range(5):
        with pytest.raises(VerifierUnavailable):
            await channel.redeem(await code_for(channel))
    assert channel.status()["breaker"] == "open"
    before = (await counters(platforms))[ENDPOINTS[kind]]
    with pytest.raises(VerifierUnavailable):
        await channel.redeem(await code_for(channel))
    assert (await counters(platforms))[ENDPOINTS[kind]] == before
    await post(platforms, "/sandbox/faults", endpoint=ENDPOINTS[kind], fault="none")
    clock.advance(3.1)
    assert await channel.redeem(await code_for(channel)) is not None


@pytest.mark.parametrize("fault", ["unsigned", "tampered"])
async def test_an_alipay_answer_that_is_not_signed_as_it_came_is_no_answer(make, code_for, platforms, fault):
    channel = make("alipay")
    await post(platforms, "/sandbox/faults", endpoint="gateway", fault=fault)
    with pytest.raises(VerifierUnavailable):
        await channel.redeem(await code_for(channel))


@pytest.mark.parametrize("fault", ["unsigned"])
async def test_an_alipay_refusal_may_come_unsigned(make, platforms, fault):
    await post(platforms, "/sandbox/faults", endpoint="gateway", fault=fault)
    with pytest.raises(SignInRefused):
        await make("alipay").redeem("0123456789abcdef")


@each_kind
async def test_nobody_signs_in_by_code_without_a_secret(make, kind):
    changed = {"private_key" if kind == "alipay" else "secret": None}
    with pytest.raises(VerifierUnavailable):
        await make(kind, **changed).redeem("0123456789abcdef")


WORDS = [
    {},
    {"openid": 1, "session_key": "tiihtNczf5v6AKRyjwEUhQ=="},
    {"openid": "o 1", "session_key": "tiihtNczf5v6AKRyjwEUhQ=="},
    {"openid": "o1", "unionid": ["u"], "session_key": "tiihtNczf5v6AKRyjwEUhQ=="},
    {"openid": "o1", "session_key": "dGVzdA=="},
    {"openid": "o1"},
    {"errcode": "0", "openid": "o1"},
    {"errcode": True},
    [],
]


@pytest.mark.parametrize("said", WORDS, ids=json.dumps)
async def test_an_answer_that_cannot_be_understood_is_no_answer(context, clock, platform, keys, said):
    platform.answers = [answer(said)]
    channel = WeChat(settings("mini-program", "https://api.example", keys), remembering(context, clock))
    with pytest.raises(VerifierUnavailable):
        await channel.redeem("code-1")


async def test_a_snapshot_page_tells_nobodys_account(context, clock, platform, keys):
    platform.answers = [answer({"openid": "o1", "is_snapshotuser": 1})]
    channel = WeChat(settings("official-account", "https://api.example", keys), remembering(context, clock))
    with pytest.raises(SignInRefused):
        await channel.redeem("code-1")


async def test_the_platforms_clock_is_measured(context, clock, platform, keys):
    platform.answers = [HttpAnswer(200, "text/plain", b'{"openid": "o1"}', NOW + 7)]
    channel = WeChat(settings("official-account", "https://api.example", keys), remembering(context, clock))
    await channel.redeem("code-1")
    assert channel.status()["clock_offsets"] == {"api.example": 7.0}


# ── encrypted data ────────────────────────────────────────────────────────────────────────────────────────────────

VECTOR_APP = "wx4f4bc4dec97d474b"
VECTOR_AT = 1477314187.0
VECTOR_ACCOUNT = ChannelAccount(
    "part", VECTOR_APP, "oGZUI0egBJY1zhBYw2KhdUfwVJJE", secret=base64.b64decode("tiihtNczf5v6AKRyjwEUhQ==")
)
VECTOR = {
    "iv": "r7BXXKkLb8qrSNn05n0qiA==",
    "encryptedData": (
        "CiyLU1Aw2KjvrjMdj8YKliAjtP4gsMZMQmRzooG2xrDcvSnxIMXFufNstNGTyaGS9uT5geRa0W4oTOb1WT7fJlAC+oNPdbB+3hVbJSRgv+4lGOET"
        "KUQz6OYStslQ142dNCuabNPGBzlooOmB231qMM85d2/fV6ChevvXvQP8Hkue1poOFtnEtpyxVLW1zAo6/1Xx1COxFvrc2d7UL/lmHInNlxuacJXw"
        "u0fjpXfz/YqYzBIBzD6WUfTIF9GRHpOn/Hz7saL8xz+W//FRAUid1OksQaQx4CMs8LOddcQhULW4ucetDf96JcR3g0gfRK4PC7E/r7Z6xNrXd2UI"
        "eorGj5Ef7b1pJAYB6Y5anaHqZ9J6nKEBvB4DnNLIVWSgARns/8wR2SiRS7MNACwTyrGvt9ts8p12PKFdlqYTopNHR1Vf7XjfhQlVsAJdNiKdYmYV"
        "oKlaRv85IfVunYzO0IKXsyl7JCUjCpoG20f0a04COwfneQAGGwd5oa+T8yO5hzuyDb/XcxxmK01EpqOyuxINew=="
    ),
}
RAW = (
    '{"nickName":"Band","gender":1,"language":"zh_CN","city":"Guangzhou","province":"Guangdong","country":"CN",'
    '"avatarUrl":"http://wx.qlogo.cn/mmopen/vi_32/1vZvI39NWFQ9XM4LtQpFrQJ1xlgZxx3w7bQxKARol6503Iuswjjn6nIGBiaycAjAtpujxyz'
    'YsrztuuICqIM5ibXQ/0"}'
)
RAW_SIGNATURE = "75e81ceda165f4ffa64f4068af58c64b8f54b88c"
RAW_ACCOUNT = ChannelAccount("part", VECTOR_APP, "o1", secret=base64.b64decode("HyVFkGl5F5OQWJZZaNzBBg=="))


@pytest.fixture
def program(context, clock):
    clock.wall = VECTOR_AT + 10
    return WeChat(WeChatConfig.model_validate({"app_id": VECTOR_APP}), context)


def seal(said, key=VECTOR_ACCOUNT.secret, padding=None):
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    count = 16 - len(text) % 16
    text += bytes([count]) * count if padding is None else padding
    iv = bytes(range(16))
    maker = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    sealed = maker.update(text) + maker.finalize()
    return {"encryptedData": base64.b64encode(sealed).decode(), "iv": base64.b64encode(iv).decode()}


MARK = {"appid": VECTOR_APP, "timestamp": int(VECTOR_AT)}


def test_the_official_vector_opens(program):
    said = program.open(VECTOR_ACCOUNT, VECTOR)
    assert said["openId"] == "oGZUI0egBJY1zhBYw2KhdUfwVJJE"
    assert said["watermark"] == MARK


def test_the_official_vector_of_signed_data_opens(program):
    assert program.open(RAW_ACCOUNT, {"rawData": RAW, "signature": RAW_SIGNATURE})["nickName"] == "Band"


def test_a_phone_number_opens(program):
    assert program.open(VECTOR_ACCOUNT, seal({"phoneNumber": "1", "watermark": MARK}))["phoneNumber"] == "1"


SEALED = {
    "of another application": seal({"watermark": MARK | {"appid": "wx2"}}),
    "without a watermark": seal({"openId": VECTOR_ACCOUNT.id}),
    "with a watermark that is none": seal({"watermark": "x"}),
    "of long ago": seal({"watermark": MARK | {"timestamp": 1400000000}}),
    "of a time that is none": seal({"watermark": MARK | {"timestamp": "1477314187"}}),
    "of another person": seal({"openId": "o2", "watermark": MARK}),
    "under another key": seal({"watermark": MARK}, bytes(16)),
    "with a bad padding": seal({"watermark": MARK}, padding=b"\0" * (16 - len(json.dumps({"watermark": MARK})) % 16)),
    "that is no object": seal([]),
    "that is no JSON": seal(b"hello"),
    "of half a block": {"encryptedData": base64.b64encode(b"x" * 20).decode(), "iv": VECTOR["iv"]},
    "of nothing": {"encryptedData": "", "iv": VECTOR["iv"]},
    "with junk in it": VECTOR | {"encryptedData": "!" + VECTOR["encryptedData"]},
    "that is not ASCII": VECTOR | {"encryptedData": "é"},
    "with a short vector": VECTOR | {"iv": "AAAA"},
    "without a vector": {"encryptedData": VECTOR["encryptedData"]},
    "in the clear with another signature": {"rawData": RAW, "signature": "0" * 40},
    "in the clear with a signature that is not ASCII": {"rawData": RAW, "signature": "é"},
    "in the clear without signature": {"rawData": RAW},
    "in no way": {},
}


@pytest.mark.parametrize("sealed", SEALED.values(), ids=SEALED.keys())
def test_data_are_refused(program, sealed):
    with pytest.raises(SignInRefused):
        program.open(VECTOR_ACCOUNT, sealed)


@pytest.mark.parametrize(
    "account", [ChannelAccount("part", "wx2", "o1", secret=bytes(16)), ChannelAccount("part", VECTOR_APP, "o1")]
)
def test_data_are_opened_with_the_key_of_this_applications_login_alone(program, account):
    with pytest.raises(SignInRefused):
        program.open(account, VECTOR)


@pytest.mark.parametrize("kind", ["alipay", "unionpay"])
def test_a_channel_whose_clients_encrypt_nothing_opens_nothing(context, keys, kind):
    channel = CLASSES[kind](settings(kind, "http://127.0.0.1:1", keys), context)
    with pytest.raises(SignInRefused):
        channel.open(ChannelAccount("part", channel.config.app_id, "o1"), VECTOR)

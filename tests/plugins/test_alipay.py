"""The Alipay channel: the published text to sign, notifications and requests, and every attack on them."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import ValidationError

from gateway import CannotDecide, ChannelRejected, ClockSkew, CredentialRejected, Replayed
from plugins.channels.alipay import Alipay, AlipayConfig, read_time, text_to_sign
from tests.channel_world import form, local_time, remembering
from tests.plugin_world import NOW, inbound

APP = "2014072300007148"
SELLER = "2088111111116894"
NOTICES, REQUESTS = "/alipay/notifications", "/alipay/requests"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OLD_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def bare(key):
    """As Alipay's page shows it."""
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def settings(**changed):
    said = {"app_id": APP, "public_keys": [bare(KEY), pem(OLD_KEY)], "sellers": [SELLER]}
    return AlipayConfig.model_validate(said | {"notifications": [NOTICES], "requests": [REQUESTS]} | changed)


@pytest.fixture
def context(context, clock):
    return remembering(context, clock)


@pytest.fixture
def alipay(context) -> Alipay:
    return Alipay(settings(), context)


def signature(text, key=KEY, digest=SHA256):
    return b64encode(key.sign(text, PKCS1v15(), digest())).decode()


def notice(at=NOW, **changed):
    said = {
        "app_id": APP,
        "seller_id": SELLER,
        "notify_id": "ac05099524730693a8b330c5ecf72da9786",
        "notify_time": local_time(at, "%Y-%m-%d %H:%M:%S"),
        "notify_type": "trade_status_sync",
        "subject": "社保费 & 100%",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "88.88",
        "passback_params": "",
        "charset": "utf-8",
    } | changed
    return {name: value for name, value in said.items() if value is not None}


def signed(said, key=KEY, unsigned=("sign", "sign_type"), digest=SHA256):
    """The parameters with their signature, made by other code than the channel's."""
    lines = [f"{name}={said[name]}" for name in sorted(said) if said[name] != "" and name not in unsigned]
    return {"sign_type": "RSA2"} | said | {"sign": signature("&".join(lines).encode(), key, digest)}


def posted(body=None, path=NOTICES, query="", fields=FORM, **changed):
    return inbound("POST", path, query, fields, form(signed(notice(**changed))) if body is None else body)


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_published_text_to_sign_holds():
    """field-reference.md §5.2; what is empty is dropped, values are not encoded."""
    parameters = {
        "code": "4b203fe6c11548bcabd8da5bb087a83b",
        "app_id": APP,
        "charset": "utf-8",
        "grant_type": "authorization_code",
        "method": "alipay.system.oauth.token",
        "app_auth_token": "",
        "sign_type": "RSA2",
        "timestamp": "2021-11-09 08:49:20",
        "version": "1.0",
        "sign": "whatever",
    }
    text = text_to_sign({name: value.encode() for name, value in parameters.items()}, ("sign",))
    assert text == (
        b"app_id=2014072300007148&charset=utf-8&code=4b203fe6c11548bcabd8da5bb087a83b&grant_type=authorization_code"
        b"&method=alipay.system.oauth.token&sign_type=RSA2&timestamp=2021-11-09 08:49:20&version=1.0"
    )


def test_times_are_of_china():
    assert read_time("2021-11-09 16:49:20") == 1636447760.0


# ── what passes ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_notification_passes_as_it_came(alipay):
    credential = await alipay.identify(posted())
    assert (credential.channel, credential.client, credential.token) == ("part", APP, None)
    assert (credential.body, credential.answer) == (None, None)


async def test_an_older_key_holds_while_it_is_listed(alipay):
    assert await alipay.identify(posted(form(signed(notice(), OLD_KEY)))) is not None


async def test_the_sign_type_of_a_request_is_signed(alipay):
    said = notice(notify_id=None, notify_time=None, timestamp=local_time(NOW, "%Y-%m-%d %H:%M:%S"), sign_type="RSA2")
    assert await alipay.identify(posted(form(signed(said, unsigned=("sign",))), REQUESTS)) is not None
    with pytest.raises(ChannelRejected):
        await alipay.identify(posted(form(signed(said)), REQUESTS))


async def test_a_front_page_may_come_back_by_get(alipay):
    request = inbound("GET", NOTICES, form(signed(notice())).decode())
    assert await alipay.identify(request) is not None


async def test_a_message_in_gbk_is_read_where_that_is_agreed(context):
    channel = Alipay(settings(charset="gbk"), context)
    said = {name: value.encode("gbk") for name, value in notice(charset="gbk").items()}
    text = b"&".join(b"%b=%b" % (name.encode(), said[name]) for name in sorted(said) if said[name])
    assert await channel.identify(posted(form(said | {"sign": signature(text)}))) is not None


async def test_a_request_elsewhere_is_another_channels(alipay):
    assert await alipay.identify(posted(path="/elsewhere")) is None
    assert await alipay.identify(inbound(fields={"x-alipay-appid": "other"})) is None


async def test_a_labelled_request_carries_the_persons_token(alipay):
    request = inbound(fields={"x-alipay-appid": APP, "authorization": "Bearer abc@dept-a"})
    credential = await alipay.identify(request)
    assert (credential.token, credential.client) == ("abc@dept-a", APP)


async def test_a_labelled_request_with_another_authorization_is_rejected(alipay):
    with pytest.raises(CredentialRejected):
        await alipay.identify(inbound(fields={"x-alipay-appid": APP, "authorization": "Basic abc"}))


# ── attacks ───────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD = signed(notice())


def swallowing(said, name, following):
    """The same text to sign, and so the same signature, with one parameter less."""
    left = {one: value for one, value in said.items() if one != following}
    return left | {name: f"{said[name]}&{following}={said[following]}"}


ATTACKS = {
    "nothing": posted(b""),
    "no signature": posted(form(notice())),
    "empty signature": posted(form(GOOD | {"sign": ""})),
    "another key": posted(form(signed(notice(), OTHER_KEY))),
    "SHA-1": posted(form(signed(notice(), digest=SHA1))),
    "SHA-1 that says so": posted(form(signed(notice(), digest=SHA1) | {"sign_type": "RSA"})),
    "another sign_type over a good signature": posted(form(GOOD | {"sign_type": "RSA"})),
    "no algorithm at all": posted(form(GOOD | {"sign_type": "none"})),
    "another amount": posted(form(GOOD | {"total_amount": "0.01"})),
    "another parameter": posted(form(GOOD | {"refund": "1"})),
    "a parameter less": posted(form({name: value for name, value in GOOD.items() if name != "subject"})),
    "another application, rightly signed": posted(app_id="2014072300007149"),
    "no application": posted(app_id=None),
    "another seller, rightly signed": posted(seller_id="2088000000000000"),
    "a parameter twice": posted(form(GOOD) + b"&total_amount=88.88"),
    "a parameter twice, once escaped": posted(form(GOOD) + b"&%74otal_amount=88.88"),
    "an empty parameter twice": posted(form(GOOD) + b"&passback_params="),
    "a parameter that swallows the next one": posted(form(swallowing(GOOD, "subject", "total_amount"))),
    "encoded twice": posted(form(GOOD).replace(b"%", b"%25")),
    "half an escape": posted(form(GOOD) + b"&a=%2"),
    "a piece without a value": posted(form(GOOD) + b"&a"),
    "an empty piece": posted(form(GOOD) + b"&"),
    "no UTF-8": posted(form(GOOD) + b"&a=%FF"),
    "too many parameters": posted(form(GOOD) + b"".join(b"&a%d=1" % number for number in range(300))),
    "base64 with junk": posted(form(GOOD | {"sign": GOOD["sign"][:8] + "!" + GOOD["sign"][8:]})),
    "base64 in lines": posted(form(GOOD | {"sign": GOOD["sign"][:8] + "\n" + GOOD["sign"][8:]})),
    "base64 without padding": posted(form(GOOD | {"sign": GOOD["sign"].rstrip("=")})),
    "base64 that is not ASCII": posted(form(GOOD | {"sign": "é" + GOOD["sign"]})),
    "no time": posted(notify_time=None),
    "a time in another form": posted(notify_time="2023-11-15T06:13:20"),
    "a time with a zone": posted(notify_time="2023-11-15 06:13:20+08:00"),
    "a day that is none": posted(notify_time="2023-02-30 06:13:20"),
    "a time in full-width digits": posted(notify_time="２０２３-11-15 06:13:20"),
    "also in the query": posted(query="total_amount=0.01"),
    "declared as JSON": posted(fields={"content-type": "application/json"}),
    "declared as nothing": posted(fields={}),
    "JSON": posted(b'{"sign": "x"}'),
}  # fmt: skip


@pytest.mark.parametrize("request_", ATTACKS.values(), ids=ATTACKS.keys())
async def test_an_attack_is_rejected_uses_nothing_up_and_names_the_application(alipay, request_):
    with pytest.raises(ChannelRejected) as caught:
        await alipay.identify(request_)
    assert type(caught.value) is ChannelRejected
    assert (caught.value.code, caught.value.client) == ("channel-signature", APP)
    assert "clock_offsets" not in alipay.status()
    assert await alipay.identify(posted(form(GOOD))) is not None, "the good message is still unused"


@pytest.mark.parametrize("offset", [-301, 301, -100_000_000])
async def test_a_message_of_another_time_is_skewed(alipay, offset):
    with pytest.raises(ClockSkew):
        await alipay.identify(posted(at=NOW + offset))


@pytest.mark.parametrize("offset", [-300, 0, 300])
async def test_the_senders_clock_is_measured(alipay, offset):
    await alipay.identify(posted(at=NOW + offset))
    assert alipay.status()["clock_offsets"] == {APP: offset}


async def test_the_same_message_twice_is_a_replay(alipay):
    await alipay.identify(posted(form(GOOD)))
    with pytest.raises(Replayed):
        await alipay.identify(posted(form(GOOD)))


async def test_the_same_message_in_another_order_is_a_replay(alipay):
    await alipay.identify(posted(form(GOOD)))
    with pytest.raises(Replayed):
        await alipay.identify(posted(form(dict(reversed(GOOD.items())))))


async def test_the_same_notify_id_signed_anew_is_a_replay(alipay):
    await alipay.identify(posted())
    with pytest.raises(Replayed):
        await alipay.identify(posted(at=NOW + 1))
    assert await alipay.identify(posted(notify_id="another")) is not None


async def test_a_store_that_cannot_tell_lets_nothing_pass(context, clock):
    with pytest.raises(CannotDecide):
        await Alipay(settings(), remembering(context, clock, capacity=0)).identify(posted())


async def test_what_was_signed_before_anybody_remembers_is_skewed(context, clock):
    alipay = Alipay(settings(), remembering(context, clock, since=NOW))
    with pytest.raises(ClockSkew):
        await alipay.identify(posted(at=NOW - 1))


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────

SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
MISTAKES = {
    "no key": {"public_keys": []},
    "no key at all in the text": {"public_keys": ["hello"]},
    "a short key": {"public_keys": [pem(SHORT)]},
    "a key of another kind": {"public_keys": [pem(CURVE)]},
    "an empty private key": {"private_key": ""},
    "a private key that is none": {"private_key": "hello"},
    "a path for both": {"requests": [NOTICES]},
    "plain http": {"interface": "http://openapi.example/gateway.do"},
    "an unknown setting": {"sign_type": "RSA"},
}


@pytest.mark.parametrize("changed", MISTAKES.values(), ids=MISTAKES.keys())
def test_settings_that_cannot_be_right_are_refused(changed):
    with pytest.raises(ValidationError):
        settings(**changed)


@pytest.mark.parametrize("shape", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_private_key_can_be_in_any_form_that_alipays_tools_write(shape, encoding):
    text = KEY.private_bytes(encoding, shape, NoEncryption())
    text = text.decode() if encoding is Encoding.PEM else b64encode(text).decode()
    assert text not in repr(settings(private_key=text))


# ── raw substrings ────────────────────────────────────────────────────────────────────────────────────────────────

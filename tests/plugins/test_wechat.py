"""The WeChat channel: the published vectors, messages plain and encrypted, and every attack on them."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import CannotDecide, ChannelRejected, ClockSkew, CredentialRejected, Replayed
from plugins.channels.wechat import WeChat, WeChatConfig, open_message, sign
from tests.channel_world import remembering
from tests.plugin_world import NOW, inbound

APP = "wx0000000000000001"
TOKEN = "gw-token"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OLD_TOKEN = "old-token"
OLD_AES_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
PATH = "/wechat/messages"
MESSAGE = b"<xml><a>1</a></xml>"
KEYS = [{"token": TOKEN, "aes_key": AES_KEY}]

# field-reference.md §5.1, computed there
ENCRYPT = "Q3stYC6hdFzMh9T8HCvyDAuKynFZx72zvSsMzinYKQ/5Nm9RxkIDnEYrkXS+TlzcoGa6aJ7D7O+wmU68ACPQ2w=="
MSG_SIGNATURE = "72434b0cdc3c3a87ad3944382ef3d21879c10f4f"
SIGNATURE = "0103f7968615e512ca2689e22cf814664f2d5076"
VECTOR = f"timestamp=1700000000&nonce=n0nce&encrypt_type=aes&msg_signature={MSG_SIGNATURE}"


def make(context, *, app_id=APP, **messages) -> WeChat:
    said = {"app_id": app_id, "messages": {"paths": [PATH], "keys": KEYS} | messages}
    return WeChat(WeChatConfig.model_validate(said), context)


@pytest.fixture
def context(context, clock):
    return remembering(context, clock)


@pytest.fixture
def wechat(context) -> WeChat:
    return make(context)


@pytest.fixture
def plain(context) -> WeChat:
    return make(context, encrypted=False)


def digest(*parts):
    """SHA-1 of the sorted parts, by other code than the channel's."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def envelope(encrypted):
    return f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()


def encrypt(message=MESSAGE, app_id=APP, aes_key=AES_KEY, padding=None):
    """An encrypted message as WeChat makes it; `padding` replaces the right one."""
    key = base64.b64decode(aes_key + "=")
    text = b"0123456789abcdef" + struct.pack(">I", len(message)) + message + app_id.encode()
    count = 32 - len(text) % 32
    text += bytes([count]) * count if padding is None else padding
    text += b"\0" * (-len(text) % 16)
    maker = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(maker.update(text) + maker.finalize()).decode()


def posted(message=MESSAGE, *, token=TOKEN, at=NOW, nonce="n-1", encrypted=None, body=None, query=None, **how):
    """A signed encrypted message; `body` and `query` replace what is sent, after signing."""
    encrypted = encrypt(message, **how) if encrypted is None else encrypted
    timestamp = f"{at:010.0f}"
    signature = digest(token, timestamp, nonce, encrypted)
    asked = f"timestamp={timestamp}&nonce={nonce}&msg_signature={signature}" if query is None else query
    return inbound("POST", PATH, asked, {"content-type": "text/xml"}, envelope(encrypted) if body is None else body)


def posted_plain(body=MESSAGE, *, token=TOKEN, at=NOW, nonce="n-1"):
    timestamp = f"{at:010.0f}"
    asked = f"signature={digest(token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}&openid=o1"
    return inbound("POST", PATH, asked, {"content-type": "text/xml"}, body)


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_official_signature_vector_holds():
    """developers.weixin.qq.com, message encryption."""
    assert sign("AAAAA", b"1714037059", b"486452656") == "899cf89e464efb63f54ddac96b0a0a235f53aa78"


def test_the_plain_and_the_message_signature_vectors_hold():
    assert sign(TOKEN, b"1700000000", b"n0nce") == SIGNATURE
    assert sign(TOKEN, b"1700000000", b"n0nce", ENCRYPT.encode()) == MSG_SIGNATURE


async def test_the_encrypted_vector_goes_inward_decrypted(wechat):
    credential = await wechat.identify(inbound("POST", PATH, VECTOR, {}, envelope(ENCRYPT)))
    assert (credential.channel, credential.client, credential.token) == ("part", APP, None)
    assert await credential.body.whole() == MESSAGE
    assert credential.body.length == len(MESSAGE)
    assert credential.answer is None


def test_the_encrypted_vector_is_what_the_test_encrypts():
    assert encrypt() == ENCRYPT


# ── trying the address out ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encrypted", [True, False])
async def test_a_trial_of_the_address_is_answered_with_its_echo_and_goes_nowhere(context, encrypted):
    channel = make(context, encrypted=encrypted)
    asked = f"signature={SIGNATURE}&echostr=5836573452387&timestamp=1700000000&nonce=n0nce"
    credential = await channel.identify(inbound("GET", PATH, asked))
    assert credential.answer == "5836573452387"
    assert credential.body is None


@pytest.mark.parametrize("echo", ["<script>", "a%0ab", "", "x" * 129, "%E5%BC%A0"])
async def test_an_echo_of_another_form_is_not_repeated(wechat, echo):
    asked = f"signature={SIGNATURE}&echostr={echo}&timestamp=1700000000&nonce=n0nce"
    with pytest.raises(ChannelRejected):
        await wechat.identify(inbound("GET", PATH, asked))


async def test_a_trial_with_a_bad_signature_is_rejected(wechat):
    asked = f"signature={'0' * 40}&echostr=1&timestamp=1700000000&nonce=n0nce"
    with pytest.raises(ChannelRejected):
        await wechat.identify(inbound("GET", PATH, asked))


# ── whose request it is ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_elsewhere_without_the_label_is_another_channels(wechat):
    assert await wechat.identify(inbound("POST", "/elsewhere", VECTOR, {}, envelope(ENCRYPT))) is None


async def test_a_request_with_another_applications_label_is_another_channels(wechat):
    assert await wechat.identify(inbound(fields={"x-wechat-appid": "wx2"})) is None


async def test_a_labelled_request_carries_the_persons_token(wechat):
    request = inbound(fields={"x-wechat-appid": APP, "authorization": "Bearer abc@dept-a"})
    credential = await wechat.identify(request)
    assert (credential.token, credential.client) == ("abc@dept-a", APP)


async def test_a_label_alone_is_nobody(wechat):
    """Cookies are not read, so no other site's page can make a browser send a person along."""
    request = inbound(fields={"x-wechat-appid": APP, "cookie": "__Host-sid=AbCdEfGhIjKlMnOpQrStUv"})
    assert (await wechat.identify(request)).token is None


async def test_a_labelled_request_with_another_authorization_is_rejected(wechat):
    with pytest.raises(CredentialRejected):
        await wechat.identify(inbound(fields={"x-wechat-appid": APP, "authorization": "Basic abc"}))


async def test_the_label_does_not_spare_a_message_its_signature(wechat):
    fields = {"x-wechat-appid": APP, "authorization": "Bearer abc"}
    with pytest.raises(ChannelRejected):
        await wechat.identify(inbound("POST", PATH, "", fields, b"<xml/>"))


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ROTATED = [{"token": TOKEN, "aes_key": AES_KEY}, {"token": OLD_TOKEN, "aes_key": OLD_AES_KEY}]


@pytest.mark.parametrize(("token", "aes_key"), [(TOKEN, AES_KEY), (OLD_TOKEN, OLD_AES_KEY)])
async def test_an_older_key_holds_while_it_is_listed(context, token, aes_key):
    credential = await make(context, keys=ROTATED).identify(posted(token=token, aes_key=aes_key))
    assert await credential.body.whole() == MESSAGE


async def test_a_new_aes_key_can_come_with_the_old_token(context):
    keys = [{"token": TOKEN, "aes_key": AES_KEY}, {"token": TOKEN, "aes_key": OLD_AES_KEY}]
    credential = await make(context, keys=keys).identify(posted(aes_key=OLD_AES_KEY))
    assert await credential.body.whole() == MESSAGE


async def test_the_token_of_one_key_does_not_open_with_the_aes_key_of_another(context):
    with pytest.raises(ChannelRejected):
        await make(context, keys=ROTATED).identify(posted(token=TOKEN, aes_key=OLD_AES_KEY))


async def test_a_key_that_is_no_longer_listed_is_refused(wechat):
    with pytest.raises(ChannelRejected):
        await wechat.identify(posted(token=OLD_TOKEN, aes_key=OLD_AES_KEY))


# ── attacks ───────────────────────────────────────────────────────────────────────────────────────────────────────

DOCTYPE = b'<!DOCTYPE x [<!ENTITY e "boom">]><xml><Encrypt>&e;</Encrypt></xml>'
GOOD_QUERY = posted().query
PLAIN = digest(TOKEN, "1700000000", "n-1")
ATTACKS = {
    "no parameters": posted(query=""),
    "no message signature": posted(query="timestamp=1700000000&nonce=n-1"),
    "the plain signature instead": posted(query=f"timestamp=1700000000&nonce=n-1&signature={PLAIN}"),
    "the plain signature as message signature": posted(query=f"timestamp=1700000000&nonce=n-1&msg_signature={PLAIN}"),
    "another token": posted(token="guessed"),
    "signature in upper case": posted(query=GOOD_QUERY.upper().replace("MSG_SIGNATURE", "msg_signature")),
    "signature that is not ASCII": posted(query="timestamp=1700000000&nonce=n-1&msg_signature=%E9" + "0" * 39),
    "timestamp with a plus": posted(query=GOOD_QUERY.replace("=1700000000", "=%2B1700000000")),
    "timestamp with a line feed": posted(query=GOOD_QUERY.replace("=1700000000", "=1700000000%0A")),
    "timestamp in full-width digits": posted(query=GOOD_QUERY.replace("1700000000", "１７００００００００")),
    "timestamp in milliseconds": posted(query=GOOD_QUERY.replace("1700000000", "1700000000000")),
    "nonce twice": posted(query=GOOD_QUERY + "&nonce=n-2"),
    "nonce twice, the same": posted(query=GOOD_QUERY + "&nonce=n-1"),
    "nonce twice, once escaped": posted(query=GOOD_QUERY + "&%6Eonce=n-1"),
    "half an escape": posted(query=GOOD_QUERY + "&a=%2"),
    "another body": posted(body=envelope(encrypt(b"<xml><a>2</a></xml>"))),
    "empty body": posted(body=b""),
    "Encrypt missing": posted(body=b"<xml><a>1</a></xml>"),
    "Encrypt twice": posted(body=b"<xml><Encrypt>x</Encrypt><Encrypt>y</Encrypt></xml>"),
    "DOCTYPE with an entity": posted(body=DOCTYPE),
    "entity that is not declared": posted(body=b"<xml><Encrypt>&e;</Encrypt></xml>"),
    "XML that is cut off": posted(body=envelope(ENCRYPT)[:-4]),
    "XML in UTF-16": posted(body=envelope(ENCRYPT).decode().encode("utf-16")),
    "XML declared as another encoding": posted(body=b'<?xml version="1.0" encoding="gbk"?>' + envelope(ENCRYPT)),
    "no UTF-8": posted(body=b"<xml><Encrypt>\xff</Encrypt></xml>"),
    "processing instruction": posted(body=b"<?php x?>" + envelope(ENCRYPT)),
    "XML too deep": posted(body=b"<a>" * 50 + b"</a>" * 50),
    "base64 with junk": posted(encrypted=ENCRYPT[:8] + "!\n" + ENCRYPT[8:]),
    "base64 without padding": posted(encrypted=ENCRYPT.rstrip("=")),
    "encrypted nothing": posted(encrypted=""),
    "encrypted half a block": posted(encrypted=base64.b64encode(b"x" * 20).decode()),
    "another application's message": posted(app_id="wx0000000000000002"),
    "an application id with something before it": posted(app_id="x" + APP),
    "another AES key": posted(aes_key=OLD_AES_KEY),
    "padding of zero": posted(padding=b"\0" * 32),
    "padding beyond the block": posted(padding=b"\x21" * 33),
    "padding that varies": posted(padding=b"\x01\x02\x03"),
    "a length beyond the message": posted(
        encrypted=base64.b64encode(b"\xff" * 64).decode()
    ),
    "a message with a DOCTYPE inside": posted(DOCTYPE),
    "a message that is no XML inside": posted(b"hello"),
}  # fmt: skip


@pytest.mark.parametrize("request_", ATTACKS.values(), ids=ATTACKS.keys())
async def test_an_attack_is_rejected_uses_nothing_up_and_names_the_application(wechat, context, request_):
    with pytest.raises(ChannelRejected) as caught:
        await wechat.identify(request_)
    assert type(caught.value) is ChannelRejected
    assert (caught.value.code, caught.value.client) == ("channel-signature", APP)
    assert await context.once.first_use(b"anything", 1.0)
    assert wechat.status().get("clock_offsets") is None


async def test_a_plain_message_is_no_way_around_encryption(wechat):
    with pytest.raises(ChannelRejected):
        await wechat.identify(posted_plain())


@pytest.mark.parametrize("offset", [-301, 301, -1_600_000_000, 8_299_999_999])
async def test_a_message_of_another_time_is_skewed_before_its_body_is_read(wechat, offset):
    request = posted(at=NOW + offset)
    with pytest.raises(ClockSkew):
        await wechat.identify(request)
    assert request.body.read == 0


@pytest.mark.parametrize("offset", [-299, 0, 300])
async def test_the_senders_clock_is_measured(wechat, offset):
    await wechat.identify(posted(at=NOW + offset))
    assert wechat.status()["clock_offsets"] == {APP: offset}


async def test_the_same_message_twice_is_a_replay(wechat):
    await wechat.identify(posted())
    with pytest.raises(Replayed) as caught:
        await wechat.identify(posted())
    assert caught.value.client == APP
    assert await wechat.identify(posted(nonce="n-2")) is not None


async def test_moving_digits_between_timestamp_and_nonce_makes_no_new_message(plain, clock):
    """The signature does not separate them. With a nonce that ends in a time of now, the digits can be read anew."""
    later = f"{NOW + 100:.0f}"
    first = inbound("POST", PATH, _query("1700000000", later), {}, MESSAGE)
    moved = inbound("POST", PATH, _query(later, "1700000000"), {}, MESSAGE)
    assert first.query.partition("&")[0] == moved.query.partition("&")[0], "the signature is the same"
    await plain.identify(first)
    with pytest.raises(Replayed):
        await plain.identify(moved)


def _query(timestamp, nonce):
    return f"signature={digest(TOKEN, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}"


@pytest.mark.parametrize(("timestamp", "nonce"), [("170000000", "0n0nce"), ("17000000001", "23"), ("1700000000", "")])
async def test_a_timestamp_has_ten_digits_however_the_signature_is_made(plain, timestamp, nonce):
    with pytest.raises(ChannelRejected):
        await plain.identify(inbound("POST", PATH, _query(timestamp, nonce), {}, MESSAGE))


async def test_a_store_that_cannot_tell_lets_nothing_pass(context, clock):
    with pytest.raises(CannotDecide):
        await make(remembering(context, clock, capacity=0)).identify(posted())


async def test_what_was_signed_before_anybody_remembers_is_skewed(context, clock):
    wechat = make(remembering(context, clock, since=NOW))
    with pytest.raises(ClockSkew):
        await wechat.identify(posted(at=NOW - 1))
    assert await wechat.identify(posted()) is not None


# ── messages in the clear, and in JSON ────────────────────────────────────────────────────────────────────────────


async def test_a_plain_message_goes_inward_as_it_came(plain):
    credential = await plain.identify(posted_plain())
    assert credential.body is None
    assert credential.client == APP


@pytest.mark.parametrize("body", [b"", b"hello", DOCTYPE, b"<xml>\xff</xml>", b"<xml><a>1</a><a>2</a></xml>"])
async def test_a_plain_message_that_can_be_read_in_two_ways_is_rejected(plain, body):
    with pytest.raises(ChannelRejected):
        await plain.identify(posted_plain(body))


async def test_a_plain_message_with_a_bad_signature_is_rejected_before_its_body_is_read(plain):
    request = posted_plain(token="guessed")
    with pytest.raises(ChannelRejected):
        await plain.identify(request)
    assert request.body.read == 0


async def test_messages_can_be_in_json(context):
    channel = make(context, format="json")
    encrypted = encrypt(b'{"MsgType": "event"}')
    body = b'{"ToUserName": "gh_1", "Encrypt": "%b"}' % encrypted.encode()
    credential = await channel.identify(posted(encrypted=encrypted, body=body))
    assert await credential.body.whole() == b'{"MsgType": "event"}'


@pytest.mark.parametrize(
    "body", [b"[]", b'{"Encrypt": 1}', b'{"Encrypt": "a", "Encrypt": "b"}', b"{", b"<xml/>", b"NaN"]
)
async def test_json_of_another_form_is_rejected(context, body):
    with pytest.raises(ChannelRejected):
        await make(context, format="json").identify(posted(body=body))


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────

MISTAKES = {
    "no key": {"keys": []},
    "empty token": {"keys": [{"token": "", "aes_key": AES_KEY}]},
    "no AES key": {"keys": [{"token": TOKEN}]},
    "AES key too short": {"keys": [{"token": TOKEN, "aes_key": AES_KEY[1:]}]},
    "AES key that is none": {"keys": [{"token": TOKEN, "aes_key": "!" * 43}]},
    "no path": {"paths": []},
}


@pytest.mark.parametrize("messages", MISTAKES.values(), ids=MISTAKES.keys())
def test_settings_that_cannot_be_right_are_refused(context, messages):
    with pytest.raises(ValidationError):
        make(context, **messages)


@pytest.mark.parametrize("changed", [{"secret": ""}, {"app_id": ""}, {"interface": "http://a.example"}, {"kind": "x"}])
def test_an_application_that_cannot_be_right_is_refused(changed):
    with pytest.raises(ValidationError):
        WeChatConfig.model_validate({"app_id": APP} | changed)


def test_secrets_are_in_no_repr():
    config = WeChatConfig.model_validate(
        {"app_id": APP, "secret": "app-secret", "messages": {"paths": [PATH], "keys": KEYS}}
    )
    assert not any(secret in repr(config) for secret in (TOKEN, AES_KEY, "app-secret"))


# ── whatever is sent ──────────────────────────────────────────────────────────────────────────────────────────────

KEY = base64.b64decode(AES_KEY + "=")


@given(st.binary(max_size=200))
def test_bytes_that_nobody_encrypted_are_no_message(data):
    assert open_message(KEY, data, APP) is None


@given(st.binary(max_size=300), st.text("abcdefXYZ0123456789", min_size=1, max_size=20))
def test_what_is_encrypted_opens_for_its_application_alone(message, app_id):
    encrypted = base64.b64decode(encrypt(message, app_id=app_id))
    assert open_message(KEY, encrypted, app_id) == message
    assert open_message(KEY, encrypted, app_id + "x") is None

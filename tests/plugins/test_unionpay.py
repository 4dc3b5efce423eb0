"""The UnionPay channel: the published vectors of every method, certificates, and every attack on them."""

import hashlib
from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA224, SHA256
from cryptography.x509.oid import ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import CannotDecide, ChannelRejected, ClockSkew, CredentialRejected, CryptoError, Replayed
from plugins.channels.unionpay import UnionPay, UnionPayConfig, read_time, sign_question, text_to_sign
from tests.channel_world import (
    SM2_AUTHORITY,
    SM2_ROOT,
    SM2_SIGNER,
    SM2_SIGNER_KEY,
    SM2_SIGNER_SERIAL,
    SM2_SINCE,
    Authority,
    form,
    local_time,
    remembering,
)
from tests.plugin_world import NOW, inbound

APP = "up-app-1"
MERCHANT = "777290058110048"
PATH = "/unionpay/notices"
FORM = {"content-type": "application/x-www-form-urlencoded"}
KEY, OLD_KEY = "979da4cfccbae7923641daa5dd7047c2", "0123456789abcdef0123456789abcdef"
SIGNER = "041@8310000000083040@中国银联股份有限公司@00016493"

ROOT = Authority("Sample ROOT")
MIDDLE = Authority("Sample OCA", ROOT)
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CERTIFICATE = MIDDLE.certify(SIGNER, PRIVATE, usage=["digital_signature"])


def settings(method="11", **changed):
    held = {
        "01": {"roots": [ROOT.certificate], "intermediates": [MIDDLE.certificate]},
        "11": {"keys": [KEY, OLD_KEY]},
        "12": {"keys": [KEY, OLD_KEY]},
        "21": {"roots": [SM2_ROOT], "intermediates": [SM2_AUTHORITY]},
    }[method]
    acp = {"paths": [PATH], "merchants": [MERCHANT], "sign_method": method} | held | changed
    return UnionPayConfig.model_validate({"app_id": APP, "acp": acp})


@pytest.fixture
def context(context, clock):
    return remembering(context, clock)


@pytest.fixture
def make(context):
    return lambda method="11", **changed: UnionPay(settings(method, **changed), context)


def notice(at=NOW, **changed):
    said = {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "txnType": "01",
        "merId": MERCHANT,
        "orderId": "20211109084920",
        "txnTime": local_time(at, "%Y%m%d%H%M%S"),
        "txnAmt": "8888",
        "respMsg": "成功[0000000]",
        "reserved": "",
    } | changed
    return {name: value for name, value in said.items() if value is not None}


def text_of(said):
    """What is signed, by other code than the channel's."""
    return "&".join(f"{name}={said[name].strip()}" for name in sorted(said) if said[name].strip()).encode()


def digest(method, data):
    return hashlib.new("sm3" if method in ("12", "21") else "sha256", data).hexdigest()


def keyed(said, method="11", key=KEY):
    said = {"signMethod": method} | said
    text = text_of(said) + b"&" + digest(method, key.encode()).encode()
    return said | {"signature": digest(method, text)}


def with_rsa(said, private=PRIVATE, certificate=CERTIFICATE, algorithm=SHA256, prepare=None):
    said = {"signMethod": "01", "signPubKeyCert": certificate} | said
    signed = digest("01", text_of(said)).encode() if prepare is None else prepare(text_of(said))
    return said | {"signature": b64encode(private.sign(signed, PKCS1v15(), algorithm())).decode()}


def with_sm2(said, crypto, key=SM2_SIGNER_KEY, signer=SM2_SIGNER_SERIAL, certificate=SM2_SIGNER):
    said = {"signMethod": "21", "signPubKeyCert": certificate} | said
    signature = crypto.sm2_sign(key, digest("21", text_of(said)).encode(), signer.encode())
    return said | {"signature": b64encode(signature).decode()}


def posted(said, query="", fields=FORM):
    return inbound("POST", PATH, query, fields, form(said) if isinstance(said, dict) else said)


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────

VECTOR = {"version": "5.1.0", "encoding": "UTF-8", "txnType": "01", "merId": MERCHANT, "orderId": "20211109084920"}
VECTORS = {
    "11": "87a9f61dfb42c49fe55196d684c2ff1bb3add39e88d7064cee8d88d07c1ccbd4",
    "12": "2a32d1113aed3bcdbde1768fc8d0b5836852a9691c6f59d5edf6669e138f8b66",
}


def test_the_text_of_the_published_vector_has_its_digest():
    said = {name: value.encode() for name, value in (VECTOR | {"signMethod": "11"}).items()}
    expected = "f8b58ea65b7c7948e55701c1082e352d3aabe44b048372b14e374ce977cdf3bb"
    assert hashlib.sha256(text_to_sign(said)).hexdigest() == expected


@pytest.mark.parametrize(("method", "signature"), VECTORS.items())
def test_the_published_vectors_hold(make, method, signature):
    """They have no txnTime, which a request has to have: so they are held against the signature alone."""
    channel = make(method)
    said = {name: value.encode() for name, value in (VECTOR | {"signMethod": method, "signature": signature}).items()}
    assert channel._messages._verify(said) == bytes.fromhex(signature)


def test_the_published_question_has_its_signature():
    asked = {"appId": "a1", "nonceStr": "n1", "timestamp": "1636447760"}
    expected = "c1602ea1d88e5ceccb3cdaa39f60df0246ceee624417651aa768659f22c70607"
    assert sign_question(asked, "s1") == expected


def test_times_are_of_china():
    assert read_time(b"20211109164920") == 1636447760.0


# ── what passes ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["11", "12"])
@pytest.mark.parametrize("key", [KEY, OLD_KEY])
async def test_a_keyed_message_passes_as_it_came(make, method, key):
    credential = await make(method).identify(posted(keyed(notice(), method, key)))
    assert (credential.channel, credential.client, credential.token) == ("part", MERCHANT, None)
    assert (credential.body, credential.answer) == (None, None)


async def test_a_message_with_a_certificate_passes(make):
    assert (await make("01").identify(posted(with_rsa(notice())))).client == MERCHANT


async def test_a_message_with_an_sm2_certificate_passes(make, context, clock):
    clock.wall = SM2_SINCE
    channel = make("21")
    assert (await channel.identify(posted(with_sm2(notice(at=SM2_SINCE), context.crypto)))).client == MERCHANT


async def test_blanks_around_values_and_empty_values_are_not_signed(make):
    said = keyed(notice())
    request = posted(said | {"orderId": " 20211109084920\n", "reqReserved": "  "})
    assert await make().identify(request) is not None


async def test_a_front_page_may_come_back_by_get(make):
    assert await make().identify(inbound("GET", PATH, form(keyed(notice())).decode())) is not None


async def test_a_request_elsewhere_is_another_channels(make):
    assert await make().identify(inbound("POST", "/elsewhere", "", FORM, form(keyed(notice())))) is None
    assert await make().identify(inbound(fields={"x-unionpay-appid": "other"})) is None


async def test_a_labelled_request_carries_the_persons_token(make):
    request = inbound(fields={"x-unionpay-appid": APP, "authorization": "Bearer abc@dept-a"})
    credential = await make().identify(request)
    assert (credential.token, credential.client) == ("abc@dept-a", APP)


async def test_a_labelled_request_with_another_authorization_is_rejected(make):
    with pytest.raises(CredentialRejected):
        await make().identify(inbound(fields={"x-unionpay-appid": APP, "authorization": "Basic abc"}))


# ── attacks that every method has in common ───────────────────────────────────────────────────────────────────────

GOOD = keyed(notice())


def swallowing(said, name, following):
    """The same text to sign, and so the same signature, with one parameter less."""
    left = {one: value for one, value in said.items() if one != following}
    return left | {name: f"{said[name]}&{following}={said[following]}"}


ATTACKS = {
    "nothing": b"",
    "no signature": {name: value for name, value in GOOD.items() if name != "signature"},
    "empty signature": GOOD | {"signature": ""},
    "another key": keyed(notice(), key="guessed"),
    "the empty key": keyed(notice(), key=""),
    "signature without the key": GOOD | {"signature": digest("11", text_of(notice() | {"signMethod": "11"}))},
    "signature in upper case": GOOD | {"signature": GOOD["signature"].upper()},
    "signature that is not ASCII": GOOD | {"signature": "é" * 64},
    "SM3 instead, that says so": keyed(notice(), "12"),
    "SM3 instead, that does not say so": GOOD | {"signature": keyed(notice(), "12")["signature"]},
    "no method": keyed({"signMethod": ""} | notice()),
    "RSA with the sender's own certificate": with_rsa(notice()),
    "the old version, rightly signed": keyed(notice(version="5.0.0")),
    "no version": keyed(notice(version=None)),
    "another encoding, rightly signed": keyed(notice(encoding="GBK")),
    "another merchant, rightly signed": keyed(notice(merId="777290058110049")),
    "another amount": GOOD | {"txnAmt": "1"},
    "another parameter": GOOD | {"refund": "1"},
    "a parameter twice": form(GOOD) + b"&txnAmt=8888",
    "a parameter twice, once escaped": form(GOOD) + b"&%74xnAmt=8888",
    "a parameter that swallows the next one": swallowing(GOOD, "txnAmt", "txnTime"),
    "a parameter that swallows an empty one's neighbour": swallowing(GOOD, "orderId", "respMsg"),
    "half an escape": form(GOOD) + b"&a=%2",
    "an empty piece": form(GOOD) + b"&",
    "no UTF-8": form(GOOD) + b"&a=%FF",
    "too many parameters": form(GOOD) + b"".join(b"&a%d=1" % number for number in range(300)),
    "no time": keyed(notice(txnTime=None)),
    "a time in seconds": keyed(notice(txnTime="1700000000")),
    "a day that is none": keyed(notice(txnTime="20230230061320")),
    "a time in full-width digits": keyed(notice(txnTime="２０２３１１１５０６１３２０")),
    "JSON": b'{"signature": "x"}',
}


@pytest.mark.parametrize("body", ATTACKS.values(), ids=ATTACKS.keys())
async def test_an_attack_is_rejected_uses_nothing_up_and_names_the_application(make, body):
    channel = make()
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(posted(body))
    assert type(caught.value) is ChannelRejected
    assert (caught.value.code, caught.value.client) == ("channel-signature", APP)
    assert "clock_offsets" not in channel.status()
    assert await channel.identify(posted(GOOD)) is not None, "the good message is still unused"


@pytest.mark.parametrize("request_", [posted(GOOD, "txnAmt=1"), posted(GOOD, fields={"content-type": "text/xml"})])
async def test_parameters_in_two_places_or_of_another_kind_are_rejected(make, request_):
    with pytest.raises(ChannelRejected):
        await make().identify(request_)


@pytest.mark.parametrize("offset", [-301, 301, -100_000_000])
async def test_a_message_of_another_time_is_skewed(make, offset):
    with pytest.raises(ClockSkew):
        await make().identify(posted(keyed(notice(at=NOW + offset))))


async def test_a_notice_may_come_long_after_its_order_where_that_is_configured(make):
    channel = make(window="1d")
    assert await channel.identify(posted(keyed(notice(at=NOW - 80_000)))) is not None
    assert channel.status()["clock_offsets"] == {MERCHANT: -80_000}


@pytest.mark.parametrize("method", ["11", "01"])
async def test_the_same_message_twice_is_a_replay(make, method):
    channel = make(method)
    said = keyed(notice()) if method == "11" else with_rsa(notice())
    await channel.identify(posted(said))
    with pytest.raises(Replayed):
        await channel.identify(posted(said))
    with pytest.raises(Replayed):
        await channel.identify(posted(said | {"unsigned": " "}))


async def test_a_store_that_cannot_tell_lets_nothing_pass(context, clock):
    with pytest.raises(CannotDecide):
        await UnionPay(settings(), remembering(context, clock, capacity=0)).identify(posted(GOOD))


async def test_what_was_signed_before_anybody_remembers_is_skewed(context, clock):
    channel = UnionPay(settings(), remembering(context, clock, since=NOW))
    with pytest.raises(ClockSkew):
        await channel.identify(posted(keyed(notice(at=NOW - 1))))


# ── certificates ──────────────────────────────────────────────────────────────────────────────────────────────────

STRANGER = Authority("Sample OCA")
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
NO_AUTHORITY = Authority("No authority", ROOT, ca=False)
LEVELS = [Authority("Level 1", ROOT, path=0)]
LEVELS.append(Authority("Level 2", LEVELS[0]))
UNKNOWN = (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)


def signed_by(authority, name=SIGNER, private=PRIVATE, **how):
    return with_rsa(notice(), private, authority.certify(name, private, **how))


SIGNED = with_rsa(notice())
FORGERIES = {
    "no certificate": with_rsa(notice(), certificate=""),
    "a certificate that is none": with_rsa(notice(), certificate=CERTIFICATE[:80] + CERTIFICATE[-26:]),
    "a certificate that is huge": with_rsa(notice(), certificate=CERTIFICATE + "x" * 20_000),
    "an authority of the same name": signed_by(STRANGER),
    "its own authority": with_rsa(notice(), STRANGER.key, STRANGER.certificate),
    "no authority between": signed_by(NO_AUTHORITY),
    "a chain that is longer than allowed": signed_by(LEVELS[1]),
    "another organisation": signed_by(MIDDLE, "041@1@某某公司@1"),
    "the organisation in another place": signed_by(MIDDLE, "中国银联股份有限公司@1@某某公司@1"),
    "the organisation as a part of a name": signed_by(MIDDLE, "041@1@中国银联股份有限公司北京分公司@1"),
    "the test system": signed_by(MIDDLE, "041@Z12@00040000:SIGN@00000062"),
    "expired": signed_by(MIDDLE, begins=NOW - 86400, ends=NOW - 1),
    "not yet valid": signed_by(MIDDLE, begins=NOW + 1, ends=NOW + 86400),
    "not meant for signatures": signed_by(MIDDLE, usage=["key_encipherment"]),
    "an authority's own certificate": signed_by(MIDDLE, ca=True),
    "a critical extension that nobody knows": signed_by(MIDDLE, more=[UNKNOWN]),
    "a short key": signed_by(MIDDLE, private=SHORT),
    "a certificate signed over a weak digest": signed_by(MIDDLE, digest=SHA224()),
    "another key than the certificate's": with_rsa(notice(), STRANGER.key),
    "a key of another kind": with_rsa(notice(), certificate=MIDDLE.certify(SIGNER, CURVE)),
    "another certificate after signing": with_rsa(notice()) | {"signPubKeyCert": MIDDLE.certify(SIGNER, PRIVATE)},
    "the text itself signed, not its digest": with_rsa(notice(), prepare=lambda text: text),
    "the digest in upper case": with_rsa(notice(), prepare=lambda text: digest("01", text).upper().encode()),
    "SHA-1": with_rsa(notice(), algorithm=SHA1),
    "base64 in lines": SIGNED | {"signature": SIGNED["signature"][:8] + "\n" + SIGNED["signature"][8:]},
    "no base64": with_rsa(notice()) | {"signature": "!"},
    "a keyed signature": keyed(notice(), "11") | {"signPubKeyCert": CERTIFICATE},
}  # fmt: skip


@pytest.mark.parametrize("said", FORGERIES.values(), ids=FORGERIES.keys())
async def test_a_forgery_is_rejected_whatever_it_brings_along(make, said):
    channel = make("01", intermediates=[MIDDLE.certificate, *(level.certificate for level in LEVELS)])
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(posted(said))
    assert type(caught.value) is ChannelRejected
    assert await channel.identify(posted(with_rsa(notice()))) is not None


async def test_a_certificate_whose_chain_was_believed_still_expires(make, clock):
    channel = make("01", window="2d")
    assert await channel.identify(posted(with_rsa(notice()))) is not None
    clock.advance(86401)
    with pytest.raises(ChannelRejected):
        await channel.identify(posted(with_rsa(notice(orderId="2"))))


async def test_a_revoked_certificate_is_refused(make):
    serial = str(x509.load_pem_x509_certificate(CERTIFICATE.encode()).serial_number)
    with pytest.raises(ChannelRejected):
        await make("01", revoked=[serial]).identify(posted(with_rsa(notice())))


async def test_the_test_system_is_believed_where_that_is_allowed(make):
    test = Authority("CFCA TEST OCA1")
    channel = make("01", roots=[test.certificate], intermediates=[], allow_test_ca=True)
    assert await channel.identify(posted(signed_by(test, "041@Z12@00040000:SIGN@00000062"))) is not None


# ── SM2 ───────────────────────────────────────────────────────────────────────────────────────────────────────────

SM2_FORGERIES = {
    "another amount": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto) | {"txnAmt": "1"},
    "the usual identity": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto, signer="1234567812345678"),
    "another key": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto, key=bytes(31) + b"\x05"),
    "an RSA certificate": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto, certificate=CERTIFICATE),
    "the authority's certificate": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto, certificate=SM2_AUTHORITY),
    "a changed certificate": lambda crypto: with_sm2(
        notice(at=SM2_SINCE), crypto, certificate=SM2_SIGNER.replace("EAmRSA", "EAmRSB").replace("ZJ", "ZK")
    ),
    "half a signature": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto) | {"signature": b64encode(b"1" * 32)},
    "zeros": lambda crypto: with_sm2(notice(at=SM2_SINCE), crypto) | {"signature": b64encode(bytes(64))},
}


@pytest.mark.parametrize("forge", SM2_FORGERIES.values(), ids=SM2_FORGERIES.keys())
async def test_an_sm2_forgery_is_rejected(make, context, clock, forge):
    clock.wall = SM2_SINCE
    with pytest.raises(ChannelRejected) as caught:
        await make("21").identify(posted(forge(context.crypto)))
    assert type(caught.value) is ChannelRejected


async def test_a_provider_that_is_out_of_order_lets_nothing_pass(context, clock):
    class Broken:
        name, quick = "broken", True

        def sm3(self, data):
            raise CryptoError("dead")

    broken = type(context)("part", context.fetch, context.once, context.clock, context.monotonic, context.log, Broken())
    with pytest.raises(CannotDecide):
        await UnionPay(settings("12"), broken).identify(posted(keyed(notice(), "12")))


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────

TEST_ROOT = Authority("CFCA TEST CA").certificate
MISTAKES = {
    "no keys": ("11", {"keys": []}),
    "an empty key": ("12", {"keys": [KEY, ""]}),
    "no roots": ("01", {"roots": []}),
    "no roots for SM2": ("21", {"roots": []}),
    "a root that is none": ("01", {"roots": ["hello"]}),
    "a root of a test system": ("01", {"roots": [TEST_ROOT]}),
    "an intermediate of a test system": ("01", {"intermediates": [TEST_ROOT]}),
    "a signer's certificate as root": ("01", {"roots": [CERTIFICATE]}),
    "no merchant": ("11", {"merchants": []}),
    "an unknown method": ("11", {"sign_method": "02"}),
}


@pytest.mark.parametrize(("method", "changed"), MISTAKES.values(), ids=MISTAKES.keys())
def test_settings_that_cannot_be_right_are_refused(method, changed):
    with pytest.raises(ValidationError):
        settings(method, **changed)


def test_a_key_is_in_no_repr():
    assert KEY not in repr(settings())


NAMES = st.sampled_from(["merId", "orderId", "txnAmt", "signature", "a", "B"])


@given(st.dictionaries(NAMES, st.text("abc =&\t").map(str.encode)), st.randoms())
def test_what_is_signed_does_not_depend_on_the_order(said, random):
    shuffled = dict(random.sample(list(said.items()), len(said)))
    assert text_to_sign(said) == text_to_sign(shuffled)
    assert b"signature=" not in text_to_sign({"signature": b"x"})

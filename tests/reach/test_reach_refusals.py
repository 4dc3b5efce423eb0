"""Bad signatures, replays, skewed clocks, swapped algorithms, what is too large or has no form: every one its code.

Through the real edge: the stable code, exactly one record with that code, nothing forwarded, and never a 500.
"""

import base64
import hashlib
import hmac
import json
import time

import pytest

from tests.plugin_world import Signer, b64
from tests.reach.reach_channels import (
    MAKERS,
    OTHER_KEY,
    WEAK,
    from_alipay,
    from_app,
    from_kiosk,
    from_unionpay,
    from_wechat,
)
from tests.reach.reach_world import PASSES, REJECTED, REVOKED, bearer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.needs("redis-server")]

SIGNATURE, REPLAYED, SKEWED = (401, "channel-signature"), (401, "replayed"), (401, "clock-skew")
UNKNOWN_ISSUER, MISSING = (401, "issuer-unknown"), (401, "token-missing")
MALFORMED, TOO_LARGE, HEADERS = (400, "request-malformed"), (413, "body-too-large"), (431, "headers-too-large")
CROSS_SITE = (403, "cross-site-request")
STRANGER = Signer("ES256", "key-1")
RSA = Signer("RS256", "key-1")


async def is_refused(reach, expected, path, method="GET", body=b"", **fields):
    """Send it; hold the answer, the record and what the system behind was asked against what is expected."""
    before = reach.deliveries.total()
    answer = await reach.ask(path, method, body, **fields)
    assert answer.told == expected
    record = (await reach.records_of({answer.id}))[answer.id]
    assert (record["http.response.status_code"], record["code"]) == expected
    assert record["decision"] == "refused"
    assert reach.deliveries.total() == before
    return answer


# ── bearer tokens ─────────────────────────────────────────────────────────────────────────────────────────────────


def rewritten(token, header=None, claims=None):
    """The token with another header or other claims, and the signature of before."""
    parts = token.split(".")
    for index, changes in ((0, header), (1, claims)):
        if changes is not None:
            held = json.loads(base64.urlsafe_b64decode(parts[index] + "=="))
            parts[index] = b64(json.dumps(held | changes).encode())
    return ".".join(parts)


def with_mac(province):
    """Signed with the public key as if it were a secret (the classic confusion of algorithms)."""
    token = province.token(header={"alg": "HS256"})
    signed, _, _ = token.rpartition(".")
    mac = hmac.digest(province.signer.public_pem().encode(), signed.encode(), "sha256")
    return f"{signed}.{b64(mac)}"


def with_payload(province, payload):
    return province.signer.sign({"typ": "at+jwt", "alg": "ES256", "kid": "key-1"}, payload)


def claims_of(province, **more):
    return base64.urlsafe_b64decode(province.token(**more).split(".")[1] + "==").decode()


NOW = time.time
BEARERS = {
    "a signature with another bit": lambda p: f"{p.token()[:-8]}{'A' * 8}",
    "another signer's, under the same key id": lambda p: p.token(signer=STRANGER),
    "claims changed after signing": lambda p: rewritten(p.token(), claims={"sub": "u-2"}),
    "unsigned": lambda p: rewritten(p.token(), header={"alg": "none"}).rpartition(".")[0] + ".",
    "none, with a signature": lambda p: rewritten(p.token(), header={"alg": "none"}),
    "a MAC with the public key": with_mac,
    "RSA with a key of a curve": lambda p: p.token(signer=RSA),
    "another algorithm's name": lambda p: p.token(header={"alg": "EdDSA"}),
    "an algorithm in other letters": lambda p: p.token(header={"alg": "es256"}),
    "a key of its own": lambda p: p.token(signer=STRANGER, header={"jwk": STRANGER.jwk()}),
    "an address of keys of its own": lambda p: p.token(signer=STRANGER, header={"jku": f"{p.address}/jwks"}),
    "a critical extension": lambda p: p.token(header={"crit": ["exp"]}),
    "no key id": lambda p: p.signer.sign({"typ": "at+jwt", "alg": "ES256"}, claims_of(p)),
    "a key id that is a path": lambda p: p.token(header={"kid": "../../etc/passwd"}),
    "a key id that is too long": lambda p: p.token(header={"kid": "k" * 300}),
    "a logout token": lambda p: p.logout_token(sub="u-1"),
    "expired": lambda p: p.token(exp=int(NOW()) - 1),
    "not yet": lambda p: p.token(nbf=int(NOW()) + 120),
    "issued in the future": lambda p: p.token(iat=int(NOW()) + 120),
    "without an end": lambda p: p.token(exp=None),
    "an end that is no number": lambda p: with_payload(p, claims_of(p, exp=1).replace('"exp": 1', '"exp": NaN')),
    "an end that is a text": lambda p: p.token(exp="9999999999"),
    "an end that is true": lambda p: p.token(exp=True),
    "an end beyond every calendar": lambda p: p.token(exp=10**30),
    "for another department": lambda p: p.token(aud="dept-tax"),
    "for numbers": lambda p: p.token(aud=[1]),
    "of nobody": lambda p: p.token(sub=None),
    "of a line feed": lambda p: p.token(sub="u\n1"),
    "of half a character": lambda p: with_payload(p, claims_of(p, sub="x").replace('"x"', '"\\ud800"')),
    "of a kind of person that there is not": lambda p: p.token(subject_type="robot"),
    "a claim twice": lambda p: with_payload(p, claims_of(p).replace('{"', '{"sub": "u-2", "', 1)),
    "too deep": lambda p: with_payload(p, claims_of(p)[:-1] + ', "x": ' + "[" * 100 + "]" * 100 + "}"),
    "with padding": lambda p: f"{p.token()}==",
    "four parts": lambda p: f"{p.token()}.AAAA",
    "unknown to the province": lambda p: "over",
    "a number of 4000 digits": lambda p: p.token(exp=10**4000),
}
"""Tokens of the province, in some way; every one is a plain 401 with one code."""
FIELDS = {
    "no token": ({}, MISSING),
    "an empty token": ({"authorization": "Bearer "}, REJECTED),
    "two tokens": ({"authorization": "Bearer a b"}, REJECTED),
    "another scheme": ({"authorization": "Basic YTpi"}, REJECTED),
    "beyond ASCII": ({"authorization": "Bearer \xff\xfe"}, REJECTED),
    "a session's mark": ({"authorization": "Bearer session:AAAA"}, REJECTED),
    "longer than a field may be": ({"authorization": f"Bearer {'a' * 8193}"}, HEADERS),
    "larger than all fields may be": ({"authorization": f"Bearer {'a' * 40_000}"}, HEADERS),
    "a folded line": ({"authorization": "Bearer a\r\n b"}, MALFORMED),
    "twice the field": ({"authorization": "Bearer a\r\nAuthorization: Bearer b"}, MALFORMED),
}
each_path = pytest.mark.parametrize("path", ["/all/1", "/split/1"])


@each_path
@pytest.mark.parametrize("make", BEARERS.values(), ids=BEARERS.keys())
async def test_a_token_that_does_not_hold_is_a_401_that_says_nothing(alone, path, make):
    """One generic body for all of them; the reason is in the record only."""
    answer = await is_refused(alone, REJECTED, path, **bearer(make(alone.province)))
    assert answer.data["title"] == "Your sign-in is not valid. Please sign in again."
    assert answer.all("www-authenticate") == ['Bearer error="invalid_token"']


@each_path
@pytest.mark.parametrize(("fields", "expected"), FIELDS.values(), ids=FIELDS.keys())
async def test_a_credential_without_its_form_is_refused(alone, path, fields, expected):
    await is_refused(alone, expected, path, **fields)


@each_path
async def test_other_issuers_and_withdrawn_tokens_have_codes_of_their_own(alone, path):
    province = alone.province
    await is_refused(alone, UNKNOWN_ISSUER, path, **bearer(province.token(iss="https://id.other.example")))
    assert (await alone.edge.manage("/revocations", "POST", json={"jti": "jti-withdrawn"}))[0] == 200
    await is_refused(alone, REVOKED, path, **bearer(province.token(jti="jti-withdrawn")))


@each_path
async def test_a_token_deeper_than_json_is_read_is_refused(alone, path):
    """How deep that is differs between versions of Python: whose token it is may be told, or not."""
    province = alone.province
    deep = with_payload(province, claims_of(province)[:-1] + ', "x": ' + "[" * 2000 + "]" * 2000 + "}")
    assert await alone.told(path, **bearer(deep)) in {UNKNOWN_ISSUER, REJECTED}
    assert await alone.told(path, **bearer(province.token())) == PASSES


# ── sessions and tokens of our own ────────────────────────────────────────────────────────────────────────────────

COOKIES = {
    "never given out": (f"__Host-sid={'A' * 43}", REJECTED),
    "too short": ("__Host-sid=abc", REJECTED),
    "too long": (f"__Host-sid={'A' * 257}", REJECTED),
    "empty": ("__Host-sid=", REJECTED),
    "not of its form": ("__Host-sid=AAAAAAAAAAAAAAAA%00AAAA", REJECTED),
    "beyond ASCII": (f"__Host-sid={'A' * 42}\xff", REJECTED),
    "in quotes": (f'__Host-sid="{"A" * 43}"', REJECTED),
    "twice": (f"__Host-sid={'A' * 43}; __Host-sid={'B' * 43}", MALFORMED),
    "under another name": (f"__host-sid={'A' * 43}", MISSING),
}
OWN = {
    "never given out": (f"{'A' * 43}@hrss", REJECTED),
    "too short": ("AAAA@hrss", REJECTED),
    "too long": (f"{'A' * 8100}@hrss", REJECTED),
    "longer than a token": (f"{'A' * 8200}@hrss", HEADERS),
    "another department's": (f"{'A' * 43}@tax", REJECTED),
    "twice the mark": (f"{'A' * 43}@hrss@hrss", REJECTED),
    "the mark alone": ("@hrss", REJECTED),
}


@pytest.mark.parametrize(("cookie", "expected"), COOKIES.values(), ids=COOKIES.keys())
async def test_a_session_cookie_that_opens_nothing_is_refused(alone, cookie, expected):
    await is_refused(alone, expected, "/all/1", cookie=cookie, accept="application/json")


@pytest.mark.parametrize(("token", "expected"), OWN.values(), ids=OWN.keys())
async def test_an_own_token_that_stands_for_nothing_is_refused_and_only_others_are_asked_about(alone, token, expected):
    asked = alone.province.asked["introspect"]
    await is_refused(alone, expected, "/all/1", **bearer(token))
    assert alone.province.asked["introspect"] - asked == token.endswith("@tax")


async def test_a_session_that_was_good_opens_nothing_when_it_is_changed_sent_by_another_site_or_over(alone):
    person = await alone.sign_in()
    token = await alone.own_token(person)
    other = "B" if person.cookie[-1] != "B" else "C"
    changed = person.session | {"cookie": f"__Host-sid={person.cookie[:-1]}{other}"}
    await is_refused(alone, REJECTED, "/all/1", **changed)
    for fields in (
        person.session,
        person.session | {"sec_fetch_site": "cross-site", "x_csrf_token": person.csrf},
        person.session | {"sec_fetch_site": "same-origin"},
        person.page | {"x_csrf_token": "A" * 64},
    ):
        await is_refused(alone, CROSS_SITE, "/all/1", "POST", b"{}", **fields)
    assert (await alone.ask("/all/1", "POST", b"{}", **person.page)).told == PASSES
    assert (await alone.ask("/sso/logout", "POST", **person.page)).told == PASSES
    await is_refused(alone, REVOKED, "/all/1", **person.session)
    await is_refused(alone, REJECTED, "/all/1", **bearer(token))


# ── messages of channels ──────────────────────────────────────────────────────────────────────────────────────────

FULL_WIDTH = str(int(NOW())).translate({ord(digit): chr(ord(digit) + 0xFEE0) for digit in "0123456789"})
LARGE = b"x" * ((1 << 20) + 1)
MESSAGES = {
    "app: another secret": (lambda: from_app(secret="no secret"), SIGNATURE),
    "app: another body": (lambda: from_app(sent=b"{ }"), SIGNATURE),
    "app: a key that nobody has": (lambda: from_app(key_id="other"), SIGNATURE),
    "app: another method": (lambda: from_app(method="GET"), SIGNATURE),
    "app: another algorithm": (lambda: from_app(x_signature=hashlib.sha1(b"x").hexdigest()), SIGNATURE),
    "app: a signature beyond ASCII": (lambda: from_app(x_signature="\xff" * 64), SIGNATURE),
    "app: a time with a sign": (lambda: from_app(x_timestamp=f"+{int(NOW())}"), SIGNATURE),
    "app: a time with blanks": (lambda: from_app(x_timestamp="1_7"), SIGNATURE),
    "app: no nonce": (lambda: from_app(x_nonce=""), SIGNATURE),
    "app: too old": (lambda: from_app(at=-302), SKEWED),
    "app: ahead": (lambda: from_app(at=302), SKEWED),
    "app: too large": (lambda: from_app(sent=LARGE), TOO_LARGE),
    "app: good, with a token that is none": (lambda: from_app(authorization="Bearer a b"), REJECTED),
    "kiosk: another secret": (lambda: from_kiosk(secret="no secret"), SIGNATURE),
    "kiosk: another body": (lambda: from_kiosk(sent=b"{ }"), SIGNATURE),
    "kiosk: a caller that nobody knows": (lambda: from_kiosk(x_key_id="other"), SIGNATURE),
    "kiosk: no signature": (lambda: from_kiosk(x_signature=""), SIGNATURE),
    "kiosk: too old": (lambda: from_kiosk(at=-302), SKEWED),
    "kiosk: ahead": (lambda: from_kiosk(at=302), SKEWED),
    "kiosk: too large": (lambda: from_kiosk(sent=LARGE), TOO_LARGE),
    "wechat: another token": (lambda: from_wechat(token="other"), SIGNATURE),
    "wechat: another application": (lambda: from_wechat(app_id="wx2"), SIGNATURE),
    "wechat: the other signature": (lambda: from_wechat(signature="0" * 40, msg_signature=""), SIGNATURE),
    "wechat: another nonce": (lambda: from_wechat(nonce="n-2"), SIGNATURE),
    "wechat: a time in wide digits": (lambda: from_wechat(timestamp=FULL_WIDTH), SIGNATURE),
    "wechat: too old": (lambda: from_wechat(at=-302), SKEWED),
    "wechat: ahead": (lambda: from_wechat(at=302), SKEWED),
    "wechat: no envelope": (lambda: from_wechat()._replace(body=b"<xml></xml>"), SIGNATURE),
    "wechat: no XML": (lambda: from_wechat()._replace(body=b"\xff{"), SIGNATURE),
    "wechat: an entity": (
        lambda: from_wechat()._replace(body=b'<!DOCTYPE x [<!ENTITY a "b">]><xml><Encrypt>&a;</Encrypt></xml>'),
        SIGNATURE,
    ),
    "wechat: too large": (lambda: from_wechat()._replace(body=LARGE), TOO_LARGE),
    "alipay: another key": (lambda: from_alipay(key=OTHER_KEY), SIGNATURE),
    "alipay: RSA instead of RSA2": (lambda: from_alipay(digest=WEAK, sent={"sign_type": "RSA"}), SIGNATURE),
    "alipay: RSA under the name of RSA2": (lambda: from_alipay(digest=WEAK), SIGNATURE),
    "alipay: another amount": (lambda: from_alipay(total_amount="1", sent={"total_amount": "9"}), SIGNATURE),
    "alipay: another application": (lambda: from_alipay(app_id="ali2"), SIGNATURE),
    "alipay: no time": (lambda: from_alipay(notify_time="soon"), SIGNATURE),
    "alipay: no signature": (lambda: from_alipay(sent={"sign": ""}), SIGNATURE),
    "alipay: a parameter twice": (lambda: _twice(from_alipay(), b"&app_id=ali1"), SIGNATURE),
    "alipay: too old": (lambda: from_alipay(at=-302), SKEWED),
    "alipay: ahead": (lambda: from_alipay(at=302), SKEWED),
    "alipay: no form": (lambda: from_alipay()._replace(body=b"\xff%zz"), SIGNATURE),
    "alipay: too large": (lambda: from_alipay()._replace(body=LARGE), TOO_LARGE),
    "unionpay: another key": (lambda: from_unionpay(key="other"), SIGNATURE),
    "unionpay: another method": (lambda: from_unionpay(sent={"signMethod": "01"}), SIGNATURE),
    "unionpay: another version": (lambda: from_unionpay(version="5.0.0"), SIGNATURE),
    "unionpay: another amount": (lambda: from_unionpay(txnAmt="1", sent={"txnAmt": "9"}), SIGNATURE),
    "unionpay: another merchant": (lambda: from_unionpay(merId="m2"), SIGNATURE),
    "unionpay: a certificate of its own": (lambda: from_unionpay(sent={"signPubKeyCert": "x"}), SIGNATURE),
    "unionpay: no time": (lambda: from_unionpay(txnTime="20261341999999"), SIGNATURE),
    "unionpay: a parameter twice": (lambda: _twice(from_unionpay(), b"&merId=m1"), SIGNATURE),
    "unionpay: too old": (lambda: from_unionpay(at=-302), SKEWED),
    "unionpay: ahead": (lambda: from_unionpay(at=302), SKEWED),
    "unionpay: too large": (lambda: from_unionpay()._replace(body=LARGE), TOO_LARGE),
}


def _twice(message, more):
    return message._replace(body=message.body + more)


@pytest.mark.parametrize(("make", "expected"), MESSAGES.values(), ids=MESSAGES.keys())
async def test_a_message_that_does_not_hold_is_refused(alone, make, expected):
    message = make()
    await is_refused(alone, expected, message.path, "POST", message.body, **message.fields)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
async def test_a_good_message_passes_once_and_its_repetition_is_refused(alone, make):
    """Also with a signature that is written otherwise, and after it was refused once more."""
    message = make()
    before = alone.deliveries.total()
    assert (await alone.ask(message.path, "POST", message.body, **message.fields)).told == PASSES
    assert alone.deliveries.total() == before + 1
    for _ in range(2):
        await is_refused(alone, REPLAYED, message.path, "POST", message.body, **message.fields)

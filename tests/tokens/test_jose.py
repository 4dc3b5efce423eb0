"""Strict reading: for each rule of RFC 8725 and docs/security.md a token or key set that breaks just that rule."""

import contextlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens.jose import (
    JoseError,
    decode_base64url,
    looks_like_jwt,
    read_json,
    read_jws,
    read_key_set,
    unverified_issuer,
)
from tests.plugin_world import ISSUER, Signer, b64

USUAL = frozenset({"RS256", "ES256", "EdDSA"})
HEADER = b64(b'{"alg":"ES256","kid":"k"}')
PAYLOAD = b64(b'{"iss":"https://id.province.example"}')


def with_header(header: bytes) -> str:
    return f"{b64(header)}.{PAYLOAD}.AA"


def with_payload(payload: bytes) -> str:
    return f"{HEADER}.{b64(payload)}.AA"


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("ES256", "es256-1")


def key_set(*jwks: object) -> bytes:
    return json.dumps({"keys": list(jwks)}).encode()


def test_a_good_token_is_taken_apart(signer):
    jws = read_jws(signer.token(sub="u-1"))
    assert (jws.algorithm, jws.kid, jws.type, jws.claims["sub"]) == ("ES256", "es256-1", "at+jwt", "u-1")


def test_a_token_is_not_in_its_repr(signer):
    jws = read_jws(signer.token(sub="somebody"))
    assert "somebody" not in repr(jws)


def test_a_media_type_is_read_without_its_prefix(signer):
    assert read_jws(signer.token({"typ": "Application/AT+JWT"})).type == "at+jwt"


BROKEN_TOKENS = {
    "empty": "",
    "one part": HEADER,
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{HEADER}.{PAYLOAD}.AA.AA",
    "five parts, encrypted": f"{HEADER}.AA.AA.AA.AA",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "no payload": f"{HEADER}..AA",
    "padding": f"{HEADER}.{PAYLOAD}.AA==",
    "the other base64 alphabet": f"{HEADER}.{PAYLOAD}.+/AA",
    "junk that a decoder skips": f"{HEADER}.{PAYLOAD}.A!A",
    "white space": f" {HEADER}.{PAYLOAD}.AA",
    "a line feed at the end": f"{HEADER}.{PAYLOAD}.AA\n",
    "a length that encodes nothing": f"{HEADER}.{PAYLOAD}.AAAAA",
    "bits that encode nothing": f"{HEADER}.{PAYLOAD}.AB",
    "a full-width letter": f"{HEADER}.{PAYLOAD}.Ａ",
    "too long": f"{HEADER}.{PAYLOAD}.{'A' * 8192}",
    "header is no JSON": with_header(b"{"),
    "header is a list": with_header(b"[]"),
    "payload is a list": with_payload(b"[]"),
    "payload is no UTF-8": with_payload(bytes([0xFF])),
    "payload is UTF-16": with_payload("{}".encode("utf-16")),
    "payload has a member twice": with_payload(b'{"iss":"a","iss":"b"}'),
    "a member twice, deeper": with_payload(b'{"act":{"sub":"a","sub":"b"}}'),
    "header has a member twice": with_header(b'{"alg":"ES256","alg":"none","kid":"k"}'),
    "NaN": with_payload(b'{"exp":NaN}'),
    "Infinity": with_payload(b'{"exp":Infinity}'),
    "minus Infinity": with_payload(b'{"exp":-Infinity}'),
    "a number of 5,000 digits": with_payload(b'{"exp":' + b"9" * 5000 + b"}"),
    "too deep": with_payload(b'{"a":' * 17 + b"1" + b"}" * 17),
    "deeper than the parser can go": with_payload(b"[" * 2900 + b"]" * 2900),
    "crit": with_header(b'{"alg":"ES256","kid":"k","crit":["x"],"x":1}'),
    "an empty crit": with_header(b'{"alg":"ES256","kid":"k","crit":[]}'),
    "crit is null": with_header(b'{"alg":"ES256","kid":"k","crit":null}'),
    "no alg": with_header(b'{"kid":"k"}'),
    "alg is a list": with_header(b'{"alg":["ES256"],"kid":"k"}'),
    "no kid": with_header(b'{"alg":"ES256"}'),
    "kid is a number": with_header(b'{"alg":"ES256","kid":1}'),
    "kid is empty": with_header(b'{"alg":"ES256","kid":""}'),
    "kid is too long": with_header(b'{"alg":"ES256","kid":"' + b"k" * 257 + b'"}'),
    "typ is a number": with_header(b'{"alg":"ES256","kid":"k","typ":1}'),
}


@pytest.mark.parametrize("token", BROKEN_TOKENS.values(), ids=BROKEN_TOKENS.keys())
def test_a_token_that_breaks_a_rule_is_refused(token):
    with pytest.raises(JoseError):
        read_jws(token)


def test_the_token_that_the_broken_ones_are_made_of_is_taken():
    assert read_jws(f"{HEADER}.{PAYLOAD}.AA").claims == {"iss": ISSUER}


def test_as_many_levels_as_allowed_are_read():
    assert read_json(b"[" * 16 + b"]" * 16) is not None
    with pytest.raises(JoseError):
        read_json(b"[" * 17 + b"]" * 17)


@given(st.text() | st.text("AQeyJhbGci0._-=", max_size=60))
def test_no_text_at_all_breaks_the_reader(text):
    """Any text is a token or a JoseError, and the loose reading of its issuer never raises."""
    unverified_issuer(text)
    looks_like_jwt(text)
    with contextlib.suppress(JoseError):
        read_jws(text)


@given(st.binary(), st.binary())
def test_no_header_and_payload_at_all_break_the_reader(header, payload):
    token = f"{b64(header)}.{b64(payload)}.AA"
    unverified_issuer(token)
    with contextlib.suppress(JoseError):
        read_jws(token)


@given(st.binary())
def test_what_is_encoded_is_decoded(data):
    assert decode_base64url(b64(data)) == data


@given(st.text("AQgw_-", max_size=12))
def test_no_two_texts_decode_to_the_same_bytes(text):
    """Otherwise one token could be written in two ways, and a memory of tokens be walked around."""
    try:
        data = decode_base64url(text)
    except JoseError:
        return
    assert b64(data) == text


@pytest.mark.parametrize(
    ("token", "issuer"),
    [
        (f"{HEADER}.{PAYLOAD}.AA", ISSUER),
        (f"{HEADER}.{PAYLOAD}.", ISSUER),
        (f"{HEADER}.{PAYLOAD}==.AA", ISSUER),
        (with_payload(b"{}"), None),
        (with_payload(b'{"iss":1}'), None),
        (with_payload(b"[1]"), None),
        (f"{HEADER}.{PAYLOAD}", None),
        (f"session:{HEADER}.{PAYLOAD}.AA", None),
        ("opaque@node1", None),
        ("a.b.c", None),
        ("", None),
    ],
)
def test_the_issuer_is_read_loosely_to_find_who_judges(token, issuer):
    assert unverified_issuer(token) == issuer


@pytest.mark.parametrize(
    ("token", "is_jwt"),
    [(f"{HEADER}.x.y", True), (f"{b64(b' {')}.x.y", True), ("a.b.c", False), ("eyJ", False), ("x" * 40, False)],
)
def test_a_jwt_is_told_from_an_opaque_token(token, is_jwt):
    assert looks_like_jwt(token) is is_jwt


@pytest.mark.parametrize("algorithm", sorted(USUAL))
def test_each_usual_key_verifies_its_own_token_and_no_other(algorithm):
    signer, other = Signer(algorithm, "k"), Signer(algorithm, "k")
    key = read_key_set(key_set(signer.jwk()), USUAL)["k"]
    assert key.verifies(read_jws(signer.token()))
    assert not key.verifies(read_jws(other.token()))


def test_a_changed_payload_does_not_verify(signer):
    key = read_key_set(key_set(signer.jwk()), USUAL)["es256-1"]
    head, _, signature = signer.token().split(".")
    assert not key.verifies(read_jws(".".join((head, b64(b'{"sub":"other"}'), signature))))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "RS256", "ES384", "EdDSA", "", "es256"])
def test_a_key_does_not_verify_for_an_algorithm_that_is_not_its_own(signer, algorithm):
    key = read_key_set(key_set(signer.jwk(alg=None)), USUAL)["es256-1"]
    assert not key.verifies(read_jws(signer.token({"alg": algorithm})))


def test_a_public_key_used_as_an_hmac_secret_does_not_verify():
    """CVE-2022-29217 and its kin: the published key's own text as an HS256 secret."""
    signer = Signer("RS256", "k")
    key = read_key_set(key_set(signer.jwk()), USUAL)["k"]
    signed = ".".join((b64(b'{"alg":"HS256","kid":"k"}'), PAYLOAD))
    forged = f"{signed}.{b64(hmac.digest(json.dumps(signer.jwk()).encode(), signed.encode(), 'sha256'))}"
    assert not key.verifies(read_jws(forged))


def test_keys_in_the_header_of_a_token_are_not_looked_at(signer):
    stranger = Signer("ES256", "es256-1")
    key = read_key_set(key_set(signer.jwk()), USUAL)["es256-1"]
    own_key = {
        "jwk": stranger.jwk(),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/x",
        "x5c": ["AA"],
    }
    assert not key.verifies(read_jws(stranger.token(own_key)))


def small_rsa() -> Signer:
    return Signer("RS256", "small", rsa.generate_private_key(public_exponent=65537, key_size=1024))


def test_keys_that_are_not_for_us_are_left_out(signer):
    unusable = [
        small_rsa().jwk(),
        {"kty": "oct", "k": b64(b"0" * 32), "kid": "symmetric", "alg": "HS256"},
        signer.jwk(kid="encryption", use="enc"),
        signer.jwk(kid="derives", key_ops=["deriveKey"]),
        signer.jwk(kid="operations-are-text", key_ops="verify"),
        signer.jwk(kid="other-alg", alg="ES384"),
        signer.jwk(kid="alg-is-a-list", alg=["ES256"]),
        signer.jwk(kid="hmac-alg", alg="HS256"),
        signer.jwk(kid="other-curve", crv="P-384"),
        signer.jwk(kid="curve-is-a-list", crv=["P-256"]),
        signer.jwk(kid="off-the-curve", x=b64(b"\x01" * 32)),
        signer.jwk(kid="no-y", y=None),
        signer.jwk(kid="padded", x=signer.jwk()["x"] + "="),
        signer.jwk(kid="kty-is-a-list", kty=["EC"]),
        signer.jwk(kid=7),
        signer.jwk(kid=None),
        {"kty": "RSA", "n": "AQ", "e": "AQAB", "kid": "tiny"},
        {"kty": "RSA", "n": "", "e": "AQAB", "kid": "empty"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AQ", "kid": "short"},
        {"kty": "OKP", "crv": "X25519", "x": b64(b"1" * 32), "kid": "exchange"},
        Signer("EdDSA", "ed448", ed448.Ed448PrivateKey.generate()).jwk(),
        "no object",
        None,
    ]
    assert set(read_key_set(key_set(*unusable, signer.jwk()), USUAL)) == {"es256-1"}


def test_an_algorithm_that_is_not_allowed_makes_a_key_useless(signer):
    with pytest.raises(JoseError, match="without a usable key"):
        read_key_set(key_set(signer.jwk()), {"RS256"})


def test_a_private_key_in_a_set_is_read_as_its_public_half(signer):
    private = jwt.get_algorithm_by_name("ES256").to_jwk(signer.private, as_dict=True)
    key = read_key_set(key_set({**private, "kid": "k", "key_ops": ["verify"]}), USUAL)["k"]
    assert isinstance(key.public, ec.EllipticCurvePublicKey)
    assert "d" not in key.members


def test_a_kid_that_occurs_twice_names_neither_key(signer):
    twin, other = Signer("ES256", "es256-1"), Signer("ES256", "other")
    assert set(read_key_set(key_set(signer.jwk(), twin.jwk(), other.jwk()), USUAL)) == {"other"}


def test_as_many_keys_as_allowed_are_read(signer):
    fifty = [signer.jwk(kid=f"k-{number}") for number in range(50)]
    assert len(read_key_set(key_set(*fifty), USUAL)) == 50
    with pytest.raises(JoseError):
        read_key_set(key_set(*fifty, signer.jwk(kid="one-more")), USUAL)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[],"keys":[]}',
        b"<html>",
        b"\xff",
        b" " * 65537,
    ],
)
def test_what_is_no_key_set_is_refused(document):
    with pytest.raises(JoseError):
        read_key_set(document, USUAL)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["EC", "RSA", "OKP", "P-256", "Ed25519", "AQAB"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ["kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "d", "k"]


@given(st.lists(st.dictionaries(st.sampled_from(MEMBERS), JSON) | JSON, max_size=5))
def test_no_key_set_at_all_breaks_the_reader(jwks):
    with contextlib.suppress(JoseError):
        read_key_set(key_set(*jwks), USUAL)

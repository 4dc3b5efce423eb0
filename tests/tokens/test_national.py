"""Tokens signed with SM2 and with a MAC of SM3: the example of the field, each issuer's way, and attacks."""

import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.crypto import CryptoError, vectors
from gateway.crypto.choice import choose
from gateway.crypto.encoding import signature_to_der
from gateway.crypto.libcrypto import Libcrypto
from gateway.tokens.jose import JoseError, read_jws, read_key_set, shared_key
from gateway.tokens.national import Sm2Settings
from tests.plugin_world import b64

CRYPTO = choose()
USUAL = Sm2Settings().practice(CRYPTO)
ALLOWED = frozenset({"SGD_SM3_SM2", "ES256"})

VECTOR = (
    "eyJhbGciOiJTR0RfU00zX1NNMiIsImtpZCI6ImdtLTEiLCJ0eXAiOiJKV1QifQ."
    "eyJpc3MiOiJodHRwczovL3R5cnouZXhhbXBsZS5nb3YuY24iLCJzdWIiOiJ1LTEiLCJhdWQiOiJkZXB0LWhyc3MiLCJleHAiOjE4OTM0NTYwMDAs"
    "ImlhdCI6MTcwMDAwMDAwMCwianRpIjoidC0xIn0."
    "11tVprJcrNZ5QRij4XxG2f9q-vTMxjCt47598vGd0yW-p98GfJFEGS_0k_IX0_lCT0ttmjmdPsjT4eMK1C8WHA"
)
JWK = {
    "kty": "EC",
    "crv": "SM2-P-256",
    "kid": "gm-1",
    "x": "CfnfMR5UIaFQ3X0WHkvFxnIXn60YM_wHa7CP81bzUCA",
    "y": "zOpJDOJndaUtxupxjMGqYArtBfvzXghKZjL2By2prRM",
}
PAYLOAD, OTHER_PAYLOAD = b'{"iss":"x"}', b'{"iss":"y"}'


def document(*jwks):
    return json.dumps({"keys": jwks}).encode()


def key_of(practice=USUAL, **replaced):
    return read_key_set(document(JWK | replaced), ALLOWED, practice)["gm-1"]


def token(sign, alg="SGD_SM3_SM2", **header):
    """A token whose signature is what `sign` makes of its first two parts."""
    said = b64(json.dumps({"alg": alg, "kid": "gm-1"} | header).encode())
    signed = f"{said}.{b64(PAYLOAD)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def by_sm2(signed, user_id=b"1234567812345678"):
    return CRYPTO.sm2_sign(vectors.SM2_PRIVATE, signed, user_id)


@pytest.mark.parametrize("provider", ["libcrypto", "tongsuo", "gmalg"])
def test_the_example_of_the_field_holds_with_every_back_end(provider):
    key = key_of(Sm2Settings().practice(choose(provider)))
    assert key.algorithms == {"SGD_SM3_SM2"}
    assert key.verifies(read_jws(VECTOR))


@pytest.mark.parametrize("alg", [None, "SGD_SM3_SM2"])
def test_a_key_may_name_its_algorithm(alg):
    jwk = {**JWK, **({} if alg is None else {"alg": alg}), "use": "sig"}
    assert read_key_set(document(jwk), ALLOWED, USUAL)["gm-1"].verifies(read_jws(VECTOR))


WAYS = {
    "raw": ({}, by_sm2),
    "der": ({"encoding": "der"}, lambda signed: signature_to_der(by_sm2(signed))),
    "another identity": ({"user_id": "省平台"}, lambda signed: by_sm2(signed, "省平台".encode())),
    "the payload's digest": (
        {"prehash": True},
        lambda signed: by_sm2(CRYPTO.sm3(PAYLOAD)),
    ),
    "the payload's digest, in DER": (
        {"prehash": True, "encoding": "der"},
        lambda signed: signature_to_der(by_sm2(CRYPTO.sm3(PAYLOAD))),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_issuers_way_is_read_as_it_is_configured_and_no_other(way):
    """What is right under one setting is wrong under all others: nothing is guessed."""
    signed = read_jws(token(WAYS[way][1]))
    held = {name for name, (said, _) in WAYS.items() if key_of(Sm2Settings(**said).practice(CRYPTO)).verifies(signed)}
    assert held == {way}


def test_a_changed_payload_does_not_hold_where_its_digest_is_signed():
    head, _, signature = token(WAYS["the payload's digest"][1]).split(".")
    changed = read_jws(f"{head}.{b64(OTHER_PAYLOAD)}.{signature}")
    assert not key_of(Sm2Settings(prehash=True).practice(CRYPTO)).verifies(changed)


UNUSABLE = {
    "without a way to read it": (JWK, None),
    "not among the allowed algorithms": (JWK | {"alg": "ES256"}, USUAL),
    "its own algorithm is the MAC": (JWK | {"alg": "SGD_SM3_HMAC"}, USUAL),
    "another kty": (JWK | {"kty": "OKP"}, USUAL),
    "another curve's name": (JWK | {"crv": "sm2p256v1"}, USUAL),
    "beside the curve": (JWK | {"y": JWK["x"]}, USUAL),
    "a short coordinate": (JWK | {"x": b64(b"\1" * 31)}, USUAL),
    "a long coordinate": (JWK | {"x": b64(b"\0" + b"\1" * 32)}, USUAL),
    "an empty coordinate": (JWK | {"y": ""}, USUAL),
    "no coordinate": ({name: value for name, value in JWK.items() if name != "y"}, USUAL),
    "for encryption": (JWK | {"use": "enc"}, USUAL),
    "a secret": ({"kty": "oct", "kid": "gm-1", "k": b64(b"k" * 32), "alg": "SGD_SM3_HMAC"}, USUAL),
}


@pytest.mark.parametrize(("jwk", "practice"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_key_that_is_not_for_sm2_signatures_is_left_out(jwk, practice):
    with pytest.raises(JoseError, match="without a usable key"):
        read_key_set(document(jwk), ALLOWED | {"SGD_SM3_HMAC"}, practice)


def test_an_issuer_that_may_not_use_sm2_has_no_keys_of_its_curve():
    with pytest.raises(JoseError):
        read_key_set(document(JWK), {"ES256"}, USUAL)


P256 = ec.generate_private_key(ec.SECP256R1())
P256_JWK = {**ECAlgorithm.to_jwk(P256.public_key(), as_dict=True), "kid": "ec-1"}


def es256(signed):
    return ECAlgorithm(ECAlgorithm.SHA256).sign(signed, P256)


def test_the_key_says_the_algorithm_and_never_the_token():
    """RFC 8725 §3.1: the header's alg is held against the key; it does not choose."""
    keys = read_key_set(document(JWK, P256_JWK), ALLOWED, USUAL)
    assert keys["ec-1"].verifies(read_jws(token(es256, "ES256", kid="ec-1")))
    for kid, alg, sign in (
        ("gm-1", "ES256", es256),
        ("gm-1", "SGD_SM3_HMAC", lambda signed: CRYPTO.hmac_sm3(vectors.SM2_PUBLIC, signed)),
        ("gm-1", "HS256", lambda signed: hmac.digest(vectors.SM2_PUBLIC, signed, "sha256")),
        ("gm-1", "none", lambda _: b"\0"),
        ("gm-1", "sgd_sm3_sm2", by_sm2),
        ("ec-1", "SGD_SM3_SM2", by_sm2),
        ("ec-1", "ES256", by_sm2),
        ("gm-1", "SGD_SM3_SM2", es256),
    ):
        assert not keys[kid].verifies(read_jws(token(sign, alg, kid=kid))), (kid, alg)


def test_crit_and_keys_in_the_header_are_refused_and_not_looked_at():
    with pytest.raises(JoseError, match="crit"):
        read_jws(token(by_sm2, crit=["b64"], b64=False))
    other = {**JWK, "x": JWK["y"]}
    assert key_of().verifies(read_jws(token(by_sm2, jwk=other, jku="https://evil.example/keys")))


def test_a_shared_key_holds_for_its_mac_and_for_nothing_else():
    key = shared_key("gm-1", b"s" * 32, CRYPTO)

    def mac(signed):
        return CRYPTO.hmac_sm3(b"s" * 32, signed)

    assert key.verifies(read_jws(token(mac, "SGD_SM3_HMAC")))
    assert not key.verifies(read_jws(token(mac, "SGD_SM3_SM2")))
    assert not key.verifies(read_jws(token(by_sm2, "SGD_SM3_HMAC")))
    assert not key.verifies(read_jws(token(lambda signed: mac(signed)[:-1], "SGD_SM3_HMAC")))
    assert "ssss" not in repr(key)


class Dead(Libcrypto):
    """A cipher machine that has lost its device."""

    quick = False

    def sm2_verify(self, *_):
        raise CryptoError("no answer from the device")


async def test_a_provider_that_cannot_tell_is_no_verdict_on_the_token():
    with pytest.raises(CryptoError, match="no answer"):
        await key_of(Sm2Settings().practice(Dead())).holds(read_jws(VECTOR))


async def test_what_takes_its_time_is_checked_in_a_thread_and_says_the_same():
    key = key_of(Sm2Settings().practice(choose("gmalg")))
    assert await key.holds(read_jws(VECTOR))
    assert not await key.holds(read_jws(token(lambda _: bytes(64))))

"""The signed identity, checked the way a business system checks it: with PyJWT and the published keys."""

import hashlib
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.inward import IdentitySigner
from gateway.model import Kind, Principal
from tests.ferry.ferry_world import ITEM, PRINCIPAL, request

NOW = 1_795_000_000.4


def pem(key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


KEYS = {"EdDSA": pem(ed25519.Ed25519PrivateKey.generate()), "ES256": pem(ec.generate_private_key(ec.SECP256R1()))}


@pytest.fixture(params=["EdDSA", "ES256"])
def signer(request) -> IdentitySigner:
    return IdentitySigner(KEYS[request.param], "2026-11", "dept-hrss", time.time)


def check(signer: IdentitySigner, token: str | bytes, audience: str = "medical") -> dict:
    [key] = jwt.PyJWKSet.from_dict(signer.public_jwks()).keys
    assert key.key_id == jwt.get_unverified_header(token)["kid"]
    return jwt.decode(token, key.key, algorithms=[key.algorithm_name], audience=audience, issuer="dept-hrss")


def test_a_business_system_can_check_who_asks_for_what(signer):
    visit = request(query="year=2026").visit
    digest = hashlib.sha256(b"").hexdigest()
    token = signer.request_identity(visit, PRINCIPAL, "medical", digest, time.time() + 5)
    claims = check(signer, token)
    assert jwt.get_unverified_header(token)["typ"] == "tongguan-identity+jwt"
    assert claims["exp"] - time.time() < 6.1
    assert {name: claims[name] for name in claims if name not in ("iat", "exp")} == {
        "iss": "dept-hrss",
        "aud": "medical",
        "jti": visit.inbound.id,
        "route": "settlement",
        "item": ITEM.code,
        "method": "GET",
        "path": "/medical/settlements/S-1",
        "query": "year=2026",
        "body_sha256": digest,
        "sub": "citizen-1",
        "sub_type": "natural",
        "sub_iss": "https://id.province.example",
        "assurance": 3,
        "channel": "web",
    }


def test_the_operator_of_a_unit_is_the_actor(signer):
    unit = Principal("https://id.province.example", "91350100M000100Y43", Kind.LEGAL, 2, 2e9, operator="operator-7")
    claims = check(signer, signer.request_identity(request().visit, unit, "medical", "", time.time() + 5))
    assert (claims["sub_type"], claims["act"]) == ("legal", {"sub": "operator-7"})


def test_an_identity_for_one_system_does_not_hold_at_another(signer):
    token = signer.request_identity(request().visit, PRINCIPAL, "medical", "", time.time() + 5)
    with pytest.raises(jwt.InvalidAudienceError):
        check(signer, token, "pension")


def test_an_identity_ends_with_the_deadline(signer):
    token = signer.request_identity(request().visit, PRINCIPAL, "medical", "", time.time() - 2)
    with pytest.raises(jwt.ExpiredSignatureError):
        check(signer, token)


def test_a_changed_identity_does_not_hold(signer):
    token = signer.request_identity(request().visit, PRINCIPAL, "medical", "", time.time() + 5)
    head, _, signature = token.split(".")
    other = signer.request_identity(request(query="x=1").visit, PRINCIPAL, "medical", "", time.time() + 5)
    with pytest.raises(jwt.InvalidSignatureError):
        check(signer, f"{head}.{other.split('.')[1]}.{signature}")


def test_an_assertion_says_who_asks_one_system(signer):
    token = signer.assertion(PRINCIPAL, "assistant")
    claims = check(signer, token, "assistant")
    assert jwt.get_unverified_header(token)["typ"] == "tongguan-assertion+jwt"
    assert claims["exp"] - claims["iat"] == 60
    assert (claims["sub"], claims["sub_type"], claims["assurance"]) == ("citizen-1", "natural", 3)
    assert not {"route", "path", "body_sha256", "act"} & set(claims)


def test_an_assertion_is_remembered_for_half_its_life_and_per_person_and_system():
    now = [NOW]
    signer = IdentitySigner(KEYS["ES256"], "k", "dept-hrss", lambda: now[0], lifetime=60.0)
    first = signer.assertion(PRINCIPAL, "assistant")
    now[0] += 29.9
    assert signer.assertion(PRINCIPAL, "assistant") is first
    assert signer.assertion(PRINCIPAL, "other") != first
    assert signer.assertion(Principal("i", "somebody-else", Kind.NATURAL, 3, 2e9), "assistant") != first
    now[0] += 0.1
    assert signer.assertion(PRINCIPAL, "assistant") != first


def test_a_clock_that_jumps_back_makes_a_new_assertion():
    now = [NOW]
    signer = IdentitySigner(KEYS["ES256"], "k", "dept-hrss", lambda: now[0])
    first = signer.assertion(PRINCIPAL, "assistant")
    now[0] -= 3600
    assert signer.assertion(PRINCIPAL, "assistant") != first


def test_remembered_assertions_are_bounded_and_the_least_used_go_first():
    signer = IdentitySigner(KEYS["EdDSA"], "k", "dept-hrss", lambda: NOW)
    kept = signer.assertion(PRINCIPAL, "kept")
    for number in range(4096):
        signer.assertion(PRINCIPAL, f"system-{number}")
        if number == 2000:
            assert signer.assertion(PRINCIPAL, "kept") is kept
    assert signer.assertion(PRINCIPAL, "kept") is kept
    assert len(signer._assertions) == 4096


@pytest.mark.parametrize(
    "key",
    [
        "",
        "not a key",
        pem(rsa.generate_private_key(65537, 2048)),
        pem(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "text", "RSA", "P-384"],
)
def test_another_kind_of_key_is_refused(key):
    with pytest.raises(ValueError, match="private key of Ed25519 or P-256"):
        IdentitySigner(key, "k", "dept-hrss", time.time)


def test_the_published_keys_hold_no_private_part(signer):
    assert not {"d", "p", "q", "k"} & set(signer.public_jwks()["keys"][0])

"""The province's tokens with SM2 and with a MAC of SM3, from the configuration to the person."""

import json

import pytest
from pydantic import ValidationError

from gateway import Credential, CredentialRejected, CryptoError, PartContext, VerifierUnavailable
from gateway.chain import VerdictMemory, VerifierChain
from gateway.crypto import vectors
from gateway.crypto.choice import choose
from gateway.crypto.encoding import signature_to_der
from gateway.exchange import Exchange
from gateway.identity.revocations import Revocations
from plugins.verifiers.province_jwt import ProvinceJwt, ProvinceJwtConfig
from tests.plugin_world import AUDIENCE, ISSUER, NOW, Signer, answer, b64

CRYPTO = choose()
CONFIG = {"issuer": ISSUER, "jwks": f"{ISSUER}/jwks", "audience": AUDIENCE, "algorithms": ["SGD_SM3_SM2"]}
SECRET = "a secret of thirty-two bytes, at least"


def make(context: PartContext, **config) -> ProvinceJwt:
    said = {name: value for name, value in (CONFIG | config).items() if value is not None}
    return ProvinceJwt(ProvinceJwtConfig.model_validate_json(json.dumps(said), strict=True), context)


JWK = {
    "kty": "EC",
    "crv": "SM2-P-256",
    "kid": "gm-1",
    "x": b64(vectors.SM2_PUBLIC[1:33]),
    "y": b64(vectors.SM2_PUBLIC[33:]),
}


def token(sign, alg="SGD_SM3_SM2", kid="gm-1", **claims) -> Credential:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "subject_type": "natural", "exp": int(NOW) + 600} | claims
    header = {"typ": "JWT", "alg": alg, "kid": kid}
    signed = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(said).encode())}"
    return Credential("web", f"{signed}.{b64(sign(signed.encode()))}")


def sm2(signed: bytes) -> bytes:
    return CRYPTO.sm2_sign(vectors.SM2_PRIVATE, signed)


def mac(signed: bytes) -> bytes:
    return CRYPTO.hmac_sm3(SECRET.encode(), signed)


async def test_a_token_signed_with_sm2_says_who_it_is(context, platform):
    platform.answers = [answer({"keys": [JWK]})]
    verifier = make(context)
    assert (await verifier.verify(token(sm2))).subject == "u-1"
    assert verifier.status() == {
        "key_age": 0.0,
        "keys": [{"kid": "gm-1", "alg": "SGD_SM3_SM2", "kty": "EC", "crv": "SM2-P-256"}],
    }


async def test_the_issuers_way_of_signing_is_a_matter_of_configuration(context, platform):
    platform.answers = [answer({"keys": [JWK]})]
    der = token(lambda signed: signature_to_der(sm2(signed)))
    assert await make(context, sm2={"encoding": "der"}).verify(der)
    with pytest.raises(CredentialRejected):
        await make(context).verify(der)
    with pytest.raises(CredentialRejected):
        await make(context, sm2={"user_id": "somebody"}).verify(token(sm2))


async def test_an_issuer_that_is_not_configured_for_sm2_cannot_use_it(context, platform):
    """The set may hold such a key, and the token be rightly signed: what the configuration does not say is refused."""
    es256 = Signer("ES256", "ec-1")
    platform.answers = [answer({"keys": [JWK, es256.jwk()]})]
    verifier = make(context, algorithms=["ES256"])
    assert await verifier.verify(Credential("web", es256.token()))
    with pytest.raises(CredentialRejected, match=None) as caught:
        await verifier.verify(token(sm2))
    assert caught.value.detail == "alg is not one of the issuer's"


async def test_a_token_with_the_mac_of_a_shared_key_holds_without_any_key_set(context, platform):
    verifier = make(context, jwks=None, algorithms=["SGD_SM3_HMAC"], shared_keys={"m-1": SECRET})
    await verifier.start()
    assert (await verifier.verify(token(mac, "SGD_SM3_HMAC", "m-1"))).subject == "u-1"
    for bad in (token(mac, "SGD_SM3_HMAC", "m-2"), token(sm2, "SGD_SM3_HMAC", "m-1"), token(mac, "HS256", "m-1")):
        with pytest.raises(CredentialRejected):
            await verifier.verify(bad)
    assert verifier.status() == {"keys": [{"kid": "m-1", "alg": "SGD_SM3_HMAC"}]}
    assert await verifier.refresh_keys() is None
    await verifier.stop()
    assert platform.calls == []


async def test_keys_of_a_set_and_shared_keys_do_not_stand_in_for_each_other(context, platform):
    platform.answers = [answer({"keys": [JWK, JWK | {"kid": "m-1"}]})]
    verifier = make(context, algorithms=["SGD_SM3_SM2", "SGD_SM3_HMAC"], shared_keys={"m-1": SECRET})
    assert await verifier.verify(token(sm2))
    assert await verifier.verify(token(mac, "SGD_SM3_HMAC", "m-1"))
    for bad in (token(sm2, kid="m-1"), token(mac, "SGD_SM3_HMAC", "gm-1")):
        with pytest.raises(CredentialRejected):
            await verifier.verify(bad)


class Dead:
    """A cipher machine that does not answer; counts what it is asked."""

    name = "dead"
    quick = True
    asked = 0

    def sm2_verify(self, *_):
        self.asked += 1
        raise CryptoError("no answer from the device")


async def test_a_cipher_machine_that_is_down_is_503_and_never_401(platform, context):
    platform.answers = [answer({"keys": [JWK]})]
    lent = PartContext("part", platform, context.once, context.clock, context.monotonic, context.log, Dead())
    with pytest.raises(VerifierUnavailable, match=None) as caught:
        await make(lent).verify(token(sm2))
    assert "no answer from the device" in caught.value.detail


class Counting:
    """A provider that counts the signatures it checks."""

    name = "counting"
    quick = True

    def __init__(self) -> None:
        self.verified = 0

    def sm2_verify(self, *asked):
        self.verified += 1
        return CRYPTO.sm2_verify(*asked)


async def test_a_token_costs_one_signature_however_often_it_comes(platform, context):
    """The chain remembers the verdict; SM2 costs ten times what P-256 does."""
    platform.answers = [answer({"keys": [JWK]})]
    counting = Counting()
    lent = PartContext("part", platform, context.once, context.clock, context.monotonic, context.log, counting)
    chain = VerifierChain([make(lent)], VerdictMemory(), Revocations(clock=context.clock), context.clock)
    shown = token(sm2)
    for number in range(20):
        assert (await chain.verify(shown, Exchange(f"{number:032x}", NOW, "192.0.2.1"))).subject == "u-1"
    assert counting.verified == 1


@pytest.mark.parametrize(
    ("config", "because"),
    [
        ({"jwks": None}, "jwks is needed"),
        ({"algorithms": ["SGD_SM3_HMAC"], "shared_keys": {"m": SECRET}}, "jwks is needed"),
        ({"algorithms": ["SGD_SM3_SM2", "SGD_SM3_HMAC"]}, "belong together"),
        ({"shared_keys": {"m": SECRET}}, "belong together"),
        ({"jwks": None, "algorithms": ["SGD_SM3_HMAC"], "shared_keys": {"m": "x" * 31}}, "fewer than 32 bytes"),
        ({"sm2": {"encoding": "hex"}}, "encoding"),
        ({"sm2": {"userid": "x"}}, "userid"),
        ({"algorithms": ["HS256"]}, "algorithms"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(context, config, because):
    with pytest.raises(ValidationError, match=because):
        make(context, **config)

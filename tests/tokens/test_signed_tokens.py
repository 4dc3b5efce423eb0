"""Tokens of one issuer: what of a signed token holds before a claim is looked at, and what operators learn."""

import pytest

from gateway import PartContext
from gateway.crypto import chosen_provider
from gateway.state import MemoryStore
from gateway.tokens.jose import JoseError, shared_key
from gateway.tokens.keys import KeySet
from gateway.tokens.signed import KeySettings, SignedTokens, type_names
from tests.plugin_world import NOW, Clock, Platform, Signer, answer

SIGNER = Signer("ES256", "k-1")
JWT = type_names(["JWT", "application/AT+JWT"])


@pytest.fixture
def issuer() -> Platform:
    return Platform([answer({"keys": [SIGNER.jwk()]})])


@pytest.fixture
def tokens(issuer) -> SignedTokens:
    clock = Clock()
    context = PartContext("province", issuer, MemoryStore(), lambda: clock.wall, lambda: clock.mono)
    policy = KeySettings().policy(["ES256"], 3.0)
    return SignedTokens(["ES256"], KeySet("https://id.province.example/jwks", policy, context, lambda: None))


async def test_a_token_that_holds_is_read(tokens):
    assert (await tokens.read(SIGNER.token(), JWT)).claims["sid"] == "session-1"


def test_types_are_compared_as_media_types_are():
    assert type_names(["JWT", "application/AT+JWT"]) == {"jwt", "at+jwt"}


async def test_no_types_accept_nothing_and_only_none_accepts_whatever_comes(tokens):
    """An empty list must not open what a forgotten one would close."""
    with pytest.raises(JoseError):
        await tokens.read(SIGNER.token(), frozenset())
    assert await tokens.read(SIGNER.token({"typ": "anything"}), None)


async def test_what_is_told_of_keys_and_of_their_hosts_clock(tokens, issuer):
    assert tokens.status() == {"key_age": None, "keys": []}
    issuer.answers = [type(issuer.answers[0])(200, "application/json", issuer.answers[0].body, NOW + 12)]
    assert await tokens.refresh_keys() == "fetched"
    said = {"key_age": 0.0, "keys": [{"kid": "k-1", "alg": "ES256", "kty": "EC", "crv": "P-256"}]}
    assert tokens.status() == said | {"clock_offsets": {"id.province.example": 12.0}}


async def test_an_issuer_with_shared_secrets_alone_is_never_asked():
    secret = shared_key("m-1", b"s" * 32, chosen_provider())
    tokens = SignedTokens(["SGD_SM3_HMAC"], None, {"m-1": secret})
    await tokens.start()
    assert await tokens.refresh_keys() is None
    assert tokens.status() == {"keys": [{"kid": "m-1", "alg": "SGD_SM3_HMAC"}]}
    with pytest.raises(JoseError):
        await tokens.read(SIGNER.token({"alg": "SGD_SM3_HMAC"}), None)
    await tokens.stop()

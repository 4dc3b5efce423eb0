"""A fetch at an operator's word: what it says, and that it cannot be used to flood an issuer."""

import pytest

from gateway import PartContext
from gateway.state import MemoryStore
from gateway.tokens.keys import KeyPolicy, KeySet
from tests.plugin_world import Clock, Platform, Signer, answer


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def issuer():
    return Platform()


@pytest.fixture
def keys(clock, issuer):
    once = MemoryStore(monotonic=lambda: clock.mono)
    context = PartContext("province", issuer, once, lambda: clock.wall, lambda: clock.mono)
    policy = KeyPolicy(frozenset({"ES256"}), min_refetch=30)
    return KeySet("https://id.province.example/jwks", policy, context, lambda: None)


async def test_keys_are_fetched_at_an_operators_word(keys, issuer):
    signer = Signer("ES256", "k-1")
    issuer.answers = [answer({"keys": [signer.jwk()]})]
    assert keys.listed() == []
    assert await keys.refresh() == "fetched"
    assert keys.listed() == [{"kid": "k-1", "alg": "ES256", "kty": "EC", "crv": "P-256"}]
    assert keys.age == 0


async def test_an_issuer_that_is_down_is_told_and_the_last_keys_stay(keys, issuer, clock):
    issuer.answers = [answer({"keys": [Signer("ES256", "k-1").jwk()]}), OSError("down")]
    await keys.refresh()
    clock.advance(30)
    assert await keys.refresh() == "failed"
    assert [one["kid"] for one in keys.listed()] == ["k-1"]


async def test_operators_and_unknown_key_ids_share_one_pause(keys, issuer, clock):
    """Neither an impatient operator nor random key ids make more than one fetch per `min_refetch`."""
    issuer.answers = [answer({"keys": [Signer("ES256", "k-1").jwk()]})]
    assert await keys.refresh() == "fetched"
    assert await keys.refresh() == "too-soon"
    assert await keys.find("k-2") is None
    assert len(issuer.calls) == 1
    clock.advance(30)
    assert await keys.find("k-3") is None
    assert await keys.refresh() == "too-soon"
    assert len(issuer.calls) == 2

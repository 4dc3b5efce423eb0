"""The province's token desk and key ring, without HTTP."""

import pytest
from gmalg import SM2
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_decode

from sandbox.accounts import SAMPLE_ACCOUNTS
from sandbox.tokens import ALGORITHMS, KeyRing, TokenDesk

CITIZEN = SAMPLE_ACCOUNTS["citizen-1"]
KEYS = KeyRing()


def test_a_full_desk_forgets_its_oldest_token():
    """Memory is bounded; what is forgotten is inactive."""
    desk = TokenDesk("i", "a", "c", KEYS, capacity=2)
    first, *later = (desk.issue(CITIZEN, level=3, ttl=60, form="opaque") for _ in range(3))
    assert desk.introspect(first) == {"active": False}
    assert all(desk.introspect(token)["active"] for token in later)


@given(ttl=st.integers(-86400, 86400), passed=st.integers(0, 86400))
def test_a_token_is_active_exactly_until_its_end(ttl, passed):
    """And its times are in order, also when it was born expired."""
    now = [1_800_000_000.0]
    desk = TokenDesk("i", "a", "c", KEYS, clock=lambda: now[0])
    token = desk.issue(CITIZEN, level=0, ttl=ttl, form="opaque")
    now[0] += passed
    verdict = desk.introspect(token)
    assert verdict["active"] is (passed < ttl)
    if verdict["active"]:
        assert verdict["iat"] == verdict["nbf"] == verdict["auth_time"] < verdict["exp"]


def test_every_rotation_brings_keys_never_seen_before():
    """Key ids are not used twice."""
    keys = KeyRing()
    keys.rotate()
    keys.rotate()
    assert len({key["kid"] for key in keys.jwks()["keys"]}) == 3 * len(ALGORITHMS)


def test_a_signing_key_does_not_show_itself():
    """Its private part is not in the representation."""
    assert "private" not in repr(KEYS.signing("EdDSA"))


def test_an_sm2_signature_holds_with_the_published_key():
    """GM/T 0125: r and s over header and payload, with the usual user id; and the key is published from then on."""
    keys = KeyRing()
    assert not [key for key in keys.jwks()["keys"] if key["alg"] == "SGD_SM3_SM2"]
    token = TokenDesk("i", "a", "c", keys).issue(CITIZEN, level=3, ttl=60, alg="SGD_SM3_SM2")
    [key] = [key for key in keys.jwks()["keys"] if key["alg"] == "SGD_SM3_SM2"]
    signed, _, signature = token.rpartition(".")
    x, y, both = (base64url_decode(text) for text in (key["x"], key["y"], signature))
    assert SM2(uid=b"1234567812345678", pk=b"\x04" + x + y).verify(signed.encode(), both[:32], both[32:])
    assert "private" not in repr(keys.sm2())


def test_an_algorithm_that_is_not_offered_is_an_error():
    """Nothing is signed with something else instead."""
    with pytest.raises(KeyError):
        TokenDesk("i", "a", "c", KEYS).issue(CITIZEN, level=3, ttl=60, alg="HS256")


def test_sample_credit_codes_have_right_check_digits():
    """GB 32100-2015: weights are powers of 3 modulo 31."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    for account in SAMPLE_ACCOUNTS.values():
        if account.subject_type == "legal":
            total = sum(alphabet.index(char) * 3**place for place, char in enumerate(account.sub[:17]))
            assert account.sub[17] == alphabet[-total % 31]
            assert account.profile["unified_social_credit_code"] == account.sub
        else:
            assert len(account.sub) <= 20

"""Signatures beside a message, with the three algorithms that a configuration can name."""

import pytest

from gateway.crypto import CryptoError, vectors
from gateway.crypto.choice import choose
from gateway.crypto.encoding import private_key_pem, public_key_pem, signature_to_der
from gateway.crypto.messages import MessageKey, read_message_key, sign_message

CRYPTO = choose()
SECRET = "a-secret-of-both-sides"
PRIVATE, PUBLIC = private_key_pem(vectors.SM2_PRIVATE), public_key_pem(vectors.SM2_PUBLIC)
NOTICE = '{"sub":"样例甲","at":1700000000}'.encode()

PAIRS = {
    "hmac-sha256": (SECRET, SECRET, {}),
    "hmac-sm3": (SECRET, SECRET, {}),
    "sm2": (PRIVATE, PUBLIC, {}),
    "sm2, der": (PRIVATE, PUBLIC, {"encoding": "der"}),
    "sm2, another identity": (PRIVATE, PUBLIC, {"user_id": b"province"}),
    "sm2, digits": (vectors.SM2_PRIVATE.hex(), vectors.SM2_PUBLIC.hex(), {}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_one_side_signs_holds_on_the_other_and_nothing_else_does(name):
    algorithm = name.partition(",")[0]
    ours, theirs, options = PAIRS[name]
    key = read_message_key(algorithm, theirs, **options)

    signature = sign_message(algorithm, ours, NOTICE, CRYPTO, **options)

    assert key.verifies(NOTICE, signature, CRYPTO)
    assert not key.verifies(NOTICE + b" ", signature, CRYPTO)
    assert not key.verifies(NOTICE, signature[:-1], CRYPTO)
    assert not key.verifies(NOTICE, signature + b"\0", CRYPTO)
    assert not key.verifies(NOTICE, b"", CRYPTO)


def test_a_signature_holds_under_the_algorithm_of_its_key_alone():
    """The message cannot say which: a MAC made with the public key's text is no signature."""
    confused = sign_message("hmac-sha256", PUBLIC, NOTICE, CRYPTO)
    assert not read_message_key("sm2", PUBLIC).verifies(NOTICE, confused, CRYPTO)
    assert not read_message_key("hmac-sm3", SECRET).verifies(
        NOTICE, sign_message("hmac-sha256", SECRET, NOTICE, CRYPTO), CRYPTO
    )


def test_the_encoding_is_what_was_agreed_and_no_other():
    raw = sign_message("sm2", PRIVATE, NOTICE, CRYPTO)
    der = signature_to_der(raw)
    assert not read_message_key("sm2", PUBLIC, encoding="der").verifies(NOTICE, raw, CRYPTO)
    assert not read_message_key("sm2", PUBLIC).verifies(NOTICE, der, CRYPTO)
    assert read_message_key("sm2", PUBLIC, encoding="der").verifies(NOTICE, der, CRYPTO)


def test_the_signers_identity_is_part_of_what_is_signed():
    signature = sign_message("sm2", PRIVATE, NOTICE, CRYPTO, user_id=b"province")
    assert not read_message_key("sm2", PUBLIC).verifies(NOTICE, signature, CRYPTO)


@pytest.mark.parametrize(
    ("algorithm", "text"), [("hmac-sm3", "short"), ("hmac-sha256", ""), ("sm2", SECRET), ("sm2", PRIVATE)]
)
def test_a_key_that_cannot_be_used_is_refused(algorithm, text):
    with pytest.raises(CryptoError):
        read_message_key(algorithm, text)


def test_a_key_keeps_its_secret_to_itself():
    assert SECRET not in repr(MessageKey("hmac-sm3", SECRET.encode()))

"""Signatures beside a message, with the three algorithms that a configuration can name."""

import pytest

from gateway.crypto import vectors
from gateway.crypto.choice import choose
from gateway.crypto.encoding import private_key_pem, public_key_pem, signature_to_der
from gateway.signatures.keys import check_signature_key, read_signature_key, sign_message

CRYPTO = choose()
SECRET = "a-secret-of-both-sides"
PRIVATE, PUBLIC = private_key_pem(vectors.SM2_PRIVATE), public_key_pem(vectors.SM2_PUBLIC)
NOTICE = '{"sub":"样例甲","at":1700000000}'.encode()

PAIRS = {
    "hmac-sha256": (SECRET, SECRET, {}),
    "hmac-sm3": (SECRET, SECRET, {}),
    "sm2": (PRIVATE, PUBLIC, {}),
    "sm2, der": (PRIVATE, PUBLIC, {"der": True}),
    "sm2, another identity": (PRIVATE, PUBLIC, {"user_id": b"province"}),
    "sm2, digits": (vectors.SM2_PRIVATE.hex(), vectors.SM2_PUBLIC.hex(), {}),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_one_side_signs_holds_on_the_other_and_nothing_else_does(name):
    algorithm = name.partition(",")[0]
    ours, theirs, options = PAIRS[name]
    key = read_signature_key(algorithm, theirs, CRYPTO, **options)

    signature = sign_message(algorithm, ours, NOTICE, CRYPTO, **options)

    assert key.verified(NOTICE, signature)
    assert not key.verified(NOTICE + b" ", signature)
    assert not key.verified(NOTICE, signature[:-1])
    assert not key.verified(NOTICE, signature + b"\0")
    assert not key.verified(NOTICE, b"")


def test_a_signature_holds_under_the_algorithm_of_its_key_alone():
    """The message cannot say which: a MAC made with the public key's text is no signature."""
    confused = sign_message("hmac-sha256", PUBLIC, NOTICE, CRYPTO)
    assert not read_signature_key("sm2", PUBLIC, CRYPTO).verified(NOTICE, confused)
    other = sign_message("hmac-sha256", SECRET, NOTICE, CRYPTO)
    assert not read_signature_key("hmac-sm3", SECRET, CRYPTO).verified(NOTICE, other)


def test_the_encoding_is_what_was_agreed_and_no_other():
    raw = sign_message("sm2", PRIVATE, NOTICE, CRYPTO)
    der = signature_to_der(raw)
    assert not read_signature_key("sm2", PUBLIC, CRYPTO, der=True).verified(NOTICE, raw)
    assert not read_signature_key("sm2", PUBLIC, CRYPTO).verified(NOTICE, der)
    assert read_signature_key("sm2", PUBLIC, CRYPTO, der=True).verified(NOTICE, der)


def test_the_signers_identity_is_part_of_what_is_signed():
    signature = sign_message("sm2", PRIVATE, NOTICE, CRYPTO, user_id=b"province")
    assert not read_signature_key("sm2", PUBLIC, CRYPTO).verified(NOTICE, signature)


@pytest.mark.parametrize(("algorithm", "text"), [("hmac-sha256", " "), ("sm2", SECRET), ("sm2", PRIVATE)])
def test_a_key_that_cannot_be_used_is_refused(algorithm, text):
    for read in (check_signature_key, lambda *given: read_signature_key(*given, CRYPTO)):
        with pytest.raises(ValueError, match=r"secret|SM2") as refused:
            read(algorithm, text)
        assert text.strip() == "" or text not in str(refused.value)


@pytest.mark.parametrize(("algorithm", "text"), [("hmac-sm3", ""), ("sm2", SECRET), ("sm2", PUBLIC)])
def test_nothing_is_signed_with_what_is_no_key(algorithm, text):
    with pytest.raises(ValueError, match=r"secret|SM2"):
        sign_message(algorithm, text, NOTICE, CRYPTO)

"""Every back end against the official examples, against each other, and with what is no key and no signature."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto import CryptoError, vectors
from gateway.crypto.choice import choose
from gateway.crypto.curve import GX, GY, N, P, check_point, signed_digest
from gateway.crypto.software import pad, unpad

PUBLIC, PRIVATE = vectors.SM2_PUBLIC, vectors.SM2_PRIVATE
MESSAGE, SIGNATURE = vectors.SM2_MESSAGE, vectors.SM2_SIGNATURE
ELSEWHERE = b"ALICE123@YAHOO.COM"


def number(value: int) -> bytes:
    return value.to_bytes(32)


@pytest.mark.parametrize(("message", "digest"), vectors.SM3.items())
def test_sm3_gives_the_official_digests(provider, message, digest):
    assert provider.sm3(message) == digest


def test_hmac_sm3_is_the_one_of_the_app_channels_documentation(provider):
    assert provider.hmac_sm3(vectors.HMAC_SM3_KEY, vectors.HMAC_SM3_MESSAGE) == vectors.HMAC_SM3


def test_the_keys_of_hmac_sm3_may_be_empty_and_longer_than_a_block(provider):
    """RFC 2104 §2: a long key is hashed first, a short one filled up."""
    for key in (b"", b"k" * 64, b"k" * 65, b"k" * 200):
        assert provider.hmac_sm3(key, b"m") == choose("libcrypto").hmac_sm3(key, b"m")


def test_sm4_encrypts_the_official_block(provider):
    assert provider.sm4_encrypt(vectors.SM4_KEY, vectors.SM4_BLOCK, "ecb")[:16] == vectors.SM4_ENCRYPTED


def test_the_digest_that_is_signed_is_the_official_one(provider):
    """GB/T 32918.5 appendix A.2: e of the example."""
    digest = signed_digest(provider.sm3, PUBLIC, MESSAGE, b"1234567812345678")
    assert digest.hex() == "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640"


def test_the_official_signature_holds(provider):
    assert provider.sm2_verify(PUBLIC, MESSAGE, SIGNATURE) is True


WRONG = {
    "another message": (MESSAGE + b".", SIGNATURE, b"1234567812345678"),
    "no message": (b"", SIGNATURE, b"1234567812345678"),
    "another signer's identity": (MESSAGE, SIGNATURE, ELSEWHERE),
    "r and s exchanged": (MESSAGE, SIGNATURE[32:] + SIGNATURE[:32], b"1234567812345678"),
    "one bit of r": (MESSAGE, bytes([SIGNATURE[0] ^ 1]) + SIGNATURE[1:], b"1234567812345678"),
    "r and s zero": (MESSAGE, bytes(64), b"1234567812345678"),
    "r is n": (MESSAGE, number(N) + SIGNATURE[32:], b"1234567812345678"),
    "s is n": (MESSAGE, SIGNATURE[:32] + number(N), b"1234567812345678"),
    "r is zero": (MESSAGE, number(0) + SIGNATURE[32:], b"1234567812345678"),
    "r and s add up to n": (MESSAGE, number(5) + number(N - 5), b"1234567812345678"),
    "63 bytes": (MESSAGE, SIGNATURE[:-1], b"1234567812345678"),
    "65 bytes": (MESSAGE, SIGNATURE + b"\0", b"1234567812345678"),
    "DER where r and s are agreed": (MESSAGE, b"\x30\x44" + SIGNATURE, b"1234567812345678"),
    "nothing": (MESSAGE, b"", b"1234567812345678"),
}


@pytest.mark.parametrize(("message", "signature", "user_id"), WRONG.values(), ids=WRONG.keys())
def test_what_was_not_signed_does_not_hold(provider, message, signature, user_id):
    assert provider.sm2_verify(PUBLIC, message, signature, user_id) is False


NO_POINTS = {
    "nothing": b"",
    "infinity": b"\0",
    "compressed": b"\x02" + PUBLIC[1:33],
    "hybrid": b"\x06" + PUBLIC[1:],
    "64 bytes": PUBLIC[1:],
    "66 bytes": PUBLIC + b"\0",
    "beside the curve": PUBLIC[:-1] + bytes([PUBLIC[-1] ^ 1]),
    "zero": b"\x04" + bytes(64),
    "a coordinate not below p": b"\x04" + number(P) + PUBLIC[33:],
    "a point of P-256": bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ),
}


@pytest.mark.parametrize("point", NO_POINTS.values(), ids=NO_POINTS.keys())
def test_a_public_key_that_is_no_point_of_the_curve_is_refused(provider, point):
    with pytest.raises(CryptoError, match="public key"):
        provider.sm2_verify(point, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("key", [b"", number(0), number(N - 1), number(N), b"\xff" * 32, PRIVATE[1:], PRIVATE + b"\0"])
def test_a_private_number_that_cannot_sign_is_refused(provider, key):
    with pytest.raises(CryptoError, match="private key"):
        provider.sm2_sign(key, MESSAGE)


@pytest.mark.parametrize("key", [number(1), number(N - 2)])
def test_the_smallest_and_the_largest_private_number_sign(provider, key):
    assert len(provider.sm2_sign(key, MESSAGE)) == 64


@pytest.mark.parametrize("user_id", [b"", b"x" * 4096])
def test_an_identity_that_cannot_be_written_is_refused(provider, user_id):
    with pytest.raises(CryptoError, match="user id"):
        provider.sm2_verify(PUBLIC, MESSAGE, SIGNATURE, user_id)
    with pytest.raises(CryptoError, match="user id"):
        provider.sm2_sign(PRIVATE, MESSAGE, user_id)


def test_the_longest_identity_is_taken(provider):
    longest = b"x" * 4095
    assert provider.sm2_verify(PUBLIC, b"m", provider.sm2_sign(PRIVATE, b"m", longest), longest)


def test_two_signatures_of_one_message_differ(provider):
    """The same k twice would give the private key away."""
    assert provider.sm2_sign(PRIVATE, MESSAGE)[:32] != provider.sm2_sign(PRIVATE, MESSAGE)[:32]


@settings(max_examples=12, deadline=None)
@given(message=st.binary(max_size=200), user_id=st.binary(min_size=1, max_size=40))
def test_what_one_back_end_signs_holds_with_every_other(message, user_id):
    backs = [choose(name) for name in ("libcrypto", "tongsuo", "gmalg")]
    for signer in backs[:2]:
        signature = signer.sm2_sign(PRIVATE, message, user_id)
        assert all(back.sm2_verify(PUBLIC, message, signature, user_id) for back in backs)
    signature = backs[2].sm2_sign(PRIVATE, message, user_id)
    assert backs[0].sm2_verify(PUBLIC, message, signature, user_id)
    assert not backs[0].sm2_verify(PUBLIC, message + b"\0", signature, user_id)


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=100), key=st.binary(min_size=16, max_size=16), iv=st.binary(min_size=16, max_size=16))
def test_sm4_says_the_same_everywhere_and_comes_back(data, key, iv):
    back, pure = choose("libcrypto"), choose("gmalg")
    assert back.sm3(data) == pure.sm3(data)
    assert back.hmac_sm3(key, data) == pure.hmac_sm3(key, data)
    for mode, vector in (("cbc", iv), ("ecb", b"")):
        encrypted = back.sm4_encrypt(key, data, mode, vector)
        assert encrypted == pure.sm4_encrypt(key, data, mode, vector)
        assert back.sm4_decrypt(key, encrypted, mode, vector) == pure.sm4_decrypt(key, encrypted, mode, vector) == data


NO_CIPHER = {
    "a key of 15 bytes": (b"k" * 15, b"x" * 16, "ecb", b""),
    "a key of 32 bytes": (b"k" * 32, b"x" * 16, "ecb", b""),
    "cbc without a vector": (b"k" * 16, b"x" * 16, "cbc", b""),
    "ecb with a vector": (b"k" * 16, b"x" * 16, "ecb", b"i" * 16),
    "another mode": (b"k" * 16, b"x" * 16, "gcm", b"i" * 12),
}


@pytest.mark.parametrize(("key", "data", "mode", "iv"), NO_CIPHER.values(), ids=NO_CIPHER.keys())
def test_sm4_is_not_begun_with_what_does_not_fit(provider, key, data, mode, iv):
    with pytest.raises(CryptoError, match="SM4"):
        provider.sm4_encrypt(key, data, mode, iv)
    with pytest.raises(CryptoError, match="SM4"):
        provider.sm4_decrypt(key, data, mode, iv)


@pytest.mark.parametrize("data", [b"", b"x" * 15, b"x" * 17, b"x" * 32])
def test_sm4_does_not_decrypt_what_it_did_not_encrypt(provider, data):
    with pytest.raises(CryptoError, match="SM4"):
        provider.sm4_decrypt(b"k" * 16, data, "ecb")


@pytest.mark.parametrize("end", [b"\0", b"\x11", b"\x02\x03\x02", b"\x01\x02"])
def test_a_padding_that_was_not_made_so_is_refused(end):
    with pytest.raises(CryptoError, match="padding"):
        unpad((b"x" * 16 + end)[-16:])


@given(st.binary(max_size=64))
def test_what_is_padded_is_whole_blocks_and_comes_back(data):
    assert len(pad(data)) % 16 == 0
    assert unpad(pad(data)) == data


def test_many_threads_use_one_provider_at_once(provider):
    """Each sees its own verdicts: good, bad and refused, mixed."""
    rounds = 4 if provider.name == "gmalg" else 100

    def work(index: int) -> bool:
        message = b"%d" % index
        signature = provider.sm2_sign(PRIVATE, message)
        with pytest.raises(CryptoError):
            provider.sm2_verify(NO_POINTS["zero"], message, signature)
        return provider.sm2_verify(PUBLIC, message, signature) and not provider.sm2_verify(PUBLIC, b"x", signature)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(rounds)))


def test_libcrypto_forgets_keys_it_has_no_room_for():
    """More keys than are held ready: the oldest are freed, and read again when they come back."""
    provider = choose("libcrypto")
    for value in range(1, 300):
        assert len(provider.sm2_sign(number(value), b"m")) == 64
    assert len(provider.sm2_sign(number(1), b"m")) == 64


def test_the_generator_is_a_point_of_the_curve():
    """Guards the constants that the checks rely on."""
    check_point(b"\x04" + number(GX) + number(GY))

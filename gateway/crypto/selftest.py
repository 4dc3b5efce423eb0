"""Holds a provider against the official examples before anything relies on it (GM/T 0028 self-tests, vectors.py)."""

from collections.abc import Callable

from gateway.crypto import CryptoError, CryptoProvider, vectors

OTHER_USER_ID = b"ALICE123@YAHOO.COM"
"""The identity of the examples of GM/T 0003-2012; not the usual one."""


def hold(provider: CryptoProvider, *, keeps_keys: bool = False) -> None:
    """Try everything that a provider has to do, and that it says no where it has to.

    Args:
        provider: what is to be relied on.
        keeps_keys: True for a cipher machine that may hold its private keys itself: it is not asked to sign with the
            key of the examples.

    Raises:
        CryptoError: it is wrong somewhere, or fails; the text says where.
    """
    checks = {what: check for what, check in _CHECKS.items() if check is not _signs or not keeps_keys}
    for what, holds in checks.items():
        try:
            right = holds(provider)
        except Exception as error:  # a driver may fail in every way there is, and must not be relied on then
            raise CryptoError(f"{what}: {type(error).__name__}: {error}") from error
        if right is not True:
            raise CryptoError(f"{what}: wrong")


def _digests(provider: CryptoProvider) -> bool:
    return all(provider.sm3(message) == digest for message, digest in vectors.SM3.items())


def _macs(provider: CryptoProvider) -> bool:
    return provider.hmac_sm3(vectors.HMAC_SM3_KEY, vectors.HMAC_SM3_MESSAGE) == vectors.HMAC_SM3


def _encrypts(provider: CryptoProvider) -> bool:
    key, block, iv = vectors.SM4_KEY, vectors.SM4_BLOCK, bytes(16)
    in_ecb = provider.sm4_encrypt(key, block, "ecb")
    in_cbc = provider.sm4_encrypt(key, block, "cbc", iv)  # the first block is the same where the vector is zero
    return in_ecb[:16] == in_cbc[:16] == vectors.SM4_ENCRYPTED and len(in_ecb) == len(in_cbc) == 32


def _decrypts(provider: CryptoProvider) -> bool:
    key, text, iv = vectors.SM4_KEY, b"three blocks, the last of them filled up", bytes(range(16))
    return (
        provider.sm4_decrypt(key, provider.sm4_encrypt(key, text, "cbc", iv), "cbc", iv) == text
        and provider.sm4_decrypt(key, provider.sm4_encrypt(key, text, "ecb"), "ecb") == text
    )


def _verifies(provider: CryptoProvider) -> bool:
    return provider.sm2_verify(vectors.SM2_PUBLIC, vectors.SM2_MESSAGE, vectors.SM2_SIGNATURE) is True


def _refuses(provider: CryptoProvider) -> bool:
    public, message, signature = vectors.SM2_PUBLIC, vectors.SM2_MESSAGE, vectors.SM2_SIGNATURE
    changed = signature[:-1] + bytes([signature[-1] ^ 1])
    return not (
        provider.sm2_verify(public, message, changed)
        or provider.sm2_verify(public, message + b".", signature)
        or provider.sm2_verify(public, message, signature, OTHER_USER_ID)
        or provider.sm2_verify(public, message, bytes(64))
    )


def _signs(provider: CryptoProvider) -> bool:
    message, public = b"a message of our own", vectors.SM2_PUBLIC
    usual = provider.sm2_sign(vectors.SM2_PRIVATE, message)
    other = provider.sm2_sign(vectors.SM2_PRIVATE, message, OTHER_USER_ID)
    return (
        len(usual) == len(other) == 64
        and provider.sm2_verify(public, message, usual) is True
        and provider.sm2_verify(public, message, other, OTHER_USER_ID) is True
        and provider.sm2_verify(public, message, other) is False
    )


_CHECKS: dict[str, Callable[[CryptoProvider], bool]] = {
    "SM3": _digests,
    "HMAC-SM3": _macs,
    "SM4 encryption": _encrypts,
    "SM4 decryption": _decrypts,
    "SM2 verification of the official signature": _verifies,
    "SM2 verification of changed signatures": _refuses,
    "SM2 signing": _signs,
}

"""What the back ends in software share: checks before any arithmetic, and SM3 and SM4 by the `cryptography` package.

libcrypto.py and tongsuo.py add SM2; gmalg.py brings everything itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.hashes import SM3, Hash
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.crypto import DEFAULT_USER_ID, CryptoError, Sm4Mode
from gateway.crypto.curve import check_point, check_private_number, check_user_id, may_be_signature

BLOCK = 16
"""Bytes of a block, of a key and of an initialisation vector of SM4."""


class SoftwareProvider(ABC):
    """A CryptoProvider in this process. Thread-safe: nothing is kept between two calls."""

    name: ClassVar[str]
    quick: ClassVar[bool] = True

    def sm3(self, data: bytes) -> bytes:
        """See CryptoProvider."""
        try:
            digest = Hash(SM3())
        except UnsupportedAlgorithm as error:
            raise CryptoError("no SM3 in the `cryptography` package as it was built") from error
        digest.update(data)
        return digest.finalize()

    def hmac_sm3(self, key: bytes, data: bytes) -> bytes:
        """See CryptoProvider."""
        try:
            mac = HMAC(key, SM3())
        except UnsupportedAlgorithm as error:
            raise CryptoError("no SM3 in the `cryptography` package as it was built") from error
        mac.update(data)
        return mac.finalize()

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes = DEFAULT_USER_ID) -> bool:
        """See CryptoProvider."""
        check_point(public_key)
        check_user_id(user_id)
        return may_be_signature(signature) and self._verify(public_key, message, signature, user_id)

    def sm2_sign(self, private_key: bytes, message: bytes, user_id: bytes = DEFAULT_USER_ID) -> bytes:
        """See CryptoProvider."""
        check_private_number(private_key)
        check_user_id(user_id)
        return self._sign(private_key, message, user_id)

    def sm4_encrypt(self, key: bytes, data: bytes, mode: Sm4Mode = "cbc", iv: bytes = b"") -> bytes:
        """See CryptoProvider."""
        check_cipher(key, mode, iv)
        return self._encrypt(key, pad(data), mode, iv)

    def sm4_decrypt(self, key: bytes, data: bytes, mode: Sm4Mode = "cbc", iv: bytes = b"") -> bytes:
        """See CryptoProvider."""
        check_cipher(key, mode, iv)
        if not data or len(data) % BLOCK:
            raise CryptoError("SM4: not whole blocks")
        return unpad(self._decrypt(key, data, mode, iv))

    @abstractmethod
    def _verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes) -> bool:
        """Verify; everything has been checked by itself."""

    @abstractmethod
    def _sign(self, private_key: bytes, message: bytes, user_id: bytes) -> bytes:
        """Sign; everything has been checked by itself."""

    def _encrypt(self, key: bytes, blocks: bytes, mode: Sm4Mode, iv: bytes) -> bytes:
        return _run(_cipher(key, mode, iv).encryptor, blocks)

    def _decrypt(self, key: bytes, blocks: bytes, mode: Sm4Mode, iv: bytes) -> bytes:
        return _run(_cipher(key, mode, iv).decryptor, blocks)


def check_cipher(key: bytes, mode: Sm4Mode, iv: bytes) -> None:
    """Refuse what SM4 cannot be begun with.

    Raises:
        CryptoError: key or initialisation vector of another length, or an unknown mode.
    """
    lengths = {"ecb": 0, "cbc": BLOCK}
    if mode not in lengths:
        raise CryptoError("SM4: neither ecb nor cbc")
    if len(key) != BLOCK:
        raise CryptoError("SM4: not a key of 16 bytes")
    if len(iv) != lengths[mode]:
        raise CryptoError(f"SM4: {mode} with an initialisation vector of {len(iv)} bytes")


def pad(data: bytes) -> bytes:
    """Fill up to whole blocks (PKCS#7, RFC 5652 §6.3)."""
    missing = BLOCK - len(data) % BLOCK
    return data + bytes([missing]) * missing


def unpad(blocks: bytes) -> bytes:
    """Undo `pad`.

    Raises:
        CryptoError: it was not padded so: another key, or changed on the way.
    """
    missing = blocks[-1]
    if not 1 <= missing <= BLOCK or not blocks.endswith(bytes([missing]) * missing):
        raise CryptoError("SM4: the padding is broken")
    return blocks[:-missing]


def _cipher(key: bytes, mode: Sm4Mode, iv: bytes) -> "Cipher[modes.CBC] | Cipher[modes.ECB]":
    # ECB is what several platforms prescribe; nothing of our own uses it.
    return Cipher(SM4(key), modes.CBC(iv)) if mode == "cbc" else Cipher(SM4(key), modes.ECB())  # noqa: S305


def _run(begin: Callable[[], CipherContext], blocks: bytes) -> bytes:
    try:
        context = begin()
    except UnsupportedAlgorithm as error:
        raise CryptoError("no SM4 in the `cryptography` package as it was built") from error
    return context.update(blocks) + context.finalize()

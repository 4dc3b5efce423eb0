"""SM2 by Tongsuo (铜锁), which the optional package `tongsuopy` brings along (extra `tongsuo` of this package).

The second choice, where the system's OpenSSL has no SM2; libcrypto.py is the first.
"""

from importlib import import_module
from typing import Any

from gateway.crypto import CryptoError
from gateway.crypto.curve import signed_digest
from gateway.crypto.encoding import signature_from_der, signature_to_der
from gateway.crypto.software import SoftwareProvider

LONGEST_DER = 72
"""Bytes of a signature in DER at most."""


class Tongsuo(SoftwareProvider):
    """The back end `tongsuo`.

    The package's own `sign` and `verify` know the usual user identity only. So the digest, with the identity before the
    message, is made here, and Tongsuo's library signs and verifies that.

    Raises:
        CryptoError: the package is not installed.
    """

    name = "tongsuo"

    def __init__(self) -> None:
        try:
            self._ec = import_module("tongsuopy.crypto.asymciphers.ec")
            self._backend = import_module("tongsuopy.backends.tongsuo").backend
            self._serialization = import_module("tongsuopy.crypto.serialization")
        except ImportError as error:
            raise CryptoError(f"the package tongsuopy cannot be imported: {error}") from error
        self._library, self._ffi = self._backend._lib, self._backend._ffi  # noqa: SLF001 - see the class

    def _verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes) -> bool:
        der, digest = signature_to_der(signature), signed_digest(self.sm3, public_key, message, user_id)
        key = self._ec.EllipticCurvePublicKey.from_encoded_point(self._ec.SM2(), public_key)
        context = self._context(key, self._library.EVP_PKEY_verify_init)
        holds: bool = self._library.EVP_PKEY_verify(context, der, len(der), digest, len(digest)) == 1
        self._library.ERR_clear_error()
        return holds

    def _sign(self, private_key: bytes, message: bytes, user_id: bytes) -> bytes:
        key = self._ec.derive_private_key(int.from_bytes(private_key), self._ec.SM2())
        digest = signed_digest(self.sm3, self._point(key.public_key()), message, user_id)
        context = self._context(key, self._library.EVP_PKEY_sign_init)
        made, length = self._ffi.new("unsigned char[]", LONGEST_DER), self._ffi.new("size_t *", LONGEST_DER)
        if self._library.EVP_PKEY_sign(context, made, length, digest, len(digest)) != 1:
            self._library.ERR_clear_error()
            raise CryptoError("tongsuo: EVP_PKEY_sign failed")
        return signature_from_der(bytes(self._ffi.buffer(made, length[0])))

    def _point(self, key: Any) -> bytes:
        encoding, form = self._serialization.Encoding.X962, self._serialization.PublicFormat.UncompressedPoint
        return bytes(key.public_bytes(encoding, form))

    def _context(self, key: Any, begin: Any) -> Any:
        """What works with the key, ready to; freed when nobody refers to it."""
        library = self._library
        made = library.EVP_PKEY_CTX_new(key._evp_pkey, self._ffi.NULL)  # noqa: SLF001 - see the class
        context = self._ffi.gc(made, library.EVP_PKEY_CTX_free)
        if made == self._ffi.NULL or begin(context) != 1:
            library.ERR_clear_error()
            raise CryptoError("tongsuo: the key cannot be used")
        return context

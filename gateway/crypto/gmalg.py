"""Everything in pure Python, by the package `gmalg`: always there, and a hundred times slower (18 ms for a signature).

The last choice, after libcrypto.py and tongsuo.py; a reference in the tests.
"""

from gmalg import SM2, SM3, SM4
from gmalg.bcmode import BlockCipherModeCBC, BlockCipherModeECB
from gmalg.errors import GMError

from gateway.crypto import CryptoError, Sm4Mode
from gateway.crypto.curve import NUMBER
from gateway.crypto.software import SoftwareProvider

_BLOCK_OF_SM3 = 64


class Gmalg(SoftwareProvider):
    """The back end `gmalg`."""

    name = "gmalg"
    quick = False

    def sm3(self, data: bytes) -> bytes:
        """See CryptoProvider."""
        digest = SM3()
        digest.update(data)
        return bytes(digest.value())

    def hmac_sm3(self, key: bytes, data: bytes) -> bytes:
        """See CryptoProvider; RFC 2104 §2 with SM3."""
        short = self.sm3(key) if len(key) > _BLOCK_OF_SM3 else key
        filled = short.ljust(_BLOCK_OF_SM3, b"\0")
        inner, outer = (bytes(byte ^ mask for byte in filled) for mask in (0x36, 0x5C))
        return self.sm3(outer + self.sm3(inner + data))

    def _verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes) -> bool:
        try:
            return SM2(uid=user_id, pk=public_key).verify(message, signature[:NUMBER], signature[NUMBER:]) is True
        except GMError as error:
            raise CryptoError(f"gmalg: {error}") from error

    def _sign(self, private_key: bytes, message: bytes, user_id: bytes) -> bytes:
        try:
            r, s = SM2(sk=private_key, uid=user_id).sign(message)
        except GMError as error:
            raise CryptoError(f"gmalg: {error}") from error
        return bytes(r).rjust(NUMBER, b"\0") + bytes(s).rjust(NUMBER, b"\0")

    def _encrypt(self, key: bytes, blocks: bytes, mode: Sm4Mode, iv: bytes) -> bytes:
        return bytes(_cipher(key, mode, iv).encrypt(blocks))

    def _decrypt(self, key: bytes, blocks: bytes, mode: Sm4Mode, iv: bytes) -> bytes:
        return bytes(_cipher(key, mode, iv).decrypt(blocks))


def _cipher(key: bytes, mode: Sm4Mode, iv: bytes) -> BlockCipherModeCBC | BlockCipherModeECB:
    return BlockCipherModeCBC(SM4(key), iv) if mode == "cbc" else BlockCipherModeECB(SM4(key))

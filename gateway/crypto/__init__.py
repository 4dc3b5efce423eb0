"""National cryptography (SM2, SM3, SM4) behind one seam, so that a cipher machine can take the place of a library.

libcrypto.py, tongsuo.py and gmalg.py are the back ends, selftest.py holds each against the official vectors before it
is used; tokens/ and plugins use what `chosen_provider` gives.
"""

from typing import Literal, Protocol

DEFAULT_USER_ID = b"1234567812345678"
"""User identity of SM2 signatures where nothing else is agreed (GM/T 0009-2012 §10)."""

Sm4Mode = Literal["ecb", "cbc"]


class CryptoError(Exception):
    """The provider cannot do this with what it was given: a key off the curve, a broken padding, a dead device."""


class CryptoProvider(Protocol):
    """SM2 (GB/T 32918), SM3 (GB/T 32905), SM4 (GB/T 32907). Every method raises CryptoError where it cannot.

    Providers are used by several threads at once.
    """

    @property
    def name(self) -> str:
        """For operators: `libcrypto`, `tongsuo`, `gmalg` or a cipher machine's."""
        ...

    @property
    def quick(self) -> bool:
        """True when every call ends within a millisecond or so; others are kept off the event loop (aside.py)."""
        ...

    def sm3(self, data: bytes) -> bytes:
        """The digest, 32 bytes."""
        ...

    def hmac_sm3(self, key: bytes, data: bytes) -> bytes:
        """The MAC, 32 bytes (GB/T 15852.2)."""
        ...

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes, user_id: bytes = DEFAULT_USER_ID) -> bool:
        """Tell whether a signature with SM3 holds.

        Args:
            public_key: uncompressed point, 65 bytes that begin with 4.
            message: what was signed; ZA is put before it here.
            signature: r and s, 32 bytes each. encoding.py makes it from DER.
            user_id: the signer's identity.
        """
        ...

    def sm2_sign(self, private_key: bytes, message: bytes, user_id: bytes = DEFAULT_USER_ID) -> bytes:
        """A signature with SM3: r and s, 32 bytes each.

        Args:
            private_key: the number d, 32 bytes big-endian; a cipher machine may take a key's label instead.
            message: what is signed; ZA is put before it here.
            user_id: the signer's identity.
        """
        ...

    def sm4_encrypt(self, key: bytes, data: bytes, mode: Sm4Mode = "cbc", iv: bytes = b"") -> bytes:
        """Encrypt with PKCS#7 padding.

        Args:
            key: 16 bytes.
            data: the plain text.
            mode: see Sm4Mode.
            iv: 16 bytes for `cbc`, empty for `ecb`.
        """
        ...

    def sm4_decrypt(self, key: bytes, data: bytes, mode: Sm4Mode = "cbc", iv: bytes = b"") -> bytes:
        """Undo `sm4_encrypt`."""
        ...


def chosen_provider() -> CryptoProvider:
    """The first back end of docs/cryptography.md's order that passes its self-test on this machine; tried once.

    Raises:
        CryptoError: none does.
    """
    from gateway.crypto.choice import choose  # noqa: PLC0415 - the back ends import this file

    return choose()

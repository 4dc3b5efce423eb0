"""Keys of tokens signed with SM2, or with a MAC of SM3 (GM/T 0125.2): what a library does for jose.py's other keys.

Known implementations sign and write differently, so each issuer's way is configured and none is ever guessed.
"""

import base64
import hmac

import msgspec
from pydantic import Field

from gateway.contracts import Settings
from gateway.crypto import DEFAULT_USER_ID, CryptoProvider
from gateway.crypto.encoding import SignatureEncoding, bare_signature

SM2_SIGNATURE = "SGD_SM3_SM2"
SM3_MAC = "SGD_SM3_HMAC"
SM2_CURVE = "SM2-P-256"
"""`crv` of a JWK."""


class Sm2Settings(Settings):
    """How an issuer signs with SM2. The defaults are what RFC 7515 and GB/T 32918 say together."""

    user_id: str = Field(
        DEFAULT_USER_ID.decode(), min_length=1, max_length=256, description="the identity it signs with"
    )
    encoding: SignatureEncoding = Field("raw", description="`raw`: r and s, 64 bytes; `der`: ASN.1")
    prehash: bool = Field(
        False,
        description="it signs the SM3 digest of the payload, not header and payload; nothing protects the header then",
    )

    def practice(self, crypto: CryptoProvider) -> "Sm2Practice":
        """These settings, with who does the work."""
        return Sm2Practice(crypto, self.user_id.encode(), self.encoding, self.prehash)


class Sm2Practice(msgspec.Struct, frozen=True):
    """How the keys of one issuer are used; see Sm2Settings.

    Attributes:
        crypto: verifies.
        user_id: the issuer's identity.
        encoding: see SignatureEncoding.
        prehash: True where SM3(payload) is the message that is signed, the payload decoded.
    """

    crypto: CryptoProvider
    user_id: bytes = DEFAULT_USER_ID
    encoding: SignatureEncoding = "raw"
    prehash: bool = False

    def message(self, signed: bytes) -> bytes:
        """What SM2 was given to sign, of a token's `header.payload`."""
        if not self.prehash:
            return signed
        payload = signed.partition(b".")[2]
        return self.crypto.sm3(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))


class Sm2Key(msgspec.Struct, frozen=True):
    """A public key on the SM2 curve.

    Attributes:
        point: see CryptoProvider.sm2_verify.
        practice: how its owner signs.
    """

    point: bytes
    practice: Sm2Practice

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature.

        Args:
            signed: header and payload as they stand in the token, strictly read before.
            signature: decoded.

        Raises:
            CryptoError: the provider cannot tell: this is no verdict on the token.
        """
        practice = self.practice
        raw = bare_signature(signature, practice.encoding)
        if raw is None:
            return False
        return practice.crypto.sm2_verify(self.point, practice.message(signed), raw, practice.user_id)


class Sm3Secret(msgspec.Struct, frozen=True):
    """A secret that is shared with an issuer, from the configuration; no key set can bring one.

    Attributes:
        secret: its bytes.
        crypto: makes the MAC.
    """

    secret: bytes
    crypto: CryptoProvider

    def __repr__(self) -> str:
        return "Sm3Secret()"

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether the MAC of header and payload is this; see Sm2Key.verifies."""
        return hmac.compare_digest(self.crypto.hmac_sm3(self.secret, signed), signature)

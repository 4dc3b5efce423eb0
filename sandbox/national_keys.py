"""SM2 keys of the sandbox's province: JSON Web Signatures with SM2 and SM3 (GM/T 0125.1-2022, `SGD_SM3_SM2`).

Made with the package `gmalg` and nothing of the gateway, whose plugins/platforms/standard.py is the reader.
"""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gmalg import SM2

SM2_ALGORITHM = "SGD_SM3_SM2"
USER_ID = b"1234567812345678"
"""What a signer is called where nothing else was agreed (GM/T 0009-2012 §10)."""
_NUMBER = 32


@dataclass(frozen=True, slots=True)
class Sm2Key:
    """One private key on the curve SM2-P-256, with its key id."""

    kid: str
    private: bytes = field(repr=False)
    public: bytes

    @classmethod
    def generate(cls) -> "Sm2Key":
        """Make a fresh key."""
        private, public = SM2().generate_keypair()
        return cls(f"sm2-{secrets.token_hex(4)}", private, public)

    def public_jwk(self) -> dict[str, Any]:
        """The public part as a JWK (RFC 7517)."""
        x, y = (_base64url(part) for part in (self.public[-2 * _NUMBER : -_NUMBER], self.public[-_NUMBER:]))
        return {"kty": "EC", "crv": "SM2-P-256", "x": x, "y": y, "kid": self.kid, "alg": SM2_ALGORITHM, "use": "sig"}

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        """A compact JWS (RFC 7515): the signature is r and s, 32 bytes each, over header and payload."""
        head = {"alg": SM2_ALGORITHM, "typ": typ, "kid": self.kid}
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in (head, claims))
        r, s = SM2(sk=self.private, uid=USER_ID).sign(signed.encode())
        return f"{signed}.{_base64url(r.rjust(_NUMBER, bytes(1)) + s.rjust(_NUMBER, bytes(1)))}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

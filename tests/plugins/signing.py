"""Those who sign requests for the channel tests: other code than the channels', from cryptography and hashlib alone."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Awaitable

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.crypto import chosen_provider
from gateway.crypto.encoding import public_key_pem
from gateway.errors import GatewayError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# GB/T 32918.5-2017 annex A.
SM2_PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
SM2_PUBLIC = bytes.fromhex(
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
SECRET = "a shared secret of the tests"


class Signs:
    """A key pair, or a shared secret, of one algorithm.

    Attributes:
        public: what the other side is given: PEM, or the secret.
        raw: the public key as a device enrols it.
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.raw = b""
        match algorithm:
            case "ed25519":
                self.private = ed25519.Ed25519PrivateKey.generate()
                self.raw = self.private.public_key().public_bytes_raw()
            case "ecdsa-p256":
                self.private = ec.generate_private_key(ec.SECP256R1())
                self.raw = self.private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            case "rsa-sha256":
                self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            case "sm2":
                self.raw = SM2_PUBLIC
        self.public = self._public()

    def _public(self) -> str:
        if self.algorithm.startswith("hmac-"):
            return SECRET
        if self.algorithm == "sm2":
            return public_key_pem(SM2_PUBLIC)
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, text: bytes) -> bytes:
        """The signature: of ECDSA and SM2 r and s, 32 bytes each."""
        match self.algorithm:
            case "hmac-sha256":
                return hmac.digest(SECRET.encode(), text, "sha256")
            case "hmac-sm3":
                return hmac.digest(SECRET.encode(), text, "sm3")
            case "ed25519":
                return self.private.sign(text)
            case "rsa-sha256":
                return self.private.sign(text, padding.PKCS1v15(), SHA256())
            case "ecdsa-p256":
                r, s = utils.decode_dss_signature(self.private.sign(text, ec.ECDSA(SHA256())))
                return r.to_bytes(32) + s.to_bytes(32)
        return chosen_provider().sm2_sign(SM2_PRIVATE, text)


ALGORITHMS = ("hmac-sha256", "hmac-sm3", "rsa-sha256", "ecdsa-p256", "ed25519", "sm2")
SIGNERS = {algorithm: Signs(algorithm) for algorithm in ALGORITHMS}
DEVICE_ALGORITHMS = ("ed25519", "ecdsa-p256", "sm2")


def other_half(signature: bytes) -> bytes:
    """The second ECDSA signature of the same message, which anybody can make of the first: r and n - s."""
    return signature[:32] + (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)


def as_der(signature: bytes) -> bytes:
    """r and s as DER."""
    return utils.encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


def content_digest(body: bytes) -> str:
    """The field's value for a body (RFC 9530)."""
    return f"sha-256=:{b64encode(hashlib.sha256(body).digest()).decode()}:"


async def outcome(judgement: Awaitable[object]) -> object:
    """What was said, or the refusal; any other error passes and fails the test."""
    try:
        return await judgement
    except GatewayError as error:
        return error

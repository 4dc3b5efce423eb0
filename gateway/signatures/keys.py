"""Keys that sign requests. Each is bound to one algorithm by whoever configured or enrolled it; no message names one.

National algorithms go through gateway.crypto, so that a cipher machine can stand behind them.
"""

import hmac
from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.crypto import DEFAULT_USER_ID, CryptoError, CryptoProvider
from gateway.crypto.aside import aside
from gateway.crypto.curve import check_point
from gateway.crypto.encoding import RSA_BITS, bare_signature, read_private_key, read_public_key, signature_to_der
from gateway.errors import CannotDecide

SignatureAlgorithm = Literal["hmac-sha256", "hmac-sm3", "rsa-sha256", "ecdsa-p256", "ed25519", "sm2"]
"""HMAC (RFC 2104), RSASSA-PKCS1-v1_5 (RFC 8017), ECDSA and EdDSA (FIPS 186-5), SM2 with SM3 (GB/T 32918.2)."""

SHARED = frozenset({"hmac-sha256", "hmac-sm3"})
"""Algorithms whose key both sides know."""

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED25519_FIELD = 2**255 - 19
# RFC 8032 §5.1.4: points of order 1, 2 and 4. Under such a key a signature made by nobody holds.
_SMALL_ORDER = frozenset({0, 1, _ED25519_FIELD - 1})

_Check = Callable[[bytes, bytes], bool]


class SignatureKey:
    """One key with its one algorithm.

    Attributes:
        algorithm: see SignatureAlgorithm.

    Args:
        algorithm: as above.
        check: tells whether a signature (raw) holds for a message.
        crypto: what computes it, where that is not at hand; None where it is.
        der: True when signatures of `ecdsa-p256` and `sm2` come as DER; r‖s, 32 bytes each, otherwise.
    """

    def __init__(
        self,
        algorithm: SignatureAlgorithm,
        check: _Check,
        crypto: CryptoProvider | None = None,
        *,
        der: bool = False,
    ) -> None:
        self.algorithm = algorithm
        self._check = check
        self._crypto = crypto
        self._der = der

    async def verify(self, message: bytes, signature: bytes) -> bytes | None:
        """The same as `verified`; a provider that takes its time does not keep the event loop."""
        if self._crypto is None:
            return self.verified(message, signature)
        return await aside(self._crypto, lambda: self.verified(message, signature))

    def verified(self, message: bytes, signature: bytes) -> bytes | None:
        """Tell whether a signature holds.

        Returns:
            None when it does not; else what to remember it by: the same bytes for every way of writing a signature
            that was made once (of ECDSA, r‖s and r‖n-s both hold).

        Raises:
            CannotDecide: what computes SM2 or SM3 is out of order; 503.
        """
        try:
            raw = self._raw(signature)
            if raw is None or not self._check(message, raw):
                return None
        except CryptoError as error:
            raise CannotDecide(f"{self.algorithm}: {error}") from error
        return _low(raw) if self.algorithm == "ecdsa-p256" else raw

    def _raw(self, signature: bytes) -> bytes | None:
        try:
            if not self._der:
                return signature
            if self.algorithm == "sm2":
                return bare_signature(signature, "der")
            r, s = decode_dss_signature(signature)
            return r.to_bytes(32) + s.to_bytes(32)
        except (ValueError, OverflowError):
            return None


def read_signature_key(
    algorithm: SignatureAlgorithm,
    text: str,
    crypto: CryptoProvider,
    *,
    user_id: bytes = DEFAULT_USER_ID,
    der: bool = False,
) -> SignatureKey:
    """Make a key of what the configuration says.

    Args:
        algorithm: see SignatureAlgorithm.
        text: the shared secret, or a public key in PEM; of SM2 also its point in 130 hexadecimal digits.
        crypto: computes SM2 and SM3.
        user_id: the signer's identity of SM2 signatures.
        der: see SignatureKey.

    Raises:
        ValueError: the text is no key of that algorithm. It repeats nothing of the text.
    """
    if algorithm in SHARED:
        check = _mac(algorithm, _secret(text), crypto)
        return SignatureKey(algorithm, check, crypto if algorithm == "hmac-sm3" else None)
    if algorithm == "sm2":
        return SignatureKey(algorithm, _sm2(_sm2_point(text), crypto, user_id), crypto, der=der)
    return SignatureKey(algorithm, _asymmetric(algorithm, text), der=der)


def check_signature_key(algorithm: SignatureAlgorithm, text: str) -> None:
    """Refuse what `read_signature_key` would not read, while nothing has to be computed yet.

    Raises:
        ValueError: as there.
    """
    if algorithm in SHARED:
        _secret(text)
    elif algorithm == "sm2":
        _sm2_point(text)
    else:
        _asymmetric(algorithm, text)


def sign_message(
    algorithm: Literal["hmac-sha256", "hmac-sm3", "sm2"],
    text: str,
    message: bytes,
    crypto: CryptoProvider,
    *,
    user_id: bytes = DEFAULT_USER_ID,
    der: bool = False,
) -> bytes:
    """Sign what is ours to sign; the other side checks it with the key that `read_signature_key` makes.

    Args:
        algorithm: see SignatureAlgorithm.
        text: the shared secret, or the SM2 private key (PEM or 64 digits).
        message: what is signed.
        crypto: computes SM2 and SM3.
        user_id: our identity of SM2 signatures.
        der: True writes SM2 signatures as DER; r‖s otherwise.

    Raises:
        ValueError: the text is no key of that algorithm. It repeats nothing of the text.
        CryptoError: what computes SM2 or SM3 is out of order.
    """
    if algorithm != "sm2":
        return _mac_of(algorithm, _secret(text), message, crypto)
    try:
        number = read_private_key(text)
    except CryptoError as error:
        raise ValueError(str(error)) from None
    raw = crypto.sm2_sign(number, message, user_id)
    return signature_to_der(raw) if der else raw


def read_device_key(algorithm: str, key: bytes, crypto: CryptoProvider) -> SignatureKey:
    """Make a key of what a device enrolled.

    Args:
        algorithm: `ed25519`, `ecdsa-p256` or `sm2`.
        key: 32 bytes (RFC 8032 §5.1.5) for `ed25519`; for the others an uncompressed point, 65 bytes that begin with 4.
        crypto: computes SM2.

    Raises:
        ValueError: no key of that algorithm.
    """
    if algorithm == "ed25519":
        return SignatureKey("ed25519", _ed25519(_strong(key)))
    if algorithm == "ecdsa-p256":
        return SignatureKey("ecdsa-p256", _ecdsa(_on_p256(key)))
    if algorithm == "sm2":
        return SignatureKey("sm2", _sm2(_on_sm2(key), crypto, DEFAULT_USER_ID), crypto)
    raise ValueError("the algorithm is none of ed25519, ecdsa-p256, sm2")


def check_device_key(algorithm: str, key: bytes) -> None:
    """Refuse what `read_device_key` would not read.

    Raises:
        ValueError: no key of that algorithm.
    """
    readers: dict[str, Callable[[bytes], object]] = {"ed25519": _strong, "ecdsa-p256": _on_p256, "sm2": _on_sm2}
    if algorithm not in readers:
        raise ValueError("the algorithm is none of ed25519, ecdsa-p256, sm2")
    readers[algorithm](key)


def _strong(key: bytes) -> Ed25519PublicKey:
    y = int.from_bytes(key, "little") & (2**255 - 1)
    if y >= _ED25519_FIELD or y in _SMALL_ORDER:
        raise ValueError("no public key of ed25519")
    return Ed25519PublicKey.from_public_bytes(key)


def _on_p256(key: bytes) -> EllipticCurvePublicKey:
    if len(key) != 65:
        raise ValueError("no uncompressed point of 65 bytes")
    return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), key)


def _on_sm2(key: bytes) -> bytes:
    try:
        check_point(key)
    except CryptoError as error:
        raise ValueError(str(error)) from None
    return key


def _low(raw: bytes) -> bytes:
    s = int.from_bytes(raw[32:])
    return raw[:32] + min(s, _P256_ORDER - s).to_bytes(32)


def _secret(text: str) -> bytes:
    if not text.strip():
        raise ValueError("the shared secret is empty")
    return text.encode()


def _sm2_point(text: str) -> bytes:
    try:
        return read_public_key(text)
    except CryptoError as error:
        raise ValueError(str(error)) from None


def _asymmetric(algorithm: str, text: str) -> _Check:
    try:
        key = load_pem_public_key(text.encode())
    except Exception:  # noqa: BLE001 - many kinds, and their text may show what should have been a key
        raise ValueError("no public key in PEM") from None
    if algorithm == "rsa-sha256" and isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS:
        return _rsa(key)
    if algorithm == "ecdsa-p256" and isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return _ecdsa(key)
    if algorithm == "ed25519" and isinstance(key, Ed25519PublicKey):
        return _ed25519(_strong(key.public_bytes_raw()))
    raise ValueError(f"no public key of {algorithm}, or a weak one")


# ── one for each algorithm: does this signature hold for this message? ────────────────────────────────────────────


def _mac(algorithm: str, secret: bytes, crypto: CryptoProvider) -> _Check:
    return lambda message, mac: hmac.compare_digest(_mac_of(algorithm, secret, message, crypto), mac)


def _mac_of(algorithm: str, secret: bytes, message: bytes, crypto: CryptoProvider) -> bytes:
    return crypto.hmac_sm3(secret, message) if algorithm == "hmac-sm3" else hmac.digest(secret, message, "sha256")


def _sm2(point: bytes, crypto: CryptoProvider, user_id: bytes) -> _Check:
    return lambda message, raw: len(raw) == 64 and crypto.sm2_verify(point, message, raw, user_id)


def _rsa(key: RSAPublicKey) -> _Check:
    return lambda message, signature: _holds(lambda: key.verify(signature, message, PKCS1v15(), SHA256()))


def _ed25519(key: Ed25519PublicKey) -> _Check:
    return lambda message, signature: _holds(lambda: key.verify(signature, message))


def _ecdsa(key: EllipticCurvePublicKey) -> _Check:
    def holds(message: bytes, raw: bytes) -> bool:
        if len(raw) != 64:
            return False
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        return _holds(lambda: key.verify(der, message, ECDSA(SHA256())))

    return holds


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True

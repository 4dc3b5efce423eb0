"""Signatures beside a message: notices, signed JSON, requests of channels. jose.py in tokens/ has those inside a token.

Which algorithm and which key is a matter of configuration; nothing in the message says it.
"""

import hashlib
import hmac
from typing import Literal

import msgspec

from gateway.crypto import DEFAULT_USER_ID, CryptoError, CryptoProvider
from gateway.crypto.curve import NUMBER
from gateway.crypto.encoding import read_private_key, read_public_key, signature_from_der, signature_to_der

MessageAlgorithm = Literal["hmac-sha256", "hmac-sm3", "sm2"]
SignatureEncoding = Literal["raw", "der"]
"""How an SM2 signature is written: r‖s of 64 bytes, or ASN.1 DER."""

SHORTEST_SECRET = 16
"""Bytes of a shared secret at least."""


class MessageKey(msgspec.Struct, frozen=True):
    """What checks the messages of one signer.

    Attributes:
        algorithm: the only one that is tried.
        key: the shared secret, or the point of the public key.
        user_id: the signer's identity (SM2).
        encoding: see SignatureEncoding (SM2).
    """

    algorithm: MessageAlgorithm
    key: bytes
    user_id: bytes = DEFAULT_USER_ID
    encoding: SignatureEncoding = "raw"

    def __repr__(self) -> str:
        return f"MessageKey(algorithm={self.algorithm!r})"

    def verifies(self, message: bytes, signature: bytes, crypto: CryptoProvider) -> bool:
        """Tell whether the message was signed with this key. Takes no longer where a MAC begins rightly.

        Raises:
            CryptoError: the provider cannot tell (a cipher machine that is down): this is no verdict on the message.
        """
        if self.algorithm == "sm2":
            raw = bare_signature(signature, self.encoding)
            return raw is not None and crypto.sm2_verify(self.key, message, raw, self.user_id)
        return hmac.compare_digest(_mac(self.algorithm, self.key, message, crypto), signature)


def read_message_key(
    algorithm: MessageAlgorithm,
    text: str,
    *,
    user_id: bytes = DEFAULT_USER_ID,
    encoding: SignatureEncoding = "raw",
) -> MessageKey:
    """Read a key as it stands in the configuration: a secret as it is, an SM2 public key as PEM or 130 digits.

    Raises:
        CryptoError: the secret is too short, or it is no public key.
    """
    if algorithm == "sm2":
        return MessageKey(algorithm, read_public_key(text), user_id, encoding)
    return MessageKey(algorithm, _secret(text))


def sign_message(
    algorithm: MessageAlgorithm,
    text: str,
    message: bytes,
    crypto: CryptoProvider,
    *,
    user_id: bytes = DEFAULT_USER_ID,
    encoding: SignatureEncoding = "raw",
) -> bytes:
    """Sign a message of ours, to be read with `read_message_key` on the other side.

    Args:
        algorithm: see MessageAlgorithm.
        text: the secret, or the SM2 private key (PEM or 64 digits).
        message: what is signed.
        crypto: see CryptoProvider.
        user_id: our identity (SM2).
        encoding: see SignatureEncoding (SM2).

    Raises:
        CryptoError: the key cannot be used, or the provider is not able to.
    """
    if algorithm != "sm2":
        return _mac(algorithm, _secret(text), message, crypto)
    raw = crypto.sm2_sign(read_private_key(text), message, user_id)
    return signature_to_der(raw) if encoding == "der" else raw


def bare_signature(signature: bytes, encoding: SignatureEncoding) -> bytes | None:
    """An SM2 signature as r‖s; None where it is not written in the encoding that was agreed."""
    if encoding == "raw":
        return signature if len(signature) == 2 * NUMBER else None
    try:
        return signature_from_der(signature)
    except CryptoError:
        return None


def _mac(algorithm: MessageAlgorithm, key: bytes, message: bytes, crypto: CryptoProvider) -> bytes:
    if algorithm == "hmac-sm3":
        return crypto.hmac_sm3(key, message)
    return hmac.digest(key, message, hashlib.sha256)


def _secret(text: str) -> bytes:
    secret = text.encode()
    if len(secret) < SHORTEST_SECRET:
        raise CryptoError(f"a shared secret of fewer than {SHORTEST_SECRET} bytes")
    return secret

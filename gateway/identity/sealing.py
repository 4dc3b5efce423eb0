"""Sealing what is kept in the shared store: whoever reads the store alone learns nothing, and can swap nothing.

sessions.py and logins.py seal with it. AES-256-GCM (NIST SP 800-38D) under keys derived by HKDF (RFC 5869).
"""

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from gateway.errors import ConfigurationError

SHORTEST_KEY = 32
"""Bytes of a sealing key at least."""

_MARK = 4
_NONCE = 12
_TAG = 16


class Sealing:
    """Seals values for one purpose. The first key seals, all of them open, so that keys can be changed.

    Each entry has a key of its own, derived from its name: no number of entries wears a nonce out, and a value that was
    copied to another entry or purpose does not open.

    Args:
        keys: of the installation, newest first; `SHORTEST_KEY` bytes each at least.
        purpose: what is sealed; values of another purpose do not open.

    Raises:
        ConfigurationError: there is no key, or one is too short.
    """

    def __init__(self, keys: Sequence[SecretStr], purpose: str) -> None:
        secrets = [key.get_secret_value().encode() for key in keys]
        problems = [
            f"sessions.keys[{place}]: {len(secret)} bytes; {SHORTEST_KEY} are needed"
            for place, secret in enumerate(secrets)
            if len(secret) < SHORTEST_KEY
        ]
        if problems or not secrets:
            raise ConfigurationError(problems or ["sessions.keys: there is no key"])
        self._purpose = b"tongguan " + purpose.encode() + b"\0"
        self._roots = {self._mark(root): root for root in map(_extract, secrets)}

    def seal(self, entry: bytes, plain: bytes) -> bytes:
        """Seal the value of this entry.

        Args:
            entry: the entry's name in the store.
            plain: the value.
        """
        mark, root = next(iter(self._roots.items()))
        nonce = os.urandom(_NONCE)
        return mark + nonce + self._cipher(root, entry).encrypt(nonce, plain, mark + entry)

    def open(self, entry: bytes, sealed: bytes) -> bytes | None:
        """The value of this entry; None when it was not sealed for it with one of our keys, or was changed."""
        mark, nonce, text = sealed[:_MARK], sealed[_MARK : _MARK + _NONCE], sealed[_MARK + _NONCE :]
        root = self._roots.get(mark)
        if root is None or len(text) < _TAG:
            return None
        try:
            return self._cipher(root, entry).decrypt(nonce, text, mark + entry)
        except InvalidTag:
            return None

    def names(self, what: bytes) -> tuple[bytes, ...]:
        """Names that tell a reader of the store nothing about `what`, one for each key: written under the first."""
        return tuple(
            hmac.digest(root, self._purpose + b"name\0" + what, "sha256").hex().encode()
            for root in self._roots.values()
        )

    def _mark(self, root: bytes) -> bytes:
        """Which key it was: in front of every sealed value."""
        return hmac.digest(root, self._purpose + b"mark", "sha256")[:_MARK]

    def _cipher(self, root: bytes, entry: bytes) -> AESGCM:
        # HKDF-Expand to one block of the hash (RFC 5869 §2.3)
        return AESGCM(hmac.digest(root, self._purpose + b"entry\0" + entry + b"\x01", "sha256"))


def _extract(secret: bytes) -> bytes:
    """HKDF-Extract without a salt (RFC 5869 §2.2)."""
    return hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")

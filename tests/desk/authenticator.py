"""A computer's key as a browser has it (WebAuthn Level 2), in software: makes and signs what tests tell it."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """One key.

    Args:
        origin: of the page that asks.
        count: what its counter stands at; None for one that does not count.
    """

    def __init__(self, origin: str, count: int | None = 0) -> None:
        self.origin = origin
        self.count = count
        self.id = secrets.token_bytes(32)
        self.key = ec.generate_private_key(ec.SECP256R1())

    def create(self, options: dict, **changed) -> dict:
        """What `navigator.credentials.create` gives."""
        x, y = self._point()
        cose = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + cose
        data = self._data(options["rp"]["id"], changed.get("flags", PRESENT | VERIFIED) | ATTESTED) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        told = self._told("webauthn.create", options, changed)
        return self._credential(clientDataJSON=told, attestationObject=made)

    def get(self, options: dict, **changed) -> dict:
        """What `navigator.credentials.get` gives."""
        data = self._data(changed.get("domain", options["rpId"]), changed.get("flags", PRESENT | VERIFIED))
        told = self._told("webauthn.get", options, changed)
        signature = self.key.sign(data + hashlib.sha256(told).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(clientDataJSON=told, authenticatorData=data, signature=signature)

    def _point(self) -> tuple[bytes, bytes]:
        numbers = self.key.public_key().public_numbers()
        return numbers.x.to_bytes(32), numbers.y.to_bytes(32)

    def _data(self, domain: str, flags: int) -> bytes:
        if self.count is not None:
            self.count += 1
        return hashlib.sha256(domain.encode()).digest() + bytes([flags]) + (self.count or 0).to_bytes(4)

    def _told(self, kind: str, options: dict, changed: dict) -> bytes:
        told = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return json.dumps(told | {name: changed[name] for name in ("challenge", "origin") if name in changed}).encode()

    def _credential(self, **response: bytes) -> dict:
        told = {name: text(value) for name, value in response.items()}
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": told}

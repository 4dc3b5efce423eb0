"""Platforms and departments that call the desk: who they are is proved on the request itself, before it is believed.

HTTP Basic over TLS (RFC 7617), or a signature over the whole request with a key of their own, and then the answer is
signed too. Used for the routed question (introspection.py) and for signed notices (notices.py).
"""

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import unquote_plus

import msgspec

from gateway.contracts import PartContext
from gateway.errors import ChannelRejected
from gateway.signatures.forms import read_shaped
from gateway.signatures.freshness import Freshness
from gateway.signatures.keys import SignatureKey, read_signature_key, sign_message
from gateway.tokens.signed_requests import (
    KEY_ID,
    NONCE,
    RepeatedParameterError,
    canonical_answer,
    canonical_request,
    sort_query,
)

WINDOW = 300.0
"""Seconds that a signed time may be from our clock, either way."""

_TIMESTAMP = re.compile(rb"[0-9]{10}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}|[0-9a-f]{128}")

PeerMethod = Literal["basic", "hmac-sha256", "hmac-sm3", "sm2"]


class PeerKey(msgspec.Struct, frozen=True):
    """How one peer proves itself.

    Attributes:
        id: what it calls itself.
        method: fixed here; nothing in a request chooses another.
        secret: the shared secret, or the SM2 public key as text.
        issuer: whose subjects it may speak of; empty where that is not asked.
    """

    id: str
    method: PeerMethod
    secret: str
    issuer: str = ""

    def __repr__(self) -> str:
        return f"PeerKey(id={self.id!r}, method={self.method!r})"


class PeerRequest(msgspec.Struct, frozen=True):
    """A peer's request, as it arrived; the body is read whole.

    Attributes:
        method: HTTP method.
        path: target's path, percent-encoding untouched.
        query: target's query, untouched.
        fields: header fields by lower-case name.
        body: the whole body.
    """

    method: str
    path: str
    query: str
    fields: Mapping[str, str]
    body: bytes


class Peers:
    """Those who may call some of the desk's pages.

    Args:
        keys: of the peers, each id once.
        context: lent for these pages; its name keeps signatures for other pages apart.

    Attributes:
        clock_offsets: by peer, seconds that its clock was ahead of ours in its last good request.

    Raises:
        ValueError: a key cannot be read.
    """

    def __init__(self, keys: Iterable[PeerKey], context: PartContext) -> None:
        self.clock_offsets: dict[str, float] = {}
        self._keys = {key.id: key for key in keys}
        self._checks: dict[str, SignatureKey] = {
            key.id: read_signature_key(key.method, key.secret, context.crypto)
            for key in self._keys.values()
            if key.method != "basic"
        }
        self._crypto = context.crypto
        self._freshness = Freshness(context, WINDOW)

    async def recognise(self, request: PeerRequest) -> PeerKey:
        """Say whose request it is.

        Raises:
            ChannelRejected, ClockSkew, Replayed: nobody's whom we know; 401.
            CannotDecide: nobody can say whether it was here before.
        """
        if "x-ak" in request.fields:
            return await self._recognise_signed(request)
        return self._recognise_basic(request.fields.get("authorization", ""))

    def sign_answer(self, peer: PeerKey, request: PeerRequest, body: bytes) -> dict[str, str]:
        """Header fields that prove to the peer who answers; none where it did not sign itself."""
        if peer.method == "basic" or peer.method == "sm2":
            return {}
        nonce, timestamp = (request.fields[name].encode("latin-1") for name in ("x-nonce", "x-timestamp"))
        signed = canonical_answer(nonce, timestamp, body)
        return {"x-signature": sign_message(peer.method, peer.secret, signed, self._crypto).hex()}

    def _recognise_basic(self, authorization: str) -> PeerKey:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise ChannelRejected("neither Basic credentials nor a signature")
        try:
            name, _, password = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        except (Base64Error, UnicodeDecodeError, ValueError):
            raise ChannelRejected("Basic credentials that cannot be read") from None
        peer = self._keys.get(unquote_plus(name))  # RFC 6749 §2.3.1
        expected = "" if peer is None or peer.method != "basic" else peer.secret
        same = hmac.compare_digest(_digest(unquote_plus(password)), _digest(expected))
        if peer is None or peer.method != "basic" or not same:
            raise ChannelRejected("unknown peer, or another secret")
        return peer

    async def _recognise_signed(self, request: PeerRequest) -> PeerKey:
        given = {name: value.encode("latin-1", "replace") for name, value in request.fields.items()}
        key_id, nonce, timestamp, signature = (
            read_shaped(given, "x-ak", KEY_ID),
            read_shaped(given, "x-nonce", NONCE),
            read_shaped(given, "x-timestamp", _TIMESTAMP),
            read_shaped(given, "x-signature", _SIGNATURE),
        )
        check = self._checks.get(key_id.decode())
        if check is None:
            raise ChannelRejected("no peer signs with this key")
        offset = self._freshness.check_time(int(timestamp))
        try:
            query = sort_query(request.query)
        except RepeatedParameterError as error:
            raise ChannelRejected(str(error)) from None
        message = canonical_request(request.method, request.path, query, key_id, nonce, timestamp, request.body)
        mark = await check.verify(message, bytes.fromhex(signature.decode()))
        if mark is None:
            raise ChannelRejected(f"signature of {key_id.decode()}")
        await self._freshness.check_first_use(key_id.decode(), int(timestamp), mark)
        peer = self._keys[key_id.decode()]
        self.clock_offsets[peer.id] = offset
        return peer


def _digest(text: str) -> bytes:
    """Equal length, so that a comparison tells nothing of it."""
    return hashlib.sha256(text.encode()).digest()

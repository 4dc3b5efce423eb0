"""What crosses the gatekeeper: typed messages as data, framed, counted and sealed. Pure: bytes in, bytes out.

Both units use it through conversation.py. A frame is `magic 2 | version 1 | kind 1 | sequence 8 | length 4 | crc32 4`,
then `length` bytes of MessagePack, then 32 bytes of HMAC-SHA256 over all before; numbers are big-endian.
"""

import hashlib
import hmac
import struct
import zlib
from enum import IntEnum
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.model import Field

VERSION = 1
MAGIC = b"TG"
OVERHEAD = 52
"""Bytes of a frame around its payload."""
GREETING_LIMIT = 512
"""Bytes of the largest frame before both sides have shown that they hold the key."""

_HEAD = struct.Struct(">2sBBQII")
_COVERED = struct.Struct(">2sBBQI")
_MAC_SIZE = 32

Side = Literal["outer", "inner"]
HexId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
RefusalCode = Literal[
    "content-blocked", "route-unknown", "expired", "busy", "draining", "other-boot", "repeated", "unreachable",
    "timed-out", "broken", "answer-blocked",
]  # fmt: skip


class FrameKind(IntEnum):
    """What a frame holds."""

    HELLO = 1
    REQUEST = 2
    ANSWER = 3
    REFUSAL = 4


class Hello(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """The first frame of each side on a link, sealed with the key for greetings.

    Attributes:
        v: version of the messages.
        side: who speaks.
        boot: random name of this life of the unit; a restart makes another one.
        nonce: 32 random bytes; both sides' nonces together make the keys of this link.
        message: bytes of the largest frame that this side takes.
    """

    v: Literal[1] = 1
    side: Side
    boot: HexId
    nonce: Digest
    message: Annotated[int, msgspec.Meta(ge=1024, le=0xFFFFFFFF)]


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """One request as data. The caller names a route, never a host or a path of the inner network.

    Attributes:
        v: version of the messages.
        id: request id, 32 hex digits; the same in the records of both units.
        boot: the boot of the inner unit it is addressed to; another one does not execute it.
        route: id under which the inner unit knows where to go.
        item: code of the service item, for the record.
        method: HTTP method; the inner unit compares it with the route's.
        path: public path as matched, for the record and the identity; never called.
        params: values of the route's path parameters, percent-encoding kept.
        query: decoded pairs in the order of the public query.
        fields: allow-listed header fields.
        content_type: media type with parameters; empty without a body.
        body: the whole body.
        body_sha256: SHA-256 of `body`.
        identity: compact JWS that says who asks (gateway/inward.py); empty for items that anyone may use.
        channel: name of the channel, for the record.
        deadline_ms: milliseconds left when it was put; the inner unit counts them from its arrival.
        created_ms: Unix milliseconds of the outer clock, for the record only.
        traceparent: W3C Trace Context.
    """

    v: Literal[1] = 1
    id: HexId
    boot: HexId
    route: str
    item: str
    method: str
    path: str
    params: dict[str, str]
    query: list[tuple[str, str]]
    fields: list[Field]
    content_type: str
    body: bytes
    body_sha256: Digest
    identity: str
    channel: str
    deadline_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
    created_ms: int
    traceparent: str

    def __repr__(self) -> str:
        return f"Request(id={self.id}, route={self.route!r}, {len(self.body)} bytes)"


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What the business system said, inspected and whole.

    Attributes:
        v: version of the messages.
        id: id of the request.
        status: HTTP status code, 200..599.
        fields: allow-listed header fields.
        body: the whole body.
        body_sha256: SHA-256 of `body`.
        length: what Content-Length would say; None when an answer to HEAD did not say.
        ms: milliseconds the inner unit needed.
    """

    v: Literal[1] = 1
    id: HexId
    status: Annotated[int, msgspec.Meta(ge=200, le=599)]
    fields: list[Field]
    body: bytes
    body_sha256: Digest
    length: int | None
    ms: float

    def __repr__(self) -> str:
        return f"Answer(id={self.id}, status={self.status}, {len(self.body)} bytes)"


class Refusal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """No answer can be given; docs/ferry.md says for each code what is known about the execution.

    Attributes:
        v: version of the messages.
        id: id of the request.
        code: why.
        detail: for the record only.
    """

    v: Literal[1] = 1
    id: HexId
    code: RefusalCode
    detail: Annotated[str, msgspec.Meta(max_length=300)]


Message = Hello | Request | Answer | Refusal

KINDS: dict[type[Message], FrameKind] = {
    Hello: FrameKind.HELLO,
    Request: FrameKind.REQUEST,
    Answer: FrameKind.ANSWER,
    Refusal: FrameKind.REFUSAL,
}
_DECODERS: dict[int, msgspec.msgpack.Decoder[Message]] = {
    kind.value: msgspec.msgpack.Decoder(message) for message, kind in KINDS.items()
}
_ENCODER = msgspec.msgpack.Encoder()


class FrameRefused(Exception):
    """Bytes that are no frame of this link; the link ends.

    Attributes:
        reason: `magic`, `version`, `kind`, `sequence`, `length`, `crc`, `mac` or `payload`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameTooLarge(Exception):
    """A message that is larger than the other side takes; nothing of it was framed."""


def greeting_key(secret: bytes, speaker: Side) -> bytes:
    """Key of one side's Hello: HKDF-SHA256 (RFC 5869) of the shared secret."""
    return _derive(secret, b"", b"tongguan ferry 1 greeting " + speaker.encode())


def link_key(secret: bytes, speaker: Side, outer_nonce: bytes, inner_nonce: bytes) -> bytes:
    """Key of what one side says on one link. Another link has other keys, so nothing can be replayed from it."""
    return _derive(secret, outer_nonce + inner_nonce, b"tongguan ferry 1 link " + speaker.encode())


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(secret)


class _Mac:
    """HMAC-SHA256 (RFC 2104) with one key: both pads are hashed once, which halves the time for short frames."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(self, data: bytes | memoryview) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()


class FrameWriter:
    """Makes the frames of one side of one link.

    Args:
        key: for the MAC, 32 bytes.
        limit: bytes of the largest frame.
    """

    __slots__ = ("_limit", "_mac", "_sequence")

    def __init__(self, key: bytes, limit: int) -> None:
        self._sequence = 0
        self.rekey(key, limit)

    def rekey(self, key: bytes, limit: int) -> None:
        """Go on with another key and limit; the sequence goes on as well."""
        self._mac = _Mac(key)
        self._limit = limit

    def frame(self, message: Message) -> bytes:
        """Frame one message.

        Raises:
            FrameTooLarge: it would be larger than the limit.
        """
        payload = _ENCODER.encode(message)
        size = len(payload)
        if size + OVERHEAD > self._limit:
            raise FrameTooLarge(f"{size + OVERHEAD} bytes, and {self._limit} are taken")
        covered = _COVERED.pack(MAGIC, VERSION, KINDS[type(message)], self._sequence, size)
        self._sequence += 1
        framed = b"%b%b%b" % (covered, zlib.crc32(payload, zlib.crc32(covered)).to_bytes(4, "big"), payload)
        return framed + self._mac.digest(framed)


class FrameReader:
    """Takes the frames of the other side apart, however they were split or joined. Bounded, and it never recurses.

    Args:
        key: for the MAC, 32 bytes.
        limit: bytes of the largest frame.
    """

    __slots__ = ("_at", "_buffer", "_limit", "_mac", "_sequence")

    def __init__(self, key: bytes, limit: int) -> None:
        self._sequence = 0
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self.rekey(key, limit)

    def rekey(self, key: bytes, limit: int) -> None:
        """Go on with another key and limit; the sequence goes on as well."""
        self._mac = _Mac(key)
        self._limit = limit

    def feed(self, data: bytes) -> None:
        """Add what arrived."""
        if self._at == len(self._buffer):
            self._buffer = data
        elif isinstance(self._buffer, bytearray):
            del self._buffer[: self._at]
            self._buffer += data
        else:
            self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            self._buffer += data
        self._at = 0

    def next(self) -> Message | None:
        """The next message; None when more bytes are needed first.

        Raises:
            FrameRefused: the bytes are no frame, or not the next one, or not the other side's.
        """
        at, buffer = self._at, self._buffer
        if len(buffer) - at < _HEAD.size:
            return None
        magic, version, kind, sequence, length, crc = _HEAD.unpack_from(buffer, at)
        end = at + OVERHEAD + length
        if magic != MAGIC or version != VERSION or kind not in _DECODERS or sequence != self._sequence:
            raise FrameRefused(self._fault(magic, version, kind))
        if end - at > self._limit:
            raise FrameRefused("length")
        if len(buffer) < end:
            return None
        self._at = end
        self._sequence += 1
        return self._open(bytes(memoryview(buffer)[at:end]), kind, crc)

    def _fault(self, magic: bytes, version: int, kind: int) -> str:
        if magic != MAGIC:
            return "magic"
        if version != VERSION:
            return "version"
        return "sequence" if kind in _DECODERS else "kind"

    def _open(self, frame: bytes, kind: int, crc: int) -> Message:
        view = memoryview(frame)
        payload = view[_HEAD.size : -_MAC_SIZE]
        if zlib.crc32(payload, zlib.crc32(view[: _COVERED.size])) != crc:
            raise FrameRefused("crc")
        if not hmac.compare_digest(self._mac.digest(view[:-_MAC_SIZE]), view[-_MAC_SIZE:]):
            raise FrameRefused("mac")
        try:
            return _DECODERS[kind].decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise FrameRefused("payload") from exc

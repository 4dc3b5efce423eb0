"""What of a request may cross, and what of an answer may come back: the outer unit's rules. Used by forward/ferry.py.

Fields start from an allow-list in both directions; inspection.py holds the inner unit's rules.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote_plus

from gateway.errors import ContentBlocked, Undelivered
from gateway.ferry.envelope import Answer, Request
from gateway.fields import FIELD_VALUE, HOP_BY_HOP, INWARD_PREFIX, UNLISTED
from gateway.inward import IDENTITY_FIELD, IdentitySigner
from gateway.model import Field, Inbound, Outbound
from gateway.settings import FerrySettings

_NEVER = UNLISTED | {b"content-type", IDENTITY_FIELD}
"""What never crosses inward among the fields; the last two are parts of the message of their own."""

_NEVER_BACK = HOP_BY_HOP | {b"content-length", b"content-type"}
_NO_BODY_DIGEST = hashlib.sha256(b"").digest()
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MOST_PAIRS = 200


class FerryReply:
    """A business system's answer that came through the gatekeeper: always whole. See model.Reply."""

    __slots__ = ("fields", "length", "status", "tunnel", "whole")

    def __init__(self, status: int, fields: list[Field], whole: bytes, length: int | None) -> None:
        self.status = status
        self.fields = fields
        self.whole: bytes | None = whole
        self.length = length
        self.tunnel = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The one piece there is."""
        if self.whole:
            yield self.whole


class Crossing:
    """The rules of one system, prepared.

    Args:
        settings: which fields cross.
        signer: signs who asks.
        clock: Unix seconds.
    """

    def __init__(self, settings: FerrySettings, signer: IdentitySigner, clock: Callable[[], float]) -> None:
        self._system = settings.name
        self._signer = signer
        self._clock = clock
        self._inward = _names(settings.request_fields) | {b"accept"}
        self._inward -= _NEVER
        self._outward = (_names(settings.response_fields) - _NEVER_BACK) | {b"content-type"}

    def request(self, outbound: Outbound, body: bytes, boot: str, seconds: float) -> Request:
        """Make the message.

        Args:
            outbound: the request; the client's and the gateway's own fields are both subject to the allow-list.
            body: the whole body.
            boot: the inner unit's boot.
            seconds: left until the deadline.

        Raises:
            ContentBlocked: the query cannot be read in one way only.
        """
        visit, inbound, now = outbound.visit, outbound.visit.inbound, self._clock()
        digest = hashlib.sha256(body).digest() if body else _NO_BODY_DIGEST
        identity = ""
        if outbound.principal is not None:
            identity = self._signer.request_identity(
                visit, outbound.principal, self._system, digest.hex(), now + seconds
            )
        fields, content_type, traceparent = self._crossing_fields(outbound.fields)
        return Request(
            id=inbound.id,
            boot=boot,
            route=visit.route,
            item=visit.item.code,
            method=inbound.method,
            path=inbound.path,
            params=dict(visit.params),
            query=query_pairs(inbound.query) if inbound.query else [],
            fields=fields,
            content_type=content_type,
            body=body,
            body_sha256=digest,
            identity=identity,
            channel=visit.channel,
            deadline_ms=int(seconds * 1000),
            created_ms=int(now * 1000),
            traceparent=traceparent or f"00-{inbound.id}-{inbound.id[16:]}-01",
        )

    def reply(self, answer: Answer) -> FerryReply:
        """What the client gets. The inner unit is checked as well: it may be broken, or broken into.

        Raises:
            Undelivered: the digest does not fit, or a field holds control characters.
        """
        if hashlib.sha256(answer.body).digest() != answer.body_sha256:
            raise Undelivered("the answer's digest does not fit its body")
        fields = [field for field in answer.fields if field[0] in self._outward]
        for _, value in fields:
            if not FIELD_VALUE.fullmatch(value):
                raise Undelivered("a header field of the answer holds control characters")
        return FerryReply(answer.status, fields, answer.body, answer.length)

    def _crossing_fields(self, fields: list[Field]) -> tuple[list[Field], str, str]:
        """Allow-listed fields, and apart from them the media type and the trace context."""
        crossing: list[Field] = []
        content_type = traceparent = ""
        for name, value in fields:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"traceparent":
                traceparent = value.decode("latin-1")
            elif name in self._inward or (name.startswith(INWARD_PREFIX) and name not in _NEVER):
                crossing.append((name, value))
        return crossing, content_type, traceparent


def _names(names: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.lower().encode() for name in names)


def refuse_what_cannot_cross(inbound: Inbound) -> None:
    """A message is data: nothing that is a session, a stream or a coding of its own goes across.

    Raises:
        ContentBlocked: an upgrade, trailers, or a content coding.
    """
    if inbound.upgrade is not None:
        raise ContentBlocked("an upgrade cannot cross the gatekeeper")
    if b"trailer" in inbound.fields:
        raise ContentBlocked("trailers cannot cross the gatekeeper")
    if b"content-encoding" in inbound.fields and inbound.fields[b"content-encoding"].lower() != b"identity":
        raise ContentBlocked("an encoded body cannot be inspected")


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Read a query as the form encoding of the WHATWG URL standard §5.1, strictly; `a` reads as `a=`.

    Raises:
        ContentBlocked: an incomplete percent-escape, not UTF-8, characters that cannot be printed, a value without
            a name, or more than 200 pairs.
    """
    if _BAD_ESCAPE.search(query):
        raise ContentBlocked("the query holds an incomplete percent-escape")
    pairs = [_pair(part) for part in query.split("&", _MOST_PAIRS)]
    if len(pairs) > _MOST_PAIRS:
        raise ContentBlocked(f"the query holds more than {_MOST_PAIRS} pairs")
    return pairs


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    if not name:
        raise ContentBlocked("the query holds a value without a name")
    return _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    try:
        decoded = unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        raise ContentBlocked("the query is not UTF-8") from None
    if not decoded.isprintable():
        raise ContentBlocked("the query holds characters that cannot be printed")
    return decoded

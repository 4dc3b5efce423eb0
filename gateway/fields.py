"""What header fields are, on both sides: which end at each hop, which are ours alone, which a client may send inward.

Fields that go inward start from an allow-list, never from a copy of what came (docs/security.md, "strip, then inject").
"""

from collections.abc import Iterable

from gateway.model import Field

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"expect",
    }
)
"""Fields for one connection only (RFC 9110 §7.6.1 and what is treated so in practice)."""

OWN_PREFIXES = (b"tongguan-", b"x-tongguan-", b"x-tif-", b"x-forwarded-", b"x-original-", b"x-rewrite-", b"x-envoy-")
"""Names by which something could be claimed that only a gateway may say; from a client or a system they never pass."""

REQUEST_FIELDS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-type",
        b"idempotency-key",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"last-event-id",
        b"origin",
        b"pragma",
        b"range",
        b"user-agent",
    }
)
"""What a client may send to a system in the external zone; a system can allow more."""

WEBSOCKET_FIELDS = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions"}
)


def nominated(connection: bytes | None) -> frozenset[bytes]:
    """Names that a `Connection` field declares to be for this hop only (RFC 9110 §7.6.1)."""
    if not connection:
        return frozenset()
    return frozenset(name.strip(b" \t").lower() for name in connection.split(b","))


def answer_fields(fields: Iterable[Field]) -> list[Field]:
    """What of an answer may reach the client: no hop-by-hop field, no nominated one, no name of ours, no framing."""
    fields = list(fields)
    drop = HOP_BY_HOP
    for name, value in fields:
        if name == b"connection":
            drop = drop | nominated(value)
    return [
        (name, value)
        for name, value in fields
        if name not in drop and name != b"content-length" and not name.startswith(OWN_PREFIXES)
    ]

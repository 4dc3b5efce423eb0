"""What header fields are, on both sides: which end at each hop, which are ours alone, which a client may send inward.

Fields that go inward start from an allow-list, never from a copy of what came (docs/security.md, "strip, then inject").
"""

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


PRODUCT_FIELDS = frozenset({b"server", b"x-powered-by", b"x-aspnet-version", b"x-aspnetmvc-version", b"x-runtime"})
"""Names by which a system tells what it is made of; nobody outside needs to know."""


def reaches_client(name: bytes) -> bool:
    """Tell whether an answer's field may reach the client.

    Not what is for one hop, not framing (the edge has its own), no name of ours, nothing of what a system is made of.

    Args:
        name: in lower case.
    """
    return not (
        name in HOP_BY_HOP or name in PRODUCT_FIELDS or name == b"content-length" or name.startswith(OWN_PREFIXES)
    )

"""What header fields are, on both sides: which end at each hop, which are ours alone, which a client may send inward.

Fields that go inward start from an allow-list, never from a copy of what came (docs/security.md, "strip, then inject").
"""

import re

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 §5.6.2
PUBLIC_FIELD_NAME = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")
"""As a client may write a name: a token without underscore. CGI-like systems take `-` for `_`: two names were one."""
FIELD_NAME = re.compile(rb"[!#$%&'*+.^`|~0-9a-z-]+")
"""A name inside the gateway and in its configuration: the same in lower case."""
FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
"""A value without control characters (RFC 9110 §5.5)."""

FORM = "application/x-www-form-urlencoded"

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

INWARD_PREFIX = b"tongguan-"
"""What the gateway itself and its re-authorizers say inward; a client's own fields of such names never get this far."""

OWN_PREFIXES = (
    INWARD_PREFIX,
    b"x-tongguan-",
    b"x-tif-",
    b"x-forwarded-",
    b"x-original-",
    b"x-rewrite-",
    b"x-envoy-",
    b"client-cert",
    b"x-client-cert",
    b"x-ssl-client-",
)
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


UNLISTED = HOP_BY_HOP | {b"authorization", b"cookie", b"host", b"content-length"}
"""What no configuration lets through as it came; nor anything with one of `OWN_PREFIXES`."""


def check_listed(name: str) -> None:
    """Check a name that a configuration's allow-list holds, for either direction.

    Raises:
        ValueError: it is no name in lower case, or what no configuration lets through: what belongs to one connection,
            credentials, and what only a gateway may say.
    """
    raw = name.encode()
    if raw.lower() in UNLISTED or raw.lower().startswith(OWN_PREFIXES):
        raise ValueError(f"{name} never crosses: it belongs to one connection or to the gateway itself")
    check_name(name)


def check_name(name: str) -> None:
    """Check a header field name of a configuration.

    Raises:
        ValueError: it is no token, not in lower case, or holds an underscore.
    """
    if not FIELD_NAME.fullmatch(name.encode()):
        raise ValueError(f"{name!r} is no header field name; write it in lower case, without an underscore")


def nominated(connection: bytes | None) -> frozenset[bytes]:
    """Names that a `Connection` field declares to be for this hop only (RFC 9110 §7.6.1)."""
    if not connection:
        return frozenset()
    return frozenset(name.strip(b" \t").lower() for name in connection.split(b","))


def is_form(content_type: bytes) -> bool:
    """Tell whether a `Content-Type` (empty for none) says that the body is an urlencoded form."""
    return content_type.partition(b";")[0].strip(b" \t").lower() == FORM.encode()


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

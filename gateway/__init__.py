"""What a plugin may use. Everything else in this package may change without notice (docs/writing-plugins.md).

Names are imported when they are first asked for, so that `tongguan --help` does not wait for what it does not use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.breaker import Breaker
    from gateway.contracts import Channel, Fetch, HttpAnswer, OnceStore, PartContext, Reauthorizer, Settings, Verifier
    from gateway.errors import (
        CannotDecide,
        ChannelRejected,
        ClockSkew,
        CredentialRejected,
        Replayed,
        RequestMalformed,
        TokenRevoked,
        VerifierUnavailable,
    )
    from gateway.fetch import check_platform_address
    from gateway.model import (
        ALLOW,
        NO_BODY,
        Allow,
        Body,
        Credential,
        Decision,
        Deny,
        Field,
        Inbound,
        Item,
        Kind,
        Principal,
        StepUp,
        Visit,
    )
    from gateway.tokens.bearer import SESSION_MARK, is_bearer_token, read_bearer
    from gateway.tokens.claims import (
        ClaimsError,
        ClaimSettings,
        MalformedClaimsError,
        read_number,
        read_principal,
        read_text,
    )
    from gateway.tokens.jose import (
        Algorithm,
        JoseError,
        Jws,
        PublicKey,
        decode_base64url,
        looks_like_jwt,
        read_json,
        read_jws,
        read_key_set,
        unverified_issuer,
    )
    from gateway.tokens.keys import KeyPolicy, KeySet
    from gateway.units import Duration, Rate, Size

_HOMES = {
    "gateway.breaker": ("Breaker",),
    "gateway.contracts": (
        "Channel",
        "Fetch",
        "HttpAnswer",
        "OnceStore",
        "PartContext",
        "Reauthorizer",
        "Settings",
        "Verifier",
    ),
    "gateway.errors": (
        "CannotDecide",
        "ChannelRejected",
        "ClockSkew",
        "CredentialRejected",
        "Replayed",
        "RequestMalformed",
        "TokenRevoked",
        "VerifierUnavailable",
    ),
    "gateway.fetch": ("check_platform_address",),
    "gateway.model": (
        "ALLOW",
        "NO_BODY",
        "Allow",
        "Body",
        "Credential",
        "Decision",
        "Deny",
        "Field",
        "Inbound",
        "Item",
        "Kind",
        "Principal",
        "StepUp",
        "Visit",
    ),
    "gateway.tokens.bearer": (
        "SESSION_MARK",
        "is_bearer_token",
        "read_bearer",
    ),
    "gateway.tokens.claims": (
        "ClaimsError",
        "ClaimSettings",
        "MalformedClaimsError",
        "read_number",
        "read_principal",
        "read_text",
    ),
    "gateway.tokens.jose": (
        "Algorithm",
        "JoseError",
        "Jws",
        "PublicKey",
        "decode_base64url",
        "looks_like_jwt",
        "read_json",
        "read_jws",
        "read_key_set",
        "unverified_issuer",
    ),
    "gateway.tokens.keys": (
        "KeyPolicy",
        "KeySet",
    ),
    "gateway.units": (
        "Duration",
        "Rate",
        "Size",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALLOW",
    "NO_BODY",
    "SESSION_MARK",
    "Algorithm",
    "Allow",
    "Body",
    "Breaker",
    "CannotDecide",
    "Channel",
    "ChannelRejected",
    "ClaimSettings",
    "ClaimsError",
    "ClockSkew",
    "Credential",
    "CredentialRejected",
    "Decision",
    "Deny",
    "Duration",
    "Fetch",
    "Field",
    "HttpAnswer",
    "Inbound",
    "Item",
    "JoseError",
    "Jws",
    "KeyPolicy",
    "KeySet",
    "Kind",
    "MalformedClaimsError",
    "OnceStore",
    "PartContext",
    "Principal",
    "PublicKey",
    "Rate",
    "Reauthorizer",
    "Replayed",
    "RequestMalformed",
    "Settings",
    "Size",
    "StepUp",
    "TokenRevoked",
    "Verifier",
    "VerifierUnavailable",
    "Visit",
    "check_platform_address",
    "decode_base64url",
    "is_bearer_token",
    "looks_like_jwt",
    "read_bearer",
    "read_json",
    "read_jws",
    "read_key_set",
    "read_number",
    "read_principal",
    "read_text",
    "unverified_issuer",
]


def __getattr__(name: str) -> object:
    """Import a name from its home (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_HOME[name]), name)
    return found

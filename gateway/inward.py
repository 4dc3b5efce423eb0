"""Says to business systems who asks, signed. forward/ferry.py binds it to one request, forward/direct.py to one system.

Compact JWS (RFC 7515) with EdDSA (RFC 8037) or ES256 (RFC 7518 §3.4); `act` is that of RFC 8693 §4.1. docs/ferry.md
shows how a business system checks it.
"""

import contextlib
import math
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.model import Principal, Visit

IDENTITY_FIELD = b"tongguan-identity"
"""Header field in which a business system gets it."""

REQUEST_TYPE = "tongguan-identity+jwt"
ASSERTION_TYPE = "tongguan-assertion+jwt"

_MOST_ASSERTIONS = 4096
_ES256 = ec.ECDSA(hashes.SHA256())

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class Actor(msgspec.Struct, frozen=True):
    """The natural person who acts for a legal person."""

    sub: str


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    iss: str
    aud: str
    iat: int
    exp: int
    sub: str
    sub_type: str
    sub_iss: str
    assurance: int
    act: Actor | None = None


class _RequestClaims(_Claims, frozen=True, omit_defaults=True, kw_only=True):
    jti: str
    route: str
    item: str
    method: str
    path: str
    query: str
    body_sha256: str
    channel: str


class IdentitySigner:
    """Signs with one key of the gateway.

    Args:
        key_pem: private key, PEM, Ed25519 or P-256.
        kid: its id in the published key set.
        issuer: the department, `iss`.
        clock: Unix seconds.
        lifetime: seconds that an assertion holds.

    Raises:
        ValueError: no such key.
    """

    def __init__(
        self, key_pem: str, kid: str, issuer: str, clock: Callable[[], float], *, lifetime: float = 60.0
    ) -> None:
        self._key = load_key(key_pem)
        self._kid = kid
        self._issuer = issuer
        self._clock = clock
        self._lifetime = lifetime
        self._alg = "EdDSA" if isinstance(self._key, ed25519.Ed25519PrivateKey) else "ES256"
        self._heads = {typ: self._head(typ) for typ in (REQUEST_TYPE, ASSERTION_TYPE)}
        self._encode = msgspec.json.Encoder().encode
        self._assertions: OrderedDict[tuple[str, str, str, str, str | None, int], tuple[float, bytes]] = OrderedDict()

    def request_identity(
        self, visit: Visit, principal: Principal, audience: str, body_sha256: str, deadline: float
    ) -> str:
        """Sign who asks for exactly this request.

        Args:
            visit: the request; its route, item, method, path, query and channel are covered.
            principal: who asks.
            audience: name of the business system.
            body_sha256: hex digest of the whole body.
            deadline: Unix seconds after which it does not hold.
        """
        inbound = visit.inbound
        claims = _RequestClaims(
            iss=self._issuer,
            aud=audience,
            iat=int(self._clock()),
            exp=math.ceil(deadline),
            jti=inbound.id,
            route=visit.route,
            item=visit.item.code,
            method=inbound.method,
            path=inbound.path,
            query=inbound.query,
            body_sha256=body_sha256,
            sub=principal.subject,
            sub_type=str(principal.kind),
            sub_iss=principal.issuer,
            assurance=principal.assurance,
            act=None if principal.operator is None else Actor(principal.operator),
            channel=visit.channel,
        )
        return self._sign(REQUEST_TYPE, claims).decode()

    def assertion(self, principal: Principal, audience: str) -> bytes:
        """Sign who asks one system, for a short time; remembered for half of it."""
        now = self._clock()
        # What the claims say; cheaper to look up than the whole principal, and the same for each of a person's tokens.
        who = (audience, principal.issuer, principal.subject, principal.kind, principal.operator, principal.assurance)
        held = self._assertions.get(who)
        if held is not None and held[0] <= now < held[0] + self._lifetime / 2:
            self._assertions.move_to_end(who)
            return held[1]
        claims = _Claims(
            iss=self._issuer,
            aud=audience,
            iat=int(now),
            exp=int(now + self._lifetime),
            sub=principal.subject,
            sub_type=str(principal.kind),
            sub_iss=principal.issuer,
            assurance=principal.assurance,
            act=None if principal.operator is None else Actor(principal.operator),
        )
        signed = self._sign(ASSERTION_TYPE, claims)
        self._assertions[who] = (now, signed)
        if len(self._assertions) > _MOST_ASSERTIONS:
            self._assertions.popitem(last=False)
        return signed

    def public_jwks(self) -> dict[str, Any]:
        """The key set (RFC 7517 §5) that business systems check with."""
        return {"keys": [self._public() | {"kid": self._kid, "use": "sig", "alg": self._alg}]}

    def _public(self) -> dict[str, str]:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(self._key.public_key().public_bytes_raw()).decode()}
        point = self._key.public_key().public_numbers()
        x, y = (_base64url(number.to_bytes(32, "big")).decode() for number in (point.x, point.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def _head(self, typ: str) -> bytes:
        return _base64url(msgspec.json.encode({"alg": self._alg, "kid": self._kid, "typ": typ})) + b"."

    def _sign(self, typ: str, claims: _Claims) -> bytes:
        signed = self._heads[typ] + _base64url(self._encode(claims))
        return b"%b.%b" % (signed, _base64url(_signature(self._key, signed)))


def load_key(key_pem: str) -> PrivateKey:
    """Read the gateway's own key.

    Raises:
        ValueError: it is no PEM, needs a password, or is of another kind.
    """
    key: object = None
    with contextlib.suppress(ValueError, TypeError, ArithmeticError, UnsupportedAlgorithm):
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("is no unencrypted private key of Ed25519 or P-256 in PEM")


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    r, s = decode_dss_signature(key.sign(data, _ES256))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")

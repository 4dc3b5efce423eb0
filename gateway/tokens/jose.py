"""Strict reading of JSON Web Tokens and key sets (RFC 7515, 7517, 7519, 8725). PyJWT checks signatures, nothing else.

A reader that tolerates (junk in base64, a member twice, NaN as a time) lets two programs read one token in two ways.
claims.py judges what a token says; keys.py keeps the key sets; national.py checks signatures with SM2 and SM3.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, NoReturn

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from gateway.crypto import CryptoError, CryptoProvider
from gateway.crypto.aside import aside
from gateway.crypto.curve import NUMBER, check_point
from gateway.crypto.encoding import RSA_BITS
from gateway.tokens.bearer import LONGEST_TOKEN
from gateway.tokens.national import SM2_CURVE, SM2_SIGNATURE, SM3_MAC, Sm2Key, Sm2Practice, Sm3Secret

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "SGD_SM3_SM2"
]
"""What a token may be signed with by a key of a set: nothing symmetric, nothing without signature (RFC 8725 §3.1)."""

AnyPublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

LARGEST_KEY_SET = 65536
MOST_KEYS = 50
DEEPEST = 16
LONGEST_KID = 256

_BLANKS = re.compile(r"[ \t\r\n]*")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_THREE_PARTS = re.compile(r"[A-Za-z0-9_=+/-]+\.([A-Za-z0-9_=+/-]+)\.[A-Za-z0-9_=+/-]*")

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_ALGORITHMS_OF: Mapping[tuple[object, object], frozenset[str]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): frozenset({"ES256"}),
    ("EC", "P-384"): frozenset({"ES384"}),
    ("EC", "P-521"): frozenset({"ES512"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA"}),
    ("EC", SM2_CURVE): frozenset({SM2_SIGNATURE}),
}
_PUBLIC_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}


class JoseError(ValueError):
    """A token or a key set that is not acceptable. The text is for the record and repeats nothing of the token."""


class Jws(msgspec.Struct, frozen=True):
    """A token taken apart, nothing of it believed yet.

    Attributes:
        algorithm: the header's `alg`.
        kid: the header's `kid`.
        type: the header's `typ` in lower case without `application/` (RFC 7515 §4.1.9); empty when it has none.
        claims: the payload.
        signed: what the signature covers.
        signature: the signature.
    """

    algorithm: str
    kid: str
    type: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"Jws(algorithm={self.algorithm!r}, type={self.type!r})"


class PublicKey(msgspec.Struct, frozen=True):
    """A key of an issuer's set, or a secret that is shared with it (`shared_key`).

    Attributes:
        kid: its id.
        algorithms: what it may be used with; a token that names another algorithm does not hold.
        members: its JWK members, by which a replaced key is told from the same one; none of a secret.
        public: the key as PyJWT wants it, or one of national.py.
    """

    kid: str
    algorithms: frozenset[str]
    members: dict[str, str]
    public: AnyPublicKey | Sm2Key | Sm3Secret

    def verifies(self, token: Jws) -> bool:
        """Tell whether this key made the token's signature, with an algorithm that is this key's own.

        Raises:
            CryptoError: the provider of SM2 and SM3 cannot tell now: this is no verdict on the token.
        """
        if token.algorithm not in self.algorithms:
            return False
        if isinstance(self.public, Sm2Key | Sm3Secret):
            return self.public.verifies(token.signed, token.signature)
        return jwt.get_algorithm_by_name(token.algorithm).verify(token.signed, self.public, token.signature)

    async def holds(self, token: Jws) -> bool:
        """`verifies`, in a thread where the provider of SM2 and SM3 takes its time."""
        crypto = self._crypto()
        return self.verifies(token) if crypto is None else await aside(crypto, lambda: self.verifies(token))

    def _crypto(self) -> CryptoProvider | None:
        match self.public:
            case Sm2Key(practice=Sm2Practice(crypto=crypto)) | Sm3Secret(crypto=crypto):
                return crypto
        return None


def shared_key(kid: str, secret: bytes, crypto: CryptoProvider) -> PublicKey:
    """A secret of the configuration as the key of this id; it holds for `SGD_SM3_HMAC` and nothing else."""
    return PublicKey(kid, frozenset({SM3_MAC}), {}, Sm3Secret(secret, crypto))


def read_json(data: bytes) -> object:
    """Read JSON in one way only: UTF-8, no member twice, no NaN or Infinity, at most `DEEPEST` levels.

    Raises:
        JoseError: it is not so.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise JoseError(f"no acceptable JSON: {type(error).__name__}") from None
    if not _is_shallow(value):
        raise JoseError(f"JSON of more than {DEEPEST} levels")
    return value


def member_source(text: str, name: str) -> str:
    """The value of an object's member exactly as it is written: a signature covers characters, not meaning.

    Args:
        text: JSON that `read_json` has taken: an object, and no member twice.
        name: of the member.

    Raises:
        JoseError: there is no such member.
    """
    decoder, at = json.JSONDecoder(), _after_blanks(text, text.index("{") + 1)
    while text[at : at + 1] == '"':
        key, at = decoder.raw_decode(text, at)
        begin = _after_blanks(text, _after_blanks(text, at) + 1)
        _, end = decoder.raw_decode(text, begin)
        if key == name:
            return text[begin:end]
        at = _after_blanks(text, _after_blanks(text, end) + 1)  # behind the comma; behind the object after the last
    raise JoseError(f"no {name}")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _no_number(_: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


def _is_shallow(value: object) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: object) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515 §2), refusing what a decoder would skip.

    Raises:
        JoseError: another alphabet, padding, an impossible length, or bits that encode nothing.
    """
    if _BASE64URL.fullmatch(text) is None:
        raise JoseError("not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise JoseError("base64url of an impossible length") from None
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise JoseError("base64url with bits that encode nothing")
    return data


def looks_like_jwt(token: str) -> bool:
    """Tell whether a token is meant as a signed JWT: three parts, the first of them the beginning of a JSON object."""
    if _THREE_PARTS.fullmatch(token) is None:
        return False
    header = token.partition(".")[0]
    return _decode_loosely(header).lstrip(b" \t\r\n").startswith(b"{")


def unverified_issuer(token: str) -> str | None:
    """Whose token this claims to be, to ask the right verifier; None when it is no JWT or does not say.

    Reads as loosely as any reader might: the verifier that is asked then reads strictly and refuses what is not right.
    """
    found = _THREE_PARTS.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if found is None or not looks_like_jwt(token):
        return None
    try:
        claims = json.loads(_decode_loosely(found[1]))
    except (ValueError, RecursionError):
        return None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else None


def _decode_loosely(text: str) -> bytes:
    text = text.rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except binascii.Error:
        return b""


def read_jws(token: str) -> Jws:
    """Take a compact JWS apart (RFC 7515 §7.1), strictly. Keys and addresses of keys in its header are not looked at.

    Raises:
        JoseError: longer than `LONGEST_TOKEN`, not three parts, not what `decode_base64url` or `read_json` take, a
            header with `crit` or without `alg` or `kid`, or a payload that is no object.
    """
    if len(token) > LONGEST_TOKEN:
        raise JoseError(f"token of {len(token)} characters")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise JoseError("not three parts")
    header, claims = (read_json(decode_base64url(part)) for part in parts[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise JoseError("header or payload is no object")
    if "crit" in header:
        raise JoseError("header with crit, of which nothing is understood here")
    algorithm, kid, type_ = header.get("alg"), header.get("kid"), header.get("typ", "")
    if not (isinstance(algorithm, str) and isinstance(kid, str) and isinstance(type_, str)):
        raise JoseError("header without alg or kid, or one of them is no string")
    if not 0 < len(kid) <= LONGEST_KID:
        raise JoseError("kid is empty or too long")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Jws(algorithm, kid, type_.lower().removeprefix("application/"), claims, signed, decode_base64url(parts[2]))


def read_key_set(document: bytes, allowed: Collection[str], sm2: Sm2Practice | None = None) -> dict[str, PublicKey]:
    """Read the usable keys of a JWK set (RFC 7517 §5) by their `kid`; a kid that occurs twice names none of them.

    Args:
        document: the set as fetched.
        allowed: algorithms of which the issuer may use any.
        sm2: how the issuer signs with SM2; its keys of that curve are not usable where this is missing.

    Raises:
        JoseError: no key set, more than `MOST_KEYS` keys, or not one that is usable.
    """
    if len(document) > LARGEST_KEY_SET:
        raise JoseError(f"key set of {len(document)} bytes")
    value = read_json(document)
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise JoseError(f"no key set of at most {MOST_KEYS} keys")
    kids = [jwk.get("kid") for jwk in listed if isinstance(jwk, dict)]
    keys = [_read_key(jwk, allowed, sm2) for jwk in listed if isinstance(jwk, dict) and kids.count(jwk.get("kid")) == 1]
    usable = {key.kid: key for key in keys if key is not None}
    if not usable:
        raise JoseError("key set without a usable key")
    return usable


def _read_key(jwk: dict[str, Any], allowed: Collection[str], sm2: Sm2Practice | None) -> PublicKey | None:
    """None for a key that is not for us: symmetric, for encryption, too short, of another algorithm, unreadable."""
    kid, kty = jwk.get("kid"), jwk.get("kty")
    if not isinstance(kid, str) or not isinstance(kty, str) or not _is_for_signatures(jwk):
        return None
    names = ("kty", *_PUBLIC_MEMBERS.get(kty, ()))
    members = {name: value for name in names if isinstance(value := jwk.get(name), str)}
    if len(members) != len(names):
        return None
    algorithms = _ALGORITHMS_OF.get((kty, members.get("crv")), frozenset()) & frozenset(allowed)
    if "alg" in jwk:
        algorithms = frozenset(one for one in algorithms if one == jwk["alg"])
    if not algorithms:
        return None
    try:
        return PublicKey(kid, algorithms, members, _load(members, next(iter(algorithms)), sm2))
    except (ValueError, CryptoError, jwt.PyJWTError, UnsupportedAlgorithm):
        return None


def _is_for_signatures(jwk: dict[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _load(members: dict[str, str], algorithm: str, sm2: Sm2Practice | None) -> AnyPublicKey | Sm2Key:
    decoded = {name: decode_base64url(members[name]) for name in ("n", "e", "x", "y") if name in members}
    if not all(decoded.values()):
        raise JoseError("an empty JWK member")
    if algorithm == SM2_SIGNATURE:
        return _load_sm2(decoded["x"], decoded["y"], sm2)
    public: AnyPublicKey = jwt.PyJWK(members, algorithm=algorithm).key
    if isinstance(public, RSAPublicKey) and public.key_size not in RSA_BITS:
        raise JoseError("RSA key too short or too long")
    return public


def _load_sm2(x: bytes, y: bytes, sm2: Sm2Practice | None) -> Sm2Key:
    if sm2 is None:
        raise JoseError("nothing says how this issuer signs with SM2")
    if len(x) != NUMBER or len(y) != NUMBER:
        raise JoseError("a coordinate of another length than the curve's")  # RFC 7518 §6.2.1.2
    point = b"\x04" + x + y
    check_point(point)
    return Sm2Key(point, sm2)

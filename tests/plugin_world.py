"""What tests of tokens and plugins share: a clock to set, a platform that answers as told, requests, signers."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway import NO_BODY, HttpAnswer, Inbound, Item, Kind, Principal, Visit

NOW = 1_700_000_000.0
ISSUER = "https://id.province.example"
AUDIENCE = "dept-hrss"


@dataclass
class Clock:
    """A wall clock and a monotonic one, moved by hand."""

    wall: float = NOW
    mono: float = 1000.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@dataclass
class Platform:
    """Stands in for another platform: answers in turn, the last answer again and again; an exception is raised."""

    answers: list[HttpAnswer | Exception] = field(default_factory=list)
    calls: list[dict] = field(default_factory=list)
    gate: asyncio.Event | None = None

    async def __call__(self, method, url, *, fields=None, body=None, timeout=3.0, limit=65536):
        self.calls.append({"method": method, "url": url, "fields": fields, "body": body, "limit": limit})
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(value: object, status: int = 200) -> HttpAnswer:
    """A JSON answer; bytes go out as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return HttpAnswer(status, "application/json", body)


class Signer:
    """A private key of an issuer: makes tokens and its public JWK."""

    def __init__(self, algorithm: str, kid: str, private: object = None) -> None:
        makers: dict[str, Callable] = {
            "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        self.algorithm = algorithm
        self.kid = kid
        self.private = private or makers[algorithm]()

    def jwk(self, **replaced: object) -> dict:
        jwk = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.private.public_key(), as_dict=True)
        jwk.pop("key_ops", None)
        members = {**jwk, "kid": self.kid, "alg": self.algorithm, "use": "sig", **replaced}
        return {name: value for name, value in members.items() if value is not None}

    def public_pem(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def token(self, header: dict | None = None, **claims: object) -> str:
        """A token; a claim that is given as None is left out."""
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "8f2c61d0b7e94a53c1d6",
            "subject_type": "natural",
            "acr": "3",
            "iat": int(NOW) - 10,
            "exp": int(NOW) + 600,
            "jti": "token-1",
            "sid": "session-1",
        } | claims
        said = {name: value for name, value in said.items() if value is not None}
        return self.sign({"typ": "at+jwt", "alg": self.algorithm, "kid": self.kid} | (header or {}), json.dumps(said))

    def sign(self, header: dict | str, payload: str | bytes) -> str:
        """A token of just these bytes, rightly signed."""
        header_text = header if isinstance(header, str) else json.dumps(header)
        body = payload if isinstance(payload, bytes) else payload.encode()
        signed = f"{b64(header_text.encode())}.{b64(body)}"
        signature = jwt.get_algorithm_by_name(self.algorithm).sign(signed.encode(), self.private)
        return f"{signed}.{b64(signature)}"


def b64(data: bytes) -> str:
    return jwt.utils.base64url_encode(data).decode()


class WholeBody:
    """A body that has arrived."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)
        self.read = 0

    async def whole(self) -> bytes:
        self.read += 1
        return self.data

    async def chunks(self):
        yield self.data


def inbound(method="GET", path="/guides/1", query="", fields=None, body=None) -> Inbound:
    """A request with these header fields."""
    held = {name.lower().encode(): value.encode("latin-1") for name, value in (fields or {}).items()}
    whole = NO_BODY if body is None else WholeBody(body)
    return Inbound("0" * 32, method, path, query, held, "192.0.2.1", "gw.example.gov.cn", "https", whole)


ITEM = Item("item-1", "个人住院结算信息查询", "medical-insurance", frozenset({Kind.NATURAL}), 3, "medical-insurance")


def visit(at: float = NOW, item: Item = ITEM) -> Visit:
    return Visit(inbound(), item, "read", "/guides/{id}", {"id": "1"}, "web", at)


def principal(**changed: object) -> Principal:
    said = {"issuer": ISSUER, "subject": "u-1", "kind": Kind.NATURAL, "assurance": 3, "expires_at": NOW + 600}
    return Principal(**(said | changed))

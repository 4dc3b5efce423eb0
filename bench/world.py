"""What every contestant is given: a back end to forward to, an issuer to trust, and the core it may use."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.processes import Process, free_port

ISSUER = "https://id.province.example"
AUDIENCE = "dept-hrss"
KEY_ID = "bench-1"
PERSONS = tuple(f"citizen-{number}" for number in range(1, 201))
"""Whoever asks. Where one will do it is the first."""
TOKEN_SECONDS = 6 * 3600

PATH = "/guides/1"
"""What is asked for when nothing else is said: an item that every contestant forwards."""

JWKS_PATH = "/jwks.json"
"""Where the first back end publishes the issuer's keys."""

BODY = json.dumps({"padding": "x" * 1009}, separators=(",", ":")).encode()
"""The back end's answer: 1 KiB of JSON."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the contestant alone on one core, load and back end together on another."""

    contestant: int
    load: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Take the first two cores this process may use; with only one, both sides share it."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1] if len(usable) < 2 else usable[1])

    @property
    def shared(self) -> bool:
        """Whether load and contestant compete for the same core, which makes every figure doubtful."""
        return self.contestant == self.load


@dataclass(frozen=True, slots=True)
class Issuer:
    """A token issuer made for one run: a fresh RS256 key, its public half, and a token of each person signed by it."""

    tokens: Sequence[str]
    jwks: Path
    public_key: Path
    issuer: str = ISSUER
    audience: str = AUDIENCE

    @property
    def headers(self) -> dict[str, str]:
        """The header field that carries the first person's token."""
        return bearer(self.tokens[0])


@dataclass(frozen=True, slots=True)
class World:
    """The surroundings of a contestant.

    Attributes:
        cores: who runs where.
        issuer: whose tokens are good.
        upstream_port: the one back end on 127.0.0.1; a measure may put another in its place.
        jwks_url: where the issuer publishes its keys, whatever becomes of the back end.
    """

    cores: Cores
    issuer: Issuer
    upstream_port: int
    jwks_url: str

    @property
    def upstream(self) -> str:
        """The back end as ``http://host:port``."""
        return f"http://127.0.0.1:{self.upstream_port}"


def bearer(token: str) -> dict[str, str]:
    """The header field that carries a token (RFC 6750, section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def make_issuer(
    directory: Path, persons: Sequence[str] = PERSONS[:1], operators: Mapping[str, str] | None = None
) -> Issuer:
    """Write a JWK set (RFC 7517) and a PEM public key below `directory` and sign each person a token for six hours.

    Args:
        directory: where the keys go.
        persons: of whom each gets a token.
        operators: who acts for those of them that are units (RFC 8693, section 4.1), by unit.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key()
    jwks, pem = directory / "jwks.json", directory / "issuer.pem"
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    # PyJWT adds key_ops, which haproxy and Envoy do not need and RFC 7517 says not to mix with "use".
    jwk = {name: jwk[name] for name in ("kty", "n", "e")} | {"kid": KEY_ID, "alg": "RS256", "use": "sig"}
    jwks.write_text(json.dumps({"keys": [jwk]}))
    pem.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    operators = operators or {}
    return Issuer([_sign(key, person, operators.get(person)) for person in persons], jwks, pem)


def _sign(key: rsa.RSAPrivateKey, person: str, operator: str | None) -> str:
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": person,
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_SECONDS,
        "jti": f"bench-{now}-{person}",
        "sid": f"bench-session-{person}",
        "level": 3,
        "acr": "3",
    }
    if operator is not None:
        claims |= {"subject_type": "legal", "act": {"sub": operator}}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": KEY_ID})


def start_backend(directory: Path, core: int, port: int | None = None, *, jwks: Path | None = None) -> Process:
    """Start the nginx that answers every GET with `BODY` from memory, and one of `JWKS_PATH` with the key set given.

    Raises:
        StartError: nginx did not come up.
    """
    port = port or free_port()
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "backend.conf"
    config.write_text(
        nginx_main(directory)
        + f"""http {{
    {nginx_scratch(directory)}
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    server {{
        listen 127.0.0.1:{port};
        default_type application/json;
        location / {{ return 200 '{BODY.decode()}'; }}
        {f"location = {JWKS_PATH} {{ alias {jwks}; }}" if jwks else ""}
    }}
}}
"""
    )
    return Process(["nginx", "-c", str(config), "-p", str(directory)], core, port, directory / "backend.log").start()


def start_redis(directory: Path, core: int) -> tuple[Process, str]:
    """Start a Redis that keeps nothing on disk, on a Unix socket below `directory`; tell its address too.

    Raises:
        StartError: it did not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    door = directory / "redis.sock"
    settings = {"port": "0", "unixsocket": str(door), "dir": str(directory), "save": "", "appendonly": "no"}
    command = ["redis-server", *(word for name, value in settings.items() for word in (f"--{name}", value))]
    return Process(command, core, 0, directory / "log", is_up=door.exists).start(), f"unix://{door}"


def nginx_main(directory: Path) -> str:
    """Begin an nginx configuration: one worker, in the foreground."""
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"""{user}daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 16384; }}
"""


def nginx_scratch(directory: Path) -> str:
    """Keep nginx's temporary files below `directory` instead of where the distribution puts them."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)

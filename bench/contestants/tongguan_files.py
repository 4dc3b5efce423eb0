"""What Tongguan is configured with for a run: its own checks on, its records kept, room for the load.

Counterpart of `tongguan.py`, which starts the processes on these files.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.chains import CHAIN
from bench.contestants.launcher import SessionShape, Shape
from bench.world import AUDIENCE, ISSUER, PERSONS, World

_CODE = "11440100696927671X344201{:07d}"
_GUIDE, _LIMITED, _BULK, _FIRST_OTHER = range(4)

GUIDE = _CODE.format(_GUIDE)
"""Code of the item behind `PATH`."""
RECEPTION = "reception"
"""The platform that people sign in at."""

_ROOM = {
    "connections": 20_000,
    "connections_per_client": 20_000,
    "idle": "1h",
    "requests_per_connection": 1_000_000_000,
    "connection_age": "24h",
    "body_timeout": "10m",
}
"""Limits that the load itself would meet; all others are the defaults."""

_OTHER_ITEM = """\
- code: {code}
  name: 事项 {number}
  category: other
  audience: [natural]
  system: backend
  operations:
  - method: GET
    path: /services/{number}/records/{{record_id}}
  channels: [web]
  assurance: 2
  reauthorize: [grants]
  limits:
    timeout: 5s
    rate: 100000/minute
"""


def write_edge(shape: Shape, world: World, directory: Path, port: int, management: int, ferry: int) -> Path:
    """Write the edge's files and keys below `directory`; tell where the static one is.

    Args:
        shape: what the gateway is to be like.
        world: what it forwards to and whom it trusts.
        directory: where its records go too.
        port: the public listener.
        management: the management listener.
        ferry: where the gatekeeper listens; unused by a direct shape.
    """
    (directory / "items").mkdir(exist_ok=True)
    key = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "identity.pem").write_bytes(key)
    (directory / "pseudonym.key").write_text(secrets.token_hex(32))
    (directory / "ferry.key").write_text(secrets.token_hex(32))
    others = range(_FIRST_OTHER, shape.items)
    catalogue = "".join(_OTHER_ITEM.format(code=_CODE.format(number), number=number) for number in others)
    (directory / "items" / "catalogue.yaml").write_text(f"items:\n{catalogue}" if catalogue else "items: []\n")
    _dump(directory / "policy.yaml", _policy(shape, world, ferry))
    return _dump(directory / "gateway.yaml", _static(shape, directory, port, management))


def write_gatekeeper(world: World, directory: Path, ferry: int) -> Path:
    """Write the inner unit's file beside the edge's, whose ferry key it shares; tell where it is."""
    settings = {
        "listen": f"127.0.0.1:{ferry}",
        "key": {"$file": "ferry.key"},
        "records": f"file:{directory}/gatekeeper.log",
        "systems": [{"name": "inner", "targets": [world.upstream]}],
        "routes": [{"id": "guide", "system": "inner", "method": "GET", "path": "/guides/{guide_id}"}],
    }
    return _dump(directory / "gatekeeper.yaml", settings)


def _static(shape: Shape, directory: Path, port: int, management: int) -> dict[str, Any]:
    static: dict[str, Any] = {
        "department": AUDIENCE,
        "listen": f"127.0.0.1:{port}",
        "management": f"127.0.0.1:{management}",
        "workers": shape.workers,
        "hosts": [f"127.0.0.1:{port}"],
        "scheme": "http",
        "drain": "1s",
        "limits": _ROOM,
        "identity": {"key": {"$file": "identity.pem"}, "kid": "bench-1"},
        "records": {"access": f"file:{directory}/access.log", "pseudonym_key": {"$file": "pseudonym.key"}},
    }
    if shape.sessions is not None:
        static |= _sessions(shape.sessions, directory)
    return static if shape.ledger is None else static | {"ledger": f"sqlite:///{shape.ledger}"}


def _sessions(shape: SessionShape, directory: Path) -> dict[str, Any]:
    (directory / "session.key").write_text(secrets.token_hex(32))
    sessions = {"keys": [{"$file": "session.key"}], "node": "bench", "remember": f"{shape.remember}s"}
    if shape.redis is None:
        return {"sessions": sessions}
    (directory / "redis.url").write_text(shape.redis)
    return {"sessions": sessions, "state": "redis", "redis": {"url": {"$file": "redis.url"}}}


def _policy(shape: Shape, world: World, ferry: int) -> dict[str, Any]:
    signing_in = {} if shape.sessions is None else {"login": {"natural": RECEPTION, "client_rate": None}}
    return {
        "include": ["items/*.yaml"],
        "channels": [{"name": "web", "use": "plugins.channels.web:Web"}],
        **signing_in,
        "verifiers": list(_verifiers(shape, world)),
        "reauthorizers": list(_reauthorizers(shape)),
        "systems": list(_systems(shape, world, ferry)),
        "items": list(_items(shape)),
    }


def _verifiers(shape: Shape, world: World) -> Iterator[dict[str, Any]]:
    yield {"name": "province-jwt", "use": "plugins.verifiers.province_jwt:ProvinceJwt", "config": _trust(world)}
    if shape.sessions is not None:
        yield {"name": "session", "use": "plugins.verifiers.session:Session"}
        yield {"name": RECEPTION, "use": "bench.plugins.reception:Reception", "config": {"issuer": ISSUER}}


def _trust(world: World) -> dict[str, Any]:
    return {
        "issuer": ISSUER,
        "jwks": world.jwks_url,
        "audience": AUDIENCE,
        "assurance": {"3": 3},
        "default_kind": "natural",
    }


def _reauthorizers(shape: Shape) -> Iterator[dict[str, Any]]:
    grants = {"subjects": PERSONS, "item": GUIDE, "count": shape.grants}
    yield {"name": "grants", "use": "bench.plugins.grants:Grants", "config": grants}
    if shape.ledger is not None:
        for name, part in CHAIN.items():
            yield {"name": name, "use": f"{part.__module__}:{part.__name__}"}


def _systems(shape: Shape, world: World, ferry: int) -> Iterator[dict[str, Any]]:
    yield {"name": "backend", "via": "direct", "targets": [world.upstream]}
    if shape.via == "ferry":
        carrier = {"kind": "socket", "address": f"127.0.0.1:{ferry}"}
        yield {"name": "inner", "via": "ferry", "carrier": carrier, "key": {"$file": "ferry.key"}}


def _items(shape: Shape) -> Iterator[dict[str, Any]]:
    asked = {"reauthorize": ["grants"]} if shape.ledger is None else {"reauthorize": [*CHAIN], "audience": ["legal"]}
    guide = _item(_GUIDE, "/guides/{guide_id}", ["GET"], limits={"timeout": "10s"}, **asked)
    guide["operations"][0]["id"] = "guide"
    guide["system"] = "inner" if shape.via == "ferry" else "backend"
    yield guide
    yield _item(_LIMITED, "/limited/{id}", ["GET"], limits={"rate": "1/minute"})
    yield _item(_BULK, "/bulk/{id}", ["GET", "PUT"], limits={"body": "2GiB", "timeout": "10m"})


def _item(number: int, path: str, methods: list[str], **more: Any) -> dict[str, Any]:
    return {
        "code": _CODE.format(number),
        "name": f"事项 {number}",
        "category": "measured",
        "audience": ["natural"],
        "system": "backend",
        "operations": [{"method": method, "path": path} for method in methods],
        "channels": ["web"],
        "assurance": 3,
        "reauthorize": [],
        **more,
    }


def _dump(path: Path, data: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return path

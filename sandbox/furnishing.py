"""Furnish a sandbox's directory: fresh keys, and configuration from the templates under `sandbox/config`.

The edge and the inner unit get a folder each and share one key, as they would on two machines.
"""

import json
import os
import secrets
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from sandbox.places import Places

IDENTITY_KID = "sandbox-1"
"""Key id of the gateway's signing key, as in `config/edge/gateway.yaml`."""

APP_KEYS = {"demo-ak": "demo-sk", "demo-sm3-ak": "demo-sm3-sk"}
"""Sample access keys with their secrets: known to everybody, for this sandbox only."""

CLIENT_SECRET = "sandbox-client-secret"


class _YamlTemplate(Template):
    """Placeholders are `@{name}`, because `$` begins a reference in our YAML."""

    delimiter = "@"


def furnish(places: Places) -> None:
    """Write new keys, and the configuration that is not there yet: what somebody has edited stays as it is.

    Raises:
        OSError: the directory cannot be written.
    """
    places.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in (places.edge / "secrets", places.gatekeeper / "secrets", places.systems, places.logs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_keys(places)
    values = {name.replace("-", "_"): str(port) for name, port in places.ports.items()}
    values |= {"gatekeeper": _quotable(places.socket), "logs": _quotable(places.logs)}
    _render(resources.files("sandbox") / "config", places.directory, values)


def _quotable(path: Path) -> str:
    """A path as it stands between the quotes of a YAML string, where JSON's escapes hold (YAML 1.2 §5.7)."""
    return json.dumps(str(path))[1:-1]


def _write_keys(places: Places) -> None:
    ferry_key = secrets.token_hex(32)
    private = Ed25519PrivateKey.generate()
    outer = {
        "identity.pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "pseudonym.key": secrets.token_hex(32),
        "ferry.key": ferry_key,
        "client.secret": CLIENT_SECRET,
        **{f"{key}.secret": secret for key, secret in APP_KEYS.items()},
    }
    for name, value in outer.items():
        _write_secret(places.edge / "secrets" / name, value)
    _write_secret(places.gatekeeper / "secrets" / "ferry.key", ferry_key)
    _write_secret(places.systems / "client.secret", CLIENT_SECRET)
    public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    published = {"keys": [public | {"kid": IDENTITY_KID, "alg": "EdDSA", "use": "sig"}]}
    places.identity_jwks.write_text(json.dumps(published, indent=2), encoding="utf-8")


def _write_secret(path: Path, value: str) -> None:
    with open(path, "w", encoding="utf-8", opener=_for_the_owner_only) as file:
        file.write(value)


def _for_the_owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _render(template: Traversable, target: Path, values: dict[str, str]) -> None:
    if template.is_dir():
        target.mkdir(exist_ok=True)
        for inner in template.iterdir():
            _render(inner, target / inner.name, values)
    elif template.name.endswith(".yaml") and not target.exists():
        text = _YamlTemplate(template.read_text(encoding="utf-8")).substitute(values)
        target.write_text(text, encoding="utf-8")

"""Furnish a sandbox's directory: fresh keys, and configuration from the templates under `sandbox/config`.

Both edges and the inner unit get a folder each; the first edge and the inner unit share one key, as they would on two
machines.
"""

import json
import os
import secrets
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from sandbox.channel_platforms import alipay, unionpay, wechat
from sandbox.dialects import guangdong, jis, national, tif, zhejiang, zhejiang_irs
from sandbox.places import Places

IDENTITY_KID = "sandbox-1"
"""Key id of the gateway's signing key, as in `config/edge/gateway.yaml`."""

APP_KEYS = {"demo-ak": "demo-sk", "demo-sm3-ak": "demo-sm3-sk"}
"""Sample access keys with their secrets: known to everybody, for this sandbox only."""

CLIENT_SECRET = "sandbox-client-secret"
MEDICAL_SECRET = "sandbox-medical-secret"

KEPT = ("console.key", "pseudonym.key")
"""Keys that the ledger of an earlier run still needs: for second factors, and for the digests of numbers."""

HOSTS = ("127.0.0.1", "localhost")
"""Names by which browsers reach the edges here."""

DIALECT_SECRETS = {
    "tif.secret": tif.PAAS_TOKEN,
    "zhejiang.secret": zhejiang.SERVICE_PASSWORD,
    "irs.secret": zhejiang_irs.SECRET_KEY,
    "jis.secret": jis.APP_WORD,
    "guangdong.secret": guangdong.CLIENT_SECRET,
    "envelope.secret": guangdong.ENVELOPE_KEY,
    "national.secret": national.APP_SECRET,
}
"""Sample secrets of the simulated dialects, by the file that the second department has each in."""


class _YamlTemplate(Template):
    """Placeholders are `@{name}`, because `$` begins a reference in our YAML."""

    delimiter = "@"


def furnish(places: Places) -> None:
    """Write new keys, and what is to be KEPT, and the configuration, unless it is there: what was edited stays.

    Raises:
        OSError: the directory cannot be written.
    """
    places.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = (folder / "secrets" for folder in (places.edge, places.medical, places.gatekeeper))
    for folder in (*keys, places.systems, places.logs):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_keys(places)
    values = {name.replace("-", "_"): str(port) for name, port in places.ports.items()}
    values |= {"gatekeeper": _quotable(places.socket), "logs": _quotable(places.logs)}
    _render(resources.files("sandbox") / "config", places.directory, values)


def _quotable(path: Path) -> str:
    """A path as it stands between the quotes of a YAML string, where JSON's escapes hold (YAML 1.2 §5.7)."""
    return json.dumps(str(path))[1:-1]


def _write_keys(places: Places) -> None:
    ferry_key, client_secrets = secrets.token_hex(32), {"dept-hrss": CLIENT_SECRET, "dept-medical": MEDICAL_SECRET}
    hrss = _edge_secrets(CLIENT_SECRET) | {"ferry.key": ferry_key, "console.key": secrets.token_hex(32)}
    hrss |= {f"{key}.secret": secret for key, secret in APP_KEYS.items()} | _channel_secrets(places.channel_keys)
    medical = _edge_secrets(client_secrets["dept-medical"]) | DIALECT_SECRETS
    for folder, jwks, values in (
        (places.edge, places.identity_jwks, hrss),
        (places.medical, places.medical_jwks, medical),
    ):
        values["identity.pem"], published = _identity_key()
        jwks.write_text(json.dumps(published, indent=2), encoding="utf-8")
        for name, value in values.items():
            if name not in KEPT or not (folder / "secrets" / name).exists():
                _write_secret(folder / "secrets" / name, value)
    _write_secret(places.gatekeeper / "secrets" / "ferry.key", ferry_key)
    _write_secret(places.systems / "client.secret", CLIENT_SECRET)
    _write_secret(places.clients, json.dumps(_clients(places, hrss, medical), indent=2))


def _channel_secrets(keys: Path) -> dict[str, str]:
    """What the first department shares with the channels' platforms."""
    keys.mkdir(exist_ok=True, mode=0o700)
    alipay.make_keys(keys)
    own, theirs = keys / alipay.APPLICATION_KEY, (keys / alipay.PLATFORM_KEY).with_suffix(".pub.pem")
    return {
        "wechat.secret": wechat.SECRET,
        "unionpay.secret": unionpay.SECRET,
        "alipay.pem": own.read_text(encoding="utf-8"),
        "alipay.pub.pem": theirs.read_text(encoding="utf-8"),
    }


def _edge_secrets(client_secret: str) -> dict[str, str]:
    """What each edge has, fresh except for the secret that the documentation names."""
    fresh = ("pseudonym.key", "session.key", "introspection.secret", "notice.secret")
    return {name: secrets.token_hex(32) for name in fresh} | {"client.secret": client_secret}


def _identity_key() -> tuple[str, dict[str, Any]]:
    """A private key in PEM, and the key set that publishes its other half."""
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    return pem, {"keys": [public | {"kid": IDENTITY_KID, "alg": "EdDSA", "use": "sig"}]}


def _clients(places: Places, hrss: Mapping[str, str], medical: Mapping[str, str]) -> list[dict[str, Any]]:
    """What the province knows of both departments (`sandbox.province.clients`)."""
    departments = (
        ("dept-hrss", "hrss", "edge", "backchannel", hrss),
        ("dept-medical", "medical", "medical-edge", "signed", medical),
    )
    return [
        {
            "id": id_,
            "secret": values["client.secret"],
            "audience": id_,
            "node": node,
            "redirect_uris": [f"http://{host}:{places.ports[edge]}/sso/callback/province" for host in HOSTS],
            "signed_out_uris": [f"http://{host}:{places.ports[edge]}/sso/" for host in HOSTS],
            "introspection": f"{places.url(edge)}/sso/introspect",
            "introspection_secret": values["introspection.secret"],
            "notice_form": form,
            "notices": f"{places.url(edge)}/sso/notices",
            "notice_secret": values["notice.secret"],
        }
        for id_, node, edge, form, values in departments
    ]


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

"""The channels that sign their messages, as the edge of these tests has them, and those who sign for them.

Each maker gives a good message of now; its arguments spoil it, most of them after it was signed.
"""

import hashlib
import hmac
import secrets
import struct
import time
from base64 import b64decode, b64encode
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET = "a secret of 32 bytes and some more"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ALIPAY_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FORM = "application/x-www-form-urlencoded"
FILES = {"secret": SECRET, "aes-key": AES_KEY}
"""What the configuration refers to, by file name."""

_HELD, _AES = {"$file": "secret"}, {"$file": "aes-key"}
_PUBLIC = ALIPAY_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
_CONFIGURED = {
    "app": ("app:App", {"keys": [{"id": "ak", "secret": _HELD}]}),
    "kiosk": (
        "signed:Signed",
        {"scheme": {"kind": "template"}, "callers": [{"id": "kiosk", "algorithm": "hmac-sha256", "key": _HELD}]},
    ),
    "wechat": (
        "wechat:WeChat",
        {"app_id": "wx1", "messages": {"paths": ["/wechat/1"], "keys": [{"token": _HELD, "aes_key": _AES}]}},
    ),
    "alipay": ("alipay:Alipay", {"app_id": "ali1", "public_keys": [_PUBLIC], "notifications": ["/alipay/1"]}),
    "unionpay": (
        "unionpay:UnionPay",
        {
            "app_id": "up1",
            "acp": {"paths": ["/unionpay/1"], "merchants": ["m1"], "sign_method": "11", "keys": [_HELD]},
        },
    ),
}
CHANNELS = [
    {"name": name, "use": f"plugins.channels.{use}", "config": config} for name, (use, config) in _CONFIGURED.items()
]


class Message(NamedTuple):
    """A request; `fields` as Line.ask takes them."""

    path: str
    body: bytes
    fields: dict[str, str]


def from_app(
    path="/open/1", body=b"{}", *, key_id="ak", at=0, method="POST", secret=SECRET, sent=None, **fields
) -> Message:
    """Signed as docs/channels.md says, `at` seconds from now; `sent` is another body than the one that was signed."""
    held = {"x_ak": key_id, "x_nonce": secrets.token_hex(8), "x_timestamp": _second(at)}
    named = (f"{name.replace('_', '-')}:{value}" for name, value in held.items())
    text = "\n".join([method, path, "", *named, hashlib.sha256(body).hexdigest()])
    held["x_signature"] = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    return Message(path, body if sent is None else sent, held | fields)


def from_kiosk(path="/open/1", body=b"{}", *, at=0, secret=SECRET, sent=None, **fields) -> Message:
    """Signed by the parts that the signed channel has for a default."""
    nonce, timestamp = secrets.token_hex(8), _second(at)
    text = "\n".join(["POST", path, "", hashlib.sha256(body).hexdigest(), timestamp, nonce, "kiosk"])
    signature = hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()
    held = {"x_key_id": "kiosk", "x_timestamp": timestamp, "x_nonce": nonce, "x_signature": signature}
    return Message(path, body if sent is None else sent, held | fields)


def from_wechat(message=b"<xml><a>1</a></xml>", *, at=0, token=SECRET, app_id="wx1", **asked) -> Message:
    """An encrypted message of WeChat's servers."""
    key = b64decode(AES_KEY + "=")
    text = secrets.token_bytes(16) + struct.pack(">I", len(message)) + message + app_id.encode()
    count = 32 - len(text) % 32
    sealer = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    sealed = b64encode(sealer.update(text + bytes([count]) * count) + sealer.finalize()).decode()
    timestamp, nonce = _second(at), secrets.token_hex(8)
    signature = hashlib.sha1("".join(sorted((token, timestamp, nonce, sealed))).encode()).hexdigest()
    query = {"timestamp": timestamp, "nonce": nonce, "msg_signature": signature} | asked
    envelope = f"<xml><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()
    return Message(f"/wechat/1?{urlencode(query)}", envelope, {"content_type": "text/xml"})


def from_alipay(*, at=0, key=ALIPAY_KEY, digest=SHA256, sent=(), **said) -> Message:
    """A notification of Alipay; `sent` are parameters that are changed after signing."""
    said = {"app_id": "ali1", "notify_id": secrets.token_hex(8), "notify_time": _in_china(at, "%F %T")} | said
    text = "&".join(f"{name}={said[name]}" for name in sorted(said)).encode()
    signature = b64encode(key.sign(text, PKCS1v15(), digest())).decode()
    return _form("/alipay/1", {**said, "sign": signature, "sign_type": "RSA2", **dict(sent)})


def from_unionpay(*, at=0, key=SECRET, sent=(), **said) -> Message:
    """A message of UnionPay's payment gateway, method 11; `sent` as in from_alipay."""
    said = {
        "version": "5.1.0",
        "encoding": "UTF-8",
        "signMethod": "11",
        "merId": "m1",
        "orderId": secrets.token_hex(8),
        "txnTime": _in_china(at, "%Y%m%d%H%M%S"),
    } | said
    text = "&".join(f"{name}={said[name]}" for name in sorted(said))
    signature = hashlib.sha256(f"{text}&{hashlib.sha256(key.encode()).hexdigest()}".encode()).hexdigest()
    return _form("/unionpay/1", {**said, "signature": signature, **dict(sent)})


MAKERS = {
    "app": from_app,
    "kiosk": from_kiosk,
    "wechat": from_wechat,
    "alipay": from_alipay,
    "unionpay": from_unionpay,
}
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK = SHA1
"""The digest that Alipay's older algorithm has."""


def _form(path, parameters) -> Message:
    return Message(path, urlencode(parameters).encode(), {"content_type": FORM})


def _second(at) -> str:
    return str(int(time.time() + at))


def _in_china(at, pattern) -> str:
    return datetime.fromtimestamp(time.time() + at, timezone(timedelta(hours=8))).strftime(pattern)

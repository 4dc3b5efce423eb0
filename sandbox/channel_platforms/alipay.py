"""Alipay's exchange of login codes, signed both ways; plugins/channels/alipay.py asks it."""

import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sandbox.channel_platforms.scene import LARGEST_OFFSET, LOCAL, TOKEN_LIFE, Scene, account_at, account_hash

APP = "2014072300007148"
PLATFORM_KEY, APPLICATION_KEY = "alipay.pem", "alipay-application.pem"

CODES = {
    "isp.unknow-error": ("20000", "系统繁忙"),
    "isv.code-invalid": ("40002", "授权码code无效"),
    "isv.grant-type-invalid": ("40002", "grant_type参数无效"),
    "isv.invalid-app-id": ("40002", "无效的AppID参数"),
    "isv.invalid-method": ("40002", "不存在的方法名"),
    "isv.invalid-signature": ("40002", "无效签名"),
    "isv.invalid-timestamp": ("40002", "无效的时间戳参数"),
    "isv.app-call-limited": ("40005", "应用调用次数超限"),
    "isv.insufficient-isv-permissions": ("40006", "ISV权限不足"),
}


class Alipay:
    """One application.

    Args:
        scene: of all platforms.
        key: Alipay's own, which signs its answers.
        application_key: of our application; its public half was registered there.
    """

    def __init__(self, scene: Scene, key: RSAPrivateKey, application_key: RSAPrivateKey) -> None:
        self._scene = scene
        self._key = key
        self._registered = application_key.public_key()

    def routes(self) -> list[web.RouteDef]:
        """The paths are the real ones."""
        board = self._scene.board
        return [
            web.post("/gateway.do", board.endpoint("gateway", self.gateway)),
            web.get("/oauth2/publicAppAuthorize.htm", board.counted("page", self.page)),
        ]

    async def gateway(self, request: web.Request) -> web.Response:
        """`POST /gateway.do`: alipay.system.oauth.token."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        sub_code = self._scene.ordered("gateway") or self._mistake(form)
        user = None
        if not sub_code:
            try:
                user = self._scene.codes.take(form.get("code", ""), APP)
            except KeyError:
                user = None
            sub_code = "" if user is not None else "isv.code-invalid"
        if user is None:
            code, text = CODES[sub_code]
            failure = {"code": code, "msg": "Invalid Arguments", "sub_code": sub_code, "sub_msg": text}
            # Nobody can sign for an application that does not exist.
            return self._answer("error_response", failure, signs=sub_code != "isv.invalid-app-id")
        said = {
            "access_token": f"authbseB{secrets.token_hex(16)}",
            "auth_start": f"{datetime.fromtimestamp(self._scene.clock(), LOCAL):%Y-%m-%d %H:%M:%S}",
            "expires_in": TOKEN_LIFE,
            "open_id": account_at(APP, user),
            "union_id": account_at("alipay", user),
            "user_id": f"2088{int(account_hash('alipay', user)[:12], 16) % 10**12:012d}",
        }
        return self._answer("alipay_system_oauth_token_response", said)

    def _mistake(self, form: Mapping[str, str]) -> str:
        if form.get("app_id") != APP:
            return "isv.invalid-app-id"
        text = "&".join(f"{name}={value}" for name, value in sorted(form.items()) if value and name != "sign")
        try:
            self._registered.verify(b64decode(form.get("sign", "")), text.encode(), PKCS1v15(), SHA256())
            at = datetime.strptime(form.get("timestamp", ""), "%Y-%m-%d %H:%M:%S").replace(tzinfo=LOCAL)
        except InvalidSignature:
            return "isv.invalid-signature"
        except ValueError:
            return "isv.invalid-timestamp"
        if abs(at.timestamp() - self._scene.clock()) > LARGEST_OFFSET:
            return "isv.invalid-timestamp"
        if form.get("method") != "alipay.system.oauth.token":
            return "isv.invalid-method"
        return "" if form.get("grant_type") == "authorization_code" else "isv.grant-type-invalid"

    def _answer(self, name: str, said: Mapping[str, Any], *, signs: bool = True) -> web.Response:
        """Signed are the very characters of the answer's member; its blanks are ours, so that nobody writes it anew."""
        source = json.dumps(said, ensure_ascii=False, separators=(" ,", ": "))
        signature = b64encode(self._key.sign(source.encode(), PKCS1v15(), SHA256())).decode()
        text = f'{{"{name}":{source},"sign":"{signature}"}}' if signs else f'{{"{name}":{source}}}'
        return web.Response(body=text.encode(), content_type="text/html", charset="utf-8")

    async def page(self, request: web.Request) -> web.Response:
        """`GET /oauth2/publicAppAuthorize.htm`: silent, as with auth_base."""
        return self._scene.send_back(request, "redirect_uri", "app_id", "auth_code")


def make_keys(folder: Path) -> None:
    """Write key pairs of Alipay and of our application there, unless they are there: `NAME.pem` and `NAME.pub.pem`."""
    for name in (PLATFORM_KEY, APPLICATION_KEY):
        path = folder / name
        if path.exists():
            continue
        key = generate_private_key(public_exponent=65537, key_size=2048)
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        path.with_suffix(".pub.pem").write_bytes(public)


@cache
def read_key(path: Path) -> RSAPrivateKey:
    """Read a private key that `make_keys` has written, once: to check that it is a key takes a twentieth of a second.

    Raises:
        ValueError: it is none.
    """
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"{path} is no RSA key")
    return key

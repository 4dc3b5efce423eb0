"""云闪付's exchange of login codes, in two questions; plugins/channels/unionpay.py asks them."""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping

from aiohttp import web

from sandbox.channel_platforms.scene import LARGEST_OFFSET, TOKEN_LIFE, Scene, account_at, read_members
from sandbox.serving import json_response

APP = "sandbox-unionpay-app"
SECRET = "sandbox-unionpay-secret"

CODES = {
    "a10": "不合法的backend_token，或已过期",
    "a31": "不合法的授权code，或已过期",
    "BC0024": "非法请求",
    "BC0025": "验签失败",
    "BC2126": "缓存中不包含此商户appId",
    "BC2127": "缓存中不包含此backendToken",
    "BC2133": "获取商户信息异常",
    "N62106": "grantType应为固定值authorization_code",
    "N62112": "code不能为空",
}


class UnionPay:
    """One application."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._backend_tokens: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """The paths are the real ones."""
        board = self._scene.board
        return [
            web.post("/open/access/1.0/backendToken", board.endpoint("backendToken", self.backend_token)),
            web.post("/open/access/1.0/token", board.endpoint("token", self.token)),
            web.get("/s/open/html/oauth.html", board.counted("page", self.page)),
        ]

    async def backend_token(self, request: web.Request) -> web.Response:
        """`POST /open/access/1.0/backendToken`: what every other question needs."""
        asked = await read_members(request)
        resp = self._scene.ordered("backendToken") or self._mistake(asked)
        if resp:
            return _failure(resp)
        token = b64encode(secrets.token_bytes(16)).decode()
        self._backend_tokens[token] = self._scene.clock() + TOKEN_LIFE
        return json_response({"resp": "00", "msg": "", "params": {"backendToken": token, "expiresIn": TOKEN_LIFE}})

    def _mistake(self, asked: Mapping[str, str]) -> str:
        if asked.get("appId") != APP:
            return "BC2126"
        timestamp = asked.get("timestamp", "")
        if not timestamp.isdecimal() or abs(int(timestamp) - self._scene.clock()) > LARGEST_OFFSET:
            return "BC0024"
        text = f"appId={APP}&nonceStr={asked.get('nonceStr')}&secret={SECRET}&timestamp={timestamp}"
        return "" if asked.get("signature") == hashlib.sha256(text.encode()).hexdigest() else "BC0025"

    async def token(self, request: web.Request) -> web.Response:
        """`POST /open/access/1.0/token`: a login on 云闪付's page, or in its mini-program."""
        asked = await read_members(request)
        resp = self._scene.ordered("token")
        if not resp and self._scene.clock() > self._backend_tokens.get(asked.get("backendToken", ""), 0.0):
            resp = "a10"
        if not resp and asked.get("grantType") != "authorization_code":
            resp = "N62106"
        user = None
        if not resp:
            try:
                user = self._scene.codes.take(asked.get("code", ""), APP)
            except KeyError:
                user = None
        if user is None:
            return _failure(resp or "a31")
        params = {"accessToken": secrets.token_hex(16), "expiresIn": 3600, "openId": account_at(APP, user)}
        return json_response({"resp": "00", "msg": "", "params": params | {"scope": "upapi_base", "refreshToken": ""}})

    async def page(self, request: web.Request) -> web.Response:
        """`GET /s/open/html/oauth.html`: silent, as with upapi_base."""
        return self._scene.send_back(request, "redirectUri", "appId", "code")


def _failure(resp: str) -> web.Response:
    return json_response({"resp": resp, "msg": CODES[resp], "params": {}})

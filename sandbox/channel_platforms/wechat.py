"""WeChat's two exchanges of login codes; plugins/channels/wechat.py asks them."""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.channel_platforms.scene import TOKEN_LIFE, Scene, account_at, account_hash

PROGRAM, ACCOUNT = "wx0000000000000001", "wx0000000000000002"
SECRET = "sandbox-wechat-secret"

CODES = {
    -1: "system error",
    40002: "invalid grant_type",
    40013: "invalid appid",
    40029: "invalid code",
    40125: "invalid appsecret",
    40163: "code been used",
    40164: "invalid ip, not in whitelist",
    40226: "code blocked",
    41002: "appid missing",
    41004: "appsecret missing",
    41008: "missing code",
    45011: "api minute-quota reach limit, must slower, retry next minute",
}


class WeChat:
    """A mini-program and an official account, with the same secret."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def routes(self) -> list[web.RouteDef]:
        """The paths are the real ones."""
        board = self._scene.board
        return [
            web.get("/sns/jscode2session", board.endpoint("jscode2session", self.jscode2session)),
            web.get("/sns/oauth2/access_token", board.endpoint("access_token", self.access_token)),
            web.get("/connect/oauth2/authorize", board.counted("page", self.page)),
        ]

    async def jscode2session(self, request: web.Request) -> web.Response:
        """`GET /sns/jscode2session`: a mini-program's login."""
        return self._answer("jscode2session", request, "js_code", PROGRAM)

    async def access_token(self, request: web.Request) -> web.Response:
        """`GET /sns/oauth2/access_token`: a login on an official account's page."""
        return self._answer("access_token", request, "code", ACCOUNT)

    def _answer(self, endpoint: str, request: web.Request, name: str, application: str) -> web.Response:
        """Failures come with status 200 and `errcode`, all answers as text/plain."""
        asked = request.query
        errcode = self._scene.ordered(endpoint) or self._mistake(asked, name, application)
        user = None
        if not errcode:
            try:
                user = self._scene.codes.take(asked[name], application)
                errcode = 0 if user is not None else 40029
            except KeyError:
                errcode = 40163
        if user is None:
            said: dict[str, Any] = {
                "errcode": errcode,
                "errmsg": f"{CODES[errcode]}, rid: {secrets.token_hex(8)}",
            }
        else:
            said = {"openid": account_at(application, user), "unionid": account_at("wechat", user)}
            if endpoint == "jscode2session":
                said["session_key"] = session_key(user)
            else:
                said |= {"access_token": secrets.token_hex(16), "expires_in": TOKEN_LIFE, "scope": "snsapi_base"}
        return web.Response(text=json.dumps(said), content_type="text/plain")

    def _mistake(self, asked: Mapping[str, str], name: str, application: str) -> int:
        checks = (
            (41002, "appid" in asked),
            (41004, "secret" in asked),
            (41008, name in asked),
            (40013, asked.get("appid") == application),
            (40125, asked.get("secret") == SECRET),
            (40002, asked.get("grant_type") == "authorization_code"),
        )
        return next((errcode for errcode, good in checks if not good), 0)

    async def page(self, request: web.Request) -> web.Response:
        """`GET /connect/oauth2/authorize`: silent, as with snsapi_base."""
        return self._scene.send_back(request, "redirect_uri", "appid", "code")


def session_key(user: str) -> str:
    """What encrypts somebody's data in the mini-program."""
    return b64encode(bytes.fromhex(account_hash("session_key", user))[:16]).decode()

"""大汉 JIS (Shandong, Jiangsu): one address, the service named in the question, the answer's data encrypted."""

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from sandbox.accounts import Account
from sandbox.dialects.common import Dialect, Entry, text_of, with_query
from sandbox.pages import redirect
from sandbox.serving import json_response
from sandbox.switchboard import only

APP_MARK = "sandboxmark"
APP_WORD = "sandbox-appword1"
"""Also the AES-128 key of the answers."""
SKEW_SECONDS = 300
AUTH_LEVELS = {0: "0", 1: "1", 2: "2", 3: "3", 4: "3"}
FAILURES = {
    "mark": ("100001", "应用标识不存在"),
    "signature": ("100002", "签名验证失败"),
    "time": ("100003", "请求已过期"),
    "service": ("100004", "服务名不存在"),
    "ticket": ("200001", "票据无效"),
    "token": ("200002", "令牌无效"),
}


class Jis(Dialect):
    """`ticketValidate`, `findOutsideUserByToken` and `findCorUserByToken`; `retcode` "000000" is yes."""

    name = "大汉 JIS 统一身份认证（演示） Hanweb JIS (simulated)"
    token_form = "JIS.*"
    endpoints = ("page", "interface")

    def routes(self) -> list[web.RouteDef]:
        """The pages and the one interface."""
        on = self.board.endpoint
        return [
            web.get("/jis-web/login", on("page", self.page)),
            web.post("/jis-web/interface", on("interface", self.interface)),
            web.get("/jis-web/logout", self.board.counted("logout", self.log_out)),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The login page: `userType` 1 persons, 2 units."""
        kind = only(request.query, "userType")
        return self.login_page("legal" if kind == "2" else "natural", only(request.query, "backUrl"))

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Back with `ticket`."""
        return redirect(with_query(back, {"ticket": self.tickets.issue(account, level)}))

    async def interface(self, request: web.Request) -> web.Response:
        """Every question, as a form or as JSON."""
        asked: Mapping[str, Any]
        try:
            asked = await request.json() if request.content_type == "application/json" else await request.post()
            params = json.loads(text_of(asked, "params") or "{}")
        except (ValueError, AttributeError):
            return _no("service")
        refused = self._check(asked)
        if refused is not None:
            return _no(refused)
        return self._serve(text_of(asked, "servicename"), params if isinstance(params, dict) else {})

    def _check(self, asked: Mapping[str, Any]) -> str | None:
        mark = text_of(asked, "appmark") or text_of(asked, "app_id")
        if mark != APP_MARK:
            return "mark"
        signed = f"{APP_MARK}{APP_WORD}{text_of(asked, 'time')}".encode()
        right = hashlib.md5(signed, usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(right.encode(), text_of(asked, "sign").encode()):
            return "signature"
        return None if self.clock.is_near(text_of(asked, "time"), SKEW_SECONDS) else "time"

    def _serve(self, service: str, params: Mapping[str, Any]) -> web.Response:
        if service == "ticketValidate":
            entry = self.tickets.redeem(text_of(params, "ticket"))
            return _no("ticket") if entry is None else _yes({"token": self.new_token(entry)})
        describe = {"findOutsideUserByToken": ("natural", _person), "findCorUserByToken": ("legal", _unit)}
        if service not in describe:
            return _no("service")
        kind, members = describe[service]
        entry = self.tickets.find(text_of(params, "token"))
        return _no("token") if entry is None or entry.account.subject_type != kind else _yes(members(entry))

    async def log_out(self, request: web.Request) -> web.Response:
        """The logout page."""
        return self.signed_out(only(request.query, "backUrl"))


def _person(entry: Entry) -> dict[str, Any]:
    account, profile = entry.account, entry.account.profile
    return {
        "uuid": account.sub,
        "loginname": account.user,
        "name": profile["name"],
        "paperstype": "1",
        "papersnumber": profile["id_number"],
        "mobile": profile["mobile"],
        "sex": str(profile["gender"]),
        "authlevel": AUTH_LEVELS[entry.level],
        "isauth": str(profile["real_name_verified"]),
    }


def _unit(entry: Entry) -> dict[str, Any]:
    account, profile = entry.account, entry.account.profile
    return {
        "uuid": account.operator,
        "corname": profile["organization_name"],
        "cornumber": account.sub,
        "corpresident": profile["legal_representative"],
        "coraddress": profile["registered_address"],
        "authlevel": AUTH_LEVELS[entry.level],
    }


def _yes(data: dict[str, Any]) -> web.Response:
    """With the data encrypted: AES in ECB mode with PKCS#7 padding, as Java's `AES/ECB/PKCS5Padding` does."""
    padder = PKCS7(128).padder()
    text = padder.update(json.dumps(data, ensure_ascii=False).encode()) + padder.finalize()
    sealer = Cipher(algorithms.AES(APP_WORD.encode()), modes.ECB()).encryptor()  # noqa: S305 - it is what JIS does
    sealed = b64encode(sealer.update(text) + sealer.finalize()).decode()
    return json_response({"retcode": "000000", "msg": "成功", "data": sealed})


def _no(failure: str) -> web.Response:
    code, message = FAILURES[failure]
    return json_response({"retcode": code, "msg": message, "data": None})

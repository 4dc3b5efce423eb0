"""The national platform of the department's line (国家平台, 垂直系统), with keys and header fields of its own.

Asked directly (`gjzwfwpt_*`, signed with our secret) or through the exchange platform (`gjgxjhpt_*`, signed with a
secret that has to be fetched and ends). `code` 200 is yes, 300 is no; HTTP is 200 either way.
"""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from sandbox.accounts import Account, Register
from sandbox.dialects.common import Dialect, Entry, text_of, with_query
from sandbox.pages import redirect
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, only

REQUESTER = "350100-medical"
APP_SECRET = "sandbox-national-secret"
APP_KEY = "sandbox-app-key1"
"""Of the exchange platform; its own bytes are the AES key (`key_derivation: raw`)."""
TICKET_SERVICE = "s_ticket"
USER_SERVICE = "s_user"
SECRET_SERVICE = "s_secret"
SKEW_SECONDS = 300
SECRET_SECONDS = 600
LEVELS = {0: "2", 1: "2", 2: "3", 3: "4", 4: "5"}

FAILURES = {
    "requester": "请求者身份标识无效",
    "service": "服务标识无效",
    "signature": "签名错误",
    "time": "请求时间超出允许范围",
    "ticket": "票据无效",
    "token": "令牌无效",
}


class National(Dialect):
    """Ticket → token → person of the line."""

    name = "国家平台（垂直系统，演示） National platform of the line (simulated)"
    token_form = "GJ.*"
    endpoints = ("page", "ticketvalidate", "queryuser", "refreshappsecret")

    def __init__(self, prefix: str, register: Register, clock: Callable[[], float]) -> None:
        super().__init__(prefix, register, clock)
        self._secrets: dict[str, float] = {}

    def routes(self) -> list[web.RouteDef]:
        """Pages and services."""
        on = self.board.endpoint
        return [
            web.get("/", on("page", self.page)),
            web.get("/sso/login", on("page", self.page)),
            web.get("/sso/logout", self.board.counted("logout", self.log_out)),
            web.post("/sysapi/auth/ticketvalidate", on("ticketvalidate", self.validate)),
            web.post("/sysapi/auth/queryuser", on("queryuser", self.query_user)),
            web.post("/sysapi/auth/refreshappsecret", on("refreshappsecret", self.refresh)),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The login page, of persons and units alike."""
        if only(request.query, "rid") != REQUESTER:
            raise InvalidRequestError(f"rid must be {REQUESTER}")
        return self.login_page(None, only(request.query, "backurl"))

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Back with `ticket`."""
        return redirect(with_query(back, {"ticket": self.tickets.issue(account, level)}))

    async def validate(self, request: web.Request) -> web.Response:
        """The token of a ticket."""
        refused = self._check(request, TICKET_SERVICE)
        if refused is not None:
            return _no(refused)
        entry = self.tickets.redeem(text_of(await _read(request), "ticket"))
        return _no("ticket") if entry is None else _yes({"token": self.new_token(entry)})

    async def query_user(self, request: web.Request) -> web.Response:
        """Whom a token belongs to."""
        refused = self._check(request, USER_SERVICE)
        if refused is not None:
            return _no(refused)
        entry = self.tickets.find(text_of(await _read(request), "token"))
        return _no("token") if entry is None else _yes(self._describe(entry))

    async def refresh(self, request: web.Request) -> web.Response:
        """A new secret of the exchange platform, encrypted, with its end in milliseconds."""
        refused = self._check(request, SECRET_SERVICE)
        if refused is not None:
            return _no(refused)
        fresh = secrets.token_hex(16)
        self._secrets = {one: end for one, end in self._secrets.items() if end > self.clock()}
        self._secrets[fresh] = self.clock() + SECRET_SECONDS
        return _yes({"secret": _seal(fresh), "secretEndTime": int(self._secrets[fresh] * 1000)})

    def _check(self, request: web.Request, service: str) -> str | None:
        """Which failure the four header fields are; None when all is well."""
        prefix = "gjgxjhpt_" if "gjgxjhpt_rid" in request.headers else "gjzwfwpt_"
        rid, sid, time, sign = (request.headers.get(prefix + name, "") for name in ("rid", "sid", "rtime", "sign"))
        if rid != REQUESTER:
            return "requester"
        if sid != service:
            return "service"
        if not any(_is_signed(f"{sid}{rid}{time}", sign, secret) for secret in self._keys(prefix, service)):
            return "signature"
        if not (time.isascii() and time.isdigit()) or abs(int(time) / 1000 - self.clock()) > SKEW_SECONDS:
            return "time"
        return None

    def _keys(self, prefix: str, service: str) -> list[str]:
        if prefix == "gjzwfwpt_":
            return [APP_SECRET]
        if service == SECRET_SERVICE:
            return [APP_KEY]
        return [secret for secret, end in self._secrets.items() if end > self.clock()]

    def _describe(self, entry: Entry) -> dict[str, Any]:
        account, profile = entry.account, entry.account.profile
        common = {"level": LEVELS[entry.level], "version": self.register.version(account)}
        if account.subject_type == "natural":
            person = {
                "usertype": "1",
                "userid": account.sub,
                "username": account.user,
                "name": profile["name"],
                "idtype": "111",
                "idnumber": profile["id_number"],
                "mobile": profile["mobile"],
                "sex": str(profile["gender"]),
                "isreal": str(profile["real_name_verified"]),
            }
            return common | person
        unit = {
            "usertype": "2",
            "userid": account.operator,
            "orgid": account.sub,
            "orgname": profile["organization_name"],
            "uscc": account.sub,
            "legalperson": profile["legal_representative"],
            "regaddress": profile["registered_address"],
            "regdate": profile["registration_date"],
        }
        return common | unit

    async def log_out(self, request: web.Request) -> web.Response:
        """The logout page."""
        return self.signed_out(only(request.query, "backurl"))


def _is_signed(text: str, sign: str, secret: str) -> bool:
    right = b64encode(hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha256))
    return hmac.compare_digest(right, sign.encode("utf-8", "surrogateescape"))


def _seal(text: str) -> str:
    padder = PKCS7(128).padder()
    padded = padder.update(text.encode()) + padder.finalize()
    sealer = Cipher(algorithms.AES(APP_KEY.encode()), modes.ECB()).encryptor()  # noqa: S305 - it is what they do
    return b64encode(sealer.update(padded) + sealer.finalize()).decode()


async def _read(request: web.Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _yes(data: dict[str, Any]) -> web.Response:
    return json_response({"code": 200, "message": "成功", "data": data})


def _no(failure: str) -> web.Response:
    return json_response({"code": 300, "message": FAILURES[failure], "data": None})

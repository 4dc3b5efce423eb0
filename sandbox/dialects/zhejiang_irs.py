"""Zhejiang's newer single sign-on on the IRS: every question is signed with `X-BG-*`, for 90 seconds."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import web

from sandbox.accounts import Account
from sandbox.dialects.common import Dialect, Entry, text_of, with_query
from sandbox.pages import redirect
from sandbox.serving import json_response
from sandbox.switchboard import only

APP_ID = "sandbox-app"
ACCESS_KEY = "AK-SANDBOX"
SECRET_KEY = "SK-sandbox-irs"
SKEW_SECONDS = 90
FAILURES = {
    "application": ("1001", "应用不存在"),
    "ticket": ("2001", "ticketId 无效或已使用"),
    "token": ("2002", "accessToken 无效或已过期"),
    "question": ("-1", "系统异常"),
}


class ZhejiangIrs(Dialect):
    """`ticketId` → `accessToken` → user; `success` false with HTTP 200 is a no, 401 a signature that does not hold."""

    name = "浙江政务服务网（IRS，演示） Zhejiang IRS (simulated)"
    token_form = "IRS.*"
    endpoints = ("page", "access_token", "getUserInfo")

    def routes(self) -> list[web.RouteDef]:
        """Pages and the two questions."""
        on = self.board.endpoint
        return [
            web.get("/uc/sso/login", on("page", self.page)),
            web.post("/uc/sso/access_token", on("access_token", self.access_token)),
            web.post("/uc/sso/getUserInfo", on("getUserInfo", self.user_info)),
            web.get("/uc/unifiedLogout", self.board.counted("logout", self.log_out)),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """The login page, of persons and units alike."""
        return self.login_page(None, only(request.query, "sp"))

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Back with `ticketId`."""
        return redirect(with_query(back, {"ticketId": self.tickets.issue(account, level, APP_ID)}))

    async def access_token(self, request: web.Request) -> web.Response:
        """The token of a ticket."""
        refused = self._check(request)
        if refused is not None:
            return _forbidden(refused)
        asked = await _read(request)
        if text_of(asked, "appId") != APP_ID:
            return _no("application")
        entry = self.tickets.redeem(text_of(asked, "ticketId"))
        if entry is None:
            return _no("ticket")
        return _yes({"accessToken": self.new_token(entry), "expiresIn": 7200})

    async def user_info(self, request: web.Request) -> web.Response:
        """Whom a token belongs to."""
        refused = self._check(request)
        if refused is not None:
            return _forbidden(refused)
        entry = self.tickets.find(text_of(await _read(request), "token"))
        return _no("token") if entry is None else _yes(_describe(entry))

    def _check(self, request: web.Request) -> str | None:
        """What the gateway before the platform says of the signature; None when it holds."""
        field = request.headers.get
        date = field("X-BG-DATE-TIME", "")
        if field("X-BG-HMAC-ACCESS-KEY") != ACCESS_KEY:
            return "Invalid access key"
        query = "&".join(sorted(request.query_string.split("&")))
        text = f"{request.method}\n{request.rel_url.raw_path}\n{query}\n{ACCESS_KEY}\n{date}\n"
        right = b64encode(hmac.digest(SECRET_KEY.encode(), text.encode(), hashlib.sha256))
        given = field("X-BG-HMAC-SIGNATURE", "").encode("utf-8", "surrogateescape")
        if field("X-BG-HMAC-ALGORITHM") != "hmac-sha256" or not hmac.compare_digest(right, given):
            return "Invalid signature"
        try:
            told = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return "Invalid signature"
        return None if abs(told - self.clock()) <= SKEW_SECONDS else "Clock skew exceeded"

    async def log_out(self, request: web.Request) -> web.Response:
        """The page of the unified logout."""
        return self.signed_out(only(request.query, "redirectUrl"))


def _describe(entry: Entry) -> dict[str, Any]:
    account, profile = entry.account, entry.account.profile
    if account.subject_type == "natural":
        person = {
            "userId": account.sub,
            "userName": profile["name"],
            "idType": "ID_CARD",
            "outerIdType": "111",
            "idNo": profile["id_number"],
            "phone": profile["mobile"],
            "gender": str(profile["gender"]),
        }
        return {"userType": "PERSON", "authLevel": str(entry.level), "personInfo": person}
    unit = {
        "corpId": account.sub,
        "name": profile["organization_name"],
        "unifiedSocialId": account.sub,
        "principal": profile["legal_representative"],
        "attnName": account.operator,
        "attnIdType": "ID_CARD",
        "attnIdNo": account.operator,
    }
    return {"userType": "LEGAL_PERSON", "authLevel": str(entry.level), "legalPersonInfo": unit}


async def _read(request: web.Request) -> dict[str, Any]:
    try:
        asked = await request.json()
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _yes(data: dict[str, Any]) -> web.Response:
    return json_response({"success": True, "errorCode": "0", "errorMsg": "", "data": data})


def _no(failure: str) -> web.Response:
    code, message = FAILURES[failure]
    return json_response({"success": False, "errorCode": code, "errorMsg": message, "data": None})


def _forbidden(message: str) -> web.Response:
    return json_response({"message": message}, status=401)

"""Zhejiang's older single sign-on: `simpleauth` for persons, the ESSO for units; failures come with HTTP 200."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.accounts import Account
from sandbox.dialects.common import Dialect, Entry, text_of, with_query
from sandbox.pages import page, redirect
from sandbox.serving import json_response
from sandbox.switchboard import only

SERVICE_CODE = "hrss"
SERVICE_PASSWORD = "sandbox-servicepwd"
SKEW_SECONDS = 300
REAL_LEVELS = {0: "4", 1: "4", 2: "3", 3: "2", 4: "1"}
"""The platform's `realLevel`: the smaller, the stronger."""

FAILURES = {
    "signature": ("1001", "签名错误"),
    "time": ("1002", "时间戳超出允许范围"),
    "service": ("1003", "服务代码不存在"),
    "ticket": ("2001", "票据无效或已使用"),
    "token": ("2002", "令牌无效或已过期"),
    "method": ("1004", "方法不支持"),
}


class Zhejiang(Dialect):
    """Persons: ticket → token → user; units: the callback is posted the token itself."""

    name = "浙江政务服务网（旧版，演示） Zhejiang, old (simulated)"
    endpoints = ("page", "simpleauth", "query")

    def routes(self) -> list[web.RouteDef]:
        """Both entrances."""
        on = self.board.endpoint
        return [
            web.get("/sso/usp.do", on("page", self.person_page)),
            web.post("/sso/servlet/simpleauth", on("simpleauth", self.simpleauth)),
            web.get("/opensso/spsaehandler/metaAlias/sp", on("page", self.unit_page)),
            web.post("/rest/user/query", on("query", self.query)),
            web.get("/opensso/UI/Logout", self.board.counted("logout", self.log_out)),
        ]

    async def person_page(self, request: web.Request) -> web.Response:
        """The login page of persons (`action=ssoLogin`)."""
        return self.login_page("natural", only(request.query, "goto"))

    async def unit_page(self, request: web.Request) -> web.Response:
        """The login page of units."""
        return self.login_page("legal", only(request.query, "spappurl"), entrance="unit")

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Persons bring a ticket in the address; units have their browser post a token."""
        ticket = self.tickets.issue(account, level)
        if carried.get("entrance") != "unit":
            return redirect(with_query(back, {"ticket": ticket}))
        entry = self.tickets.redeem(ticket)
        token = "" if entry is None else self.new_token(entry)
        return page("post_back", platform=self.name, action=back, fields={"ssotoken": token})

    def new_token(self, entry: Entry) -> str:
        """Persons and units have tokens of different forms."""
        return self.tickets.token(entry, "ZJ.*" if entry.account.subject_type == "natural" else "ZJL.*")

    async def simpleauth(self, request: web.Request) -> web.Response:
        """`ticketValidation` and `getUserInfo`."""
        form = await request.post()
        refused = self._check(form)
        if refused is not None:
            return _no(refused)
        match only(form, "method"):
            case "ticketValidation":
                return self._validate(text_of(form, "st"))
            case "getUserInfo":
                return self._describe(text_of(form, "token"))
            case _:
                return _no("method")

    def _check(self, form: Mapping[str, Any]) -> str | None:
        """Which failure the service's code, signature or time is; None when all is well."""
        if text_of(form, "servicecode") != SERVICE_CODE:
            return "service"
        signed = f"{SERVICE_CODE}{SERVICE_PASSWORD}{text_of(form, 'time')}".encode()
        right = hashlib.md5(signed, usedforsecurity=False).hexdigest()
        if not hmac.compare_digest(right.encode(), text_of(form, "sign").encode()):
            return "signature"
        return None if self.clock.is_near(text_of(form, "time"), SKEW_SECONDS) else "time"

    def _validate(self, ticket: str) -> web.Response:
        entry = self.tickets.redeem(ticket)
        if entry is None:
            return _no("ticket")
        account = entry.account
        token = self.new_token(entry)
        return json_response(
            {"result": "0", "errmsg": "成功", "token": token, "userid": account.sub, "loginname": account.user}
        )

    def _describe(self, token: str) -> web.Response:
        entry = self.tickets.find(token)
        if entry is None or entry.account.subject_type != "natural":
            return _no("token")
        account, profile = entry.account, entry.account.profile
        return json_response(
            {
                "result": "0",
                "errmsg": "成功",
                "userid": account.sub,
                "loginname": account.user,
                "username": profile["name"],
                "idtype": "1",
                "idnum": profile["id_number"],
                "mobile": profile["mobile"],
                "sex": str(profile["gender"]),
                "authlevel": str(entry.level),
            }
        )

    async def query(self, request: web.Request) -> web.Response:
        """`rest/user/query`: the unit of a token, and who acts for it."""
        try:
            asked = await request.json()
        except ValueError:
            asked = {}
        entry = self.tickets.find(text_of(asked, "token")) if isinstance(asked, dict) else None
        if entry is None or entry.account.subject_type != "legal":
            return json_response({"success": False, "errCode": "2002", "errMsg": FAILURES["token"][1]})
        account, profile = entry.account, entry.account.profile
        unit = {
            "userId": account.sub,
            "CompanyName": profile["organization_name"],
            "uniscid": account.sub,
            "CompanyLegRep": profile["legal_representative"],
            "CompanyAddress": profile["registered_address"],
            "loginType": "Cert" if entry.level == 4 else "Password",
            "realLevel": REAL_LEVELS[entry.level],
            "attnName": account.operator,
            "attnIDType": "111",
            "attnIDNo": account.operator,
            "attnPhone": "13800000009",
        }
        return json_response({"success": True, "errCode": "0", "data": unit})

    async def log_out(self, request: web.Request) -> web.Response:
        """The logout page."""
        return self.signed_out(only(request.query, "goto"))


def _no(failure: str) -> web.Response:
    result, message = FAILURES[failure]
    return json_response({"result": result, "errmsg": message})

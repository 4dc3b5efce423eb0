"""Guangdong's unified authentication: OAuth 2, tokens that end in the node that holds them, a signed envelope.

Errors come as `error` or `errcode`, with HTTP 200 as often as not.
"""

import hashlib
import hmac
import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.accounts import Account
from sandbox.dialects.common import Dialect, Entry, text_of, with_query
from sandbox.pages import redirect
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, only

CLIENT_ID = "sandbox-gd"
CLIENT_SECRET = "sandbox-gd-secret"
ENVELOPE_KEY = "sandbox-gd-envelope-key"
NODES = 3
LEVELS = {0: "L0", 1: "L0", 2: "L1", 3: "L2", 4: "L3"}


class Guangdong(Dialect):
    """Code → `…@nodeN` token → envelope about the person."""

    name = "广东省统一身份认证平台（演示） Guangdong (simulated)"
    endpoints = ("authorize", "access_token", "tokeninfo")

    def routes(self) -> list[web.RouteDef]:
        """Both generations of paths."""
        on, here = self.board.endpoint, "/{generation:tif|pscp}/sso/connect/page/oauth2"
        return [
            web.get(f"{here}/authorize", on("authorize", self.authorize)),
            web.post(f"{here}/access_token", on("access_token", self.access_token)),
            web.post(f"{here}/tokeninfo", on("tokeninfo", self.token_info)),
            web.get("/_tif_sso_logout_/", self.board.counted("logout", self.log_out)),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        """The login page, of persons and units alike."""
        query = request.query
        if only(query, "client_id") != CLIENT_ID or only(query, "response_type") != "code":
            raise InvalidRequestError("client_id or response_type is wrong")
        back = only(query, "redirect_uri") or ""
        return self.login_page(None, back, state=only(query, "state") or "", redirect_uri=back)

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Back with `code` and `state`."""
        code = self.tickets.issue(account, level, carried.get("redirect_uri", ""))
        return redirect(with_query(back, {"code": code, "state": carried.get("state", "")}))

    def new_token(self, entry: Entry) -> str:
        """With the node at its end."""
        return self.tickets.token(entry, f"GD.*@node{1 + secrets.randbelow(NODES)}")

    async def access_token(self, request: web.Request) -> web.Response:
        """The token of a code (RFC 6749 §4.1.3, loosely)."""
        form = await request.post()
        if (text_of(form, "client_id"), text_of(form, "client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return json_response({"error": "invalid_client", "error_description": "应用认证失败"}, status=401)
        entry = self.tickets.redeem(text_of(form, "code"))
        if entry is None or entry.application != text_of(form, "redirect_uri"):
            return json_response({"error": "invalid_grant", "error_description": "授权码无效"})
        return json_response({"access_token": self.new_token(entry), "token_type": "Bearer", "expires_in": 7200})

    async def token_info(self, request: web.Request) -> web.Response:
        """The envelope about whoever a token belongs to."""
        entry = self.tickets.find(text_of(await request.post(), "access_token"))
        if entry is None:
            return json_response({"errcode": "40001", "errmsg": "access_token 无效或已过期"})
        return self._envelope(entry)

    def _envelope(self, entry: Entry) -> web.Response:
        content = json.dumps({"sdata": "", "userobj": self._user(entry)}, ensure_ascii=False)
        stamp, version = str(int(self.clock())), "1.0"
        signed = hmac.digest(ENVELOPE_KEY.encode(), f"{content}{stamp}{version}".encode(), hashlib.sha256)
        rest = json.dumps({"time_stamp": stamp, "version": version, "sign": b64encode(signed).decode()})
        # By hand, because the signature covers the content as it is written.
        return web.Response(body=f'{{"b_content": {content}, {rest[1:]}'.encode(), content_type="application/json")

    def _user(self, entry: Entry) -> dict[str, Any]:
        account, profile = entry.account, entry.account.profile
        common = {
            "uid": account.user,
            "uversion": str(self.register.version(account)),
            "useridcode": account.sub,
            "creditable_level_of_account": LEVELS[entry.level],
            "creditable_level_of_account_way": f"{LEVELS[entry.level]}@YSS@{account.user}",
            "isreal": str(profile["real_name_verified"]),
            "accout_type": "2" if entry.level == 4 else "1",
        }
        return common | (_person(profile) if account.subject_type == "natural" else _unit(account))

    async def log_out(self, request: web.Request) -> web.Response:
        """The logout page."""
        return self.signed_out(only(request.query, "redirect_uri"))


def _person(profile: Mapping[str, str | int]) -> dict[str, Any]:
    return {
        "usertype": "1",
        "cn": profile["name"],
        "idcardtype": "10",
        "idcardnumber": profile["id_number"],
        "telephonenumber": profile["mobile"],
        "extproperties": [f"sex={profile['gender']}"],
    }


def _unit(account: Account) -> dict[str, Any]:
    profile = account.profile
    return {
        "usertype": "2",
        "cn": profile["organization_name"],
        "idcardtype": "49",
        "idcardnumber": account.sub,
        "legal_person": profile["legal_representative"],
        "link_person_name": account.operator,
        "link_person_type": "10",
        "link_person_code": account.operator,
    }

"""Logging out at the province: the page for browsers, and notices from departments. `sandbox.province.endings` acts."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web

from sandbox.pages import page, redirect
from sandbox.province.clients import Client, Clients
from sandbox.province.endings import Endings
from sandbox.province.exchange import invalid_client
from sandbox.province.login import COOKIES, NAME
from sandbox.province.sessions import Session, Sessions
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, only
from sandbox.tokens import KeyRing

PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


class Logout:
    """`/end_session` and `/notices`."""

    def __init__(self, clients: Clients, sessions: Sessions, endings: Endings, keys: KeyRing, issuer: str) -> None:
        self._clients = clients
        self._sessions = sessions
        self._endings = endings
        self._keys = keys
        self._issuer = issuer

    async def page(self, request: web.Request) -> web.Response:
        """`GET|POST /end_session`: end the login (OpenID Connect RP-Initiated Logout 1.0).

        With a good `id_token_hint` at once; without one only after the visitor has pressed the button.
        """
        given = request.query if request.method == "GET" else await request.post()
        asked = {name: value for name in PARAMETERS if (value := only(given, name)) is not None}
        hint = self._read_hint(asked.get("id_token_hint"))
        client = self._clients.find(asked.get("client_id") or hint.get("aud"))
        back = asked.get("post_logout_redirect_uri")
        if back is not None and (client is None or back not in client.signed_out_uris):
            return _page("返回地址未登记。", "The address to go back to is not registered.", status=400)
        if not hint and only(given, "confirmed") is None:
            return self._ask(asked)
        await self._endings.end(self._meant(request, hint))
        answer = self._good_bye(back, asked.get("state"))
        for cookie in COOKIES.values():
            answer.del_cookie(cookie, path="/")
        return answer

    def _read_hint(self, token: str | None) -> Mapping[str, Any]:
        """Claims of an ID token that we signed, however old; empty when it is none (RP-Initiated Logout §2)."""
        try:
            kid = jwt.get_unverified_header(token or "").get("kid")
            key = next(key for key in self._keys.jwks()["keys"] if key["kid"] == kid)
            claims: dict[str, Any] = jwt.decode(
                token or "",
                jwt.PyJWK(key).key,
                algorithms=[key["alg"]],
                issuer=self._issuer,
                options={"verify_exp": False, "verify_aud": False},
            )
        except (jwt.InvalidTokenError, StopIteration):
            return {}
        return claims

    def _ask(self, asked: Mapping[str, str]) -> web.Response:
        fields = {**asked, "confirmed": "1"}
        return _page("确定退出登录？", "Log out everywhere?", action="/end_session", fields=fields)

    def _meant(self, request: web.Request, hint: Mapping[str, Any]) -> list[Session]:
        """The session that the hint names, or else those of this browser."""
        if hint:
            session = self._sessions.find(str(hint.get("sid")))
            return [] if session is None else [session]
        found = (self._sessions.of_cookie(request.cookies.get(cookie)) for cookie in COOKIES.values())
        return [session for session in found if session is not None]

    def _good_bye(self, back: str | None, state: str | None) -> web.Response:
        if back is None:
            return _page("您已退出登录，各部门的登录也已结束。", "You are logged out, here and at every department.")
        if state is None:
            return redirect(back)
        return redirect(f"{back}{'&' if '?' in back else '?'}{urlencode({'state': state})}")

    async def take_notice(self, request: web.Request) -> web.Response:
        """`POST /notices`: a department tells that a session (`sid`) or all of a person (`sub`) ended there."""
        form = await request.post()
        client = self._clients.authenticate(request.headers.get("Authorization", ""), form)
        if client is None:
            return invalid_client()
        sid, sub = only(form, "sid"), only(form, "sub")
        if (sid is None) == (sub is None):
            raise InvalidRequestError("a notice names either sid or sub")
        ended = await self._endings.end(self._named(client, sid, sub))
        return json_response({"ended": ended}, headers={"Cache-Control": "no-store"})

    def _named(self, client: Client, sid: str | None, sub: str | None) -> list[Session]:
        """The sessions meant, as far as the department takes part in them: it cannot end anybody else's."""
        found = [self._sessions.find(sid)] if sid is not None else self._sessions.of_subject(sub or "")
        return [session for session in found if session is not None and client.id in session.parties]


def _page(
    chinese: str, english: str, *, status: int = 200, action: str | None = None, fields: Mapping[str, str] | None = None
) -> web.Response:
    return page(
        "notice",
        status=status,
        platform=NAME,
        chinese=chinese,
        english=english,
        action=action,
        fields=fields or {},
        button="退出 · Log out",
    )

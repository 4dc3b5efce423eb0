"""A TIF gateway: it knows who calls, hands the request on to a department, and vouches for the caller in `x-tif-*`.

Who calls is said by the field `X-Sandbox-User`. `X-Sandbox-Spoil` makes it vouch wrongly: `signature`, `unsigned`, or
`replay`, which sends the fields of the last request once more.
"""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from aiohttp import web
from yarl import URL

from sandbox.accounts import Account, Register
from sandbox.dialects.common import Dialect
from sandbox.dialects.guangdong import LEVELS
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError

PAAS_ID = "sandbox-paas"
PAAS_TOKEN = "sandbox-paas-token"
SPOILS = ("", "signature", "unsigned", "replay")
PASSED_ON = ("accept", "accept-language", "content-type", "user-agent")


class TifGateway(Dialect):
    """Hands requests under `…/to/` on to the edge."""

    name = "TIF 网关（演示） TIF gateway (simulated)"
    endpoints = ("gateway",)

    def __init__(self, prefix: str, register: Register, clock: Callable[[], float], target: str) -> None:
        super().__init__(prefix, register, clock)
        self._target = target
        self._last: dict[str, str] = {}
        self._http: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        """Put the gateway on its routes."""
        app = super().application()
        app.cleanup_ctx.append(self._running)
        return app

    async def _running(self, _: object) -> AsyncIterator[None]:
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=10)) as self._http:
            yield

    def routes(self) -> list[web.RouteDef]:
        """Everything under `/to/`."""
        return [web.route("*", "/to/{path:.*}", self.board.endpoint("gateway", self.hand_on))]

    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Nobody signs in at a gateway; it vouches for who is known already."""
        raise InvalidRequestError("nobody signs in here: name who calls by X-Sandbox-User, under /to/")

    async def hand_on(self, request: web.Request) -> web.Response:
        """Send the request on, vouched for."""
        user, spoil = request.headers.get("X-Sandbox-User"), request.headers.get("X-Sandbox-Spoil", "")
        account = self.register.find(user) if user else None
        if spoil not in SPOILS or (user and account is None):
            raise InvalidRequestError(f"X-Sandbox-User is nobody, or X-Sandbox-Spoil none of {', '.join(SPOILS)}")
        path = request.raw_path.removeprefix(f"{self.prefix}/to")
        fields = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON}
        return await self._send(request, path, fields | self._vouch(account, spoil))

    async def _send(self, request: web.Request, path: str, fields: Mapping[str, str]) -> web.Response:
        if self._http is None:
            raise RuntimeError("the application does not run")
        url, body = URL(self._target + path, encoded=True), await request.read()
        try:
            async with self._http.request(
                request.method, url, headers=fields, data=body, allow_redirects=False
            ) as answer:
                got = await answer.read()
                named = ("Content-Type", "X-Request-Id", "WWW-Authenticate", "Location", "Date")
                kept = {name: answer.headers[name] for name in named if name in answer.headers}
                return web.Response(status=answer.status, body=got, headers=kept)
        except aiohttp.ClientError as error:
            return json_response({"error": f"the department does not answer: {error}"}, status=502)

    def _vouch(self, account: Account | None, spoil: str) -> dict[str, str]:
        """The fields that say who calls."""
        if spoil == "unsigned":
            return {"x-tif-uid": "" if account is None else account.sub}
        if spoil == "replay" and self._last:
            return self._last
        time, nonce = str(int(self.clock())), secrets.token_hex(8)
        uid = "" if account is None else account.sub
        uinfo = "" if account is None else json.dumps(self._describe(account))
        signed = f"{time}{PAAS_TOKEN}{nonce},{uid},{uinfo},{time}"
        signature = hashlib.sha256(signed.encode()).hexdigest().upper()
        self._last = {
            "x-tif-paasid": PAAS_ID,
            "x-tif-timestamp": time,
            "x-tif-nonce": nonce,
            "x-tif-uid": uid,
            "x-tif-uinfo": uinfo,
            "x-tif-ext": "",
            "x-tif-signature": signature if spoil != "signature" else signature[::-1],
        }
        return self._last

    def _describe(self, account: Account) -> dict[str, str | None]:
        legal = account.subject_type == "legal"
        return {
            "usertype": "2" if legal else "1",
            "cn": account.name,
            "creditable_level_of_account": LEVELS[account.level],
            "uversion": str(self.register.version(account)),
        } | ({"link_person_code": account.operator} if legal else {})

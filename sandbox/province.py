"""The province's unified identity platform (省统一身份认证平台), simulated: accounts, tokens, keys and introspection.

The gateway's province verifiers are its counterparts. Whatever lies under /sandbox/ exists only here, for trying
things out.
"""

import argparse
import asyncio
import hmac
import html
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import get_args

from aiohttp import encode_basic_auth, web

from sandbox.accounts import SAMPLE_ACCOUNTS, Account
from sandbox.faults import PROVINCE_FAULTS, FaultBoard
from sandbox.serving import add_listen_options, json_response, run
from sandbox.tokens import ALGORITHMS, KeyRing, TokenDesk, TokenFormat

ENDPOINTS = ("introspect", "jwks", "token", "metadata")
REVOCABLE_BY = ("token", "jti", "sid", "sub")
LONGEST_TTL = 86400

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Client:
    """A department that has registered with the province (OAuth 2.0 client).

    Attributes:
        id: client identifier.
        secret: client secret, for HTTP Basic at the introspection endpoint.
        audience: the `aud` of tokens issued for it.
    """

    id: str = "dept-hrss"
    secret: str = field(default="sandbox-client-secret", repr=False)
    audience: str = "dept-hrss"


class InvalidRequestError(ValueError):
    """A question asked wrongly; the text says what would be right."""


class Province:
    """The platform's endpoints over its accounts, keys and tokens."""

    def __init__(
        self, accounts: Mapping[str, Account], issuer: str, client: Client, clock: Callable[[], float]
    ) -> None:
        self._accounts = accounts
        self._issuer = issuer
        self._client = client
        self._keys = KeyRing()
        self._desk = TokenDesk(issuer, client.audience, client.id, self._keys, clock)
        self._faults = FaultBoard(PROVINCE_FAULTS, ENDPOINTS)
        self._calls: Counter[str] = Counter()

    def application(self) -> web.Application:
        """Put the platform on its routes."""
        app = web.Application(client_max_size=256 * 1024)
        app.add_routes(
            [
                web.get("/", self.index),
                web.get("/jwks", self._faulty("jwks", self.jwks)),
                web.get("/.well-known/openid-configuration", self._faulty("metadata", self.metadata)),
                web.post("/introspect", self._faulty("introspect", self.introspect)),
                web.get("/sandbox/token", self._faulty("token", self.token)),
                web.get("/sandbox/moved/jwks", self._counted("moved", self.jwks)),
                web.post("/sandbox/moved/introspect", self._counted("moved", self.introspect)),
                web.get("/sandbox/accounts", self.list_accounts),
                web.post("/sandbox/keys/rotate", self.rotate),
                web.post("/sandbox/keys/retire", self.retire),
                web.post("/sandbox/revoke", self.revoke),
                web.get("/sandbox/faults", self._faults.show),
                web.post("/sandbox/faults", self._faults.accept),
                web.get("/sandbox/counters", self.counters),
                web.post("/sandbox/counters/reset", self.reset_counters),
            ]
        )
        return app

    def _counted(self, endpoint: str, handler: Handler) -> Handler:
        async def counted(request: web.Request) -> web.Response:
            self._calls[endpoint] += 1
            try:
                return await handler(request)
            except InvalidRequestError as error:
                return json_response({"error": "invalid_request", "error_description": str(error)}, status=400)

        return counted

    def _faulty(self, endpoint: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        counted = self._counted(endpoint, handler)

        async def faulty(request: web.Request) -> web.StreamResponse:
            return await self._faults.spoil(endpoint, request, await counted(request))

        return faulty

    async def index(self, request: web.Request) -> web.Response:
        """`GET /`: say what this is, with links and commands to copy."""
        page = resources.files("sandbox").joinpath("province.html").read_text(encoding="utf-8")
        values = {"issuer": self._issuer, "client": self._client.id, "users": ", ".join(self._accounts)}
        shown = {name: html.escape(value) for name, value in values.items()}
        return web.Response(text=Template(page).substitute(shown), content_type="text/html")

    async def jwks(self, request: web.Request) -> web.Response:
        """`GET /jwks`: the published keys (RFC 7517)."""
        return json_response(self._keys.jwks(), headers={"Cache-Control": "public, max-age=300"})

    async def metadata(self, request: web.Request) -> web.Response:
        """`GET /.well-known/openid-configuration`: what there is and where (RFC 8414 §2)."""
        return json_response(
            {
                "issuer": self._issuer,
                "jwks_uri": f"{self._issuer}/jwks",
                "introspection_endpoint": f"{self._issuer}/introspect",
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
                "id_token_signing_alg_values_supported": list(ALGORITHMS),
                "response_types_supported": [],
                "subject_types_supported": ["public"],
                "acr_values_supported": ["0", "1", "2", "3", "4"],
            }
        )

    async def introspect(self, request: web.Request) -> web.Response:
        """`POST /introspect`: is this token still good, and whose is it (RFC 7662)?"""
        if not self._knows(request.headers.get("Authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="province"'}
            return json_response({"error": "invalid_client"}, status=401, headers=challenge)
        if request.content_type != "application/x-www-form-urlencoded":
            raise InvalidRequestError("the token is asked for as application/x-www-form-urlencoded")
        try:
            tokens = (await request.post()).getall("token", [])
        except (LookupError, ValueError) as error:
            raise InvalidRequestError("the form is not readable text") from error
        if len(tokens) != 1 or not isinstance(tokens[0], str) or not tokens[0]:
            raise InvalidRequestError("the form needs exactly one parameter 'token'")
        return json_response(self._desk.introspect(tokens[0]), headers={"Cache-Control": "no-store"})

    def _knows(self, authorization: str) -> bool:
        """Whether HTTP Basic credentials (RFC 7617) are those of the registered client."""
        scheme, _, given = authorization.partition(" ")
        _, _, right = encode_basic_auth(self._client.id, self._client.secret).partition(" ")
        same = hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right.encode())
        return scheme.lower() == "basic" and same

    async def token(self, request: web.Request) -> web.Response:
        """`GET /sandbox/token`: log a sample account in and hand its token over."""
        query = request.query
        account = self._accounts.get(query.get("user", ""))
        if account is None:
            raise InvalidRequestError(f"user must be one of {', '.join(self._accounts)}")
        form, alg = query.get("format", "jwt"), query.get("alg", "RS256")
        if form not in get_args(TokenFormat):
            raise InvalidRequestError("format must be jwt or opaque")
        if alg not in ALGORITHMS:
            raise InvalidRequestError(f"alg must be one of {', '.join(ALGORITHMS)}")
        level = _whole(query.get("level", str(account.level)), "level", 0, 4)
        ttl = _whole(query.get("ttl", "600"), "ttl", -LONGEST_TTL, LONGEST_TTL)
        token = self._desk.issue(account, level=level, ttl=ttl, form="opaque" if form == "opaque" else "jwt", alg=alg)
        return json_response({"token": token, "expires_in": max(ttl, 0)}, headers={"Cache-Control": "no-store"})

    async def list_accounts(self, request: web.Request) -> web.Response:
        """`GET /sandbox/accounts`: who has registered here, with profile."""
        return json_response(
            {
                account.user: {
                    "sub": account.sub,
                    "subject_type": account.subject_type,
                    "level": account.level,
                    "operator": account.operator,
                    "profile": dict(account.profile),
                }
                for account in self._accounts.values()
            }
        )

    async def rotate(self, request: web.Request) -> web.Response:
        """`POST /sandbox/keys/rotate`: sign with new keys; with `retire=1` withdraw every older key at once."""
        await asyncio.to_thread(self._keys.rotate)
        return await self.retire(request) if request.query.get("retire") == "1" else self._key_ids()

    async def retire(self, request: web.Request) -> web.Response:
        """`POST /sandbox/keys/retire`: withdraw the keys that no longer sign."""
        self._keys.retire()
        return self._key_ids()

    def _key_ids(self) -> web.Response:
        signing = {alg: self._keys.signing(alg).kid for alg in ALGORITHMS}
        published = [key["kid"] for key in self._keys.jwks()["keys"]]
        return json_response({"signing": signing, "published": published})

    async def revoke(self, request: web.Request) -> web.Response:
        """`POST /sandbox/revoke`: take back a token, or all of one jti, session or subject issued so far."""
        try:
            order = await request.json()
        except ValueError:
            order = None
        if not isinstance(order, dict) or len(order) != 1 or not set(order) <= set(REVOCABLE_BY):
            sentence = f"the body must be a JSON object with one of {', '.join(REVOCABLE_BY)}"
            return json_response({"error": "invalid_request", "error_description": sentence}, status=400)
        [(member, value)] = order.items()
        return json_response({"revoked": self._desk.revoke(member=member, value=str(value))})

    async def counters(self, request: web.Request) -> web.Response:
        """`GET /sandbox/counters`: how many calls each endpoint has had, spoilt ones included."""
        return json_response({endpoint: self._calls[endpoint] for endpoint in (*ENDPOINTS, "moved")})

    async def reset_counters(self, request: web.Request) -> web.Response:
        """`POST /sandbox/counters/reset`: count from zero again."""
        self._calls.clear()
        return await self.counters(request)


def _whole(text: str, name: str, least: int, most: int) -> int:
    if re.fullmatch(r"-?[0-9]{1,6}", text) is None or not least <= int(text) <= most:
        raise InvalidRequestError(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def create_province(
    accounts: Mapping[str, Account] = SAMPLE_ACCOUNTS,
    issuer: str = "http://127.0.0.1:8100",
    clock: Callable[[], float] = time.time,
    *,
    client: Client | None = None,
) -> web.Application:
    """Build the province platform.

    Args:
        accounts: who has registered, by the name that `/sandbox/token` takes.
        issuer: its own address as tokens and metadata name it (`iss`), without a slash at the end.
        clock: seconds since the epoch.
        client: the department it knows; None for the sandbox's own, `Client()`.
    """
    return Province(accounts, issuer, client or Client(), clock).application()


def main(arguments: list[str] | None = None) -> int:
    """Run the platform as a process; see `--help`."""
    usual = Client()
    parser = argparse.ArgumentParser(prog="python -m sandbox.province", description=__doc__)
    add_listen_options(parser)
    parser.add_argument("--issuer", help="address in tokens and metadata (default: http://HOST:PORT)")
    parser.add_argument("--audience", default=usual.audience, help="aud of tokens (default: %(default)s)")
    parser.add_argument("--client-id", default=usual.id, help="who may introspect (default: %(default)s)")
    parser.add_argument("--client-secret-file", type=Path, help="file that holds the client's secret")
    options = parser.parse_args(arguments)
    if not options.issuer and not options.port:
        parser.error("--issuer is needed where the port is not fixed")
    secret = usual.secret
    if options.client_secret_file:
        try:
            secret = options.client_secret_file.read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            parser.error(f"--client-secret-file: {error}")
    client = Client(options.client_id, secret, options.audience)
    issuer = options.issuer or f"http://{options.host}:{options.port}"
    return run(create_province(issuer=issuer, client=client), "province", options)


if __name__ == "__main__":
    sys.exit(main())

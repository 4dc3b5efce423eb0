"""The province's unified identity platform (省统一身份认证平台), simulated: everything on its routes."""

from collections.abc import Callable

from aiohttp import web

from sandbox.accounts import Register
from sandbox.faults import PROVINCE_FAULTS
from sandbox.pages import page
from sandbox.province.clients import Clients
from sandbox.province.controls import LoginControls, TokenControls
from sandbox.province.endings import Endings
from sandbox.province.exchange import Exchange, invalid_client
from sandbox.province.login import LoginPages
from sandbox.province.logout import Logout
from sandbox.province.notices import Notices
from sandbox.province.routing import HOP_FIELD, NotAnsweredError, Routing
from sandbox.province.sessions import Sessions
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, Switchboard
from sandbox.tokens import ALGORITHMS, KeyRing, TokenDesk

ENDPOINTS = (
    "introspect",
    "jwks",
    "token",
    "metadata",
    "authorize",
    "exchange",
    "userinfo",
    "revoke",
    "notices",
    "end_session",
)


class Province:
    """The platform's endpoints over its accounts, departments, keys, logins and tokens."""

    def __init__(self, register: Register, issuer: str, clients: Clients, clock: Callable[[], float]) -> None:
        self._register = register
        self._issuer = issuer
        self._clients = clients
        self._keys = KeyRing()
        self._desk = TokenDesk(issuer, clients.first.audience, clients.first.id, self._keys, clock)
        self._board = Switchboard(PROVINCE_FAULTS, ENDPOINTS, ("moved",))
        sessions = Sessions(clock)
        self._notices = Notices(issuer, self._desk, clock)
        self._routing = Routing(issuer, register, clients, self._desk, sessions)
        endings = Endings(clients, self._desk, self._notices)
        self._login = LoginPages(register, clients, sessions, endings, issuer, clock)
        self._exchange = Exchange(register, clients, sessions, self._desk, endings, issuer, clock)
        self._logout = Logout(clients, sessions, endings, self._keys, issuer)
        self._tokens = TokenControls(register, clients, sessions, self._keys, self._desk)
        self._logins = LoginControls(register, clients, sessions, endings, self._notices, self._routing)

    def application(self) -> web.Application:
        """Put the platform on its routes."""
        app = web.Application(client_max_size=256 * 1024)
        app.cleanup_ctx.extend([self._notices.running, self._routing.running])
        app.add_routes([*self._protocol(), *self._behind_the_scenes(), *self._board.routes()])
        return app

    def _protocol(self) -> list[web.RouteDef]:
        on = self._board.endpoint
        return [
            web.get("/", self.index),
            web.get("/jwks", on("jwks", self.jwks)),
            web.get("/.well-known/openid-configuration", on("metadata", self.metadata)),
            web.get("/.well-known/oauth-authorization-server", on("metadata", self.metadata)),
            web.post("/introspect", on("introspect", self.introspect)),
            web.get("/authorize", on("authorize", self._login.authorize)),
            web.post("/login", self._board.counted("login", self._login.choose)),
            web.post("/login/factor", self._board.counted("login", self._login.confirm)),
            web.post("/token", on("exchange", self._exchange.token)),
            web.get("/userinfo", on("userinfo", self._exchange.userinfo)),
            web.post("/revoke", on("revoke", self._exchange.revoke)),
            web.post("/notices", on("notices", self._logout.take_notice)),
            web.get("/end_session", on("end_session", self._logout.page)),
            web.post("/end_session", on("end_session", self._logout.page)),
        ]

    def _behind_the_scenes(self) -> list[web.RouteDef]:
        counted = self._board.counted
        tokens, logins = self._tokens, self._logins
        return [
            web.get("/sandbox/token", self._board.endpoint("token", tokens.token)),
            web.get("/sandbox/moved/jwks", counted("moved", self.jwks)),
            web.post("/sandbox/moved/introspect", counted("moved", self.introspect)),
            web.post("/sandbox/keys/rotate", tokens.rotate),
            web.post("/sandbox/keys/retire", tokens.retire),
            web.post("/sandbox/revoke", counted("revoked", tokens.revoke)),
            web.get("/sandbox/accounts", logins.list_accounts),
            web.post("/sandbox/profile", counted("profile", logins.change_profile)),
            web.get("/sandbox/sessions", logins.list_sessions),
            web.post("/sandbox/logout", counted("logout", logins.log_out)),
            web.get("/sandbox/notices", logins.list_notices),
            web.post("/sandbox/notices", counted("notices changed", logins.change_notices)),
            web.get("/sandbox/routed", logins.list_passed),
        ]

    async def index(self, request: web.Request) -> web.Response:
        """`GET /`: say what this is, with links and commands to copy."""
        users = ", ".join(self._register.accounts)
        return page("province", issuer=self._issuer, client=self._clients.first.id, users=users)

    async def jwks(self, request: web.Request) -> web.Response:
        """`GET /jwks`: the published keys (RFC 7517)."""
        return json_response(self._keys.jwks(), headers={"Cache-Control": "public, max-age=300"})

    async def metadata(self, request: web.Request) -> web.Response:
        """`GET /.well-known/…`: what there is and where (RFC 8414 §2, OpenID Connect Discovery 1.0 §3)."""
        at = self._issuer
        basic = ["client_secret_basic"]
        return json_response(
            {
                "issuer": at,
                "jwks_uri": f"{at}/jwks",
                "authorization_endpoint": f"{at}/authorize",
                "token_endpoint": f"{at}/token",
                "userinfo_endpoint": f"{at}/userinfo",
                "introspection_endpoint": f"{at}/introspect",
                "revocation_endpoint": f"{at}/revoke",
                "end_session_endpoint": f"{at}/end_session",
                "backchannel_logout_supported": True,
                "backchannel_logout_session_supported": True,
                "authorization_response_iss_parameter_supported": True,
                "introspection_endpoint_auth_methods_supported": basic,
                "token_endpoint_auth_methods_supported": [*basic, "client_secret_post"],
                "id_token_signing_alg_values_supported": list(ALGORITHMS),
                "code_challenge_methods_supported": ["S256"],
                "grant_types_supported": ["authorization_code"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "form_post"],
                "scopes_supported": ["openid", "profile"],
                "subject_types_supported": ["public"],
                "acr_values_supported": ["0", "1", "2", "3", "4"],
            }
        )

    async def introspect(self, request: web.Request) -> web.Response:
        """`POST /introspect`: is this token still good, and whose is it (RFC 7662)?"""
        client = self._clients.authenticate(request.headers.get("Authorization", ""), {})
        if client is None:
            return invalid_client()
        if request.content_type != "application/x-www-form-urlencoded":
            raise InvalidRequestError("the token is asked for as application/x-www-form-urlencoded")
        try:
            tokens = (await request.post()).getall("token", [])
        except (LookupError, ValueError) as error:
            raise InvalidRequestError("the form is not readable text") from error
        if len(tokens) != 1 or not isinstance(tokens[0], str) or not tokens[0]:
            raise InvalidRequestError("the form needs exactly one parameter 'token'")
        try:
            verdict = await self._routing.answer(tokens[0], client, passed_on=HOP_FIELD in request.headers)
        except NotAnsweredError:
            told = {"error": "temporarily_unavailable", "error_description": "the token's department did not answer"}
            return json_response(told, status=503, headers={"Retry-After": "1"})
        return json_response(verdict, headers={"Cache-Control": "no-store"})

"""What a department does behind the browser's back: code → tokens → user info (RFC 6749, OpenID Connect Core)."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from sandbox.accounts import Account, Register
from sandbox.province.clients import Client, Clients
from sandbox.province.endings import Endings
from sandbox.province.sessions import Code, Session, Sessions
from sandbox.serving import json_response
from sandbox.switchboard import only
from sandbox.tokens import TokenDesk

TOKEN_SECONDS = 28800
NO_STORE = {"Cache-Control": "no-store"}
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1
_METHODS = {0: ["none"], 1: ["pwd"], 2: ["pwd", "otp"], 3: ["pwd", "face"], 4: ["pwd", "hwk"]}  # RFC 8176


class GrantRefused(Exception):
    """An answer of the token endpoint that is an error (RFC 6749 §5.2)."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class Exchange:
    """The token endpoint, user info and revocation."""

    def __init__(
        self,
        register: Register,
        clients: Clients,
        sessions: Sessions,
        desk: TokenDesk,
        endings: Endings,
        issuer: str,
        clock: Callable[[], float],
    ) -> None:
        self._register = register
        self._clients = clients
        self._sessions = sessions
        self._desk = desk
        self._endings = endings
        self._issuer = issuer
        self._clock = clock

    async def token(self, request: web.Request) -> web.Response:
        """`POST /token`: exchange a code, once."""
        form = await request.post()
        client = self._clients.authenticate(request.headers.get("Authorization", ""), form)
        if client is None:
            return invalid_client()
        try:
            return json_response(self._exchange(form, client), headers=NO_STORE)
        except GrantRefused as error:
            told = {"error": error.error, "error_description": str(error)}
            return json_response(told, status=400, headers=NO_STORE)

    def _exchange(self, form: Mapping[str, Any], client: Client) -> dict[str, Any]:
        if only(form, "grant_type") != "authorization_code":
            raise GrantRefused("unsupported_grant_type", "grant_type must be authorization_code")
        code = self._sessions.code(only(form, "code") or "")
        if code is None or code.authorization.client.id != client.id or code.session.ended:
            raise GrantRefused("invalid_grant", "the code is unknown, too old, or of somebody else")
        if code.token is not None:
            self._desk.revoke(member="token", value=code.token)  # RFC 6749 §4.1.2: somebody else may have it
            raise GrantRefused("invalid_grant", "the code was used before")
        if only(form, "redirect_uri") != code.authorization.redirect_uri:
            raise GrantRefused("invalid_grant", "redirect_uri is another than at /authorize")
        _check_proof(code, only(form, "code_verifier"))
        return self._tokens(code, client)

    def _tokens(self, code: Code, client: Client) -> dict[str, Any]:
        session = code.session
        token = self._desk.issue(
            session.account,
            level=session.level,
            ttl=TOKEN_SECONDS,
            form="opaque",
            sid=session.sid,
            aud=client.audience,
            client_id=client.id,
            auth_time=session.auth_time,
        )
        code.token = token
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": "openid profile",
            "id_token": self._id_token(session, client, code.authorization.nonce),
        }

    def _id_token(self, session: Session, client: Client, nonce: str | None) -> str:
        now = int(self._clock())
        account = session.account
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": account.sub,
            "aud": client.id,
            "iat": now,
            "exp": now + 600,
            "auth_time": session.auth_time,
            "acr": str(session.level),
            "amr": _METHODS[session.level],
            "sid": session.sid,
            "subject_type": account.subject_type,
            "profile_version": self._register.version(account),
        }
        optional = {"nonce": nonce, "act": account.operator and {"sub": account.operator}}
        return self._desk.sign(claims | {name: value for name, value in optional.items() if value}, typ="JWT")

    async def userinfo(self, request: web.Request) -> web.Response:
        """`GET /userinfo`: the profile (GB/T 39046-2020 table 12), who acts for a unit, the units of a person."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        claims = self._desk.find(token) if scheme.lower() == "bearer" else None
        account = None if claims is None else self._register.of_subject(claims["sub"])
        if claims is None or account is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return json_response({"error": "invalid_token"}, status=401, headers=challenge)
        return json_response(self._describe(account, claims), headers=NO_STORE)

    def _describe(self, account: Account, claims: Mapping[str, Any]) -> dict[str, Any]:
        passed_on = ("sub", "subject_type", "acr", "auth_time", "sid", "act")
        told: dict[str, Any] = {name: claims[name] for name in passed_on if name in claims}
        login = next((one for one in account.logins if told.get("act") == {"sub": one.id}), None)
        if login is not None:
            told["act"] = told["act"] | login.profile()
        units = [
            {"sub": unit.sub, "name": unit.name, "profile": self._register.profile(unit)}
            for unit in self._register.units_of(account)
        ]
        return told | {"profile": self._register.profile(account), "units": units}

    async def revoke(self, request: web.Request) -> web.Response:
        """`POST /revoke`: a department is done with a token (RFC 7009); the login that it came from ends with it."""
        form = await request.post()
        client = self._clients.authenticate(request.headers.get("Authorization", ""), form)
        if client is None:
            return invalid_client()
        token = only(form, "token") or ""
        claims = self._desk.find(token)
        if claims is not None and claims["client_id"] == client.id:
            session = self._sessions.find(claims["sid"])
            await self._endings.end([] if session is None else [session])
            self._desk.revoke(member="token", value=token)
        return json_response({}, headers=NO_STORE)  # RFC 7009 §2.2: the same for tokens that nobody knows


def invalid_client() -> web.Response:
    """401 for whoever does not prove to be a registered department (RFC 6749 §5.2)."""
    challenge = {"WWW-Authenticate": 'Basic realm="province"'}
    return json_response({"error": "invalid_client"}, status=401, headers=challenge)


def _check_proof(code: Code, verifier: str | None) -> None:
    """Check the proof key (RFC 7636 §4.6).

    Raises:
        GrantRefused: it is missing, superfluous or wrong.
    """
    challenge = code.authorization.challenge
    if challenge is None:
        if verifier is not None:
            raise GrantRefused("invalid_grant", "there was no code_challenge at /authorize")
        return
    digest = hashlib.sha256((verifier or "").encode("utf-8", "surrogateescape")).digest()
    right = urlsafe_b64encode(digest).rstrip(b"=")
    if not _VERIFIER.fullmatch(verifier or "") or not hmac.compare_digest(right, challenge.encode()):
        raise GrantRefused("invalid_grant", "code_verifier does not belong to code_challenge")

"""What exists only in the sandbox's province: tokens without a login, keys turned over, looks behind the scenes."""

import asyncio
import re
from dataclasses import asdict
from typing import get_args

from aiohttp import web

from sandbox.accounts import Register
from sandbox.national_keys import SM2_ALGORITHM
from sandbox.province.clients import Client, Clients, NoticeForm
from sandbox.province.endings import Endings
from sandbox.province.notices import Notices
from sandbox.province.routing import Routing
from sandbox.province.sessions import Session, Sessions
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError
from sandbox.tokens import ALGORITHMS, KeyRing, TokenDesk, TokenFormat

REVOCABLE_BY = ("token", "jti", "sid", "sub")
LONGEST_TTL = 86400
NOTICE_FORMS: tuple[NoticeForm, ...] = get_args(NoticeForm)


class TokenControls:
    """Tokens and keys: `/sandbox/token`, `/sandbox/keys/…`, `/sandbox/revoke`."""

    def __init__(
        self, register: Register, clients: Clients, sessions: Sessions, keys: KeyRing, desk: TokenDesk
    ) -> None:
        self._register = register
        self._clients = clients
        self._sessions = sessions
        self._keys = keys
        self._desk = desk

    async def token(self, request: web.Request) -> web.Response:
        """`GET /sandbox/token`: log a sample account in and hand its token over; with `sid`, of a login there is."""
        query = request.query
        account = self._register.find(query.get("user", ""), query.get("operator"))
        if account is None:
            raise InvalidRequestError(self._register.expected)
        form, alg = query.get("format", "jwt"), query.get("alg", "RS256")
        if form not in get_args(TokenFormat):
            raise InvalidRequestError("format must be jwt or opaque")
        if alg not in (*ALGORITHMS, SM2_ALGORITHM):
            raise InvalidRequestError(f"alg must be one of {', '.join(ALGORITHMS)}, {SM2_ALGORITHM}")
        client = self._client(query.get("client"))
        stated = {"aud": client.audience, "client_id": client.id} | self._session(query.get("sid"), client)
        level = _whole(query.get("level", str(account.level)), "level", 0, 4)
        ttl = _whole(query.get("ttl", "600"), "ttl", -LONGEST_TTL, LONGEST_TTL)
        asked: TokenFormat = "opaque" if form == "opaque" else "jwt"
        token = self._desk.issue(account, level=level, ttl=ttl, form=asked, alg=alg, **stated)
        return json_response({"token": token, "expires_in": max(ttl, 0)}, headers={"Cache-Control": "no-store"})

    def _client(self, asked: str | None) -> Client:
        client = self._clients.first if asked is None else self._clients.find(asked)
        if client is None:
            raise InvalidRequestError(f"client must be one of {', '.join(one.id for one in self._clients)}")
        return client

    def _session(self, sid: str | None, client: Client) -> dict[str, str]:
        if sid is None:
            return {}
        session = self._sessions.find(sid)
        if session is None:
            raise InvalidRequestError("sid must be one of /sandbox/sessions")
        session.parties.setdefault(client.id, "")
        return {"sid": sid}

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
            raise InvalidRequestError(f"the body must be a JSON object with one of {', '.join(REVOCABLE_BY)}")
        [(member, value)] = order.items()
        return json_response({"revoked": self._desk.revoke(member=member, value=str(value))})


class LoginControls:
    """Accounts and logins: `/sandbox/accounts`, `/sandbox/profile`, `/sandbox/sessions`, `/sandbox/logout` and more."""

    def __init__(
        self,
        register: Register,
        clients: Clients,
        sessions: Sessions,
        endings: Endings,
        notices: Notices,
        routing: Routing,
    ) -> None:
        self._register = register
        self._clients = clients
        self._sessions = sessions
        self._endings = endings
        self._notices = notices
        self._routing = routing

    async def list_accounts(self, request: web.Request) -> web.Response:
        """`GET /sandbox/accounts`: who has registered here, with profile."""
        return json_response(
            {
                account.user: {
                    "sub": account.sub,
                    "subject_type": account.subject_type,
                    "level": account.level,
                    "region": account.region,
                    "operator": account.operator,
                    "logins": [{"id": one.id, "role": one.role, "name": one.name} for one in account.logins],
                    "acts_for": list(account.acts_for),
                    "profile": self._register.profile(account),
                }
                for account in self._register.accounts.values()
            }
        )

    async def change_profile(self, request: web.Request) -> web.Response:
        """`POST /sandbox/profile?user=…`: let a profile be changed, so that its version counts on."""
        user = request.query.get("user", "")
        if user not in self._register.accounts:
            raise InvalidRequestError(f"user must be one of {', '.join(self._register.accounts)}")
        return json_response({"user": user, "version": self._register.change(user)})

    async def list_sessions(self, request: web.Request) -> web.Response:
        """`GET /sandbox/sessions`: every login, and the departments that took part in it."""
        return json_response(
            [
                {
                    "sid": session.sid,
                    "user": session.account.user,
                    "operator": session.account.operator,
                    "level": session.level,
                    "departments": sorted(session.parties),
                    "ended": session.ended,
                }
                for session in self._sessions.everybody()
            ]
        )

    async def log_out(self, request: web.Request) -> web.Response:
        """`POST /sandbox/logout?sid=…` or `?sub=…`: log somebody out at the province, as its help desk would."""
        sid, sub = request.query.get("sid"), request.query.get("sub")
        if (sid is None) == (sub is None):
            raise InvalidRequestError("name either sid or sub")
        found = self._sessions.of_subject(sub or "") if sid is None else [self._sessions.find(sid)]
        meant: list[Session] = [session for session in found if session is not None]
        return json_response({"ended": await self._endings.end(meant)})

    async def change_notices(self, request: web.Request) -> web.Response:
        """`POST /sandbox/notices?client=…&form=backchannel|cas|signed`: which notices a department is sent."""
        client = request.query.get("client", "")
        form = next((one for one in NOTICE_FORMS if one == request.query.get("form")), None)
        if self._clients.find(client) is None or form is None:
            raise InvalidRequestError(f"client must be a department, form one of {', '.join(NOTICE_FORMS)}")
        self._clients.change_notices(client, form)
        return json_response({"client": client, "form": form})

    async def list_notices(self, request: web.Request) -> web.Response:
        """`GET /sandbox/notices`: the notices that departments were sent, and what they said to them."""
        return json_response([asdict(delivery) for delivery in self._notices.deliveries])

    async def list_passed(self, request: web.Request) -> web.Response:
        """`GET /sandbox/routed`: which department asked about which other's tokens, and what came of it."""
        return json_response([asdict(passed) for passed in self._routing.passed])


def _whole(text: str, name: str, least: int, most: int) -> int:
    if re.fullmatch(r"-?[0-9]{1,6}", text) is None or not least <= int(text) <= most:
        raise InvalidRequestError(f"{name} must be a whole number from {least} to {most}")
    return int(text)

"""A province on real sockets that does as a test says and counts who asks it: keys, verdicts, logins, tickets."""

import asyncio
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from aiohttp import web

from tests.plugin_world import ISSUER, Signer, b64

CLIENT = "dept-hrss"
TICKETS = "https://tickets.province.example"
"""Issuer of the platform with tickets instead of codes."""
GOOD = ("opaque-", "fresh-", "of-")
"""How opaque tokens begin that hold; `of-SUBJECT.SID` are somebody's."""
EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


class Province:
    """Everything that a department asks of a province. All is well until a test says otherwise.

    Attributes:
        signer: makes its tokens.
        keys: what its key set lists.
        asked: how often each place was asked.
        arrived: set whenever somebody asks.
        faults: by place, what it does instead of answering (`fault`).
        gate: whoever comes to a place that is `slow` waits for it.
        logins: by code or ticket: nonce, subject, `sid`.
        address: where it is, the same after `down` and `up`.
    """

    def __init__(self):
        self.signer = Signer("ES256", "key-1")
        self.keys = [self.signer.jwk()]
        self.asked = Counter()
        self.arrived = asyncio.Event()
        self.faults = {}
        self.gate = asyncio.Event()
        self.logins = {}
        self.address = ""
        self._runner = None

    @asynccontextmanager
    async def running(self):
        application = web.Application()
        application.add_routes([web.route("*", f"/{place}", self._hear) for place in self._answers()])
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
            self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
            yield self
        finally:
            self.gate.set()
            await self._runner.cleanup()

    async def down(self):
        """Let nobody connect."""
        for site in list(self._runner.sites):
            await site.stop()

    async def up(self):
        """Listen again at the same address, and be well."""
        self.faults.clear()
        if not self._runner.sites:
            port = int(self.address.rpartition(":")[2])
            await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()

    async def heard(self, place, more_than):
        """Wait until a place was asked more often than that."""
        while self.asked[place] <= more_than:
            self.arrived.clear()
            await self.arrived.wait()

    # ── what it gives out ─────────────────────────────────────────────────────────────────────────────────────────

    def token(self, subject="u-1", *, signer=None, header=None, **claims):
        """A signed token that holds for ten minutes."""
        now = int(time.time())
        said = {"sub": subject, "iat": now - 10, "exp": now + 600, "jti": f"jti-{subject}", "sid": f"sid-{subject}"}
        return (signer or self.signer).token(header, **(said | claims))

    def logout_token(self, **claims):
        """A logout token of OIDC Back-Channel Logout."""
        now = int(time.time())
        said = {"aud": CLIENT, "sub": None, "sid": None, "iat": now, "exp": now + 120, "jti": f"out-{time.time_ns()}"}
        said |= {"subject_type": None, "acr": None, "events": EVENTS}
        return self.signer.token({"typ": "logout+jwt"}, **(said | claims))

    # ── what it answers ───────────────────────────────────────────────────────────────────────────────────────────

    def _answers(self):
        return {
            "jwks": self._key_set,
            "split/jwks": self._key_set,
            "introspect": self._verdict,
            "split/introspect": self._verdict,
            "token": self._tokens,
            "userinfo": self._userinfo,
            "notices": self._receipt,
            "uc/sso/access_token": self._ticket_token,
            "uc/sso/getUserInfo": self._ticket_user,
        }

    async def _hear(self, request):
        place = request.path.removeprefix("/")
        self.asked[place] += 1
        self.arrived.set()
        fault = self.faults.get(place)
        if fault is not None:
            spoilt = await fault(self, request)
            if spoilt is not None:
                return spoilt
        form = {name: value[0] for name, value in parse_qs(await request.text()).items()}
        return web.json_response(self._answers()[place](request, form))

    def _key_set(self, *_):
        return {"keys": self.keys}

    def _verdict(self, _, form):
        if not form["token"].startswith(GOOD):
            return {"active": False}
        subject, _, sid = form["token"].removeprefix("of-").partition(".")
        said = {"active": True, "sub": subject, "aud": CLIENT, "subject_type": "natural", "acr": "3"}
        return said | {"exp": int(time.time()) + 600} | ({"sid": sid} if sid else {})

    def _tokens(self, _, form):
        nonce, subject, sid = self.logins[form["code"]]
        now = int(time.time())
        claims = {"aud": CLIENT, "nonce": nonce, "sub": subject, "sid": sid, "iat": now, "auth_time": now}
        signed = self.signer.token({"typ": "JWT"}, **(claims | {"exp": now + 600, "jti": None}))
        return {"access_token": f"access-{subject}", "token_type": "Bearer", "id_token": signed}

    def _userinfo(self, request, _):
        subject = request.headers["Authorization"].removeprefix("Bearer access-")
        return {"sub": subject, "profile": {"name": "样例甲"}}

    def _receipt(self, *_):
        return {}

    def _ticket_token(self, *_):
        return {"success": True, "errorCode": "0", "data": {"accessToken": "ticket-token"}}

    def _ticket_user(self, *_):
        user = {"userType": "PERSON", "authLevel": "3", "personInfo": {"userId": "u-ticket", "userName": "样例乙"}}
        return {"success": True, "errorCode": "0", "data": user}


# ── what can be wrong with an answer: a fault gives another one, or None for the right one ────────────────────────


async def error(*_):
    return web.json_response({"error": "server_error"}, status=500)


async def page(*_):
    return web.Response(text="<html><title>maintenance</title></html>", content_type="text/html")


async def redirect(_, request):
    return web.Response(status=302, headers={"Location": str(request.url)})


async def huge(province, request):
    """What it would say otherwise, with a mebibyte of blanks behind it."""
    return web.Response(body=b'{"active":true,"keys":[]}' + b" " * (1 << 20), content_type="application/json")


async def compressed(*_):
    return web.Response(body=b"\x1f\x8b\x08\x00", headers={"Content-Encoding": "gzip"})


async def slow(province, _):
    """Answer when the gate opens."""
    await province.gate.wait()


async def cut(_, request):
    """Announce an answer and hang up in the middle of it."""
    request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{")
    request.transport.close()


async def no_http(_, request):
    request.transport.write(b"\x00\x01 NOT HTTP AT ALL\r\n\r\n")
    request.transport.close()


def says(value):
    """Say something else; bytes as they are."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    async def said(*_):
        return web.Response(body=body, content_type="application/json")

    return said


def in_turn(*faults):
    """Another one of these each time; None is the right answer."""
    count = iter(range(1 << 30))

    async def one(province, request):
        fault = faults[next(count) % len(faults)]
        return None if fault is None else await fault(province, request)

    return one


def unknown_key_token(number):
    """A token of the province under a key id that nobody has heard of; nobody could sign it."""
    now = int(time.time())
    header = {"typ": "at+jwt", "alg": "ES256", "kid": f"key-{number:x}"}
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "u-1", "exp": now + 600}
    return ".".join((b64(json.dumps(header).encode()), b64(json.dumps(claims).encode()), "A" * 86))

"""desk/peers.py: the routed question and logout notices, over real sockets."""

import base64
import json

import pytest
from aiohttp import web

from gateway.contracts import PartContext
from gateway.crypto import chosen_provider
from gateway.desk.call import CALL, Call
from gateway.desk.peers import PeerDesk
from gateway.errors import CredentialRejected, GatewayError, RateLimited, StateUnavailable, VerifierUnavailable
from gateway.identity.introspection import RoutedIntrospection
from gateway.identity.notices import CLOCKS, LOGOUT_EVENT, Notice
from gateway.signatures.keys import sign_message
from gateway.signin_settings import LoginSettings
from gateway.state import MemoryStore
from gateway.tokens.signed_requests import canonical_answer, canonical_request
from tests.identity.session_world import House, sign_in
from tests.plugin_world import ISSUER, NOW

SECRET = "a secret of sixteen and more"
LOGIN = {
    "natural": "province",
    "introspection": {
        "clients": [
            {"id": "province", "secret": SECRET},
            {"id": "signer", "secret": SECRET, "method": "hmac-sha256"},
        ]
    },
    "notices": {
        "backchannel": "province",
        "cas": {"platform": "province", "networks": ["192.0.2.0/24", "unix"]},
        "signed": [{"id": "partner", "issuer": ISSUER, "algorithm": "hmac-sm3", "key": SECRET}],
    },
}
CAS = (
    '<p:LogoutRequest xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol"><p:SessionIndex>ST-1</p:SessionIndex>'
    "</p:LogoutRequest>"
)
CLAIMS = {"iat": NOW, "exp": NOW + 60, "jti": "n-1", "sid": "province-sid-1", "events": {LOGOUT_EVENT: {}}}
BASIC = {"Authorization": "Basic " + base64.b64encode(f"province:{SECRET}".encode()).decode()}


class FakePlatform:
    """Knows what its logout tokens say; an exception is raised."""

    name = "province"
    issuer = ISSUER

    def __init__(self):
        self.tokens = {"good": CLAIMS}
        self.asked = []

    async def verify(self, credential):
        self.asked.append(credential)

    async def read_signed(self, token, types):
        claims = self.tokens.get(token, CredentialRejected("the signature does not hold"))
        if isinstance(claims, Exception):
            raise claims
        return claims


class Peered:
    """The pages on a socket, and what they told."""

    def __init__(self, aiohttp_client):
        self.house = House()
        self.platform = FakePlatform()
        self.ended: list[Notice] = []
        self.spent: list[tuple[str, str, str]] = []
        self.over: set[str] = set()
        self.fetched: list[str] = []
        self.ending: Exception | None = None
        self._make_client = aiohttp_client

    async def begin(self, login=LOGIN):
        desk = PeerDesk(
            LoginSettings.model_validate_json(json.dumps(login)),
            {"province": self.platform},
            RoutedIntrospection(self.house.sessions, self.house.revocations, lambda: NOW),
            self._end,
            self._spend,
            self.house.store,
            PartContext("sso", self._fetch, MemoryStore(clock=lambda: 0.0), lambda: NOW),
        )
        app = web.Application(middlewares=[refuse])
        app.add_routes(desk.routes())
        self.client = await self._make_client(app)
        return self

    async def _fetch(self, method, url, **_):
        self.fetched.append(url)
        raise OSError("the desk asks nobody")

    async def _end(self, notice):
        if self.ending is not None:
            raise self.ending
        self.ended.append(notice)
        return 1

    def _spend(self, *what):
        self.spent.append(what)
        if what[1] in self.over:
            raise RateLimited("used up", retry_after=1.0)

    async def post(self, page, fields=None, data=None, client="192.0.2.7"):
        headers = {"X-Forwarded-For": client} | (fields or {})
        async with self.client.post(f"/sso/{page}", data=data, headers=headers) as answer:
            return answer.status, await answer.read(), answer.headers


@web.middleware
async def refuse(request, handler):
    """What host.py and the request path do with refusals, in short."""
    request[CALL] = Call()
    try:
        return await handler(request)
    except GatewayError as error:
        return web.json_response({"code": error.code}, status=error.status)


@pytest.fixture
def peered(aiohttp_client):
    return Peered(aiohttp_client)


def signed(page, body, key="signer", nonce="n-1", algorithm="hmac-sha256"):
    at = str(int(NOW)).encode()
    message = canonical_request("POST", f"/sso/{page}", "", key.encode(), nonce.encode(), at, body)
    signature = sign_message(algorithm, SECRET, message, chosen_provider()).hex()
    return {"x-ak": key, "x-nonce": nonce, "x-timestamp": at.decode(), "x-signature": signature}


# ── the routed question ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_province_is_told_whose_token_it_is_and_no_profile(peered):
    await peered.begin()
    session, known = await peered.house.sessions.begin(sign_in())
    token, until = await peered.house.sessions.issue_token(session)
    status, body, headers = await peered.post("introspect", BASIC, {"token": token})
    assert (status, headers["Cache-Control"]) == (200, "no-store")
    assert json.loads(body) == {
        "active": True, "token_type": "Bearer", "iss": ISSUER, "sub": "u-1", "subject_type": "natural", "act": None,
        "sid": "province-sid-1", "jti": known.handle, "acr": "3", "auth_time": int(NOW) - 5, "iat": int(NOW),
        "exp": int(min(until, known.principal.expires_at)),
    }  # fmt: skip


@pytest.mark.parametrize("form", [
    {"token": "x" * 43 + "@hrss"},
    {"token": "x" * 43 + "@medical"},
    {"token": "eyJhbGciOiJub25lIn0.e30."},
    {"token": "a b"},
    {"token": "令牌"},
    {"token": ""},
    {},
])  # fmt: skip
async def test_every_other_token_gets_one_and_the_same_answer(peered, form):
    await peered.begin()
    status, body, _ = await peered.post("introspect", BASIC, form)
    assert (status, body) == (200, b'{"active":false}')


async def test_a_token_of_a_session_that_has_ended_is_not_active(peered):
    await peered.begin()
    session, _ = await peered.house.sessions.begin(sign_in())
    token, _ = await peered.house.sessions.issue_token(session)
    await peered.house.sessions.end(session)
    assert (await peered.post("introspect", BASIC, {"token": token}))[1] == b'{"active":false}'


async def test_who_signs_gets_a_signed_answer(peered):
    await peered.begin()
    fields = signed("introspect", b"token=x") | {"Content-Type": "application/x-www-form-urlencoded"}
    status, body, headers = await peered.post("introspect", fields, b"token=x")
    answered = canonical_answer(b"n-1", str(int(NOW)).encode(), body)
    expected = sign_message("hmac-sha256", SECRET, answered, chosen_provider())
    assert (status, headers["X-Signature"]) == (200, expected.hex())
    assert (await peered.post("introspect", fields, b"token=x"))[0] == 401


@pytest.mark.parametrize("fields", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic cHJvdmluY2U6eA=="}])
async def test_nobody_else_is_told_anything(peered, fields):
    await peered.begin()
    status, body, _ = await peered.post("introspect", fields, {"token": "x"})
    assert (status, json.loads(body)) == (401, {"code": "channel-signature"})
    assert peered.spent == [("6000/minute", "introspection-client", "192.0.2.7")]


async def test_secrets_are_not_tried_out_without_end(peered):
    """Counted by address (of IPv6, by the network) before anybody is believed."""
    await peered.begin()
    wrong = {"Authorization": "Basic cHJvdmluY2U6eA=="}
    await peered.post("introspect", wrong, {"token": "x"}, client="2001:db8::1:2:3:4")
    assert peered.spent == [("6000/minute", "introspection-client", "2001:db8::/64")]
    peered.over.add("introspection-client")
    assert (await peered.post("introspect", wrong, {"token": "x"}))[0] == 429


async def test_a_routed_question_is_answered_without_asking_anybody(peered):
    """The loop guard: neither the province nor a platform hears of it, whosever token it is."""
    await peered.begin()
    session, _ = await peered.house.sessions.begin(sign_in())
    own, _ = await peered.house.sessions.issue_token(session)
    told = []
    for token in (own, own.replace("@hrss", "@medical"), own.removesuffix("@hrss"), "A" * 43 + "@hrss", "e30.e30.x"):
        _, body, _ = await peered.post("introspect", BASIC, {"token": token})
        told.append(json.loads(body)["active"])
    assert told == [True, False, False, False, False]
    assert (peered.fetched, peered.platform.asked) == ([], [])


async def test_questions_are_limited_per_client(peered):
    await peered.begin()
    peered.over.add("introspection")
    assert (await peered.post("introspect", BASIC, {"token": "x"}))[0] == 429
    assert peered.spent[-1] == ("6000/minute", "introspection", "province")


async def test_when_nobody_can_tell_that_is_no_no(peered):
    """503 and not `active: false`, which would sign people out elsewhere."""
    await peered.begin()
    session, _ = await peered.house.sessions.begin(sign_in())
    token, _ = await peered.house.sessions.issue_token(session)
    peered.house.store.down = True
    status, body, _ = await peered.post("introspect", BASIC, {"token": token})
    assert (status, json.loads(body)) == (503, {"code": "state-unavailable"})


# ── notices ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("page", "fields", "data", "expected"), [
    ("backchannel", {}, {"logout_token": "good"}, Notice(ISSUER, NOW, session="province-sid-1")),
    ("cas", {}, {"logoutRequest": CAS}, Notice(ISSUER, NOW, ticket="ST-1")),
    ("signed", signed("notices/signed", b'{"event":"logout","issued_at":1,"sub":"u-1"}', "partner", "n", "hmac-sm3"),
     b'{"event":"logout","issued_at":1,"sub":"u-1"}', Notice(ISSUER, 1 + CLOCKS, subject="u-1")),
])  # fmt: skip
async def test_each_form_of_a_notice_ends_what_it_names(peered, page, fields, data, expected):
    await peered.begin()
    status, body, headers = await peered.post(f"notices/{page}", fields, data)
    assert (status, body, headers["Cache-Control"]) == (200, b"", "no-store")
    assert peered.ended == [expected]


@pytest.mark.parametrize(("page", "fields", "data", "client", "status"), [
    ("backchannel", {}, {"logout_token": "bad"}, "192.0.2.7", 400),
    ("backchannel", {}, {}, "192.0.2.7", 400),
    ("backchannel", {}, b"logout_token=good", "192.0.2.7", 400),
    ("cas", {}, {"logoutRequest": CAS}, "198.51.100.1", 401),
    ("cas", {}, {"logoutRequest": CAS}, "", 401),
    ("cas", {}, {"logoutRequest": "<x/>"}, "192.0.2.7", 400),
    ("signed", {}, b'{"event":"logout","issued_at":1,"sub":"u-1"}', "192.0.2.7", 401),
    ("signed", signed("introspect", b"{}", "partner", "n", "hmac-sm3"), b"{}", "192.0.2.7", 401),
    ("signed", signed("notices/signed", b"{}", "partner", "n", "hmac-sm3"), b"{}", "192.0.2.7", 400),
])  # fmt: skip
async def test_what_is_no_notice_ends_nothing(peered, page, fields, data, client, status):
    await peered.begin()
    assert (await peered.post(f"notices/{page}", fields, data, client))[0] == status
    assert peered.ended == []


async def test_a_logout_token_counts_once(peered):
    await peered.begin()
    """Whoever repeats it is told so by a 400 (OIDC Back-Channel Logout §2.8); ending the same again does no harm."""
    statuses = [(await peered.post("notices/backchannel", {}, {"logout_token": "good"}))[0] for _ in range(2)]
    assert statuses == [200, 400]
    assert set(peered.ended) == {Notice(ISSUER, NOW, session="province-sid-1")}


@pytest.mark.parametrize("error", [StateUnavailable("away"), RuntimeError("broken")])
async def test_a_logout_token_that_could_not_be_followed_is_not_used_up(peered, error):
    """The platform sends it again, and then it counts."""
    await peered.begin()
    peered.ending = error
    assert (await peered.post("notices/backchannel", {}, {"logout_token": "good"}))[0] in (500, 503)
    peered.ending = None
    assert (await peered.post("notices/backchannel", {}, {"logout_token": "good"}))[0] == 200


async def test_a_notice_that_cannot_be_checked_is_not_refused(peered):
    """503: the platform will send it again."""
    await peered.begin()
    peered.platform.tokens["good"] = VerifierUnavailable("no keys")
    assert (await peered.post("notices/backchannel", {}, {"logout_token": "good"}))[0] == 503
    assert peered.ended == []


async def test_pages_that_nobody_configured_are_not_there(peered):
    await peered.begin({"natural": "province"})
    for page in ("introspect", "notices/backchannel", "notices/cas", "notices/signed"):
        assert (await peered.post(page, BASIC, {"token": "x"}))[0] == 404

"""Whatever bytes somebody sends to the desk, it answers; it never breaks (500), and nobody is signed in by it."""

import asyncio
from urllib.parse import quote_from_bytes, urlencode

import msgspec
import pytest
import structlog
from desk_world import FORM, HOST, HTML, ORIGIN, World
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.contracts import PartContext
from gateway.desk.host import REQUEST_FIELDS, DeskForwarder, desk_items
from gateway.desk.my import open_self_service
from gateway.desk.peers import PeerDesk
from gateway.errors import GatewayError
from gateway.identity.introspection import RoutedIntrospection
from gateway.ledger import open_ledger
from gateway.model import Inbound, Item, Kind, Outbound, Visit
from gateway.signin_settings import LoginSettings
from gateway.state import MemoryStore
from tests.plugin_world import ISSUER

SECRET = "a secret of sixteen and more"
ITEM = Item("sso", "统一登录", "identity", frozenset({Kind.ANYONE}), 0, "sso")
PEERS = {
    "natural": "province",
    "introspection": {"clients": [{"id": "province", "secret": SECRET, "method": "hmac-sha256"}]},
    "notices": {
        "backchannel": "province",
        "cas": {"platform": "province", "networks": ["192.0.2.0/24"]},
        "signed": [{"id": "partner", "issuer": ISSUER, "algorithm": "hmac-sm3", "key": SECRET}],
    },
}
OPERATIONS = [operation for item in desk_items() for operation in item.operations]

bytes_of_a_field = st.binary(max_size=40).map(lambda value: value.translate(None, b"\r\n\0"))
odd = st.binary(max_size=24)
names = st.sampled_from([
    b"csrf_token", b"code", b"state", b"ticket", b"error", b"return_to", b"unit", b"self", b"id", b"remove", b"as",
    b"algorithm", b"public_key", b"name", b"platform", b"acr_values", b"max_age", b"choose", b"token", b"logout_token",
    b"logoutRequest", b"data",
])  # fmt: skip
pairs = st.lists(st.tuples(names | odd, odd), max_size=5).map(urlencode)
members = st.dictionaries(st.text(max_size=8) | names.map(bytes.decode), st.text(max_size=12) | st.none(), max_size=4)
jsons = members.map(lambda told: msgspec.json.encode(told | {"code": "code-1"})) | st.sampled_from([
    b'{"code": "\\ud800"}', b'{"unit": "\\udfff\\ud800"}', b"[" * 5000, b'{"code":"\xed\xa0\x80"}', b"\xff",
])  # fmt: skip


@st.composite
def requests(draw):
    """Method, path, query, header fields and body of one request."""
    method, template = draw(st.sampled_from(OPERATIONS))
    parts = [
        quote_from_bytes(draw(odd | st.just(b"province") | st.just(b"wechat")), safe="") or "x" if "{" in part else part
        for part in template.split("/")
    ]
    fields = draw(st.dictionaries(st.sampled_from(sorted(REQUEST_FIELDS - {b"cookie"})), bytes_of_a_field, max_size=4))
    own = {b"origin": ORIGIN.encode(), b"sec-fetch-site": b"same-origin"} if draw(st.booleans()) else {}
    media_type, body = draw(
        st.one_of(
            pairs.map(lambda form: (FORM.encode(), form.encode())),
            jsons.map(lambda told: (b"application/json", told)),
            st.tuples(st.sampled_from([FORM.encode(), b"application/json", b"text/\xff; a=\xff"]), odd),
        )
    )
    fields = {b"content-type": media_type} | fields | own
    return method, "/".join(parts), draw(pairs), fields, body if method == "POST" else b"", draw(st.booleans())


class Body:
    """A body that has arrived."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.length = len(data)

    async def whole(self) -> bytes:
        return self.data


class House:
    """A desk with everything that can be configured, and somebody who is signed in."""

    def __init__(self, ledger) -> None:
        self.world = World(links=ledger.links, devices=ledger.devices, unsolicited=["province"])
        context = PartContext("sso", None, MemoryStore(), lambda: self.world.clock.wall)
        sessions, revocations = self.world.house.sessions, self.world.house.revocations
        asked = RoutedIntrospection(sessions, revocations, context.clock)
        login = LoginSettings.model_validate_json(msgspec.json.encode(PEERS))
        peers = PeerDesk(
            login, self.world.desk.platforms, asked, self._end, lambda *_: None, self.world.house.store, context
        )
        my = open_self_service(ledger.office)
        desk = msgspec.structs.replace(self.world.desk, my=my, peers=peers.routes())
        self.forwarder = DeskForwarder(desk, structlog.get_logger())

    async def _end(self, _) -> int:
        return 0

    async def ask(self, method, path, query, fields, body, signed_in) -> tuple[int, str]:
        """The status that it is answered with, and what was wrong."""
        sent = {b"accept": HTML.encode(), b"x-forwarded-for": b"192.0.2.1"} | fields
        sent |= {b"x-request-id": b"1" * 32, b"x-forwarded-host": HOST.encode(), b"x-forwarded-proto": b"https"}
        if signed_in:
            id, _ = await self.world.house.sessions.begin(self.world.province.sign_in())  # noqa: A001
            sent[b"cookie"] = f"__Host-sid={id}; __Host-login={'A' * 43}".encode()
        arrived = Body(body)
        inbound = Inbound("1" * 32, method, path, query, sent, "192.0.2.1", HOST, "https", arrived)
        visit = Visit(inbound, ITEM, "route", path, {}, "sso", 0.0)
        try:
            async with self.forwarder.send(Outbound(visit, None, [*sent.items()], arrived, 5.0)) as reply:
                return reply.status, ""
        except GatewayError as error:
            return error.status, f"{error.code}: {error.detail}"


@pytest.fixture
async def house(tmp_path, new_ledger):
    (tmp_path / "ledger.db").write_bytes(new_ledger)
    ledger = open_ledger("sqlite:///ledger.db", tmp_path)
    await ledger.start()
    house = House(ledger)
    await house.forwarder.start()
    yield house
    await house.forwarder.stop()
    await ledger.close()


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(("POST", "/sso/token", "", {b"x-csrf-token": b"\xff", b"origin": ORIGIN.encode()}, b"", True))
@example(
    ("POST", "/sso/logout", "", {b"content-type": FORM.encode(), b"origin": ORIGIN.encode()}, b"csrf_token=%ff", True)
)
@example(
    (
        "POST",
        "/sso/channels/wechat",
        "",
        {b"content-type": FORM.encode(), b"user-agent": b"\xff"},
        b"code=code-1",
        False,
    )
)
@example(("POST", "/sso/introspect", "", {b"authorization": b"Basic \xff"}, b"", False))
@example(("POST", "/sso/introspect", "", {b"x-ak": b"\xff", b"x-nonce": b"\xed\xa0\x80"}, b"", False))
@example(("GET", "/sso/callback/province", "ticket=ST-1&%ED%A0%80=1", {}, b"", False))
@given(asked=requests())
async def test_any_request_is_answered(house, asked):
    status, why = await asyncio.wait_for(house.ask(*asked), 5.0)
    assert status < 500 or status == 503, why

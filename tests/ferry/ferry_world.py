"""A small world for the ferry's tests: both units, a carrier between them, and business systems made of functions."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.contracts import Carrier
from gateway.ferry.carriers import MemoryCarrier
from gateway.ferry.inner import InnerUnit
from gateway.ferry.inner_records import MessageRecord
from gateway.ferry.inner_settings import GatekeeperSettings
from gateway.forward.ferry import FerryForwarder
from gateway.inward import IdentitySigner
from gateway.model import NO_BODY, Field, Inbound, Item, Kind, Outbound, Principal, Visit
from gateway.settings import FerrySettings

KEY = "a shared key of the sandbox, 32 bytes and more"
ITEM = Item("31-characters", "个人住院结算信息查询", "medical-insurance", frozenset({Kind.NATURAL}), 3, "medical")
PRINCIPAL = Principal("https://id.province.example", "citizen-1", Kind.NATURAL, 3, 2e9)
PEM = (
    Ed25519PrivateKey.generate()
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)


class Whole:
    """A request body that has arrived."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.length: int | None = len(content)

    async def whole(self) -> bytes:
        return self.content

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.content


class Reply:
    """A business system's answer."""

    def __init__(
        self,
        status: int = 200,
        body: bytes = b"{}",
        fields: list[Field] | None = None,
        pieces: list[bytes] | None = None,
    ) -> None:
        self.status = status
        self.fields = [(b"content-type", b"application/json")] if fields is None else fields
        self.whole = body if pieces is None else None
        self.length = len(body)
        self.tunnel = None
        self._pieces = pieces or []

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class System:
    """A business system that keeps what it was sent and answers as told."""

    def __init__(self, behave: Callable[..., Awaitable[Reply]] | None = None) -> None:
        self.received: list = []
        self.behave = behave or self.echo

    async def echo(self, request) -> Reply:
        return Reply(body=b'{"ok":true}')

    @contextlib.asynccontextmanager
    async def send(self, request, *, attempts=None):
        if attempts is not None:
            attempts()
        self.received.append(request)
        yield await self.behave(request)

    def deliveries(self) -> Counter[bytes]:
        ids = [dict(request.fields)[b"x-request-id"] for request in self.received]
        return Counter(ids)


def outer_settings(**changed) -> FerrySettings:
    given = {"name": "medical", "via": "ferry", "carrier": {"kind": "memory"}, "key": KEY} | changed
    return FerrySettings.model_validate(given)


def inner_settings(*routes: dict, **changed) -> GatekeeperSettings:
    settlement = {"id": "settlement", "system": "medical", "method": "GET", "path": "/settlements/{settlement_id}"}
    declare = {"id": "declare", "system": "medical", "method": "POST", "path": "/declarations"}
    declare["request"] = {"content_types": ["application/json"], "size": "4MiB"}
    given = {
        "listen": "127.0.0.1:0",
        "key": KEY,
        "systems": [{"name": "medical", "targets": ["http://127.0.0.1:9"]}],
        "routes": list(routes) or [settlement, declare],
    }
    return GatekeeperSettings.model_validate(given | changed)


_count = iter(range(1, 1 << 60))


def request(
    *,
    method: str = "GET",
    route: str = "settlement",
    params: dict[str, str] | None = None,
    query: str = "",
    fields: list[Field] | None = None,
    body: bytes = b"",
    timeout: float = 2.0,
    principal: Principal | None = PRINCIPAL,
    inbound_fields: dict[bytes, bytes] | None = None,
    upgrade: str | None = None,
    request_id: str | None = None,
) -> Outbound:
    """One request on its way; a POST of JSON when it has a body."""
    if params is None:
        params = {"settlement_id": "S-1"} if route == "settlement" else {}
    inbound = Inbound(
        id=request_id or f"{next(_count):032x}",
        method=method,
        path="/medical/settlements/S-1",
        query=query,
        fields=inbound_fields or {},
        client="203.0.113.9",
        host="gov.example",
        scheme="https",
        body=Whole(body) if body else NO_BODY,
        upgrade=upgrade,
    )
    visit = Visit(inbound, ITEM, route, "/medical/settlements/{settlement_id}", params, "web", time.time())
    if fields is None:
        fields = [(b"content-type", b"application/json")] if body else []
    return Outbound(visit, principal, fields, inbound.body, timeout)


def declaration(**changed) -> Outbound:
    """A request that changes something."""
    return request(**({"method": "POST", "route": "declare", "body": b'{"name":"retirement"}'} | changed))


def signer() -> IdentitySigner:
    return IdentitySigner(PEM, "2026-11", "dept-hrss", time.time)


class World:
    """Both units and what they left behind."""

    def __init__(
        self,
        outer: FerryForwarder,
        inner: InnerUnit,
        system: System,
        carrier: Carrier,
        records: list[MessageRecord],
    ) -> None:
        self.outer = outer
        self.inner = inner
        self.system = system
        self.carrier = carrier
        self.records = records

    async def ask(self, outbound: Outbound):
        async with self.outer.send(outbound) as reply:
            return reply

    async def linked(self, up: bool = True) -> None:
        await until(lambda: (self.outer.status()["link"] == "up") is up)


async def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def world(
    *,
    system: System | None = None,
    carrier: Carrier | None = None,
    outer_carrier: Carrier | None = None,
    outer: FerrySettings | None = None,
    inner: GatekeeperSettings | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[World]:
    """Start both units and wait for their link."""
    carrier = carrier or MemoryCarrier()
    system = system or System()
    records: list[MessageRecord] = []
    unit = InnerUnit(inner or inner_settings(), carrier, {"medical": system}, records.append)
    forwarder = FerryForwarder(outer or outer_settings(), outer_carrier or carrier, signer(), monotonic=monotonic)
    made = World(forwarder, unit, system, carrier, records)
    await unit.start()
    await forwarder.start()
    try:
        await made.linked()
        yield made
    finally:
        await forwarder.stop()
        await unit.stop()

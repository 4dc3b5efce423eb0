"""Stand-ins for everything around the request path: a channel, verifiers, re-authorizers, a system, records."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.chain import ReauthorizerChain, VerdictMemory, VerifierChain
from gateway.exchange import Exchange
from gateway.fields import REQUEST_FIELDS
from gateway.identity.revocations import Revocations
from gateway.items import Route
from gateway.model import ALLOW, NO_BODY, Body, Credential, Inbound, Item, Kind, Outbound, Principal, Visit
from gateway.throttle import Rates, Throttle

NOW = 1_700_000_000.0
DEADLINE = 20.0
ID = "4bf92f3577b34da6a3ce929d0e0e4736"
ITEM = Item("item-1", "个人住院结算信息查询", "medical", frozenset({Kind.NATURAL}), 0, "system")
_RATES = Rates()
PUBLIC = Item("guide-1", "办事指南", "guides", frozenset({Kind.ANYONE}), 0, "system")


def principal(**changed: Any) -> Principal:
    given = {"issuer": "province", "subject": "u-1", "kind": Kind.NATURAL, "assurance": 3, "expires_at": 4e9}
    return Principal(**(given | changed))


def inbound(method="GET", path="/mine", query="", fields=None, **changed) -> Inbound:
    held = {name.encode(): value.encode() for name, value in (fields or {}).items()}
    given = {"client": "192.0.2.1", "host": "gw.example", "scheme": "https", "body": NO_BODY}
    return Inbound(ID, method, path, query, held, **(given | changed))


def visit(**changed) -> Visit:
    return Visit(inbound(**changed), ITEM, "route", "/mine", {}, "web", NOW)


def exchange() -> Exchange:
    return Exchange(ID, NOW, "192.0.2.1")


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class FakeChannel:
    """Recognises every request, and takes `Authorization: Bearer` for its token; `error` is raised instead."""

    def __init__(self, name: str = "web", error: Exception | None = None, mine: bool = True) -> None:
        self.name = name
        self.error = error
        self.mine = mine
        self.answers: str | None = None
        self.opened: Body | None = None

    async def identify(self, inbound: Inbound) -> Credential | None:
        if self.error is not None:
            raise self.error
        if not self.mine:
            return None
        value = inbound.fields.get(b"authorization")
        token = None if value is None else value.removeprefix(b"Bearer ").decode("latin-1")
        return Credential(self.name, token, body=self.opened, answer=self.answers)


class FakeVerifier:
    """Says what it is told about each token, None about all others; counts how often it is asked."""

    issuers: tuple[str, ...] = ()

    def __init__(self, name: str = "province", **verdicts: object) -> None:
        self.name = name
        self.verdicts = verdicts
        self.remember = 1e9
        self.remember_rejected = 5.0
        self.epoch = 0
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def verify(self, credential: Credential) -> Any:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        said = self.verdicts.get(credential.token or "")
        if isinstance(said, BaseException):
            raise said
        return said


class FakeReauthorizer:
    """Answers with one decision, whoever asks; an exception is raised. While `gate` is an event, it waits for that."""

    def __init__(self, name: str = "switch", decision: object = ALLOW) -> None:
        self.name = name
        self.decision = decision
        self.gate: asyncio.Event | None = None
        self.asked = 0

    async def decide(self, principal: Principal, visit: Visit) -> Any:
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


class Records(list[Exchange]):
    """Keeps every exchange that was accounted for."""

    def write(self, exchange: Exchange) -> None:
        self.append(exchange)

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self) >= count)


@dataclass
class FakeReply:
    """A system's answer: whole, or in pieces."""

    status: int = 200
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: bytes | None = b""
    length: int | None = None
    tunnel: Any = None
    pieces: Callable[[], AsyncIterator[bytes]] | None = None

    def __post_init__(self) -> None:
        if self.whole is not None and self.length is None:
            self.length = len(self.whole)

    def chunks(self) -> AsyncIterator[bytes]:
        assert self.pieces is not None
        return self.pieces()


def streamed(*pieces: bytes | Exception, length: int | None = None, **changed: Any) -> FakeReply:
    """An answer that comes piece by piece; an exception breaks it off."""

    async def hand_out() -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    return FakeReply(whole=None, length=length, pieces=hand_out, **changed)


@dataclass
class Seen:
    """What arrived at the system."""

    method: str
    path: str
    query: str
    fields: list[tuple[bytes, bytes]]
    body: bytes
    principal: Principal | None

    def values(self, name: bytes) -> list[bytes]:
        return [value for held, value in self.fields if held == name]


class FakeSystem:
    """A forwarder and the system behind it: keeps what it was sent, and answers by script or with what it got.

    Attributes:
        script: makes the answer, or raises; None echoes.
        reads: whether the body is read at all.
        gate: answers wait for it.
        left: how many answers were cancelled while they waited.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.begun = 0
        self.left = 0
        self.reads = True
        self.gate: asyncio.Event | None = None
        self.script: Callable[[Seen, Outbound], Awaitable[FakeReply]] | None = None

    @contextlib.asynccontextmanager
    async def send(self, outbound: Outbound, *, attempts: Callable[[], None] | None = None) -> AsyncIterator[FakeReply]:
        self.begun += 1
        request = outbound.visit.inbound
        body = await outbound.body.whole() if self.reads else b""
        seen = Seen(request.method, request.path, request.query, outbound.fields, body, outbound.principal)
        self.seen.append(seen)
        try:
            if self.gate is not None:
                await self.gate.wait()
            reply = await self.script(seen, outbound) if self.script is not None else _echo(seen)
            yield reply
        except asyncio.CancelledError:
            self.left += 1
            raise

    def answers(self, reply: FakeReply | Exception) -> None:
        """Answer everything with this."""

        async def script(seen: Seen, outbound: Outbound) -> FakeReply:
            if isinstance(reply, Exception):
                raise reply
            return reply

        self.script = script

    async def until(self, count: int) -> None:
        await eventually(lambda: self.begun >= count)


def _echo(seen: Seen) -> FakeReply:
    target = seen.path + ("?" + seen.query if seen.query else "")
    return FakeReply(200, [(b"content-type", b"text/plain")], f"{seen.method} {target}\n".encode() + seen.body)


class FakeTunnel:
    """The system's side of a switched connection: sends back what it gets, in capitals."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    async def read(self) -> bytes:
        return await self.waiting.get()

    async def write(self, data: bytes) -> None:
        self.waiting.put_nowait(data.upper())

    def close(self) -> None:
        self.closed = True


async def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail after the deadline."""
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.002)


def chain(*verifiers: FakeVerifier, memory=None, revocations=None, clock=lambda: NOW) -> VerifierChain:
    memory = VerdictMemory() if memory is None else memory
    return VerifierChain(verifiers, memory, Revocations(clock=clock) if revocations is None else revocations, clock)


def route(method: str, template: str, system: FakeSystem, item: Item = PUBLIC, **changed: Any) -> Route:
    """An operation that anyone may use through the channel `web`, unless said otherwise."""
    given: dict[str, Any] = {
        "id": f"{method} {template}", "item": item, "method": method, "template": template,
        "channels": frozenset({"web"}), "verifiers": None, "reauthorizers": ReauthorizerChain([]),
        "forwarder": system, "request_fields": REQUEST_FIELDS, "body_limit": 1 << 20, "timeout": 5.0,
        "throttle": Throttle(_RATES, item.code), "kinds": tuple(item.audience),
    }  # fmt: skip
    return Route(**(given | changed))

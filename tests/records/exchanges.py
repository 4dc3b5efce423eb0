"""Exchanges at any point of their way, a clock that the test moves, and a sink that can be looked into."""

import asyncio
from typing import Any

from gateway.exchange import Exchange
from gateway.model import Credential, Inbound, Item, Kind, Principal, Stage

ITEM = Item(
    "11440100696927671X3442011817001",
    "个人住院结算信息查询",
    "medical",
    frozenset({Kind.NATURAL}),
    3,
    "medical-insurance",
)
PRINCIPAL = Principal("https://id.province.example", "person-1", Kind.NATURAL, 3, 2e9, verifier="province-jwt")
TIMED = (Stage.VERIFY, Stage.REAUTHORIZE, Stage.FORWARD, Stage.RELAY)
ID = "4bf92f3577b34da6a3ce929d0e0e4736"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_inbound(**changes: Any) -> Inbound:
    given: dict[str, Any] = {
        "id": ID, "method": "GET", "path": "/medical/settlements/7", "query": "",
        "fields": {b"user-agent": b"curl/8.5"}, "client": "192.0.2.7", "host": "gw.example", "scheme": "https",
    }  # fmt: skip
    return Inbound(**given | changes)


def make_exchange(step: float = 0.001, forward: float | None = None, **changes: Any) -> Exchange:
    """An exchange that was carried, `step` seconds in each step; `changes` replace attributes before it is closed."""
    clock = Clock()
    exchange = Exchange(ID, 1_700_000_000.25, "192.0.2.7", clock)
    exchange.method = "GET"
    exchange.inbound = make_inbound()
    exchange.item, exchange.template = ITEM, "/medical/settlements/{settlement_id}"
    exchange.credential = Credential("web", "token")
    exchange.principal = PRINCIPAL
    exchange.verdicts = [("province-jwt", "remembered"), ("assurance", "allow")]
    exchange.status, exchange.received, exchange.sent = 200, 10, 1024
    exchange.outcome, exchange.attempt, exchange.generation = "delivered", 1, 5
    exchange.revision = "8d1f02d7a6b3"
    for stage in list(Stage)[1:]:
        clock.now += step if exchange.stage is not Stage.FORWARD or forward is None else forward
        exchange.stage = stage
        if stage in TIMED:
            setattr(exchange, stage, clock())
    for name, value in changes.items():
        setattr(exchange, name, value)
    clock.now += step
    exchange.close()
    return exchange


class Kept:
    """Takes lines like a Sink, and keeps them."""

    def __init__(self) -> None:
        self.lines = b""
        self.count = 0
        self.written = asyncio.Event()

    def write(self, lines: bytes, count: int) -> None:
        self.lines += lines
        self.count += count
        self.written.set()

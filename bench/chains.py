"""What a chain of re-authorizers costs by itself: the product's chain and plugins, asked in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.ledgers import SYSTEM, UNITS, operator_of
from bench.world import ISSUER
from gateway.chain import AnyReauthorizer, ReauthorizerChain
from gateway.contracts import PartContext
from gateway.exchange import Exchange
from gateway.fetch import HttpFetch
from gateway.ledger import open_ledger
from gateway.model import Field, Inbound, Item, Kind, Principal, Visit
from gateway.state.memory import MemoryStore
from plugins.reauthorizers.account_binding import AccountBinding
from plugins.reauthorizers.first_visit import FirstVisit
from plugins.reauthorizers.operator_grant import OperatorGrant
from plugins.reauthorizers.owner_switch import OwnerSwitch

CHAIN: dict[str, type[Any]] = {
    "first-visit": FirstVisit,
    "owner-switch": OwnerSwitch,
    "operator-grant": OperatorGrant,
    "account-binding": AccountBinding,
}
"""Four that nearly every item for units has."""

_ID, _CLIENT = "1" * 32, "127.0.0.1"


async def time_chain(ledger: Path, item: str, asked: int) -> float:
    """Microseconds that the four add to a request of somebody who was here before; an empty chain is taken off.

    Args:
        ledger: see bench.ledgers.
        item: code of the item.
        asked: how many decisions are timed.
    """
    opened, fetch = open_ledger(f"sqlite:///{ledger}", ledger.parent), HttpFetch()
    await opened.start()
    try:
        context = PartContext("", fetch, MemoryStore(), ledger=opened.view)
        links = [_link(name, context) for name in CHAIN]
        for link in links:
            await link.start()
        await _decide(links, item, len(UNITS))
        return (await _timed(links, item, asked) - await _timed([], item, asked)) / asked * 1e6
    finally:
        await opened.close()
        await fetch.close()


def _link(name: str, context: PartContext) -> AnyReauthorizer:
    part = CHAIN[name]
    link: AnyReauthorizer = part(part.Config(), msgspec.structs.replace(context, name=name))
    return link


async def _timed(links: Sequence[AnyReauthorizer], item: str, asked: int) -> float:
    began = time.thread_time()  # nothing here waits; what others do on this core is not counted
    await _decide(links, item, asked)
    return time.thread_time() - began


async def _decide(links: Sequence[AnyReauthorizer], item: str, asked: int) -> tuple[Field, ...]:
    """Ask for one unit after the other, each request with an account of its own."""
    chain = ReauthorizerChain(links)
    principals = [_operator(subject) for subject in UNITS]
    inbound = Inbound(_ID, "GET", "/guides/1", "", {}, _CLIENT, "127.0.0.1", "http")
    code = Item(item, "measured", "measured", frozenset({Kind.LEGAL}), 3, SYSTEM)
    visit = Visit(inbound, code, "guide", "/guides/{guide_id}", {}, "web", time.time())
    injected: tuple[Field, ...] = ()
    for turn in range(asked):
        injected = await chain.decide(principals[turn % len(principals)], visit, Exchange(_ID, 0.0, _CLIENT))
    return injected


def _operator(subject: str) -> Principal:
    return Principal(ISSUER, subject, Kind.LEGAL, 3, 4e9, operator=operator_of(subject))

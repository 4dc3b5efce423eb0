"""A ledger that re-authorizers can be asked about without one, and parts that have it."""

import msgspec
from hypothesis import strategies as st

from gateway import Designated, Facts, Grant, Kind, PartContext, Principal, Visit
from gateway.contracts import Part
from gateway.errors import StateUnavailable
from tests.plugin_world import NOW, inbound, principal, visit

UNIT = Facts("party-1", "legal", "bound", "350102")
PERSON = Facts("party-2", "natural", "new", "350102")
MINE = Grant("op-1", "item-1", "3501", NOW - 100, NOW + 100)
OTHERS = Grant("op-2", "item-1", "3501", NOW - 100, NOW + 100)


class HeldLedger:
    """A gateway.facts.LedgerView that says the same of everybody.

    Args:
        facts: what it says; None knows nobody.
        found: what somebody has whose record is made now.
        latest: the latest time it has seen.
        silent: True when it has not been heard for too long.
    """

    def __init__(
        self,
        facts: Facts | None = None,
        *,
        found: Facts | None = None,
        latest: float = 0.0,
        silent: bool = False,
    ) -> None:
        self.held = facts
        self.found = found
        self.latest = latest
        self.silent = silent
        self.followed = 0
        self.registered: list[Principal] = []

    async def follow(self) -> None:
        self.followed += 1

    def facts(self, issuer: str, subject: str) -> Facts | None:
        if self.silent:
            raise StateUnavailable("not heard for too long")
        return self.held

    def now(self, at: float) -> float:
        return max(at, self.latest)

    async def register(self, principal: Principal) -> Facts:
        self.registered.append(principal)
        return self.found or Facts("party-3", principal.kind, "new")


def part_on(part: type[Part], context: PartContext, ledger: HeldLedger | None, **config: object) -> Part:
    """A part with these settings on this ledger."""
    return part(part.Config.model_validate(config), msgspec.structs.replace(context, ledger=ledger))


def operator(name: str | None = "op-1", **said: object) -> Principal:
    """Somebody who acts for the unit."""
    return principal(kind=Kind.LEGAL, operator=name, **said)


def coming(at: float = NOW, method: str = "GET", **shown: object) -> Visit:
    """A visit of `item-1`, with what its request shows: `client`, `certificate`."""
    return msgspec.structs.replace(visit(at), inbound=msgspec.structs.replace(inbound(method), **shown))


def changed(facts: Facts, **values: object) -> Facts:
    """The same with other values."""
    return msgspec.structs.replace(facts, **values)


OFTEN = st.integers(0, 3).map(bool)
"""So that a good part of the grants holds: rules about who passes say nothing of people who never do."""


def mostly(usual: object, *rest: object) -> st.SearchStrategy:
    """The usual value, and now and then one of the others."""
    return OFTEN.flatmap(lambda often: st.just(usual) if often else st.sampled_from(rest))


GRANTS = st.builds(
    Grant,
    operator=st.sampled_from(["op-1", "op-1", "op-2", "op-3"]),
    item=mostly("item-1", "item-2"),
    scope=mostly("3501", "", "35", "350102", "3502", "37"),
    valid_from=mostly(NOW - 100, NOW, NOW + 50),
    valid_until=mostly(NOW + 100, NOW - 50, NOW),
    exclusive=mostly(False, True),
    networks=mostly((), ("192.0.2.0/24",), ("10.0.0.0/8", "2001:db8::/32")),
    devices=mostly((), ("device-1",), ("device-9", "device-2")),
    hours=mostly((), ("00:00-06:00", "06:00-07:00"), ("06:13-24:00",), ("07:00-09:00",)),
)
"""Grants as the ledger lets them be, one by one; together they may be what it lets nobody write."""

DEVICES = st.builds(
    Designated,
    id=st.sampled_from(["device-1", "device-2"]),
    kind=st.sampled_from(["certificate", "passkey", "network", "another"]),
    value=st.sampled_from(["192.0.2.0/24", "10.0.0.0/8"]),
    items=st.sampled_from([(), ("item-1",), ("item-2",)]),
)

FACTS = st.builds(
    Facts,
    party=st.just("party-1"),
    kind=st.sampled_from(["natural", "legal"]),
    state=st.sampled_from(["new", "applied", "reviewed", "bound", "suspended", "revoked", "another"]),
    region=st.sampled_from(["", "350000", "350100", "350102", "370102"]),
    bindings=st.dictionaries(st.sampled_from(["pension", "medical-insurance"]), st.sampled_from(["3" * 20, "T" * 40])),
    switches=st.dictionaries(st.sampled_from(["item-1", "item-2"]), st.sampled_from(["open", "closed", "left"])),
    grants=st.lists(GRANTS, max_size=3).map(tuple),
    devices=st.lists(DEVICES, max_size=3).map(tuple),
)

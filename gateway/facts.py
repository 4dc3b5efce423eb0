"""What the ledger tells plugins: the facts about one person or unit, complete and frozen; and enrolled devices.

ledger/facts.py makes facts in the transaction of each change; ledger/view.py holds everybody's; plugins decide by them.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Protocol

import msgspec

from gateway.model import Principal


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """One operator may do one item for a unit (经办人授权).

    Attributes:
        operator: the operator's account at the province, `Principal.operator`.
        item: code of the item.
        scope: region it covers, as a prefix of GB/T 2260 codes; empty covers all.
        valid_from: Unix seconds.
        valid_until: Unix seconds; it no longer holds then.
        exclusive: True when nobody else may, as long as the grant has not been ended; also before it begins and after
            `valid_until`.
        networks: addresses she has to come from (CIDR); empty: from anywhere.
        devices: ids of designated devices of which she has to use one; empty: any.
        hours: spans of the day, `09:00-17:00` in Asia/Shanghai, in which it holds; empty: at any time.
    """

    operator: str
    item: str
    scope: str
    valid_from: float
    valid_until: float
    exclusive: bool = False
    networks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Grant({self.item!r})"


class Designated(msgspec.Struct, frozen=True, array_like=True):
    """A designated computer (指定设备).

    Attributes:
        id: of the entry.
        kind: `certificate`, `passkey` or `network`.
        value: SHA-256 of the certificate in lower-case hex, credential id in base64url, or CIDR.
        items: codes of the items it is designated for; empty: all.
    """

    id: str
    kind: str
    value: str
    items: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True, array_like=True, dict=True):
    """Everything that decisions about one person or unit rest on.

    Attributes:
        party: id of the ledger's record.
        kind: `natural` or `legal`.
        state: `new`, `applied`, `reviewed`, `bound`, `suspended` or `revoked`.
        region: GB/T 2260 code; empty when it is not known.
        bindings: the bound local id, by business system.
        switches: the owner's word, by item: `open`, `closed`, or `left` (to re-authorization).
        grants: those that operators may use; also those that are over or have not begun.
        devices: designated computers.
    """

    party: str
    kind: str
    state: str
    region: str = ""
    bindings: dict[str, str] = {}
    switches: dict[str, str] = {}
    grants: tuple[Grant, ...] = ()
    devices: tuple[Designated, ...] = ()

    def __repr__(self) -> str:
        return f"Facts({self.party!r}, {self.kind}, {self.state})"

    @cached_property
    def grants_of(self) -> Mapping[tuple[str, str], tuple[Grant, ...]]:
        """Grants by item and operator: one unit may have thousands."""
        found: defaultdict[tuple[str, str], tuple[Grant, ...]] = defaultdict(tuple)
        for grant in self.grants:
            found[grant.item, grant.operator] += (grant,)
        return dict(found)

    @cached_property
    def exclusive(self) -> Mapping[str, frozenset[str]]:
        """Operators who alone may do an item, by item; the ledger lets there be one."""
        found: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
        for grant in self.grants:
            if grant.exclusive:
                found[grant.item] |= {grant.operator}
        return dict(found)


class LedgerView(Protocol):
    """The ledger in memory, at most a second old (ledger/view.py)."""

    async def follow(self) -> None:
        """Read everything once and follow every change from now on. Whoever needs the view says so when it starts.

        Raises:
            CannotDecide: the ledger cannot be read now.
        """
        ...

    def facts(self, issuer: str, subject: str) -> Facts | None:
        """What is known of a person or unit; None when there is no record. No database is asked.

        Raises:
            StateUnavailable: nobody has heard from the ledger for too long; 503.
        """
        ...

    def now(self, at: float) -> float:
        """The time to decide by: `at`, or the latest ever seen here: a clock that goes back revives nothing."""
        ...

    async def register(self, principal: Principal) -> Facts:
        """Make the record of somebody who is here for the first time, or find the one that is there.

        Raises:
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        ...


class Device(msgspec.Struct, frozen=True):
    """A device that a signed-in person enrolled: it signs with a key of its own.

    Attributes:
        id: what it calls itself in requests.
        algorithm: `ed25519`, `ecdsa-p256` or `sm2`; fixed at enrolment.
        public_key: raw point or key, as docs/channels.md says.
        issuer: whose person it belongs to.
        subject: the person.
    """

    id: str
    algorithm: str
    public_key: bytes
    issuer: str
    subject: str


class Devices(Protocol):
    """Enrolled devices (ledger/)."""

    async def find(self, id: str) -> Device | None:  # noqa: A002
        """The device of this id; None when there is none any more.

        Raises:
            CannotDecide: nobody can say now.
        """
        ...

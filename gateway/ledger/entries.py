"""What the ledger hands out of grants, bindings, appeals, switches and designated devices. Names stay out of `repr`."""

from datetime import date

import msgspec

from gateway.beijing import day_of
from gateway.ledger.inputs.claims import ComparedEntry


class _Silent(msgspec.Struct, frozen=True):
    """Shows its id alone."""

    id: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"


class Decided(_Silent, frozen=True):
    """What staff propose and approve.

    Attributes:
        id: of the entry.
        party: id of the unit's record.
        state: `proposed`, `live` or `ended`; of a grant also `offered`.
        version: counts its changes.
        proposed_at: Unix seconds.
        proposed_by: id of the staff member.
        approved_at: Unix seconds; None while nobody has.
        approved_by: id of the staff member; None while nobody has.
        ended_at: Unix seconds; None while it has not ended.
        ended_reason: why it ended; None while it has not.
    """

    party: str
    state: str
    version: int
    proposed_at: float
    proposed_by: str
    approved_at: float | None
    approved_by: str | None
    ended_at: float | None
    ended_reason: str | None


class GrantRecord(Decided, frozen=True, kw_only=True):
    """A grant; see also gateway.facts.Grant.

    Attributes:
        operator: id of the operator's entry.
        account: the operator's account at the province.
        operator_name: of the operator.
        item: code of the item.
        scope: prefix of GB/T 2260 codes.
        valid_from: Unix seconds.
        valid_until: Unix seconds; it no longer holds then.
        exclusive: True when nobody else of the unit may.
        networks: CIDR; empty: from anywhere.
        devices: ids of designated devices; empty: any.
        hours: spans of the day; empty: at any time.
        accepted_at: Unix seconds; None while the operator has not, or need not.
    """

    operator: str
    account: str
    operator_name: str
    item: str
    scope: str
    valid_from: float
    valid_until: float
    exclusive: bool
    networks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    accepted_at: float | None = None

    @property
    def first_day(self) -> date:
        """The first day on which it holds, in China."""
        return day_of(self.valid_from)

    @property
    def last_day(self) -> date:
        """The last day on which it holds, in China."""
        return day_of(self.valid_until - 1)


class BindingRecord(Decided, frozen=True, kw_only=True):
    """Which record of a business system is a unit's.

    Attributes:
        system: name of the business system.
        local_id: the unit's id there.
        compared: what was compared when it was proposed, by field; empty for owners.
        note: of whoever proposed it; empty for owners.
    """

    system: str
    local_id: str
    compared: dict[str, ComparedEntry] = {}
    note: str = ""


class AppealRecord(_Silent, frozen=True):
    """A unit says that somebody else has registered its number.

    Attributes:
        id: of the appeal.
        party: id of the claimant's record.
        system: name of the business system.
        local_id: the number.
        reason: of the claimant.
        state: `open`, `upheld` or `dismissed`.
        opened_at: Unix seconds.
        opened_by: account that opened it.
        decided_at: Unix seconds; None while it is open.
        decision: what the reviewer said; None while it is open.
        version: counts its changes.
    """

    party: str
    system: str
    local_id: str
    reason: str
    state: str
    opened_at: float
    opened_by: str
    decided_at: float | None
    decision: str | None
    version: int


class SwitchRecord(msgspec.Struct, frozen=True):
    """What an owner says of an item.

    Attributes:
        item: code of the item.
        name: of the item.
        setting: `open`, `closed` or `left`; where the owner never said anything, what the item begins with.
        set_at: Unix seconds; None where nobody set it.
        set_by: account that set it; None where nobody did.
    """

    item: str
    name: str
    setting: str
    set_at: float | None = None
    set_by: str | None = None

    def __repr__(self) -> str:
        return f"SwitchRecord({self.item!r}, {self.setting!r})"


class DesignatedRecord(_Silent, frozen=True):
    """A designated computer; see also gateway.facts.Designated.

    Attributes:
        id: of the entry.
        party: id of the unit's record.
        kind: `certificate`, `passkey` or `network`.
        value: fingerprint, credential id in base64url, or CIDR.
        name: what people call it.
        items: codes of the items it is designated for; empty: all.
        state: `proposed`, `live` or `ended`.
        proposed_at: Unix seconds.
        proposed_by: id of the staff member, or account of the operator.
        approved_at: Unix seconds; None while nobody has.
        ended_at: Unix seconds; None while it has not ended.
        ended_reason: why it ended; None while it has not.
        version: counts its changes.
    """

    party: str
    kind: str
    value: str
    name: str
    items: tuple[str, ...]
    state: str
    proposed_at: float
    proposed_by: str
    approved_at: float | None
    ended_at: float | None
    ended_reason: str | None
    version: int


class PasskeyRecord(_Silent, frozen=True):
    """A passkey to check an assertion with (WebAuthn Level 2 §7.2).

    Attributes:
        id: of the designated device.
        credential_id: as the browser knows it.
        public_key: COSE_Key (RFC 9052 §7).
        sign_count: the last one seen; 0 where the authenticator does not count.
    """

    credential_id: bytes
    public_key: bytes
    sign_count: int

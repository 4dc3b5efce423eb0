"""Everything that is known here of one person or unit, read at once: that staff looked is noted once."""

from collections.abc import Mapping

import msgspec

from gateway.ledger.acting import Office
from gateway.ledger.appeals import APPEAL_ENTRIES
from gateway.ledger.applications import APPLICATION_ENTRIES, ApplicationRecord
from gateway.ledger.bindings import BINDING_ENTRIES
from gateway.ledger.changes import HISTORY_ENTRIES, HistoryEntry
from gateway.ledger.designated import DESIGNATED_ENTRIES
from gateway.ledger.entries import AppealRecord, BindingRecord, DesignatedRecord, GrantRecord
from gateway.ledger.grants import GRANT_ENTRIES
from gateway.ledger.looks import looking
from gateway.ledger.operators import OPERATOR_ENTRIES, OperatorRecord
from gateway.ledger.parties import PartyDetail, read_detail
from gateway.ledger.rules import LocalId, Rules
from gateway.ledger.values import Officer, Page

READY = frozenset({"reviewed", "bound"})
"""States in which operators, grants, devices and bindings can be added."""

LISTS = ("applications", "operators", "grants", "devices", "bindings", "appeals", "history")
"""What a record has many of, as the attributes of Dossier."""


class Dossier(msgspec.Struct, frozen=True):
    """Everything of one record; of each list a page, the newest first, with what has ended.

    Attributes:
        detail: the record, what the province registered, and where it stands.
        applications: at the counter.
        operators: who can be granted something.
        grants: what they may do.
        devices: designated computers.
        bindings: to business systems.
        appeals: of the unit.
        history: what happened.
    """

    detail: PartyDetail
    applications: Page[ApplicationRecord]
    operators: Page[OperatorRecord]
    grants: Page[GrantRecord]
    devices: Page[DesignatedRecord]
    bindings: Page[BindingRecord]
    appeals: Page[AppealRecord]
    history: Page[HistoryEntry]

    @property
    def ready(self) -> bool:
        """True when the unit has been reviewed, and was not suspended or revoked."""
        return self.detail.record.kind == "legal" and self.detail.record.state in READY

    @property
    def resting(self) -> bool:
        """True while grants or bindings are open: the unit's region rests under them."""
        return self.detail.standing.granted or bool(self.detail.standing.systems)

    def unbound(self, rules: Rules) -> list[LocalId]:
        """The systems to which the unit has no binding, and none is proposed."""
        return [one for system, one in rules.local_ids.items() if system not in self.detail.standing.systems]


class Dossiers:
    """Everybody's dossiers.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def read(self, by: Officer, party: str, pages: Mapping[str, int]) -> Dossier:
        """Read everything, in one transaction. Its owner can see who looked.

        Args:
            by: who looks, under PARTY_LOOK.
            party: id of the record.
            pages: which one of each of LISTS, from 1.

        Raises:
            Forbidden, CannotDecide: as in looks.looking.
        """
        async with looking(self._office, by, party) as (connection, row):
            return Dossier(
                await read_detail(connection, row),
                await APPLICATION_ENTRIES.of_party(connection, row.id, pages["applications"]),
                await OPERATOR_ENTRIES.of_party(connection, row.id, pages["operators"]),
                await GRANT_ENTRIES.of_party(connection, row.id, pages["grants"]),
                await DESIGNATED_ENTRIES.of_party(connection, row.id, pages["devices"]),
                await BINDING_ENTRIES.of_party(connection, row.id, pages["bindings"]),
                await APPEAL_ENTRIES.of_party(connection, row.id, pages["appeals"]),
                await HISTORY_ENTRIES.of_party(connection, row.id, pages["history"]),
            )

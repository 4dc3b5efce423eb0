"""What self-service works with: everything of the ledger that a person may see and change of her own, or her unit's.

Imported only where there is a ledger: SQLAlchemy is slow to import. my_routes.py serves what my_*.py offer.
"""

import msgspec

from gateway.ledger.acting import Office
from gateway.ledger.appeals import Appeals
from gateway.ledger.bindings import Bindings
from gateway.ledger.changes import History
from gateway.ledger.designated import DesignatedDevices
from gateway.ledger.grants import Grants
from gateway.ledger.looks import Looks
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from gateway.ledger.rules import Rules
from gateway.ledger.switches import Switches


class SelfService(msgspec.Struct, frozen=True, eq=False):
    """The parts of the ledger that have something for their owners, each as its class says."""

    office: Office
    parties: Parties
    operators: Operators
    grants: Grants
    bindings: Bindings
    appeals: Appeals
    switches: Switches
    devices: DesignatedDevices
    looks: Looks
    history: History

    @property
    def rules(self) -> Rules:
        """What the configuration says now."""
        return self.office.rules


def open_self_service(office: Office) -> SelfService:
    """Self-service of a ledger.

    Args:
        office: where its acts begin.
    """
    return SelfService(
        office,
        Parties(office),
        Operators(office),
        Grants(office),
        Bindings(office),
        Appeals(office),
        Switches(office),
        DesignatedDevices(office),
        Looks(office),
        History(office),
    )

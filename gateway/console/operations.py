"""Everything that can be done in the back office, in one table: the JSON API, its description, and the pages' forms.

Each entry names the power that the ledger asks for. The ledger itself checks it, in the act; a test holds that every
operation is refused to every post that its table does not name.
"""

from gateway.console.import_operations import IMPORT_OPERATIONS
from gateway.console.opening_operations import OPENING_OPERATIONS
from gateway.console.operation import Asked, Operation, SessionCall
from gateway.console.staff_operations import STAFF_OPERATIONS
from gateway.console.unit_operations import UNIT_OPERATIONS

__all__ = ["OPERATIONS", "Asked", "Operation", "SessionCall"]

OPERATIONS: tuple[Operation, ...] = (*UNIT_OPERATIONS, *OPENING_OPERATIONS, *STAFF_OPERATIONS, *IMPORT_OPERATIONS)
"""All of them."""

"""What the configuration says about the ledger's content: items, the ids of business systems, who has to look twice.

configuration/office_rules.py makes it of policy.yaml and gateway.yaml; acting.py's Office holds the current one.
"""

import re
from collections.abc import Mapping

import msgspec

from gateway.errors import FieldProblem
from gateway.model import Kind


class LocalId(msgspec.Struct, frozen=True):
    """How a business system writes its ids of units: social insurance 20 digits, tax 40 characters.

    Attributes:
        system: name of the system.
        label: what people call the id (社保编号).
        pattern: the whole id.
        told: what the form tells of it, Chinese first, then English.
    """

    system: str
    label: str
    pattern: str
    told: tuple[str, str]

    def problem(self, text: str) -> FieldProblem | None:
        """What is wrong with an id; None when nothing is."""
        return None if re.fullmatch(self.pattern, text) else FieldProblem("local_id", self.told)


class OfficeItem(msgspec.Struct, frozen=True):
    """An item as far as the ledger needs to know it.

    Attributes:
        code: see model.Item.
        name: see model.Item.
        audience: see model.Item.
        closable: True when its owner may close it or leave it to re-authorization.
        granted: True when operators need a grant for it.
        system: the business system behind it.
        closed: True when it is closed while its owner has said nothing.
    """

    code: str
    name: str
    audience: frozenset[Kind]
    closable: bool
    granted: bool
    system: str
    closed: bool = False


class Rules(msgspec.Struct, frozen=True):
    """See the module.

    Attributes:
        items: by code.
        local_ids: by system; units are bound to these alone.
        two_people: `opening` and `binding`, where maker and checker must be two.
        acceptance: True when an operator has to accept a grant before it holds.
    """

    items: Mapping[str, OfficeItem] = {}
    local_ids: Mapping[str, LocalId] = {}
    two_people: frozenset[str] = frozenset({"opening", "binding"})
    acceptance: bool = True

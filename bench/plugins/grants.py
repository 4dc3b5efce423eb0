"""A re-authorizer that looks persons up among many grants held in memory, as the ledger's hot read model will."""

from __future__ import annotations

from gateway.contracts import PartContext, Reauthorizer, Settings
from gateway.model import ALLOW, Decision, Deny, Principal, Visit

_NOT_GRANTED = ("您未获授权办理此事项", "You are not authorized for this item")


class GrantsConfig(Settings):
    """How many grants there are, and who of interest holds one.

    Attributes:
        subjects: the persons of whom each holds a grant that is asked for.
        item: the item's code.
        count: how many grants are held in all; never fewer than there are subjects.
    """

    subjects: tuple[str, ...]
    item: str
    count: int


class Grants(Reauthorizer[GrantsConfig]):
    """Allows who holds a grant for the item; the other grants are there to be passed over."""

    Config = GrantsConfig

    def __init__(self, config: GrantsConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._held = {(subject, config.item) for subject in config.subjects}
        self._held |= {(f"unit-{number}", config.item) for number in range(config.count - len(self._held))}

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Look the pair of person and item up."""
        if (principal.subject, visit.item.code) in self._held:
            return ALLOW
        return Deny(code="operator-not-authorized", title=_NOT_GRANTED)

"""A re-authorizer that looks a person up among many grants held in memory, as the ledger's hot read model will."""

from __future__ import annotations

from gateway.contracts import PartContext, Reauthorizer, Settings
from gateway.model import ALLOW, Decision, Deny, Principal, Visit

_NOT_GRANTED = ("您未获授权办理此事项", "You are not authorized for this item")


class GrantsConfig(Settings):
    """How many grants there are, and who of interest holds one.

    Attributes:
        subject: the person who holds the one grant that is asked for.
        item: the item's code.
        count: how many grants are held in all.
    """

    subject: str
    item: str
    count: int


class Grants(Reauthorizer[GrantsConfig]):
    """Allows who holds a grant for the item; the other grants are there to be passed over."""

    Config = GrantsConfig

    def __init__(self, config: GrantsConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._held = {(f"unit-{number}", config.item) for number in range(config.count - 1)}
        self._held.add((config.subject, config.item))

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Look the pair of person and item up."""
        if (principal.subject, visit.item.code) in self._held:
            return ALLOW
        return Deny(code="operator-not-authorized", title=_NOT_GRANTED)

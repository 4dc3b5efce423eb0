"""Whoever is here for the first time gets a record in the ledger, from which everything else begins (首次登录建档)."""

from gateway import ALLOW, Decision, Facts, LedgerReauthorizer, Principal, Settings, Visit


class FirstVisitConfig(Settings):
    """First visits have no settings."""


class FirstVisit(LedgerReauthorizer[FirstVisitConfig]):
    """Makes the record of a person or unit that has none, and allows everybody who is not barred."""

    Config = FirstVisitConfig

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Find the record or make it, and allow.

        Raises:
            StateUnavailable, CannotDecide: the ledger cannot be asked, or cannot be written; 503.
        """
        facts = self.ledger.facts(principal.issuer, principal.subject)
        if facts is None:
            facts = await self.ledger.register(principal)  # another worker may have made it, and staff suspended it
        return self.weigh(facts, principal, visit)

    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Having a record is enough."""
        return ALLOW

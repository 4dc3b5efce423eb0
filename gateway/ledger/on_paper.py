"""The ledger as `tongguan explain` sees it: opened when a part needs it, read, never made and never written.

view.py is what the running gateway decides by; lending.py puts this in its place where nothing may change.
"""

from typing import TYPE_CHECKING

from gateway.errors import CannotDecide, ConfigurationError
from gateway.facts import Facts
from gateway.model import Principal

if TYPE_CHECKING:  # SQLAlchemy is slow to import
    from gateway.ledger.ledger import Ledger


class LedgerOnPaper:
    """See gateway.facts.LedgerView.

    Args:
        ledger: not open; closed by who made it.

    Attributes:
        told: what would have been written.
    """

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self._asked = False
        self._reason: str | None = "ledger: not open"
        self.told: list[str] = []

    async def follow(self) -> None:
        """Open it and read it, once. That it cannot be read refuses nothing: whoever asks it then is told so."""
        if self._asked:
            return
        self._asked = True
        try:
            await self._ledger.start(create=False)
            await self._ledger.view.follow()
            self._reason = None
        except (ConfigurationError, CannotDecide) as error:
            self._reason = str(error)

    def facts(self, issuer: str, subject: str) -> Facts | None:
        """As the running gateway would find them.

        Raises:
            CannotDecide: there is no ledger, or it cannot be read.
        """
        if self._reason is not None:
            raise CannotDecide(self._reason)
        return self._ledger.view.facts(issuer, subject)

    def now(self, at: float) -> float:
        """As the running gateway would see it after a restart."""
        return self._ledger.view.now(at)

    async def register(self, principal: Principal) -> Facts:
        """Say that a record would be made, and what little would be in it."""
        self.told.append(f"would make a record of this person of issuer {principal.issuer}")
        return Facts("", principal.kind, "new")

"""Has the ledger know whoever signs in (首次登录建档), without ever keeping anybody from signing in.

What is missed here, the re-authorizer first_visit makes up for, at the first item that has it.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from gateway.desk.acting import as_identity
from gateway.errors import CannotDecide
from gateway.identity.sessions import SignedIn
from gateway.signin import SignIn

if TYPE_CHECKING:  # SQLAlchemy is slow to import, and not everybody has a ledger
    from gateway.ledger.parties import Parties

PATIENCE = 0.25
"""Seconds that the answer to a sign-in is held back, so that the next page finds the record; writing it takes less."""
MOST = 64
"""Records that this worker makes or refreshes at once; beyond it they are left for later."""


class Recording:
    """Makes and refreshes records.

    Args:
        parties: of the ledger.
        patience: see PATIENCE.
    """

    def __init__(self, parties: "Parties", patience: float = PATIENCE) -> None:
        self._parties = parties
        self._patience = patience
        self._under_way: set[asyncio.Task[None]] = set()

    async def note(self, signed_in: SignedIn, log: Any) -> None:
        """Somebody has signed in, or goes on as somebody else: that one's record alone is made or refreshed.

        Returns when it is, or after the patience is over; it goes on then in the background. Raises nothing.

        Args:
            signed_in: the session.
            log: the application log, which names the request.
        """
        log = log.bind(handle=signed_in.handle)
        if len(self._under_way) >= MOST:
            log.warning("sign-in not recorded", reason=f"{MOST} others are under way")
            return
        sign_in = as_identity(signed_in.sign_in, signed_in.principal)
        task = asyncio.get_running_loop().create_task(self._record(sign_in, log))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait({task}, timeout=self._patience)

    async def stop(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _record(self, sign_in: SignIn, log: Any) -> None:
        try:
            await self._parties.arrive(sign_in)
        except CannotDecide as error:
            log.warning("sign-in not recorded", reason=error.detail)
        except Exception as exc:
            log.error("sign-in not recorded", exc_info=exc)

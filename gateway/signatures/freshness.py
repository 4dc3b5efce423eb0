"""When a signed request was signed, and that it comes once. Time first: what is too old need not be remembered.

Signatures are judged in between, by keys.py.
"""

import hashlib

from gateway.contracts import PartContext
from gateway.errors import ClockSkew, Replayed


class Freshness:
    """What one channel holds of the times and the uses of its requests.

    Args:
        context: the channel's: its clock, and the memory of what was used.
        window: seconds that a signed time may be from our clock, either way.
        refuse_unknown: refuse what was signed before it is known what was used (OnceStore.unknown_before).
    """

    def __init__(self, context: PartContext, window: float, *, refuse_unknown: bool = True) -> None:
        self._context = context
        self._window = window
        self._refuse_unknown = refuse_unknown
        self._latest = context.clock()

    def check_time(self, signed_at: float) -> float:
        """Judge a signed time. Before the body is read: what is too old shall not make us hold it.

        Args:
            signed_at: Unix seconds.

        Returns:
            Seconds by which the signer's clock seems to be ahead of ours.

        Raises:
            ClockSkew: too long ago, in the future, or before it is known what was used.
        """
        now = self._context.clock()
        # A clock that is set back must not bring back requests whose use has been forgotten meanwhile.
        self._latest = max(self._latest, now)
        if not self._latest - self._window <= signed_at <= now + self._window:
            raise ClockSkew(f"signed {signed_at - now:+.0f} s from now")
        self._check_known(signed_at)
        return signed_at - now

    async def check_first_use(self, signer: str, signed_at: float, *marks: bytes) -> None:
        """Note that a request was used. To be called when its signature holds, so that nobody uses up another's.

        Args:
            signer: id of its key.
            signed_at: Unix seconds, as `check_time` judged it.
            marks: what a repeated request has again: its signature, its nonce. Any of them known refuses it.

        Raises:
            Replayed: it was here before.
            ClockSkew: the memory has just found out that it lost what was used since.
            CannotDecide: nobody can say.
        """
        # A request can be believed from `window` before to `window` after its time; a second more rounds that up.
        seconds = 2 * self._window + 1
        scope = f"{self._context.name}\n{signer}\n".encode()
        for number, mark in enumerate(marks):
            key = hashlib.sha256(b"%b%d\n%b" % (scope, number, mark)).digest()
            if not await self._context.once.first_use(key, seconds):
                raise Replayed("signature or nonce was used before")
        self._check_known(signed_at)

    def _check_known(self, signed_at: float) -> None:
        if self._refuse_unknown and signed_at < int(self._context.once.unknown_before):
            raise ClockSkew("signed before it is known what was used")

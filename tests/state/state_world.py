"""Workers that share a Redis, without the rest of a gateway: a deny set, the state, and what they log."""

import asyncio
import time

from gateway.identity.revocations import Revocations
from gateway.model import Kind, Principal
from gateway.state.shared import SharedState


class Log:
    """Keeps what is logged, as (level, text)."""

    def __init__(self):
        self.said = []

    def error(self, text, **_):
        self.said.append(("error", text))

    def info(self, text, **_):
        self.said.append(("info", text))


class SharedWorker:
    """What one worker has of the shared state."""

    def __init__(self, settings, clock=time.time, counts=None, workers=1, deny_set=None):
        self.log = Log()
        self.revocations = Revocations(clock=clock) if deny_set is None else deny_set
        self.state = SharedState(settings, self.revocations, counts, workers=workers, clock=clock, log=self.log)

    @property
    def store(self):
        return self.state.store

    def denies(self, **rests_on):
        return self.revocations.deny(principal(**rests_on))

    async def until(self, condition, seconds=5.0):
        """Wait for a condition on this worker; gives the seconds that it took."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)
        return time.monotonic() - began

    async def __aenter__(self):
        await self.state.start()
        return self

    async def __aexit__(self, *_):
        await self.state.close()


def principal(**rests_on):
    given = {"issuer": "https://id.example", "subject": "u-0", "issued_at": time.time() - 60, **rests_on}
    return Principal(kind=Kind.NATURAL, assurance=3, expires_at=time.time() + 600, **given)

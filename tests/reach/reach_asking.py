"""Asking every worker with everything that somebody holds, again and again, while something happens."""

import asyncio
import time
from contextlib import asynccontextmanager

from tests.reach.reach_line import DEADLINE
from tests.reach.reach_world import RECOVERY, bearer


async def held_by(reach, person):
    """Everything that a person can ask with, by name."""
    subject, sid = person.subject, person.sid
    signed_token = reach.province.token(subject, sid=sid, jti=f"jti-{sid}")
    return {
        "session": ("/all/1", person.session),
        "own token": ("/all/1", bearer(await reach.own_token(person))),
        "jwt": ("/all/1", bearer(signed_token)),
        "jwt, other verifier": ("/split/1", bearer(signed_token)),
        "opaque": ("/all/1", bearer(f"of-{subject}.{sid}")),
        "opaque, other verifier": ("/split/1", bearer(f"of-{subject}.{sid}")),
    }


class Asking:
    """Asks every worker with everything that is held, round after round, and notes what it is told.

    Attributes:
        told: by worker and credential: (monotonic seconds of the sending, status and code) of each answer.
        slowest: seconds of the slowest answer.
    """

    def __init__(self, reach, held):
        self.held = dict(held)
        self.told = {}
        self.slowest = 0.0
        self._reach = reach
        self._rounds = []
        self._round = asyncio.Condition()

    @asynccontextmanager
    async def running(self):
        lines = await self._reach.lines_of_workers()
        self._rounds = [0] * len(lines)
        tasks = [asyncio.create_task(self._ask(worker, line)) for worker, line in enumerate(lines)]
        try:
            await self.rounds(3)
            yield self
        finally:
            for task in tasks:
                task.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in found), found

    async def _ask(self, worker, line):
        while True:
            for name, (path, fields) in list(self.held.items()):
                sent = time.monotonic()
                told = (await line.ask(path, **fields)).told
                self.slowest = max(self.slowest, time.monotonic() - sent)
                self.told.setdefault((worker, name), []).append((sent, told))
            async with self._round:
                self._rounds[worker] += 1
                self._round.notify_all()
            await asyncio.sleep(0.005)

    async def rounds(self, count):
        """Wait until every worker was asked with everything so many times more."""
        target = [done + count for done in self._rounds]
        async with asyncio.timeout(DEADLINE), self._round:
            await self._round.wait_for(lambda: all(a >= b for a, b in zip(self._rounds, target, strict=True)))

    async def until(self, *expected, names=None, within=RECOVERY):
        """Wait until these are told one of these everywhere; gives the seconds that it took."""
        began = time.monotonic()
        while not {self.told[key][-1][1] for key in self.told if names is None or key[1] in names} <= set(expected):
            assert time.monotonic() - began < within, f"still {self.now()} after {within} s"
            await self.rounds(1)
        return time.monotonic() - began

    def now(self):
        """What was told last."""
        return {key: told[-1][1] for key, told in self.told.items()}

    def all_told(self, name, since=0.0, until=float("inf")):
        """Everything that this one was told for what was sent in a time, by any worker."""
        return {
            told
            for (_, given), answers in self.told.items()
            if given == name
            for sent, told in answers
            if since <= sent < until
        }

    def last(self, name, told):
        """When the last request of this one was sent that was told so; 0.0 for never."""
        answers = [one for (_, given), found in self.told.items() if given == name for one in found]
        return max((sent for sent, found in answers if found == told), default=0.0)

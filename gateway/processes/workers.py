"""All worker processes: start them, keep them, watch them, ask them all.

worker_process.py is one of them. A worker that dies costs its own requests only; supervisor.py decides what they run.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from gateway.errors import ConfigurationError
from gateway.processes.control import BEAT
from gateway.processes.worker_process import FAILED, Launch, Pace, Snapshot, State, WorkerProcess, spawn
from gateway.withdrawals import LONGEST_LIFE

T = TypeVar("T")


class WorkersFailed(Exception):
    """No worker could be started, several times in a row; trying for ever would help nobody."""


class Journal:
    """Revocations of the last day: a worker that starts learns them before its first request.

    Without it, a crash would make good again what was withdrawn.

    Attributes:
        count: how many were ever noted; by it, and not by the clock, is known what came later.
    """

    MOST = 100_000

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.count = 0
        self._clock = clock
        self._entries: dict[tuple[tuple[str, str], ...], tuple[int, float]] = {}

    def add(self, revocation: dict[str, str]) -> dict[str, Any] | None:
        """Note it; gives it back with `at` (Unix seconds), or None when too many are remembered already."""
        now = self._clock()
        key = tuple(sorted(revocation.items()))
        self._entries.pop(key, None)
        while self._entries and self._entries[oldest := next(iter(self._entries))][1] < now - LONGEST_LIFE:
            del self._entries[oldest]
        if len(self._entries) >= self.MOST:
            return None
        self.count += 1
        self._entries[key] = self.count, now
        return {**revocation, "at": now}

    def after(self, count: int) -> list[dict[str, Any]]:
        """Those that were noted since there were so many."""
        return [{**dict(key), "at": at} for key, (number, at) in self._entries.items() if number > count]


class Workers:
    """All worker processes of one gateway.

    Attributes:
        current: the policy in use; a new worker starts with it.
        restarts: workers started in place of one that had ended.
        complete: set once every worker has begun to serve.
    """

    def __init__(self, launch: Launch, count: int, first: Snapshot, pace: Pace, log: Any) -> None:
        self.current = first
        self.restarts = 0
        self._launch = launch
        self._pace = pace
        self._log = log
        self._places: list[WorkerProcess | None] = [None] * count
        self.complete = asyncio.Event()
        self._leaving = asyncio.Event()
        self._failures = 0
        self._first_serves = asyncio.Event()
        self._journal = Journal()

    @property
    def count(self) -> int:
        """How many there should be."""
        return len(self._places)

    @property
    def alive(self) -> list[WorkerProcess]:
        """Those whose process runs, in the order of their numbers."""
        return [worker for worker in self._places if worker is not None and worker.state is not State.GONE]

    @property
    def serving(self) -> list[WorkerProcess]:
        """Those that take requests."""
        return [worker for worker in self.alive if worker.state is State.SERVING]

    async def keep(self) -> None:
        """Start them and replace each that ends, until drained.

        The first one goes ahead: what is wrong with a configuration is found once, not once per worker.

        Raises:
            ConfigurationError: the first policy is refused by the first worker.
            WorkersFailed: no worker could be started.
        """
        tasks = {asyncio.create_task(self._keep(number)) for number in range(self.count)}
        tasks.add(watching := asyncio.create_task(self._watch()))
        try:
            while tasks != {watching}:
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def drain(self, seconds: float) -> None:
        """Have all of them finish within so many seconds, and end. No successor is started."""
        self._leaving.set()
        self._first_serves.set()
        await asyncio.gather(*(worker.drain(seconds) for worker in self.alive))

    async def ask(
        self, workers: Iterable[WorkerProcess], question: Callable[[WorkerProcess], Awaitable[T]]
    ) -> list[tuple[WorkerProcess, T | Exception]]:
        """Ask several workers at the same time; where a call fails, its exception takes the answer's place."""

        async def ask_one(worker: WorkerProcess) -> tuple[WorkerProcess, T | Exception]:
            try:
                return worker, await question(worker)
            except (ConfigurationError, *FAILED) as error:
                return worker, error

        return await asyncio.gather(*(ask_one(worker) for worker in workers))

    async def command(self, name: str, arguments: dict[str, Any]) -> dict[int, str | None]:
        """Have every worker do something at an operator's word: by worker number, why it was not done, or None."""
        answers = await self.ask(self.serving, lambda worker: worker.command(name, arguments, self._pace.answer))
        return {worker.number: repr(answer) if isinstance(answer, Exception) else None for worker, answer in answers}

    async def revoke(self, revocation: dict[str, str]) -> dict[int, str | None]:
        """Have every worker, those to come included, turn away what a `sid`, `jti` or `sub` stands for; see command."""
        noted = self._journal.add(revocation)
        if noted is None:
            return {worker.number: "too many revocations are remembered" for worker in self.serving}
        return await self.command("revoke", noted)

    async def advance(self, worker: WorkerProcess) -> None:
        """Bring a worker to the policy in use; one that cannot follow is killed, and its successor starts with it."""
        try:
            while worker.generation != (current := self.current).generation:
                await worker.advance(current, self._pace.prepare)
        except (ConfigurationError, *FAILED) as error:
            self._log.error(
                "worker did not follow; killing it", worker=worker.number, pid=worker.pid, error=repr(error)
            )
            worker.kill()

    async def _keep(self, number: int) -> None:
        streak = 0
        if number > 0:
            await self._first_serves.wait()
        while not self._leaving.is_set():
            served = await self._live(number)
            if self._leaving.is_set():
                return
            self._count(started=served > 0.0)
            streak = 0 if served >= self._pace.stable else streak + 1
            await asyncio.sleep(self._pause(streak, served))
            self.restarts += 1

    async def _live(self, number: int) -> float:
        """One worker's life, from its birth to its end; gives the seconds it served, 0.0 when it could not start."""
        try:
            self._places[number] = worker = await spawn(number, self._launch, self._log)
        except OSError as error:
            self._log.error("no process for a worker", worker=number, error=repr(error))
            return 0.0
        if not self._leaving.is_set():
            await self._start(worker)
        if self._leaving.is_set():
            await worker.drain(0.0)  # the others were told while this one was on its way
        code = await worker.gone()
        self._log.info("worker ended", worker=number, pid=worker.pid, code=code, served=round(worker.served, 1))
        return worker.served

    async def _start(self, worker: WorkerProcess) -> None:
        known = self._journal.count
        try:
            await worker.start(self._launch, self.current, self._journal.after(0), self._pace.start)
            for missed in self._journal.after(known):
                await worker.command("revoke", missed, self._pace.answer)
        except (ConfigurationError, *FAILED) as error:
            await worker.end(0.1)  # a moment to say why on its own
            if isinstance(error, ConfigurationError) and not self._first_serves.is_set():
                raise
            if not self._leaving.is_set():
                self._log.error("worker could not start", worker=worker.number, pid=worker.pid, error=repr(error))
            return
        self._first_serves.set()
        if len(self.serving) == self.count:
            self.complete.set()
        await self.advance(worker)

    def _pause(self, streak: int, served: float) -> float:
        if streak <= 1:
            return 0.0
        most = self._pace.backoff_served if served >= self._pace.lived else self._pace.backoff_most
        return min(self._pace.backoff * 2.0 ** min(streak - 2, 16), most)

    def _count(self, *, started: bool) -> None:
        self._failures = 0 if started or self.serving else self._failures + 1
        if self._failures >= self._pace.starts:
            raise WorkersFailed(f"no worker could be started, {self._failures} times in a row")

    async def _watch(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT)
            own_delay = time.monotonic() - before - BEAT
            for worker in self.alive:
                worker.watch(self._pace, max(own_delay, 0.0))

"""The parent of the workers: hands out configuration, takes signals, reports. It carries no request itself.

serve.py gives it its listeners, workers.py keeps the processes, reloading.py reads the files, management.py
is where it is asked.
"""

import asyncio
import importlib.metadata
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.errors import ConfigurationError
from gateway.processes.reloading import Cause, Load, Loaded, Reload, Source
from gateway.processes.tally import Tally
from gateway.processes.worker_process import Pace, Snapshot, WorkerProcess
from gateway.processes.workers import Workers

HASTE = 0.0
"""Seconds for requests in flight when there is no time left for them."""

Exposition = Callable[[list[dict[str, Any]]], str]
"""Merges the workers' metrics (Edge.metrics) into Prometheus' text format."""


class Supervisor:
    """Everything that the parent process knows and does. Implements management.Operations.

    Args:
        loaded: the configuration that the workers start with.
        load: reads it again.
        workers: the processes.
        exposition: see Exposition.
        pace: see Pace.
        log: the application log.
        on_stop: called once when draining begins; lets go of the public listener.
        on_reopen: opens the file of our own application log anew; the workers do the same with theirs.
    """

    def __init__(
        self,
        loaded: Loaded,
        load: Load,
        workers: Workers,
        exposition: Exposition,
        *,
        pace: Pace,
        log: Any,
        on_stop: Callable[[], None],
        on_reopen: Callable[[], None],
    ) -> None:
        self._loaded = loaded
        self._source = Source(load, loaded.files)
        self._workers = workers
        self._exposition = exposition
        self._pace = pace
        self._log = log
        self._on_stop = on_stop
        self._on_reopen = on_reopen
        self._drain = loaded.settings.drain
        self._started = time.monotonic()
        self._generations = workers.current.generation
        self._last = self._outcome("applied", "start", self._started)
        self._reloads: Counter[str] = Counter()
        self._tally = Tally()
        self._unanswered = 0
        self._reloading = asyncio.Lock()
        self._reload_waits = False
        self._stopping = asyncio.Event()
        self._hurrying = asyncio.Event()
        self._chores: set[asyncio.Task[Any]] = set()

    async def run(self) -> bool:
        """Keep the gateway running until it is told to stop; True when it was told twice and requests were cut off.

        Raises:
            ConfigurationError: the first worker refuses the configuration.
            WorkersFailed: no worker could be started.
        """
        keeping = asyncio.create_task(self._workers.keep())
        following = asyncio.create_task(self._follow_files())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({keeping, following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                await asyncio.gather(*(task for task in (keeping, following) if task.done()))
            return await self._finish()
        finally:
            await self._workers.drain(HASTE)
            for task in (keeping, following, stopping, *self._chores):
                task.cancel()

    def take_signals(self) -> None:
        """SIGTERM, SIGINT: stop, the second time at once. SIGHUP: reload. SIGUSR1: reopen the record files."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop_or_hurry)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._do(self.reopen_records()))

    async def all_serving(self) -> int:
        """Wait until every worker serves; gives their number."""
        await self._workers.complete.wait()
        return self._workers.count

    # --- what an operator can ask (management.Operations) ---

    def not_ready(self) -> str | None:
        """Why no requests should be sent here now; None when they may."""
        if self._stopping.is_set():
            return "draining"
        if not self._workers.serving:
            return "no worker is serving"
        return None if any(worker.ready for worker in self._workers.serving) else "no worker is ready"

    async def status(self) -> dict[str, Any]:
        """Plain data about everything that runs."""
        asked = self._workers.serving
        answers = await self._workers.ask(asked, lambda worker: worker.call("status", {}, self._pace.answer))
        told = {worker.pid: {"error": repr(it)} if isinstance(it, Exception) else it for worker, it in answers}
        return {
            "version": importlib.metadata.version("tongguan"),
            "pid": os.getpid(),
            "ready": self.not_ready() is None,
            "not_ready": self.not_ready(),
            "uptime": round(time.monotonic() - self._started, 3),
            "generation": self._workers.current.generation,
            "revision": self._workers.current.revision,
            "last_reload": self._last,
            "restarts": self._workers.restarts,
            "workers": [told.get(worker.pid, {}) | _describe(worker) for worker in self._workers.alive],
        }

    async def metrics(self) -> str:
        """The workers' metrics merged, and our own; a worker that does not answer in time is counted as such."""
        asked = self._workers.serving
        answers = await self._workers.ask(asked, lambda worker: worker.call("metrics", {}, self._pace.answer))
        told = {worker.pid: answer for worker, answer in answers if not isinstance(answer, Exception)}
        merged = self._tally.take(told, [worker.pid for worker in self._workers.alive])
        self._unanswered += len(answers) - len(told)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return self._exposition([merged]) + generate_latest(registry).decode()

    async def reload_now(self) -> Reload:
        """Take over the configuration files' content if it is good."""
        return await self._reload("request")

    def stop(self) -> float:
        """Begin to drain, if that has not begun; gives the seconds it may take."""
        if not self._stopping.is_set():
            self._log.info("draining", seconds=self._drain)
            self._stopping.set()
            self._on_stop()
        return self._drain

    async def revoke(self, revocation: dict[str, str]) -> dict[int, str | None]:
        """Withdraw a `sid`, `jti` or `sub` in every worker: by worker number, why it was not done, or None."""
        return await self._workers.revoke(revocation)

    async def refresh_keys(self, asked: dict[str, str]) -> dict[int, dict[str, str]]:
        """Have every worker fetch issuers' keys (Edge.command); by worker number what became of it, or `error`."""
        patience = self._pace.prepare  # an issuer may take its time
        answers = await self._workers.ask(
            self._workers.serving, lambda worker: worker.command("refresh-keys", asked, patience)
        )
        return {
            worker.number: {"error": repr(answer)} if isinstance(answer, Exception) else answer
            for worker, answer in answers
        }

    async def sessions(self, name: str, asked: dict[str, str]) -> dict[str, Any]:
        """Have one worker list or end sessions (Edge.command), which all of them share; what it says, or `error`.

        When it fails the next one is asked: ending what has ended does no harm.
        """
        patience = self._pace.prepare  # there may be many
        said: dict[str, Any] = {"error": "no worker is serving"}
        for worker in self._workers.serving:
            ((_, answer),) = await self._workers.ask([worker], lambda one: one.command(name, asked, patience))
            if not isinstance(answer, Exception):
                return dict(answer)
            said = {"error": str(answer)}
        return said

    async def reopen_records(self) -> dict[int, str | None]:
        """Open our log's file anew, and have every worker open its record files anew; see revoke."""
        self._on_reopen()
        return await self._workers.command("reopen", {})

    def collect(self) -> Iterator[Metric]:
        """Our own metrics (prometheus_client.registry.Collector)."""
        yield _gauge("config_last_reload_successful", "1 when the files' content is in use.", float(self._last.ok))
        yield _gauge("config_generation", "Number of the policy in use.", self._workers.current.generation)
        yield _gauge("config_restart_needed", "1 when static settings wait for a restart.", self._last.restart_needed)
        reloads = CounterMetricFamily("tongguan_config_reloads", "Attempts to reload, by outcome.", labels=["outcome"])
        for outcome in ("applied", "unchanged", "refused"):
            reloads.add_metric([outcome], self._reloads[outcome])
        yield reloads
        yield _gauge("workers", "Workers that should serve.", self._workers.count)
        yield _gauge("workers_serving", "Workers that serve.", len(self._workers.serving))
        yield _counter("worker_restarts", "Workers started in place of one that had ended.", self._workers.restarts)
        yield _counter("worker_scrapes_unanswered", "Workers silent at a scrape.", self._unanswered)
        lags = GaugeMetricFamily("tongguan_worker_loop_lag_seconds", "Delay of the event loop.", labels=["worker"])
        for worker in self._workers.alive:
            lags.add_metric([str(worker.number)], worker.lag)
        yield lags

    # --- reload ---

    async def _follow_files(self) -> None:
        while True:
            await self._source.changed()
            await self._reload("file")

    def _reload_soon(self) -> None:
        if not self._reload_waits:  # one that has not begun yet will read what this one would
            self._reload_waits = True
            self._do(self._reload("signal"))

    async def _reload(self, cause: Cause) -> Reload:
        async with self._reloading:
            self._reload_waits = False
            began = time.monotonic()
            try:
                loaded = await self._source.read()
                outcome = "applied" if await self._distribute(loaded) else "unchanged"
                self._last = self._outcome(outcome, cause, began, restart_needed=loaded.static != self._loaded.static)
            except ConfigurationError as error:
                self._last = self._outcome("refused", cause, began, problems=error.problems)
            self._reloads[self._last.outcome] += 1
            self._tell(self._last)
            return self._last

    async def _distribute(self, loaded: Loaded) -> bool:
        """Two phases: all workers prepare; only when none objects do all of them use it. False when nothing is new."""
        if loaded.policy == self._workers.current.policy:
            return False
        self._generations += 1
        snapshot = Snapshot(self._generations, loaded.policy, loaded.revision)
        answers = await self._workers.ask(
            self._workers.serving, lambda worker: worker.prepare(snapshot, self._pace.prepare)
        )
        problems = _problems(answers)
        if problems:
            asked = [worker for worker, _ in answers]
            await self._workers.ask(
                asked, lambda worker: worker.call("abandon", {"generation": snapshot.generation}, self._pace.answer)
            )
            raise ConfigurationError(problems)
        self._workers.current = snapshot
        await self._workers.ask(self._workers.serving, self._workers.advance)
        return True

    def _outcome(self, outcome: Any, cause: Cause, began: float, **more: Any) -> Reload:
        current = self._workers.current
        seconds = round(time.monotonic() - began, 3)
        return Reload(outcome, cause, time.time(), seconds, current.generation, current.revision, **more)

    def _tell(self, reload: Reload) -> None:
        if not reload.ok:
            self._log.error(
                "configuration refused, the last good one stays", cause=reload.cause, problems=reload.problems
            )
            return
        self._log.info(f"configuration {reload.outcome}", cause=reload.cause, generation=reload.generation)
        if reload.restart_needed:
            self._log.warning("static settings changed: they count after a restart")

    # --- end ---

    def _stop_or_hurry(self) -> None:
        if self._stopping.is_set():
            self._hurrying.set()
        self.stop()

    async def _finish(self) -> bool:
        draining = asyncio.create_task(self._workers.drain(self._drain))
        hurrying = asyncio.create_task(self._hurrying.wait())
        await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        hurried = not draining.done()
        if hurried:
            await self._workers.drain(HASTE)
        hurrying.cancel()
        await draining
        return hurried

    def _do(self, chore: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


def _problems(answers: list[tuple[WorkerProcess, Exception | None]]) -> list[str]:
    """Why a policy cannot be used. A worker that died is no reason: its successor gets what the others accept."""
    if all(isinstance(answer, ConnectionError) for _, answer in answers):
        return ["no worker is there to accept it"]
    problems: dict[str, None] = {}
    for worker, answer in answers:
        if isinstance(answer, ConfigurationError):
            problems |= dict.fromkeys(answer.problems)
        elif answer is not None and not isinstance(answer, ConnectionError):
            problems[f"worker {worker.number} could not prepare it: {answer!r}"] = None
    return list(problems)


def _describe(worker: WorkerProcess) -> dict[str, Any]:
    return {
        "number": worker.number,
        "pid": worker.pid,
        "state": worker.state,
        "ready": worker.ready,
        "generation": worker.generation,
        "lag": round(worker.lag, 3),
        "uptime": round(worker.served, 3),
    }


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tongguan_{name}", text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tongguan_{name}", text, value)

"""The only place where the objects of a worker meet. worker.py runs what `make_edge` makes; pipeline.py is its heart.

building.py makes the parts that policy.yaml names; here is everything else.
"""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Coroutine
from typing import Any

from aiohttp import http_parser

from gateway.building import Build
from gateway.configuration.loading import policy_from, static_from
from gateway.configuration.office_rules import office_rules
from gateway.edge.server import EdgeServer
from gateway.errors import ConfigurationError, StateUnavailable
from gateway.fetch import HttpFetch
from gateway.heap import at_rest
from gateway.identity.operators import end_sessions, list_sessions
from gateway.inbound import InboundReader
from gateway.ledger.rules import Rules
from gateway.lending import lend
from gateway.pipeline import Pipeline
from gateway.records import health
from gateway.records.access import AccessLog
from gateway.records.application import ApplicationLog
from gateway.records.describing import Describe
from gateway.records.masking import Pseudonyms
from gateway.records.metrics import Metrics
from gateway.records.sink import Sink
from gateway.settings import StaticSettings

RETIRE_TICK = 1.0
"""Seconds between two looks whether a replaced policy still carries requests."""


def make_edge(snapshot: bytes, number: int) -> "EdgeProcess":
    """Make a worker's edge (gateway.processes.worker.MakeEdge).

    Args:
        snapshot: the static settings, see gateway.configuration.loading.
        number: the worker's number, from 0.

    Raises:
        ConfigurationError: this installation cannot serve.
    """
    require_c_parser()
    return EdgeProcess(static_from(snapshot), number)


def require_c_parser() -> None:
    """Refuse aiohttp's pure-Python parser: it reads requests in ways that ours are not checked against.

    Raises:
        ConfigurationError: it is the one that would be used.
    """
    module = http_parser.HttpRequestParser.__module__
    if module != "aiohttp._http_parser":
        raise ConfigurationError(
            [f"aiohttp uses {module}, not its C parser; unset AIOHTTP_NO_EXTENSIONS and install a binary wheel of it"]
        )


class EdgeProcess:
    """What one worker runs (gateway.processes.worker.Edge).

    Args:
        settings: gateway.yaml.
        number: the worker's number, from 0.
        retire_tick: seconds between two looks whether a replaced policy still carries requests.
    """

    def __init__(self, settings: StaticSettings, number: int, *, retire_tick: float = RETIRE_TICK) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._via: dict[str, str] = {}
        self._application_sink = Sink(settings.records.application, settings.records.queue)
        log = ApplicationLog(self._application_sink)
        log.install()
        self._log = log.logger(worker=number)
        self._sink = Sink(settings.records.access, settings.records.queue)
        self._metrics = Metrics()
        self._pseudonyms = Pseudonyms(settings.records.pseudonym_key.get_secret_value().encode())
        self._records = AccessLog(self._sink, self._metrics.observe, self._describe(number), loop)
        self._fetch = HttpFetch()
        self._lent = lend(settings, self._fetch, self._log)
        self._prepared: dict[int, Build] = {}
        self._rules: dict[int, Rules | None] = {}
        self._build: Build | None = None
        self._pipeline: Pipeline | None = None
        self._server: EdgeServer | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._retire_tick = retire_tick
        self._drained = asyncio.Event()
        self._lent_started = False
        self._feed_metrics()

    def _describe(self, number: int) -> Describe:
        records = self._settings.records
        return Describe(
            self._pseudonyms,
            worker=number,
            boot=secrets.token_hex(8),
            query_parameters=records.query_parameters,
            via=self._via,
        )

    # ── configuration, in two steps so that all workers change together ───────────────────────────────────────────

    async def prepare(self, snapshot: bytes, generation: int, revision: str) -> None:
        """See gateway.processes.worker.Edge."""
        await self._start_lent()
        with at_rest():
            policy = policy_from(snapshot)
            build = Build(self._lent, policy, generation, self._build, revision)
            self._rules[generation] = (
                None if self._lent.ledger is None else office_rules(policy, self._settings.console)
            )
        await build.start()
        self._prepared[generation] = build

    async def _start_lent(self) -> None:
        if not self._lent_started:
            await self._lent.start()
            self._lent_started = True

    def commit(self, generation: int) -> None:
        """See gateway.processes.worker.Edge."""
        build = self._prepared.pop(generation)
        old, self._build = self._build, build
        rules = self._rules.pop(generation)
        if self._lent.ledger is not None and rules is not None:
            self._lent.ledger.office.rules = rules
        self._via.clear()
        self._via.update(build.via)
        if self._pipeline is None:
            limits = self._settings.limits
            self._pipeline = Pipeline(build.policy, self._records, self._lent.rates, limits.in_flight, log=self._log)
        self._pipeline.policy = build.policy
        if old is not None:
            self._background(self._retire(old, build))

    def abandon(self, generation: int) -> None:
        """See gateway.processes.worker.Edge."""
        build = self._prepared.pop(generation, None)
        self._rules.pop(generation, None)
        if build is not None:
            self._background(build.abandon())

    def _background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, old: Build, new: Build) -> None:
        """Stop what the new policy does not use, once the last request under the old one or an older one has ended.

        An older one may use the same parts: a stream can outlive several policies.
        """
        while not self._drained.is_set() and self._carries_up_to(old):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), self._retire_tick)
        await old.stop(keep=new)
        if self._build is not None and not old.verifiers <= self._build.verifiers:
            self._lent.memory.forget_verifiers(self._build.verifiers)

    def _carries_up_to(self, build: Build) -> bool:
        return self._pipeline is not None and self._pipeline.carries_up_to(build.policy.generation)

    # ── serving ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, sockets: list[socket.socket]) -> None:
        """See gateway.processes.worker.Edge."""
        if self._pipeline is None:
            raise RuntimeError("there is no policy yet")
        settings = self._settings
        reader = InboundReader(settings.hosts, settings.scheme, settings.trusted_proxies, settings.limits)
        loop = asyncio.get_running_loop()
        self._server = EdgeServer(self._pipeline, reader, settings.limits, loop=loop, log=self._log)
        self._server.serve(sockets)

    async def drain(self, seconds: float) -> None:
        """See gateway.processes.worker.Edge."""
        if self._server is not None:
            await self._server.drain(seconds)
        self._records.flush()
        self._drained.set()
        if self._retiring:
            await asyncio.wait(self._retiring)
        if self._build is not None:
            await self._build.stop()
        await self._fetch.close()
        await self._lent.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._sink.close, 2.0)
        await loop.run_in_executor(None, self._application_sink.close, 1.0)

    def ready(self) -> bool:
        """See gateway.processes.worker.Edge."""
        return self._server is not None and self._pipeline is not None and not self._pipeline.draining

    def status(self) -> dict[str, Any]:
        """See gateway.processes.worker.Edge."""
        build = self._build
        return {
            "connections": 0 if self._server is None else len(self._server.connections),
            "connections_refused": self._refused_connections(),
            "in_flight": 0 if self._pipeline is None else self._pipeline.in_flight,
            "generation": 0 if build is None else build.policy.generation,
            "routes": 0 if build is None else len(build.policy.router),
            "remembered": len(self._lent.memory),
            "revocations": len(self._lent.revocations),
            "shared_state": self._lent.state.status() | {"current": self._lent.revocations.current()},
            **({} if self._lent.ledger is None else {"ledger": self._lent.ledger.status()}),
        } | self._said()

    def metrics(self) -> dict[str, Any]:
        """See gateway.processes.worker.Edge."""
        return dict(self._metrics.snapshot())

    async def command(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """See gateway.processes.worker.Edge."""
        if name == "reopen":
            self._sink.reopen()
            self._application_sink.reopen()
        elif name == "revoke":
            await self._revoke(arguments)
        elif name == "refresh-keys":
            return {} if self._build is None else await self._build.refresh_keys(arguments.get("verifier"))
        elif name == "list-sessions":
            return await list_sessions(self._lent.sessions, arguments, self._pseudonyms.of)
        elif name == "end-sessions":
            return await end_sessions(self._lent.sessions, arguments)
        else:
            raise ValueError(f"no command {name!r}")
        return {}

    async def _revoke(self, arguments: dict[str, Any]) -> None:
        try:
            await self._lent.state.feed.withdraw(
                session=arguments.get("sid"),
                token_id=arguments.get("jti"),
                subject=arguments.get("sub"),
                issuer=arguments.get("iss"),
                at=arguments.get("at"),
            )
        except StateUnavailable:
            if self._server is not None:  # before that it is said again, and the feed tells the others by itself
                raise

    def _feed_metrics(self) -> None:
        feed = self._metrics.feed
        feed("tongguan_requests_in_flight", lambda: 0.0 if self._pipeline is None else float(self._pipeline.in_flight))
        feed("tongguan_connections", lambda: 0.0 if self._server is None else float(len(self._server.connections)))
        feed("tongguan_connections_refused_total", lambda: float(self._refused_connections()))
        feed("tongguan_records_written_total", lambda: {("access",): float(self._sink.written)})
        feed("tongguan_records_written_total", lambda: {("application",): float(self._application_sink.written)})
        feed("tongguan_records_lost_total", lambda: {("access",): float(self._sink.lost + self._records.lost)})
        feed("tongguan_records_lost_total", lambda: {("application",): float(self._application_sink.lost)})
        feed("tongguan_key_age_seconds", lambda: health.key_ages(self._said()))
        feed("tongguan_breaker_state", lambda: health.breakers(self._said()))
        feed("tongguan_clock_offset_seconds", lambda: health.clock_offsets(self._said()))
        feed("tongguan_deny_set_entries", lambda: float(len(self._lent.revocations)))
        feed("tongguan_deny_set_current", lambda: float(self._lent.revocations.current()))
        feed("tongguan_ledger_view_parties", lambda: self._viewed("parties"))
        feed("tongguan_ledger_view_age_seconds", lambda: self._viewed("heard_seconds"))
        feed("tongguan_ferry_depth", lambda: health.ferry(self._said(), "depth"))
        feed("tongguan_ferry_dwell_seconds_total", lambda: health.ferry(self._said(), "dwell_seconds"))
        feed("tongguan_ferry_late_total", lambda: health.ferry(self._said(), "late"))

    def _viewed(self, what: str) -> dict[tuple[str, ...], float]:
        """What the view of the ledger says; nothing where nobody needs one, or it has not heard anything yet."""
        ledger = self._lent.ledger
        value = None if ledger is None else ledger.view.status().get(what)
        return {} if value is None else {(): float(value)}

    def _refused_connections(self) -> int:
        return 0 if self._server is None else self._server.refused_connections

    def _said(self) -> dict[str, Any]:
        return {"parts": {}, "systems": {}} if self._build is None else self._build.status()

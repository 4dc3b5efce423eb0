"""`tongguan explain`: one request on paper. The same pipeline, the same parts, and a forwarder that only notes down.

Nothing is sent to a business system, nothing is written to the ledger. A token is judged for real, so its verifier may
ask the province; an asserted principal is believed, so that rules can be tried without one. cli/ shows what comes out.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.building import Build
from gateway.chain import Said, VerifierChain
from gateway.configuration.loading import Loaded, load, policy_from
from gateway.errors import GatewayError
from gateway.exchange import Exchange
from gateway.explain.inward import Noting, Shown
from gateway.explain.question import GivenBody, Question, message_of
from gateway.facts import LedgerView
from gateway.fetch import HttpFetch
from gateway.inbound import InboundReader
from gateway.items import Route, Router
from gateway.ledger.on_paper import LedgerOnPaper
from gateway.lending import Lent, lend
from gateway.model import Credential, Field, Inbound, Principal, Reply, Stage
from gateway.pipeline import Pipeline
from gateway.policy import Policy
from gateway.settings import ItemLimitSettings, PolicySettings, StaticSettings
from gateway.signin_settings import OWN_SYSTEM

_ID = "0" * 31 + "1"
_ORDER = list(Stage)


class Step(msgspec.Struct, frozen=True):
    """One step of the path.

    Attributes:
        stage: its name.
        verdict: `passed`, `refused`, `not reached`, or `not sent` (the answer of a system that was not asked).
        details: what was found out or said, one line each.
    """

    stage: str
    verdict: str
    details: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """Every step's verdict, and what would go inward.

    Attributes:
        carried: True when the request would reach its business system.
        status: status of the refusal; None when carried.
        code: code of the refusal; None when carried.
        reason: why, as it would stand in the record.
        steps: in the order of the path.
        route: facts of the item, its operation and its limits; empty when none matched.
        fields: header fields that would go inward, values masked.
    """

    carried: bool
    status: int | None
    code: str | None
    reason: str
    steps: tuple[Step, ...]
    route: dict[str, Any]
    fields: tuple[tuple[str, str], ...] = ()


def explain(path: Path, question: Question, log: Any = None) -> Explanation:
    """Follow one request through the configuration.

    Args:
        path: gateway.yaml.
        question: the request.
        log: where parts say what they have to say; standard output when missing.

    Raises:
        ConfigurationError: the configuration cannot be used.
        ValueError: the question is no request.
    """
    return asyncio.run(_explain(path, question, log or structlog.get_logger()))


async def _explain(path: Path, question: Question, log: Any) -> Explanation:
    loaded = load(path)
    fetch = HttpFetch()
    try:
        return await _follow(loaded, question, fetch, log)
    finally:
        await fetch.close()


async def _follow(loaded: Loaded, question: Question, fetch: HttpFetch, log: Any) -> Explanation:
    lent = lend(loaded.settings, fetch, log, alone=True)
    settings = policy_from(loaded.policy)
    try:
        build = Build(lent, settings, 1, None)
        await build.start(forwarders=False)
        try:
            return await _Paper(loaded.settings, settings, build.policy, lent, question).follow()
        finally:
            await build.stop()
    finally:
        await lent.close()


class _Heard(VerifierChain):
    """Asks the real chain, or believes what the question says, and keeps apart what verifiers said."""

    def __init__(self, chain: VerifierChain, asserted: Principal | None, said: Said) -> None:
        self._chain = chain
        self._asserted = asserted
        self._said = said

    async def verify(self, credential: Credential, exchange: Exchange, timeout: float = 10.0) -> Principal:
        """See VerifierChain.verify."""
        try:
            if self._asserted is None:
                return await self._chain.verify(credential, exchange, timeout)
            exchange.note("asserted", "believed")
            return self._asserted
        finally:
            self._said += exchange.verdicts


class _Paper:
    """The client of the pipeline, and its records: keeps what would have been written (gateway.pipeline.Client)."""

    def __init__(
        self,
        static: StaticSettings,
        settings: PolicySettings,
        policy: Policy,
        lent: Lent,
        question: Question,
    ) -> None:
        self._question = question
        self._message = message_of(question, static.hosts[0])
        self._body = GivenBody(question.body)
        self._reader = InboundReader(static.hosts, static.scheme, static.trusted_proxies, static.limits)
        self._inward: list[Shown] = []
        self._verifiers: Said = []
        self._ledger = lent.context.ledger
        self._error: GatewayError | None = None
        self._items = {item.code: item for item in settings.items}
        self._forwarders = {system.name: Noting(system, lent.signer, self._inward) for system in settings.systems}
        self._forwarders[OWN_SYSTEM] = Noting(None, lent.signer, self._inward)
        self._router = Router(self._on_paper(route) for route in policy.router.routes())
        on_paper = msgspec.structs.replace(policy, router=self._router, client_rate=None, guide=None)
        self._pipeline = Pipeline(on_paper, self, lent.rates, static.limits.in_flight)

    def _on_paper(self, route: Route) -> Route:
        chain = route.verifiers
        verifiers = None if chain is None else _Heard(chain, self._question.principal, self._verifiers)
        return msgspec.structs.replace(route, forwarder=self._forwarders[route.item.system], verifiers=verifiers)

    async def follow(self) -> Explanation:
        """Send it down the path and look how far it came."""
        exchange = Exchange(_ID, time.time(), self._question.client)
        await self._pipeline.handle(self, exchange)
        error = self._error
        return Explanation(
            error is None,
            None if error is None else error.status,
            None if error is None else error.code,
            "" if error is None else error.detail,
            tuple(self._step(stage, exchange) for stage in Stage),
            self._facts(exchange),
            self._inward[0] if self._inward else (),
        )

    def _step(self, stage: Stage, exchange: Exchange) -> Step:
        reached, index, error = _ORDER.index(exchange.stage), _ORDER.index(stage), self._error
        if index > reached:
            return Step(stage, "not reached")
        details = tuple(f"{part}: {verdict}" for part, verdict in self._said(stage, exchange))
        if error is not None and index == reached:
            return Step(stage, "refused", (*details, f"{error.status} {error.code}: {error.detail}"))
        return Step(stage, "not sent" if stage is Stage.RELAY else "passed", details)

    def _said(self, stage: Stage, exchange: Exchange) -> Said:
        match stage:
            case Stage.MATCH if exchange.item is not None:
                return [(exchange.item.code, f"{exchange.item.name}, {exchange.template}")]
            case Stage.IDENTIFY if exchange.credential is not None:
                return [(exchange.credential.channel, "recognised")]
            case Stage.VERIFY:
                return [*self._verifiers, *_person(exchange.principal)]
            case Stage.REAUTHORIZE:
                return [*exchange.verdicts[len(self._verifiers) :], *_unwritten(self._ledger)]
        return []

    def _facts(self, exchange: Exchange) -> dict[str, Any]:
        """What holds for the item that matched, whether the request came to its end or not."""
        if exchange.item is None or exchange.inbound is None:
            return {}
        route, _ = self._router.match(exchange.inbound.method, exchange.inbound.path)
        settings = self._items.get(route.item.code)
        limits = ItemLimitSettings() if settings is None else settings.limits
        rates = {"rate": limits.rate, "subject_rate": limits.subject_rate, "in_flight": limits.in_flight}
        return {
            "item": route.item.code,
            "name": route.item.name,
            "template": route.template,
            "route": route.id,
            "system": route.item.system,
            "timeout_seconds": route.timeout,
            "body_limit_bytes": route.body_limit,
        } | {name: limit for name, limit in rates.items() if limit is not None}

    def read(self, exchange: Exchange) -> Inbound:
        """See gateway.pipeline.Client."""
        exchange.method = self._message.method
        inbound = self._reader.read(self._message, exchange.id, self._question.client, False, self._body)
        return msgspec.structs.replace(inbound, certificate=self._question.certificate)

    def admit_body(self, limit: int) -> None:
        """See gateway.pipeline.Client."""
        self._body.admit(limit)

    async def answer(self, exchange: Exchange, status: int, fields: list[Field]) -> None:
        """See gateway.pipeline.Client."""

    async def relay(self, exchange: Exchange, reply: Reply) -> None:
        """See gateway.pipeline.Client."""

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """See gateway.pipeline.Client."""
        self._error = error

    def write(self, exchange: Exchange) -> None:
        """See gateway.pipeline.Records."""


def _unwritten(ledger: LedgerView | None) -> Said:
    return [("ledger", told) for told in ledger.told] if isinstance(ledger, LedgerOnPaper) else []


def _person(principal: Principal | None) -> list[tuple[str, str]]:
    if principal is None:
        return []
    acting = f", operator {principal.operator}" if principal.operator else ""
    return [("principal", f"{principal.kind} person {principal.subject}{acting}, assurance {principal.assurance}")]

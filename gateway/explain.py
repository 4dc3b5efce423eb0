"""`tongguan explain`: one request on paper. The same pipeline, the same parts, and a forwarder that only notes down.

Nothing is sent to a business system. A token is judged for real, so its verifier may ask the province; an asserted
principal is believed, so that rules can be tried without one. cli/ shows what comes out.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from gateway.building import Build, Lent
from gateway.chain import VerifierChain
from gateway.configuration.loading import load, policy_from
from gateway.contracts import PartContext
from gateway.errors import ConfigurationError, GatewayError
from gateway.exchange import Exchange
from gateway.fetch import HttpFetch
from gateway.inbound import InboundReader
from gateway.inward import IdentitySigner
from gateway.items import Route, Router
from gateway.model import NO_BODY, Credential, Field, Inbound, Kind, Outbound, Principal, Reply, Stage
from gateway.pipeline import Pipeline
from gateway.policy import Policy
from gateway.records.masking import mask_named
from gateway.settings import StaticSettings
from gateway.state import MemoryOnce

_ID = "0" * 31 + "1"


class Question(msgspec.Struct, frozen=True):
    """What would happen to this request?

    Attributes:
        method: for example GET.
        url: a path, or a whole address whose host is then used.
        headers: name and value.
        token: sent as a bearer token; None sends none.
        principal: believed instead of asking the verifiers; None asks them.
        client: address of the client.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    token: str | None = None
    principal: Principal | None = None
    client: str = "127.0.0.1"


class Step(msgspec.Struct, frozen=True):
    """One step of the path.

    Attributes:
        stage: its name.
        verdict: `passed`, `refused` or `not reached`.
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
        route: facts of the item and its operation; empty when none matched.
        fields: header fields that would go inward, values masked.
    """

    carried: bool
    status: int | None
    code: str | None
    reason: str
    steps: tuple[Step, ...]
    route: dict[str, Any]
    fields: tuple[tuple[str, str], ...] = ()


def explain(path: Path, question: Question) -> Explanation:
    """Follow one request through the configuration.

    Args:
        path: gateway.yaml.
        question: the request.

    Raises:
        ConfigurationError: the configuration cannot be used.
        ValueError: the question is no request.
    """
    return asyncio.run(_explain(path, question))


async def _explain(path: Path, question: Question) -> Explanation:
    loaded = load(path)
    fetch = HttpFetch()
    try:
        lent = Lent(_context(fetch), _signer(loaded.settings), loaded.settings.limits.body)
        build = Build(lent, policy_from(loaded.policy), 1, None)
        return await _Paper(loaded.settings, build, lent, question).follow()
    finally:
        await fetch.close()


def _context(fetch: HttpFetch) -> PartContext:
    return PartContext("", fetch, MemoryOnce(), time.time, time.monotonic, structlog.get_logger())


def _signer(settings: StaticSettings) -> IdentitySigner:
    try:
        return IdentitySigner(
            settings.identity.key.get_secret_value(), settings.identity.kid, settings.department, time.time
        )
    except ValueError as exc:
        raise ConfigurationError([f"identity.key: {exc}"]) from exc


class _Asserted(VerifierChain):
    """Believes what the question says."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    async def verify(self, credential: Credential, exchange: Exchange) -> Principal:
        """No question asked."""
        exchange.note("asserted", "believed")
        return self._principal


class _Note:
    """A forwarder that keeps what it should carry, and a context that hands out nothing."""

    def __init__(self, route: Route, kept: list[tuple[Route, Outbound]]) -> None:
        self._route = route
        self._kept = kept

    def send(self, outbound: Outbound, *, attempts: Callable[[], None] | None = None) -> "_Note":
        """Keep it."""
        self._kept.append((self._route, outbound))
        return self

    async def __aenter__(self) -> Reply:
        return _NOTHING_CAME

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to close."""

    def status(self) -> dict[str, Any]:
        """Nothing to say."""
        return {}


class _NoReply:
    status = 200
    whole: bytes | None = b""
    length: int | None = 0
    tunnel = None

    def __init__(self) -> None:
        self.fields: list[Field] = []

    def chunks(self) -> Any:
        """Never asked for."""
        return NO_BODY.chunks()


_NOTHING_CAME = _NoReply()


class _Paper:
    """The client of the pipeline, and its records: keeps what would have been written (gateway.pipeline.Client)."""

    def __init__(self, settings: StaticSettings, build: Build, lent: Lent, question: Question) -> None:
        self._question = question
        self._message = _message(question, settings.hosts[0])
        self._reader = InboundReader(settings.hosts, settings.scheme, settings.trusted_proxies, settings.limits)
        self._carried: list[tuple[Route, Outbound]] = []
        self._error: GatewayError | None = None
        policy = build.policy
        router = Router(self._on_paper(route) for route in policy.router.routes())
        self._policy = Policy(1, router, policy.entrances)
        self._pipeline = Pipeline(self._policy, self, lent.rates, settings.limits.in_flight)

    def _on_paper(self, route: Route) -> Route:
        principal = self._question.principal
        verifiers = _Asserted(principal) if principal is not None and route.verifiers is not None else route.verifiers
        return msgspec.structs.replace(route, forwarder=_Note(route, self._carried), verifiers=verifiers)

    async def follow(self) -> Explanation:
        """Send it down the path and look how far it came."""
        exchange = Exchange(_ID, time.time(), self._question.client)
        await self._pipeline.handle(self, exchange)
        error = self._error
        route, outbound = self._carried[0] if self._carried else (None, None)
        return Explanation(
            error is None,
            None if error is None else error.status,
            None if error is None else error.code,
            "" if error is None else error.detail,
            tuple(_step(stage, exchange, error) for stage in Stage),
            _facts(route, exchange),
            () if outbound is None else tuple(_shown(field) for field in outbound.fields),
        )

    def read(self, exchange: Exchange) -> Inbound:
        """See gateway.pipeline.Client."""
        exchange.method = self._message.method
        return self._reader.read(self._message, exchange.id, self._question.client, trusted=False)

    def admit_body(self, limit: int) -> None:
        """See gateway.pipeline.Client."""

    async def answer(self, exchange: Exchange, status: int, fields: list[Field]) -> None:
        """See gateway.pipeline.Client."""

    async def relay(self, exchange: Exchange, reply: Reply) -> None:
        """See gateway.pipeline.Client."""

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """See gateway.pipeline.Client."""
        self._error = error

    def write(self, exchange: Exchange) -> None:
        """See gateway.pipeline.Records."""


class _Transport(BaseProtocol):
    """aiohttp's parser wants a protocol to pause."""


def _message(question: Question, host: str) -> RawRequestMessage:
    """Have the question parsed by the parser of the public listener.

    Raises:
        ValueError: it would not have read it.
    """
    parts = urlsplit(question.url)
    target = question.url if not parts.netloc else question.url.partition(parts.netloc)[2] or "/"
    lines = [f"{question.method} {target} HTTP/1.1", f"Host: {parts.netloc or host}"]
    lines += [f"{name}: {value}" for name, value in question.headers]
    if question.token is not None:
        lines.append(f"Authorization: Bearer {question.token}")
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(_Transport(loop), loop, 65536, auto_decompress=False)
    try:
        messages, _, _ = parser.feed_data(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    except (HttpProcessingError, UnicodeEncodeError) as exc:
        raise ValueError(f"no HTTP request can look like this: {exc}") from exc
    if len(messages) != 1:
        raise ValueError("the question is not exactly one HTTP request")
    message: RawRequestMessage = messages[0][0]
    return message


_ORDER = list(Stage)


def _step(stage: Stage, exchange: Exchange, error: GatewayError | None) -> Step:
    reached = _ORDER.index(exchange.stage)
    index = _ORDER.index(stage)
    if index > reached:
        return Step(stage, "not reached")
    refused = error is not None and index == reached
    details = [f"{part}: {verdict}" for part, verdict in _said(stage, exchange)]
    if refused and error is not None:
        details.append(f"{error.status} {error.code}: {error.detail}")
    return Step(stage, "refused" if refused else "passed", tuple(details))


def _said(stage: Stage, exchange: Exchange) -> list[tuple[str, str]]:
    verifying = 0 if exchange.principal is None else 1
    match stage:
        case Stage.MATCH if exchange.item is not None:
            return [(exchange.item.code, f"{exchange.item.name}, {exchange.template}")]
        case Stage.IDENTIFY if exchange.credential is not None:
            return [(exchange.credential.channel, "recognised")]
        case Stage.VERIFY:
            return [*exchange.verdicts[: verifying or None], *_person(exchange.principal)]
        case Stage.REAUTHORIZE:
            return exchange.verdicts[verifying:]
    return []


def _person(principal: Principal | None) -> list[tuple[str, str]]:
    if principal is None:
        return []
    acting = f", operator {principal.operator}" if principal.operator else ""
    return [("principal", f"{principal.kind} person {principal.subject}{acting}, assurance {principal.assurance}")]


def _facts(route: Route | None, exchange: Exchange) -> dict[str, Any]:
    if exchange.item is None:
        return {}
    facts: dict[str, Any] = {"item": exchange.item.code, "name": exchange.item.name, "template": exchange.template}
    if route is not None:
        facts |= {
            "route": route.id,
            "system": route.item.system,
            "timeout_seconds": route.timeout,
            "body_limit_bytes": route.body_limit,
        }
    return facts


def _shown(field: Field) -> tuple[str, str]:
    name = field[0].decode("ascii")
    return name, mask_named(name, field[1].decode("latin-1"))


def parse_principal(text: str) -> Principal:
    """Read `subject=…,kind=natural,assurance=3[,operator=…][,issuer=…]`.

    Raises:
        ValueError: a key is unknown, or subject or kind is missing.
    """
    given = dict(pair.strip().partition("=")[::2] for pair in text.split(","))
    if unknown := set(given) - {"subject", "kind", "assurance", "operator", "issuer"}:
        raise ValueError(
            f"{', '.join(sorted(unknown))}: only subject, kind, assurance, operator and issuer can be asserted"
        )
    if not given.get("subject") or given.get("kind") not in {"natural", "legal"}:
        raise ValueError("an asserted principal needs subject=… and kind=natural or kind=legal")
    return Principal(
        issuer=given.get("issuer", "asserted"),
        subject=given["subject"],
        kind=Kind(given["kind"]),
        assurance=int(given.get("assurance", "0")),
        operator=given.get("operator"),
        expires_at=float("inf"),
        authenticated_at=time.time(),
        verifier="asserted",
    )

"""One system with its targets: choose one, send once, and once more only where nothing can have been executed twice.

The retry rule, after RFC 9110 §9.2.2:

1. A connection that cannot be made: another target may be asked, whatever the method. Nothing was executed.
2. GET and HEAD without a body, where the configuration says `retry: safe`, on a reused connection that ended before the
   first byte of an answer: sent once more, within the same deadline, while the budget lasts (one in ten requests).
3. Everything else is sent once. Such requests get connections that are surely open (pool.py), so that they do not fail
   because a system has closed an idle one.

A body of up to 64 KiB is read before a connection is taken; a larger or chunked one streams. A system that answers
before it has read all of the body gets no more of it; its answer is handed on, and the connection ends.
"""

from collections.abc import Callable, Collection, Coroutine
from time import monotonic
from types import TracebackType
from typing import Any, Literal, Protocol

import structlog

from gateway.errors import Undelivered, UpstreamUnavailable
from gateway.forward.answer import Answer
from gateway.forward.connection import Connection
from gateway.forward.pool import Dial, PoolLimits, dial
from gateway.forward.request import REPEATABLE, SMALL_BODY, UpstreamRequest, head_lines, message
from gateway.forward.target import Target
from gateway.model import Body
from gateway.settings import BreakerSettings, HealthSettings

_NO_LIMIT = 1 << 62
_BUDGET_MOST = 10.0
_BUDGET_SHARE = 0.1


class UpstreamSettings(Protocol):
    """What an upstream is told: gateway.settings.DirectSettings, and the inner unit's systems."""

    @property
    def name(self) -> str:
        """How it is called in the configuration."""
        ...

    @property
    def targets(self) -> tuple[str, ...]:
        """`http://host:port` or `unix:/path`."""
        ...

    @property
    def host(self) -> str | None:
        """Value of Host; the target's own when None."""
        ...

    @property
    def connect_timeout(self) -> float:
        """Seconds."""
        ...

    @property
    def idle_timeout(self) -> float:
        """Seconds for which an idle connection is kept."""
        ...

    @property
    def connections(self) -> int:
        """Most connections per target."""
        ...

    @property
    def waiting(self) -> int:
        """Most requests that wait for one of them."""
        ...

    @property
    def retry(self) -> Literal["safe", "never"]:
        """Whether GET and HEAD without a body may be sent once more."""
        ...

    @property
    def breaker(self) -> BreakerSettings:
        """When to stop asking a target."""
        ...

    @property
    def health(self) -> HealthSettings | None:
        """Active checks; None for none."""
        ...

    @property
    def response_limit(self) -> int | None:
        """Most bytes of an answer's body; None for no limit."""
        ...


class Upstream:
    """A system.

    Args:
        settings: see UpstreamSettings.
        clock: monotonic seconds.
        log: the application log.
        dial: makes the connections.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        *,
        clock: Callable[[], float] = monotonic,
        log: Any = None,
        dial: Dial = dial,
    ) -> None:
        limits = PoolLimits(
            settings.connections,
            settings.waiting,
            settings.connect_timeout,
            settings.idle_timeout,
            _NO_LIMIT if settings.response_limit is None else settings.response_limit,
        )
        self.name = settings.name
        self.clock = clock
        log = (structlog.get_logger() if log is None else log).bind(system=settings.name)
        self._targets = [
            Target(address, settings.host, limits, settings.breaker, settings.health, clock, log, dial)
            for address in settings.targets
        ]
        self._repeatable = REPEATABLE if settings.retry == "safe" else frozenset[str]()
        self._turn = 0
        self._budget = _BUDGET_MOST
        self._retries = 0

    async def start(self) -> None:
        """Begin the active checks. No connection is made: a system that is down does not stop the gateway."""
        for target in self._targets:
            await target.start()

    async def stop(self) -> None:
        """End every connection."""
        for target in self._targets:
            await target.stop()

    def send(self, request: UpstreamRequest, *, attempts: Callable[[], None] | None = None) -> "Sending":
        """Send a request; the context's value is the answer, and leaving it lets go of what is still coming.

        Args:
            request: see UpstreamRequest.
            attempts: called each time the request is about to be written.

        Raises (on entering):
            UpstreamUnavailable: no target takes requests, or none can be reached; nothing was executed.
            UpstreamTimeout: no answer in time.
            Undelivered: no answer, or none that may be passed on.
            BodyTooLarge, RequestTimeout, ClientGone: the request's own body did not arrive.
        """
        return Sending(self, request, attempts)

    def status(self) -> dict[str, Any]:
        """Its state and its targets', for operators and metrics."""
        return {
            "name": self.name,
            "retries": self._retries,
            "targets": [target.status() for target in self._targets],
        }

    def may_repeat(self, request: UpstreamRequest) -> bool:
        """Tell whether the retry rule lets this request be sent twice; each of them pays a tenth into the budget."""
        if request.method not in self._repeatable or request.body.length != 0:
            return False
        self._budget = min(self._budget + _BUDGET_SHARE, _BUDGET_MOST)
        return True

    def spend(self) -> bool:
        """Take one repetition out of the budget; False when it is used up."""
        if self._budget < 1.0:
            return False
        self._budget -= 1.0
        self._retries += 1
        return True

    def choose(self, tried: Collection[Target] = ()) -> Target:
        """The target with the fewest requests under way among those that are healthy and whose breaker admits one.

        Raises:
            UpstreamUnavailable: there is none.
        """
        for target in self._ranked():
            if target not in tried and target.healthy and target.breaker.admits():
                return target
        pause = min(target.breaker.retry_after for target in self._targets)
        raise UpstreamUnavailable("no target takes requests", retry_after=max(1.0, pause))

    def _ranked(self) -> list[Target]:
        targets = self._targets
        if len(targets) == 1:
            return targets
        self._turn = (self._turn + 1) % len(targets)
        return sorted(targets[self._turn :] + targets[: self._turn], key=_load)

    async def open(self, target: Target, deadline: float) -> tuple[Target, Connection]:
        """Get a connection that was not idle: to this target, or to another one where this one cannot be reached."""
        tried = []
        while True:
            try:
                return target, await target.open(deadline)
            except OSError as error:
                tried.append(target)
                failure = UpstreamUnavailable(
                    f"{target.address}: {str(error) or type(error).__name__}", retry_after=1.0
                )
            try:
                target = self.choose(tried)
            except UpstreamUnavailable:
                raise failure from None


def _load(target: Target) -> int:
    return target.pool.busy


class Sending:
    """A request on its way, as a context: entering waits for the answer, leaving lets go of it."""

    __slots__ = ("_answer", "_attempts", "_deadline", "_request", "_upstream")

    def __init__(self, upstream: Upstream, request: UpstreamRequest, attempts: Callable[[], None] | None) -> None:
        self._upstream = upstream
        self._request = request
        self._attempts = attempts
        self._deadline = 0.0

    async def __aenter__(self) -> Answer:
        upstream, request = self._upstream, self._request
        lines = head_lines(request)
        content = await _content(request.body) if request.body.length != 0 else b""
        self._deadline = upstream.clock() + request.timeout
        again = upstream.may_repeat(request)
        target = upstream.choose()
        connection = target.pool.take(surely_open=not again)
        if connection is None:
            target, connection = await upstream.open(target, self._deadline)
        try:
            self._answer = await self._ask(target, connection, lines, content)
        except Undelivered:
            if not (again and connection.stale and upstream.spend()):
                raise
            target, connection = await upstream.open(upstream.choose(), self._deadline)
            self._answer = await self._ask(target, connection, lines, content)
        return self._answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()

    def _ask(
        self, target: Target, connection: Connection, lines: list[bytes], content: bytes | None
    ) -> Coroutine[Any, Any, Answer]:
        if self._attempts is not None:
            self._attempts()
        data = message(lines, target.host_line, content or b"")
        return target.ask(connection, self._request, data, self._deadline, whole=content is not None)


async def _content(body: Body) -> bytes | None:
    """All of a small body; None for one that streams."""
    if body.length is None or body.length > SMALL_BODY:
        return None
    return await body.whole()

"""The inner unit: takes whole messages, inspects them, calls the business system, and says the one answer.

It runs as a process of its own (inner_process.py), on the other side of the carrier from forward/ferry.py.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import structlog

from gateway.contracts import Carrier, Taker
from gateway.errors import Undelivered, UpstreamTimeout, UpstreamUnavailable
from gateway.ferry.conversation import Conversation
from gateway.ferry.envelope import Answer, FrameTooLarge, Message, Refusal, RefusalCode, Request
from gateway.ferry.inner_records import MessageRecord
from gateway.ferry.inner_routes import InnerRoute, answer_of
from gateway.ferry.inner_settings import GatekeeperSettings
from gateway.ferry.inspection import Blocked
from gateway.forward.request import UpstreamRequest
from gateway.model import Field, HeldBody

GENERATION = 1 << 17
"""Request ids in one generation of the memory; between one and two generations are remembered."""

_LONGEST_DETAIL = 200


class SystemReply(Protocol):
    """A business system's answer, as far as the inner unit looks at it; see gateway.model.Reply."""

    @property
    def status(self) -> int: ...  # noqa: D102

    @property
    def fields(self) -> list[Field]: ...  # noqa: D102

    @property
    def whole(self) -> bytes | None: ...  # noqa: D102

    @property
    def length(self) -> int | None: ...  # noqa: D102

    def chunks(self) -> AsyncIterator[bytes]: ...  # noqa: D102


class Calls(Protocol):
    """What calls one business system: gateway.forward.upstream.Upstream."""

    def send(
        self, request: UpstreamRequest, *, attempts: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[SystemReply]:
        """See Upstream.send."""
        ...


class Refused(Exception):
    """A request ends without an answer.

    Attributes:
        code: what the outer unit is told.
        outcome: `refused`, `unknown` or `withheld`, for the record.
    """

    def __init__(self, code: RefusalCode, detail: str, outcome: str = "refused") -> None:
        super().__init__(detail)
        self.code: RefusalCode = code
        self.detail = detail[:_LONGEST_DETAIL]
        self.outcome = outcome


class Seen:
    """Ids of requests that were here in this boot. Bounded: the oldest are forgotten, generation by generation.

    What is older cannot come again: frames of a link that has ended carry a MAC of other keys, and frames of a link
    that lives are counted.
    """

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._young: set[str] = set()
        self._old: set[str] = set()

    def first(self, id: str) -> bool:  # noqa: A002 - the field's own word
        """Note an id; False when it was noted before."""
        if id in self._young or id in self._old:
            return False
        self._young.add(id)
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, set()
        return True


class _Work:
    """One request under way: since when, until when, and how often it was sent."""

    __slots__ = ("arrived", "attempts", "conversation", "deadline", "request", "status")

    def __init__(self, conversation: Conversation, request: Request, arrived: float) -> None:
        self.conversation = conversation
        self.request = request
        self.arrived = arrived
        self.deadline = arrived + request.deadline_ms / 1000
        self.attempts = 0
        self.status = 0

    def attempt(self) -> None:
        self.attempts += 1


class InnerUnit:
    """The inner unit.

    Args:
        settings: see GatekeeperSettings.
        carrier: the inner end of the carrier.
        systems: what calls each business system, by name.
        record: takes one record per message.
        monotonic: seconds.
        log: the application log.
        boot: name of this life of the unit; random when missing.
    """

    def __init__(
        self,
        settings: GatekeeperSettings,
        carrier: Carrier,
        systems: Mapping[str, Calls],
        record: Callable[[MessageRecord], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        log: Any = None,
        boot: str | None = None,
    ) -> None:
        self._settings = settings
        self._secret = settings.key.get_secret_value().encode()
        self._carrier = carrier
        self._systems = systems
        self._routes = {route.id: InnerRoute(route) for route in settings.routes}
        self._record = record
        self._monotonic = monotonic
        self._log = log or structlog.get_logger().bind(part="gatekeeper")
        self._seen = Seen()
        self._conversations: set[Conversation] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self.boot = boot or secrets.token_hex(16)

    async def start(self) -> None:
        """Take links from now on.

        Raises:
            ConfigurationError: the address cannot be used.
        """
        await self._carrier.listen(self._meet)

    async def drain(self, seconds: float) -> None:
        """Take no more requests, and give those under way so many seconds."""
        self._draining = True
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=seconds)

    async def stop(self) -> None:
        """End everything; what is still under way is recorded as unknown."""
        self._draining = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for conversation in tuple(self._conversations):
            conversation.end()
        await self._carrier.close()

    def status(self) -> dict[str, Any]:
        """Boot, links and requests under way."""
        return {"boot": self.boot, "links": len(self._conversations), "in_flight": len(self._tasks)}

    def _meet(self) -> Taker:
        conversation = Conversation("inner", self._secret, self.boot, self._settings.message, self._hear)
        self._conversations.add(conversation)
        conversation.ended.add_done_callback(lambda ended: self._part(conversation, ended.result()))
        if len(self._conversations) > self._settings.links:
            conversation.end("too many links")
        return conversation

    def _part(self, conversation: Conversation, reason: str) -> None:
        self._conversations.discard(conversation)
        self._log.info("a link has ended", reason=reason)

    def _hear(self, conversation: Conversation, message: Message) -> None:
        if not isinstance(message, Request):
            conversation.end("order")
            return
        work = _Work(conversation, message, self._monotonic())
        refused = self._doubt(message)
        if refused is not None:
            self._finish(work, _refusal(work, refused), refused)
            return
        task = asyncio.get_running_loop().create_task(self._carry(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _doubt(self, request: Request) -> Refused | None:
        """Why a request is not even looked at; None when it is. Its id counts as seen from here on."""
        if request.boot != self.boot:
            return Refused("other-boot", "addressed to another life of this unit")
        if not self._seen.first(request.id):
            return Refused("repeated", "this id has been here before")
        if self._draining:
            return Refused("draining", "this unit is going away")
        if len(self._tasks) >= self._settings.in_flight:
            return Refused("busy", f"{len(self._tasks)} requests are under way")
        return None

    async def _carry(self, work: _Work) -> None:
        """Execute one request at most once and say what became of it, whatever happens."""
        answer: Answer | Refusal
        refused = None
        try:
            answer = await self._execute(work)
        except Refused as exc:
            answer, refused = _refusal(work, exc), exc
        except asyncio.CancelledError:
            code: RefusalCode = "broken" if work.attempts else "draining"
            refused = Refused(code, "this unit was stopped", "unknown" if work.attempts else "refused")
            self._finish(work, _refusal(work, refused), refused)
            raise
        except Exception as exc:  # noqa: BLE001 - nothing may stay without an answer
            self._log.error("a request broke the inner unit", request_id=work.request.id, error=repr(exc))
            refused = Refused("broken", f"inner unit: {type(exc).__name__}", "unknown" if work.attempts else "refused")
            answer = _refusal(work, refused)
        if work.conversation.waiting > self._settings.message:
            await self._wait_for_room(work)
        self._finish(work, answer, refused)

    async def _execute(self, work: _Work) -> Answer:
        request = work.request
        route = self._routes.get(request.route)
        if route is None:
            raise Refused("route-unknown", f"route {request.route[:64]!r}")
        work.deadline = min(work.deadline, work.arrived + route.timeout)
        call = self._call(work, route)
        try:
            async with self._systems[route.system].send(call, attempts=work.attempt) as reply:
                work.status = reply.status
                body = reply.whole if reply.whole is not None else await self._whole(reply, route, work)
                return self._answer(work, route, reply, body)
        except Blocked as exc:
            raise Refused("answer-blocked", str(exc), "withheld") from None
        except UpstreamUnavailable as exc:
            raise Refused("unreachable", exc.detail) from None
        except UpstreamTimeout as exc:
            if exc.outcome == "refused":
                raise Refused("expired", exc.detail) from None
            raise Refused("timed-out", exc.detail, "unknown") from None
        except TimeoutError as exc:
            raise Refused("timed-out", str(exc), "unknown") from None
        except Undelivered as exc:
            raise Refused("broken", exc.detail, "unknown") from None

    def _call(self, work: _Work, route: InnerRoute) -> UpstreamRequest:
        """The call of the business system, or why there is none."""
        request = work.request
        left = work.deadline - self._monotonic()
        if left <= 0:
            raise Refused("expired", "no time was left on arrival")
        try:
            route.check(request)
            target, fields = route.target(request), route.fields(request)
        except Blocked as exc:
            raise Refused("content-blocked", str(exc)) from None
        return UpstreamRequest(request.method, target, fields, HeldBody(request.body), left)

    async def _whole(self, reply: SystemReply, route: InnerRoute, work: _Work) -> bytes:
        """All of a body that is still coming, within the route's size and the deadline.

        Raises:
            Blocked: it is larger. TimeoutError: it is slower. Undelivered: it broke off.
        """
        pieces: list[bytes] = []
        size = 0
        async with asyncio.timeout(work.deadline - self._monotonic()):
            async for piece in reply.chunks():
                size += len(piece)
                if size > route.answer.size:
                    raise Blocked(f"more than {route.answer.size} bytes")
                pieces.append(piece)
        return b"".join(pieces)

    def _answer(self, work: _Work, route: InnerRoute, reply: SystemReply, body: bytes) -> Answer:
        fields = route.outward(reply.fields)
        route.answer.check(_content_type(fields), body)
        length = len(body) if work.request.method != "HEAD" else reply.length
        ms = (self._monotonic() - work.arrived) * 1000
        return answer_of(work.request, reply.status, fields, body, length, ms)

    async def _wait_for_room(self, work: _Work) -> None:
        """Hold the place while the outer unit does not keep up, so that answers cannot pile up."""
        try:
            async with asyncio.timeout(max(0.0, work.deadline - self._monotonic())):
                await work.conversation.drained()
        except TimeoutError:
            work.conversation.end("stalled")

    def _finish(self, work: _Work, answer: Answer | Refusal, refused: Refused | None) -> None:
        """Say it, and write the record."""
        try:
            work.conversation.say(answer)
        except FrameTooLarge as exc:
            refused = Refused("answer-blocked", str(exc), "withheld")
            self._finish(work, _refusal(work, refused), refused)
            return
        except OSError:
            self._log.warning("an answer found no link", request_id=work.request.id)
        self._record(_record_of(work, answer, refused, (self._monotonic() - work.arrived) * 1000))


def _content_type(fields: list[Field]) -> str:
    return next((value.decode("latin-1") for name, value in fields if name == b"content-type"), "")


def _refusal(work: _Work, refused: Refused) -> Refusal:
    return Refusal(id=work.request.id, code=refused.code, detail=refused.detail)


def _record_of(work: _Work, answer: Answer | Refusal, refused: Refused | None, ms: float) -> MessageRecord:
    request = work.request
    return MessageRecord(
        id=request.id,
        route=request.route,
        item=request.item,
        channel=request.channel,
        method=request.method,
        outcome="delivered" if refused is None else refused.outcome,
        status=work.status,
        code="" if refused is None else refused.code,
        reason="" if refused is None else refused.detail,
        received=len(request.body),
        sent=len(answer.body) if isinstance(answer, Answer) else 0,
        ms=ms,
        attempts=work.attempts,
    )

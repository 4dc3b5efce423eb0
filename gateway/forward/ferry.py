"""The outer unit: makes a whole message of a request, hands it over, and waits for the one answer. See ferry/inner.py.

It knows the carrier and nothing behind it. docs/ferry.md lists what every state and fault answers.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, NoReturn

import msgspec
import structlog

from gateway.contracts import Carrier
from gateway.errors import (
    BodyTooLarge,
    ConfigurationError,
    ContentBlocked,
    GatekeeperBusy,
    GatekeeperTimeout,
    GatewayError,
    Undelivered,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ferry.conversation import Conversation
from gateway.ferry.crossing import Crossing, FerryReply, refuse_what_cannot_cross
from gateway.ferry.envelope import Answer, FrameTooLarge, Message, Refusal, RefusalCode
from gateway.ferry.outstanding import Outstanding
from gateway.inward import IdentitySigner
from gateway.model import Outbound
from gateway.settings import SHORTEST_MAC_KEY, FerrySettings

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0

_ERRORS: dict[RefusalCode, tuple[type[GatewayError], str]] = {
    "content-blocked": (ContentBlocked, "refused"),
    "route-unknown": (Undelivered, "refused"),
    "expired": (GatekeeperTimeout, "refused"),
    "busy": (GatekeeperBusy, "refused"),
    "draining": (GatekeeperBusy, "refused"),
    "other-boot": (GatekeeperBusy, "refused"),
    "repeated": (Undelivered, "unknown"),
    "unreachable": (UpstreamUnavailable, "refused"),
    "timed-out": (UpstreamTimeout, "unknown"),
    "broken": (Undelivered, "unknown"),
    "answer-blocked": (Undelivered, "delivered"),
}
"""What each refusal answers, with what is known of the outcome; docs/ferry.md says the same."""


class _Linked(msgspec.Struct, frozen=True):
    """A link that is up, and the boot of the inner unit at its other end."""

    conversation: Conversation
    boot: str


class FerryForwarder:
    """The outer unit of one system behind the gatekeeper.

    Args:
        settings: see FerrySettings.
        carrier: the outer end of the carrier.
        signer: signs who asks.
        monotonic: for deadlines, seconds.
        clock: Unix seconds.
        log: the application log.

    Raises:
        ConfigurationError: the shared key is too short.
    """

    def __init__(
        self,
        settings: FerrySettings,
        carrier: Carrier,
        signer: IdentitySigner,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], float] = time.time,
        log: Any = None,
    ) -> None:
        self._secret = settings.key.get_secret_value().encode()
        if len(self._secret) < SHORTEST_MAC_KEY:
            raise ConfigurationError([f"systems.{settings.name}.key: must be at least {SHORTEST_MAC_KEY} bytes"])
        self._queue = settings.queue
        self._message = settings.message
        self._carrier = carrier
        self._crossing = Crossing(settings, signer, clock)
        self._outstanding = Outstanding(monotonic)
        self._monotonic = monotonic
        self._log = log or structlog.get_logger().bind(part="ferry", system=settings.name)
        self._boot = secrets.token_hex(16)
        self._linked: _Linked | None = None
        self._linking: asyncio.Task[None] | None = None
        self._links = 0
        self._broken: dict[str, int] = {}

    async def start(self) -> None:
        """Begin to make the link; the gatekeeper may be down for now."""
        if self._linking is None:
            self._linking = asyncio.create_task(self._keep_linked())

    async def stop(self) -> None:
        """End the link; whoever still waits is told that the outcome is unknown."""
        if self._linking is not None:
            self._linking.cancel()
            await asyncio.gather(self._linking, return_exceptions=True)
            self._linking = None
        await self._carrier.close()

    def status(self) -> dict[str, Any]:
        """For metrics and `tongguan status`: the counts of Outstanding, and the state of link and queue.

        Besides the counts: `link` (up, down), `boot` (of the inner unit, None when down), `links` (made so far),
        `broken` (links that ended, by reason), `depth` and `queue` (requests), `waiting_bytes`.
        """
        linked = self._linked
        return {
            "link": "down" if linked is None else "up",
            "boot": None if linked is None else linked.boot,
            "links": self._links,
            "broken": dict(self._broken),
            "depth": len(self._outstanding),
            "queue": self._queue,
            "waiting_bytes": 0 if linked is None else linked.conversation.waiting,
        } | msgspec.structs.asdict(self._outstanding.counts)

    def send(self, outbound: Outbound, *, attempts: Callable[[], None] | None = None) -> "_Sending":
        """Carry it; see Forwarder.send."""
        return _Sending(self, outbound, attempts)

    async def carry(self, outbound: Outbound, attempts: Callable[[], None] | None) -> FerryReply:
        """Carry one request across and bring its answer back.

        Raises:
            ContentBlocked: it cannot cross, or the inner unit's inspection says no.
            BodyTooLarge: it is larger than a message may be.
            GatekeeperBusy: no link, or the queue is full; nothing was handed over.
            GatekeeperTimeout, UpstreamTimeout: no answer in time.
            UpstreamUnavailable: the inner unit could not reach the system; nothing was executed.
            Undelivered: the answer may not be passed on.
        """
        refuse_what_cannot_cross(outbound.visit.inbound)
        body = b""
        if outbound.body.length != 0:
            self._admit()  # before the body, so that a refusal does not wait for it, and again after it
            body = await outbound.body.whole()
        deadline = self._monotonic() + outbound.timeout  # from here on: how slowly the body came is another matter
        self._hand_over(outbound, body, outbound.timeout)
        if attempts is not None:
            attempts()
        inbound = outbound.visit.inbound
        message = await self._outstanding.answer(inbound.id, inbound.method, deadline)
        if isinstance(message, Refusal):
            raise _error_of(message)
        return self._crossing.reply(message)

    def _admit(self) -> _Linked:
        """The link, when there is one and it takes one more request."""
        linked = self._linked
        if linked is None:
            self._shed("there is no link to the gatekeeper")
        if len(self._outstanding) >= self._queue:
            self._shed(f"{len(self._outstanding)} requests are under way")
        if linked.conversation.waiting > 2 * self._message:
            self._shed(f"{linked.conversation.waiting} bytes wait for the gatekeeper")
        return linked

    def _shed(self, detail: str) -> NoReturn:
        self._outstanding.counts.shed += 1
        raise GatekeeperBusy(detail, retry_after=1.0)

    def _hand_over(self, outbound: Outbound, body: bytes, seconds: float) -> None:
        """Say it once. Whatever happens afterwards, it is never said again."""
        if seconds <= 0:
            raise GatekeeperTimeout("not handed over: no time was left", outcome="refused")
        linked = self._admit()
        request = self._crossing.request(outbound, body, linked.boot, seconds)
        if request.id in self._outstanding:
            raise Undelivered("not handed over: a request of this id is under way", outcome="refused")
        try:
            linked.conversation.say(request)
        except OSError:
            self._shed("the link to the gatekeeper has just ended")
        except FrameTooLarge as exc:
            raise BodyTooLarge(f"for the gatekeeper: {exc}") from None

    def _hear(self, conversation: Conversation, message: Message) -> None:
        if not isinstance(message, (Answer, Refusal)):  # a union is slower here
            conversation.end("order")
        elif (why := self._outstanding.take(message)) is not None:
            self._log.warning("an answer was dropped", why=why, request_id=message.id)

    async def _keep_linked(self) -> None:
        """Make the link, again and again, with growing pauses while nobody is there."""
        pause = _FIRST_PAUSE
        while True:
            conversation = Conversation("outer", self._secret, self._boot, self._message, self._hear)
            try:
                await self._use(conversation)
                pause = _FIRST_PAUSE
            except OSError as exc:
                conversation.end(f"unreachable: {exc!r}")
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as exc:  # noqa: BLE001 - whatever broke here, later requests need a link
                self._log.error("making the link to the gatekeeper broke", exc_info=exc)
                conversation.end(f"broken: {exc!r}")
                pause = min(2 * pause, _LONGEST_PAUSE)
            finally:
                conversation.end()
                self._unlink(conversation)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret

    async def _use(self, conversation: Conversation) -> None:
        """From the connection to its end.

        Raises:
            OSError: the two units did not meet.
        """
        await self._carrier.connect(conversation)
        await asyncio.wait((conversation.met, conversation.ended), return_when=asyncio.FIRST_COMPLETED)
        if not conversation.met.done():
            raise ConnectionAbortedError("the inner unit did not greet")
        self._linked = _Linked(conversation, conversation.met.result().boot)
        self._links += 1
        self._log.info("the link to the gatekeeper is up", boot=self._linked.boot)
        await asyncio.shield(conversation.ended)

    def _unlink(self, conversation: Conversation) -> None:
        """Forget the link; new requests are shed from now on, and those that wait are told."""
        told = conversation.ended.result()
        reason = told.partition(":")[0]
        self._broken[reason] = self._broken.get(reason, 0) + 1
        if self._linked is not None:
            self._linked = None
            self._log.warning("the link to the gatekeeper has ended", reason=told)
        self._outstanding.fail_all(f"handed over, and the link ended: {told}")


class _Sending:
    """The context of one request on its way; nothing is held once the answer is there."""

    __slots__ = ("_attempts", "_forwarder", "_outbound")

    def __init__(self, forwarder: FerryForwarder, outbound: Outbound, attempts: Callable[[], None] | None) -> None:
        self._forwarder = forwarder
        self._outbound = outbound
        self._attempts = attempts

    def __aenter__(self) -> Coroutine[None, None, FerryReply]:
        return self._forwarder.carry(self._outbound, self._attempts)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _error_of(refusal: Refusal) -> GatewayError:
    error, outcome = _ERRORS[refusal.code]
    detail = f"inner unit: {refusal.code}: {refusal.detail}"
    if issubclass(error, Undelivered):
        return error(detail, outcome=outcome, retry_after=1.0 if error is GatekeeperBusy else None)
    return error(detail)

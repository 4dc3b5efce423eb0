"""THE REQUEST PATH: match item → identify channel → throttle → verify token → re-authorize → forward → relay.

Every request takes these steps in this order, or ends at one of them with one error and one record.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import structlog

from gateway.answers import PlainText
from gateway.cors import asked_method
from gateway.errors import (
    AudienceNotAllowed,
    CannotDecide,
    ChannelNotAllowed,
    ChannelRejected,
    ClientGone,
    ContentBlocked,
    Draining,
    GatewayError,
    InternalError,
    Overloaded,
    Undelivered,
)
from gateway.exchange import Exchange
from gateway.items import Route
from gateway.model import Credential, Field, Inbound, Outbound, Principal, Reply, Stage, Visit
from gateway.policy import Entrance, Policy
from gateway.throttle import Rates, client_key

# Looking up a member of an enum costs more than the step it names would (120 ns); these are looked up once.
MATCH, IDENTIFY, THROTTLE, VERIFY, REAUTHORIZE, FORWARD, RELAY = list(Stage)[1:]


class Client(Protocol):
    """The other end of one request: edge/answering.py's `Answering`, or a fake in a test."""

    def read(self, exchange: Exchange) -> Inbound:
        """Check the raw request.

        Raises:
            RequestMalformed, MethodNotAllowed.
        """
        ...

    def admit_body(self, limit: int) -> None:
        """Allow a body of so many bytes.

        Raises:
            BodyTooLarge: the request announces a larger one.
        """
        ...

    async def answer(self, exchange: Exchange, status: int, fields: list[Field]) -> None:
        """Write an answer of our own without a body."""
        ...

    async def relay(self, exchange: Exchange, reply: Reply) -> None:
        """Write a business system's answer.

        Raises:
            ClientGone: nobody takes it.
        """
        ...

    def refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """Write an error answer, or break the connection off when an answer has begun."""
        ...


class Records(Protocol):
    """Where the account of a request goes; must not block and must not raise."""

    def write(self, exchange: Exchange) -> None:
        """Keep it."""
        ...


class Pipeline:
    """Carries requests under the current policy.

    Args:
        policy: the first one.
        records: gets every exchange.
        rates: counters for clients, channels, subjects.
        in_flight: requests carried at once at most.
        clock: wall clock, Unix seconds.
        log: the application log.
    """

    def __init__(
        self,
        policy: Policy,
        records: Records,
        rates: Rates,
        in_flight: int,
        clock: Callable[[], float] = time.time,
        log: Any = None,
    ) -> None:
        self.policy = policy
        self.draining = False
        self.in_flight = 0
        self._under: dict[int, int] = {}
        self._records = records
        self._rates = rates
        self._most = in_flight
        self._clock = clock
        self._log = structlog.get_logger() if log is None else log

    async def handle(self, client: Client, exchange: Exchange) -> None:
        """Carry one request, answer for it if it cannot be carried, and account for it."""
        policy = self.policy
        exchange.generation = policy.generation
        exchange.revision = policy.revision
        self.in_flight += 1
        under = self._under
        under[policy.generation] = under.get(policy.generation, 0) + 1
        try:
            await self._carry(client, exchange, policy)
        except GatewayError as error:
            self._note(error, exchange)
            await self._guide(client, error, exchange, policy)
            client.refuse(exchange, error)
        except asyncio.CancelledError:
            self._cut_short(client, exchange)
            raise
        except ClientGone:
            exchange.client_gone = True
            raise
        except Exception as exc:  # noqa: BLE001 - whatever broke, nothing passes and somebody is told
            broken = InternalError(f"{exchange.stage}: {exc!r}")
            broken.__cause__ = exc
            self._note(broken, exchange)
            client.refuse(exchange, broken)
        finally:
            if exchange.attempt and exchange.outcome is None:
                exchange.outcome = "unknown"  # handed over, and nobody stayed to hear what became of it
            self.in_flight -= 1
            under[policy.generation] -= 1
            exchange.close()
            self._records.write(exchange)

    def _note(self, error: GatewayError, exchange: Exchange) -> None:
        """Book what an early end tells besides its code; what broke is told in the application log as well."""
        if isinstance(error, Undelivered):
            exchange.outcome = error.outcome
        elif isinstance(error, ContentBlocked):
            exchange.outcome = "refused"
        elif isinstance(error, ChannelRejected):
            exchange.credential = Credential(error.channel, None, error.client)
        elif isinstance(error, InternalError):
            cause = error.__cause__ or error
            self._log.error("a part broke", request_id=exchange.id, reason=error.detail, exc_info=cause)

    def _cut_short(self, client: Client, exchange: Exchange) -> None:
        """Its task was cancelled: by the worker on its way out, by a deadline, or because the client has left."""
        if self.draining:
            client.refuse(exchange, Draining("the worker went away before the answer came"))
        elif exchange.is_overdue():
            overdue = CannotDecide(f"{exchange.stage} took all of the item's time")
            overdue.close = True  # its connection ends with the task
            client.refuse(exchange, overdue)
        else:
            exchange.client_gone = True

    async def _guide(self, client: Client, error: GatewayError, exchange: Exchange, policy: Policy) -> None:
        """Show a person in a browser the way to what would help; everybody else gets the error alone."""
        if policy.guide is None or error.status not in (401, 403):
            return
        shown = None
        try:
            shown = await policy.guide(error, exchange)
        except asyncio.CancelledError:
            self._cut_short(client, exchange)
            raise
        except Exception as exc:  # noqa: BLE001 - the refusal stands, whatever becomes of the help
            self._log.error("nobody was shown the way", request_id=exchange.id, exc_info=exc)
        error.see_other = shown  # last: the error may be somebody else's as well (chain.py), and hers comes next

    def carries_up_to(self, generation: int) -> bool:
        """Tell whether a request that began under this generation or an earlier one is under way."""
        for one in [one for one, count in self._under.items() if count == 0 and one <= generation]:
            del self._under[one]
        return any(one <= generation for one in self._under)

    async def _carry(self, client: Client, exchange: Exchange, policy: Policy) -> None:
        exchange.inbound = inbound = client.read(exchange)
        self._admit(policy, inbound)
        exchange.stage = MATCH
        if inbound.method == "OPTIONS" and (asked := asked_method(inbound)) is not None:
            await client.answer(exchange, 204, policy.preflight(inbound, asked) or [])
            return
        route, params = policy.router.match(inbound.method, inbound.path)
        exchange.item, exchange.template = route.item, route.template
        client.admit_body(route.body_limit)
        exchange.stage = IDENTIFY
        entrance, credential = await policy.identify(inbound, route)
        exchange.credential = credential
        channel = entrance.channel.name
        if entrance.cors is not None:
            exchange.answer_fields = entrance.cors.answer(inbound)
        if channel not in route.channels:
            raise ChannelNotAllowed(f"{route.item.code} is not offered through {channel}")
        began = exchange.clock()  # the item's time starts here: how slowly a signed body came is the client's affair
        exchange.stage = THROTTLE
        self._spend(entrance, inbound)
        route.throttle.admit()
        if credential.answer is not None:
            await client.relay(exchange, PlainText(credential.answer))
            return
        if credential.body is not None:
            inbound = msgspec.structs.replace(inbound, body=credential.body)
        with route.throttle:
            visit = Visit(inbound, route.item, route.id, route.template, params, channel, exchange.began_at)
            exchange.decide_by = began + route.timeout
            outbound = await self._decide(route, visit, credential, exchange, began)
            exchange.decide_by = None
            if route.own is not None:
                outbound = msgspec.structs.replace(outbound, account=exchange)
            exchange.stage, exchange.forward = FORWARD, exchange.clock()
            async with route.forwarder.send(outbound, attempts=exchange.attempted) as reply:
                exchange.outcome = "delivered"
                exchange.stage, exchange.relay = RELAY, exchange.clock()
                await client.relay(exchange, reply)

    def _admit(self, policy: Policy, inbound: Inbound) -> None:
        if self.draining:
            raise Draining("the worker is draining", retry_after=1.0)
        if self.in_flight > self._most:
            raise Overloaded(f"{self._most} requests in flight", retry_after=1.0)
        if policy.client_rate is not None:
            self._rates.spend(policy.client_rate, "client", client_key(inbound.client))

    def _spend(self, entrance: Entrance, inbound: Inbound) -> None:
        name = entrance.channel.name
        if entrance.rate is not None:
            self._rates.spend(entrance.rate, "channel", name)
        if entrance.client_rate is not None:
            self._rates.spend(entrance.client_rate, "channel-client", name, client_key(inbound.client))

    async def _decide(
        self, route: Route, visit: Visit, credential: Credential, exchange: Exchange, began: float
    ) -> Outbound:
        principal: Principal | None = None
        inject: tuple[Field, ...] = ()
        if route.verifiers is not None:
            exchange.stage, exchange.verify = VERIFY, exchange.clock()
            exchange.principal = principal = await route.verifiers.verify(credential, exchange, route.timeout)
            exchange.stage, exchange.reauthorize = REAUTHORIZE, exchange.clock()
            if principal.kind not in route.kinds:
                raise AudienceNotAllowed(f"{principal.kind} person at an item for {sorted(route.item.audience)}")
            route.throttle.admit_subject(principal.issuer, principal.subject)
            inject = await route.reauthorizers.decide(principal, visit, exchange)
        spent = exchange.clock() - began
        if spent >= route.timeout:
            raise CannotDecide(f"deciding took {spent:.1f} s, all of the item's time")
        return route.outbound(visit, principal, inject, spent)

"""One target of a system: its address, its connections, its breaker, and the checks that may take it out of use.

upstream.py chooses among several of these.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.breaker import Breaker
from gateway.errors import Undelivered
from gateway.forward.answer import Answer
from gateway.forward.connection import Connection
from gateway.forward.pool import Dial, Pool, PoolLimits
from gateway.forward.request import UpstreamRequest, head_lines, message
from gateway.model import NO_BODY, Body
from gateway.settings import BreakerSettings, HealthSettings
from gateway.units import Address, parse_target

_OUT_OF_ORDER = frozenset({502, 503, 504})
"""Answers by which a system says that it cannot work. A 500 may be one caller's doing: it must not close the system for
all the others."""


class Target:
    """A target in use.

    Args:
        address: as configured.
        host: value of Host; the target's own when None.
        limits: of its connections.
        breaker: when to stop asking it.
        health: active checks; None for none.
        clock: monotonic seconds.
        log: the application log.
        dial: makes the connections.

    Attributes:
        host_line: the Host field as it is sent, without the line's end.
        healthy: what the active checks say; True until they have said something.
    """

    def __init__(
        self,
        address: str,
        host: str | None,
        limits: PoolLimits,
        breaker: BreakerSettings,
        health: HealthSettings | None,
        clock: Callable[[], float],
        log: Any,
        dial: Dial,
    ) -> None:
        self.address = address
        self._place = parse_target(address)
        self.pool = Pool(self._place, limits, clock, dial)
        self.breaker = Breaker(breaker.failures, breaker.pause, clock)
        self.host_line = b"host: %b" % (host or _own_host(self._place)).encode()
        self.healthy = True
        self._health = health
        self._clock = clock
        self._log = log
        self._dial = dial
        self._streak = 0
        self._checking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin the active checks."""
        if self._health is not None:
            self._checking = asyncio.create_task(self._check_on(self._health))

    async def stop(self) -> None:
        """End the checks and every connection."""
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.wait([self._checking])
            self._checking = None
        await self.pool.close()

    async def open(self, deadline: float) -> Connection:
        """See Pool.open; the breaker hears of a target that cannot be reached, not of a request without time left.

        Raises:
            UpstreamUnavailable, UpstreamTimeout, OSError: as there.
        """
        try:
            return await self.pool.open(deadline)
        except OSError:
            self.breaker.failed()
            raise
        except BaseException:
            self.breaker.abandoned()
            raise

    async def ask(
        self, connection: Connection, request: UpstreamRequest, data: bytes, deadline: float, *, whole: bool
    ) -> Answer:
        """Write the request, wait for the answer, and tell the breaker how it went: 502 to 504 pass through and count.

        Args:
            connection: one of the pool's.
            request: see UpstreamRequest.
            data: its head, with the body when that is `whole`.
            deadline: on the clock, for the answer.
            whole: False streams the body.

        Raises:
            Undelivered: see Connection.exchange; nothing of the connection is left then.
            BodyTooLarge, RequestTimeout, ClientGone: the request's own body did not arrive.
        """
        waiter = connection.exchange(request, data, deadline, sent=whole)
        try:
            answer = await (waiter if whole else _send_beside(connection, request.body, waiter))
        except BaseException as error:
            connection.leave(waiter)
            if isinstance(error, Undelivered) and not connection.stale:
                self.breaker.failed(deadline - request.timeout)
            else:
                self.breaker.abandoned()
            raise
        if answer.status in _OUT_OF_ORDER:
            self.breaker.failed(deadline - request.timeout)
        else:
            self.breaker.succeeded()
        return answer

    def status(self) -> dict[str, Any]:
        """Its state, for operators and metrics."""
        return {
            "address": self.address,
            "healthy": self.healthy,
            "breaker": self.breaker.state,
            "connections": self.pool.connections,
            "busy": self.pool.busy,
            "waiting": self.pool.waiting,
        }

    async def _check_on(self, health: HealthSettings) -> None:
        while True:
            self._judge(await self._answers(health), health)
            await asyncio.sleep(health.interval)

    async def _answers(self, health: HealthSettings) -> bool:
        """Ask once, over a connection of its own; 2xx and 3xx are good."""
        request = UpstreamRequest("GET", health.path.encode(), [(b"connection", b"close")], NO_BODY, health.timeout)
        limits = PoolLimits(1, 0, health.timeout, health.timeout, 1 << 20)
        pool = Pool(self._place, limits, self._clock, self._dial)
        try:
            async with asyncio.timeout(health.timeout):
                deadline = self._clock() + health.timeout
                connection = await pool.open(deadline)
                data = message(head_lines(request), self.host_line)
                answer = await connection.exchange(request, data, deadline, sent=True)
                return answer.status < 400
        except (OSError, Undelivered):
            return False
        except Exception as exc:  # noqa: BLE001 - whatever broke, the next check is made
            self._log.error("a check broke", target=self.address, exc_info=exc)
            return False
        finally:
            await pool.close()

    def _judge(self, good: bool, health: HealthSettings) -> None:
        self._streak = 0 if good == self.healthy else self._streak + 1
        if self._streak >= (health.healthy if good else health.unhealthy):
            self._streak = 0
            self.healthy = good
            self._log.warning("target back" if good else "target out", target=self.address)


async def _send_beside(connection: Connection, body: Body, waiter: asyncio.Future[Answer]) -> Answer:
    """Send the body while waiting for the answer; an early answer ends the sending."""
    sender = asyncio.create_task(connection.send_body(body))
    sender.add_done_callback(partial(_report, connection))
    try:
        return await waiter
    finally:
        if not sender.done():
            sender.cancel()
            await asyncio.wait([sender])


def _report(connection: Connection, sender: asyncio.Task[None]) -> None:
    if not sender.cancelled() and (error := sender.exception()) is not None:
        connection.fail(error)


def _own_host(address: Address) -> str:
    if address.path:
        return "localhost"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return host if address.port == 80 else f"{host}:{address.port}"

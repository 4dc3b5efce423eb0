"""The `direct` forwarder: a system in the external zone, over HTTP/1.1. Its counterpart is ferry.py."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from gateway.errors import UpstreamUnavailable
from gateway.forward.request import UpstreamRequest
from gateway.forward.upstream import Sending, Upstream
from gateway.inward import IDENTITY_FIELD
from gateway.model import Outbound, Principal, Reply

IDLE = 60.0
"""Seconds a streaming answer may pause at least: server-sent events need a comment line now and then (HTML, 9.2.7)."""


class DirectForwarder:
    """A gateway.contracts.Forwarder to one upstream.

    A streamed answer may take as long as it likes, but may not pause for longer than the item's timeout, or a minute
    where that is longer. Tunnels last as long as their clients like, so that only so many may be open at once: they
    must not take the connections of everybody else.

    Args:
        upstream: the system; it starts and stops with the forwarder.
        identity: the signed assertion of who asks, sent as `tongguan-identity`; None sends none.
        tunnels: most tunnels at once.

    Attributes:
        tunnels: those that are open, or being opened.
    """

    def __init__(self, upstream: Upstream, identity: Callable[[Principal], bytes] | None, *, tunnels: int = 64) -> None:
        self._upstream = upstream
        self._identity = identity
        self._most_tunnels = tunnels
        self.tunnels = 0

    async def start(self) -> None:
        """Begin the active checks of the targets."""
        await self._upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._upstream.stop()

    def status(self) -> dict[str, Any]:
        """See Upstream.status."""
        return {**self._upstream.status(), "tunnels": self.tunnels}

    def claim_tunnel(self) -> None:
        """Take the place of one tunnel.

        Raises:
            UpstreamUnavailable: there is none.
        """
        if self.tunnels >= self._most_tunnels:
            raise UpstreamUnavailable(f"{self.tunnels} tunnels are open", retry_after=5.0)
        self.tunnels += 1

    def send(
        self, outbound: Outbound, *, attempts: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """See gateway.contracts.Forwarder.send; `attempts` is called each time the request is about to be written."""
        inbound, timeout = outbound.visit.inbound, outbound.timeout
        fields = outbound.fields
        if self._identity is not None and outbound.principal is not None:
            fields = [*fields, (IDENTITY_FIELD, self._identity(outbound.principal))]
        target = f"{inbound.path}?{inbound.query}" if inbound.query else inbound.path
        idle = max(IDLE, timeout)
        request = UpstreamRequest(
            inbound.method, target.encode(), fields, outbound.body, timeout, idle, outbound.upgrade
        )
        sending = self._upstream.send(request, attempts=attempts)
        return sending if outbound.upgrade is None else _Tunnelled(self, sending)


class _Tunnelled:
    """The context of a request that may become a tunnel; it holds a tunnel's place."""

    def __init__(self, forwarder: DirectForwarder, sending: Sending) -> None:
        self._forwarder = forwarder
        self._sending = sending

    async def __aenter__(self) -> Reply:
        self._forwarder.claim_tunnel()
        try:
            return await self._sending.__aenter__()
        except BaseException:
            self._forwarder.tunnels -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forwarder.tunnels -= 1
        await self._sending.__aexit__(kind, error, trace)

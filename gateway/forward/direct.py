"""The `direct` forwarder: a system in the external zone, over HTTP/1.1. Its counterpart is ferry.py."""

from collections.abc import Callable
from typing import Any

from gateway.forward.request import UpstreamRequest
from gateway.forward.upstream import Sending, Upstream
from gateway.model import Outbound, Principal

IDLE = 60.0
"""Seconds a streaming answer may pause at least: server-sent events need a comment line now and then (HTML, 9.2.7)."""


class DirectForwarder:
    """A gateway.contracts.Forwarder to one upstream.

    A streamed answer may take as long as it likes, but may not pause for longer than the item's timeout, or a minute
    where that is longer; a tunnel may be silent as long as both ends keep it.

    Args:
        upstream: the system; it starts and stops with the forwarder.
        identity: the signed assertion of who asks, sent as `tongguan-identity`; None sends none.
    """

    def __init__(self, upstream: Upstream, identity: Callable[[Principal], bytes] | None) -> None:
        self._upstream = upstream
        self._identity = identity

    async def start(self) -> None:
        """Begin the active checks of the targets."""
        await self._upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._upstream.stop()

    def status(self) -> dict[str, Any]:
        """See Upstream.status."""
        return self._upstream.status()

    def send(self, outbound: Outbound, *, attempts: Callable[[], None] | None = None) -> Sending:
        """See gateway.contracts.Forwarder.send; `attempts` is called each time the request is about to be written."""
        inbound = outbound.visit.inbound
        fields = outbound.fields
        if self._identity is not None and outbound.principal is not None:
            fields = [*fields, (b"tongguan-identity", self._identity(outbound.principal))]
        target = f"{inbound.path}?{inbound.query}" if inbound.query else inbound.path
        request = UpstreamRequest(
            inbound.method,
            target.encode("ascii"),
            fields,
            outbound.body,
            outbound.timeout,
            max(outbound.timeout, IDLE),
            inbound.upgrade,
        )
        return self._upstream.send(request, attempts=attempts)

"""A forwarder that sends nothing and notes what the real one would send: forward/direct.py or forward/ferry.py."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gateway.ferry.crossing import Crossing, refuse_what_cannot_cross
from gateway.inward import IDENTITY_FIELD, IdentitySigner
from gateway.model import NO_BODY, Field, Outbound, Reply
from gateway.records.masking import mask_named
from gateway.settings import DirectSettings, FerrySettings

Shown = tuple[tuple[str, str], ...]
"""Header fields, their values masked."""

_IDENTITY = IDENTITY_FIELD.decode()


class Noting:
    """A gateway.contracts.Forwarder on paper.

    Args:
        system: whose forwarder it stands for; None for the gateway's own pages.
        signer: signs who asks, as the real one does; the signature is not shown.
        kept: gets the header fields that would go inward.
    """

    def __init__(
        self, system: DirectSettings | FerrySettings | None, signer: IdentitySigner, kept: list[Shown]
    ) -> None:
        self._system = system
        self._signer = signer
        self._kept = kept

    def send(self, outbound: Outbound, *, attempts: Callable[[], None] | None = None) -> "_OnPaper":
        """Note it; `attempts` is never called."""
        return _OnPaper(self, outbound)

    async def note(self, outbound: Outbound) -> None:
        """Keep what would go inward.

        Raises:
            ContentBlocked: it could not cross the gatekeeper.
        """
        if self._system is None:
            self._kept.append(tuple(map(_shown, outbound.fields)))
        elif isinstance(self._system, DirectSettings):
            self._kept.append(_direct(self._system, outbound))
        else:
            self._kept.append(await _across(Crossing(self._system, self._signer, time.time), outbound))

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to close."""

    def status(self) -> dict[str, Any]:
        """Nothing to say."""
        return {}


def _direct(system: DirectSettings, outbound: Outbound) -> Shown:
    signed = outbound.principal is not None and system.identity == "assertion"
    return (*map(_shown, outbound.fields), *([(_IDENTITY, "signed assertion")] if signed else []))


async def _across(crossing: Crossing, outbound: Outbound) -> Shown:
    """What is left behind the outer unit's allow-list, and what the inner unit adds of the message's own values."""
    refuse_what_cannot_cross(outbound.visit.inbound)
    message = crossing.request(outbound, await outbound.body.whole(), "", outbound.timeout)
    own = [(b"content-type", message.content_type.encode("latin-1"))] if message.content_type else []
    own += [(b"x-request-id", message.id.encode()), (b"traceparent", message.traceparent.encode("latin-1"))]
    signed = [(_IDENTITY, "signed for this request")] if message.identity else []
    return (*map(_shown, [*message.fields, *own]), *signed)


def _shown(field: Field) -> tuple[str, str]:
    name = field[0].decode("ascii")
    return name, mask_named(name, field[1].decode("latin-1"))


class _OnPaper:
    """The context of one request that is not sent."""

    def __init__(self, noting: Noting, outbound: Outbound) -> None:
        self._noting = noting
        self._outbound = outbound

    async def __aenter__(self) -> Reply:
        await self._noting.note(self._outbound)
        return _NOTHING_CAME

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


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

"""Faults that a sandbox system can be told to have: each one spoils the answer of a handler that has done its work.

The province (`sandbox.province`) and the business systems (`sandbox.business`) each offer their own selection.
"""

import asyncio
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.serving import json_response

HUGE_BYTES = 64 * 1024 * 1024
_BLANKS = b" " * 65536


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in force.

    Attributes:
        name: a key of the selection that the system offers.
        seconds: delay of `slow`, pause between two bytes of `drip`.
        turns: where `flap` stands.
    """

    name: str
    seconds: float = 3.0
    turns: Iterator[str] = field(
        default_factory=lambda: itertools.cycle(("none", "empty", "none", "garbage")), repr=False
    )


Spoil = Callable[[web.Request, web.Response, Fault], Awaitable[web.StreamResponse]]


class FaultBoard:
    """Which fault each endpoint of one system has now."""

    def __init__(self, kinds: Mapping[str, Spoil], endpoints: Sequence[str]) -> None:
        self._kinds = kinds
        self._set = {endpoint: Fault("none") for endpoint in endpoints}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints that can have faults."""
        return tuple(self._set)

    def switch(self, endpoint: str, fault: Fault) -> None:
        """Let an endpoint, or all of them with `*`, have a fault from now on.

        Raises:
            ValueError: no such endpoint or fault, or a delay that is not between 0 and 3600 seconds.
        """
        if endpoint not in (*self._set, "*"):
            raise ValueError(f"endpoint must be one of {', '.join(self._set)}, *")
        if fault.name not in self._kinds:
            raise ValueError(f"fault must be one of {', '.join(self._kinds)}")
        if not 0 <= fault.seconds <= 3600:
            raise ValueError("seconds must be between 0 and 3600")
        for name in self._set if endpoint == "*" else (endpoint,):
            self._set[name] = fault

    async def spoil(self, endpoint: str, request: web.Request, good: web.Response) -> web.StreamResponse:
        """Turn a good answer into the one that the endpoint's fault makes of it."""
        fault = self._set[endpoint]
        return await self._kinds[fault.name](request, good, fault)

    async def show(self, request: web.Request) -> web.Response:
        """`GET /sandbox/faults`: every endpoint with its fault."""
        return json_response(
            {endpoint: {"fault": fault.name, "seconds": fault.seconds} for endpoint, fault in self._set.items()}
        )

    async def accept(self, request: web.Request) -> web.Response:
        """`POST /sandbox/faults`: switch a fault on or, with `none`, off."""
        try:
            order = await request.json()
            fault = Fault(str(order["fault"]), float(order.get("seconds", 3.0)))
            self.switch(str(order.get("endpoint", "*")), fault)
        except (ValueError, TypeError, AttributeError) as error:
            return json_response({"error": f"not a fault order: {error}"}, status=400)
        except KeyError:
            return json_response({"error": "a fault order needs the member 'fault'"}, status=400)
        return await self.show(request)


async def none(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer as usual."""
    return good


async def slow(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer rightly, but only after `seconds`."""
    await asyncio.sleep(fault.seconds)
    return good


async def hang(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Never answer; ends when the caller leaves or the system stops."""
    await asyncio.Event().wait()
    return good


async def error(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Fail with 500."""
    return json_response({"error": "sandbox fault: internal error"}, status=500)


async def html(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer 200 with the maintenance page that load balancers like to show."""
    page = "<!doctype html><title>系统维护</title><p>系统维护中，请稍后再试。 The system is under maintenance."
    return web.Response(text=page, content_type="text/html")


async def redirect(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Send the caller to where the right answer is, under `/sandbox/moved`: whoever follows is counted there."""
    return web.Response(status=307, headers={"Location": f"/sandbox/moved{request.path}"})


async def empty(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer with JSON that says nothing: a key set without keys, and no member `active` either."""
    return json_response({"keys": []})


async def unreadable(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer 200 and call it JSON, which it is not."""
    return web.Response(body=b'{"active": tru\xff\x00', content_type="application/json")


async def flap(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer rightly every other time; in between by turns empty and unreadable."""
    turn = {"none": none, "empty": empty, "garbage": unreadable}[next(fault.turns)]
    return await turn(request, good, fault)


async def huge(request: web.Request, good: web.Response, fault: Fault) -> web.StreamResponse:
    """Give the right answer followed by 64 MiB of blanks, unannounced: only a limit on what is read notices."""
    answer = web.StreamResponse(status=good.status, headers={"Content-Type": good.content_type})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    await answer.write(_body(good))
    for _ in range(HUGE_BYTES // len(_BLANKS)):
        await answer.write(_BLANKS)
    await answer.write_eof()
    return answer


async def down(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Drop the connection without an answer."""
    return _send_raw(request, good, b"")


async def reset(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Reset the connection (TCP RST) without an answer."""
    if request.transport is not None:
        connection: socket.socket = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return good


async def truncate(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Announce the whole answer, send half of its body and close."""
    body = _body(good)
    return _send_raw(request, good, _head(good) + body[: len(body) // 2])


async def garbage(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer in something that is not HTTP."""
    return _send_raw(request, good, b"\x16\x03\x01\x00\x2eNOT HTTP AT ALL\r\n\x00\xff\xfe\r\n\r\n")


async def status_000(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer with a status code that does not exist."""
    return _send_raw(request, good, _head(good, status=0) + _body(good))


async def switching(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Answer 101 to a request that asked for no upgrade, with bytes of another protocol behind it."""
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sandbox\r\n\r\n"
    return _send_raw(request, good, head + b"\x81\x05hello")


async def drip(request: web.Request, good: web.Response, fault: Fault) -> web.Response:
    """Send the answer byte by byte, with `seconds` between two bytes."""
    for byte in _head(good) + _body(good):
        if request.transport is None or request.transport.is_closing():
            break
        request.transport.write(bytes((byte,)))
        await asyncio.sleep(fault.seconds)
    return _send_raw(request, good, b"")


def _send_raw(request: web.Request, good: web.Response, data: bytes) -> web.Response:
    """Write bytes past aiohttp and close, so that the answer which it then tries to send goes nowhere."""
    if request.transport is not None:
        request.transport.write(data)
        request.transport.close()
    return good


def _head(good: web.Response, status: int | None = None) -> bytes:
    code = good.status if status is None else status
    lines = (
        f"HTTP/1.1 {code:03d} Sandbox",
        f"Content-Type: {good.content_type}",
        f"Content-Length: {len(_body(good))}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def _body(good: web.Response) -> bytes:
    if not isinstance(good.body, bytes):
        raise TypeError(f"only answers held as bytes can be spoilt, not {type(good.body).__name__}")
    return good.body


PROVINCE_FAULTS: Mapping[str, Spoil] = {
    "none": none,
    "down": down,
    "slow": slow,
    "error": error,
    "html": html,
    "redirect": redirect,
    "huge": huge,
    "garbage": unreadable,
    "empty": empty,
    "flap": flap,
}

BUSINESS_FAULTS: Mapping[str, Spoil] = {
    "none": none,
    "hang": hang,
    "reset": reset,
    "truncate": truncate,
    "garbage": garbage,
    "drip": drip,
    "huge": huge,
    "status-000": status_000,
    "switching": switching,
    "error": error,
}

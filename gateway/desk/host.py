"""Runs the desk inside a worker and carries requests to it; the other half is application.py.

The desk is asked over pairs of sockets: it has no address, so nobody else can reach it, and a worker that is killed
leaves nothing behind. Its pages are limited, timed, recorded and counted like every item, and its refusals are answered
like everybody's: a handler raises a GatewayError, and here it is raised again in the request path.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from aiohttp import web

from gateway.desk.call import Call
from gateway.desk.desk import Desk
from gateway.forward.direct import DirectForwarder
from gateway.forward.upstream import Upstream
from gateway.model import Outbound, Reply
from gateway.settings import BreakerSettings, DirectSettings
from gateway.signin_settings import OWN_SYSTEM, PEERS_CHANNEL, PEOPLES_CHANNEL, SIGN_IN_PREFIX
from gateway.units import Address

CATEGORY = "identity"
"""What statistics count its items by."""

REQUEST_FIELDS = frozenset(
    {
        b"accept", b"accept-language", b"authorization", b"content-type", b"cookie", b"origin", b"sec-fetch-dest",
        b"sec-fetch-mode", b"sec-fetch-site", b"user-agent", b"x-ak", b"x-csrf-token", b"x-nonce", b"x-signature",
        b"x-timestamp",
    }
)  # fmt: skip
"""What of a request the desk gets to see."""

_FINISH = 10.0
"""Seconds that sign-ins under way may take when the desk closes."""
_LINE = 65536
"""Bytes of a line or field: the edge has limits of its own, and stricter ones."""
_NEVER = 1_000_000_000

_SETTINGS = DirectSettings(
    name=OWN_SYSTEM,
    via="direct",
    targets=(f"unix:{SIGN_IN_PREFIX}",),  # a name for status and log: nothing listens there
    retry="never",
    breaker=BreakerSettings(failures=_NEVER),
    identity="none",
)
"""The desk is in this very process: it needs no rest after failures, which are those of platforms."""


class DeskItem(msgspec.Struct, frozen=True):
    """A purpose of the desk, as an item of the catalogue; nobody has to be signed in.

    Attributes:
        code: stands in records and metrics.
        name: what people call it.
        operations: methods and path templates.
        channel: the gateway's own channel that its requests count as.
        body: bytes of a body.
        timeout: seconds.
    """

    code: str
    name: str
    operations: tuple[tuple[str, str], ...]
    channel: str = PEOPLES_CHANNEL
    body: int = 16 << 10
    timeout: float = 15.0


def desk_items() -> tuple[DeskItem, ...]:
    """Everything under `SIGN_IN_PREFIX`, for the router. application.py answers at the same places."""
    return _ITEMS


def _at(*operations: str) -> tuple[tuple[str, str], ...]:
    pairs = (operation.split(" ") for operation in operations)
    return tuple((method, SIGN_IN_PREFIX + path) for method, path in pairs)


_ITEMS = (
    DeskItem("sso-home", "登录状态页", _at("GET ", "GET style.css")),
    DeskItem("sso-login", "统一登录", _at("GET login")),
    DeskItem("sso-callback", "登录回调", _at("GET callback/{platform}", "POST callback/{platform}")),
    DeskItem("sso-logout", "统一登出", _at("GET logout", "POST logout")),
    DeskItem("sso-session", "会话状态", _at("GET session")),
    DeskItem("sso-identity", "身份切换", _at("POST identity")),
    DeskItem("sso-token", "跨部门令牌", _at("POST token")),
    DeskItem("sso-continue", "继续办理", _at("GET continue/{id}", "POST continue/{id}"), body=192 << 10),
    DeskItem(
        "sso-channel",
        "渠道登录",
        _at(
            "POST channels/{channel}",
            "GET channels/{channel}/login",
            "GET channels/{channel}/callback",
            "POST channels/{channel}/data",
        ),
    ),
    DeskItem(
        "sso-links",
        "渠道账号关联",
        _at(
            "GET channels/{channel}/link/{id}",
            "POST channels/{channel}/link/{id}",
            "GET links",
            "POST links",
            "DELETE links",
        ),
    ),
    DeskItem("sso-devices", "设备管理", _at("GET devices", "POST devices", "DELETE devices")),
    DeskItem("sso-my", "我的服务", _at("GET my/", "GET my/openapi.json", "GET passkey.js")),
    DeskItem("sso-my-items", "事项开关", _at("GET my/items", "POST my/items", "GET my/items/confirm")),
    DeskItem(
        "sso-my-operators",
        "经办人与授权",
        _at(
            "GET my/operators",
            "POST my/operators/{id}/dismiss",
            "GET my/grants",
            "POST my/grants/{id}/accept",
            "POST my/grants/{id}/decline",
            "POST my/grants/{id}/withdraw",
        ),
    ),
    DeskItem("sso-my-bindings", "账户绑定与申诉", _at("GET my/bindings", "GET my/appeals", "POST my/appeals")),
    DeskItem(
        "sso-my-devices",
        "指定电脑",
        _at(
            "GET my/devices",
            "POST my/devices/{id}/drop",
            "GET my/computer",
            "POST my/computer/enrol",
            "POST my/computer/enrol/answer",
            "POST my/computer/show",
            "POST my/computer/show/answer",
        ),
    ),
    DeskItem(
        "sso-my-sessions",
        "我的登录",
        _at("GET my/sessions", "POST my/sessions/{handle}/end", "POST my/sessions/end-others"),
    ),
    DeskItem("sso-my-trail", "查看与变更记录", _at("GET my/looks", "GET my/history")),
    DeskItem("sso-introspect", "令牌核验", _at("POST introspect"), channel=PEERS_CHANNEL),
    DeskItem(
        "sso-notice",
        "登出通知",
        _at("POST notices/backchannel", "POST notices/cas", "POST notices/signed"),
        channel=PEERS_CHANNEL,
    ),
)


class DeskForwarder:
    """A gateway.contracts.Forwarder to the desk.

    Args:
        desk: what the desk works with.
        log: the application log.
    """

    def __init__(self, desk: Desk, log: Any) -> None:
        self._desk = desk
        self._log = log
        self._calls: dict[str, Call] = {}
        self._runner: web.AppRunner | None = None
        self._direct: DirectForwarder | None = None

    async def start(self) -> None:
        """Open the desk."""
        from gateway.desk.application import make_desk  # noqa: PLC0415 - not everybody who names the desk opens it

        runner = self._runner = web.AppRunner(
            make_desk(self._desk, self._calls.get),
            access_log=None,
            handler_cancellation=False,  # whoever leaves during a sign-in finds it finished
            shutdown_timeout=_FINISH,
            auto_decompress=False,
            max_line_size=_LINE,
            max_field_size=_LINE,
        )
        await runner.setup()
        self._direct = DirectForwarder(Upstream(_SETTINGS, log=self._log, dial=self._dial), None, tunnels=0)
        await self._direct.start()

    async def stop(self) -> None:
        """Close it; sign-ins under way are finished first."""
        if self._direct is not None:
            await self._direct.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    def status(self) -> dict[str, Any]:
        """See Upstream.status; and how far the clocks of those are ahead of ours who sign what they ask."""
        told = {} if self._direct is None else self._direct.status()
        offsets = dict(self._desk.clock_offsets())
        return told | {"clock_offsets": offsets} if offsets else told

    def send(
        self, outbound: Outbound, *, attempts: Callable[[], None] | None = None
    ) -> AbstractAsyncContextManager[Reply]:
        """See gateway.contracts.Forwarder.send; what the desk refuses is raised as the desk raised it.

        The desk is no business system: nothing is handed over to it, so `attempts` is not called.
        """
        return self._sending(outbound)

    @contextlib.asynccontextmanager
    async def _sending(self, outbound: Outbound) -> AsyncIterator[Reply]:
        if self._direct is None:
            raise RuntimeError("the desk is not open")
        id = outbound.visit.inbound.id  # noqa: A001
        call = self._calls[id] = Call(outbound.account)
        try:
            async with self._direct.send(outbound) as reply:
                if call.refusal is not None:
                    raise call.refusal
                yield reply
        finally:
            del self._calls[id]

    async def _dial(self, _: Address, protocol: asyncio.Protocol) -> None:
        """A gateway.forward.pool.Dial: of a new pair of sockets one is for the path, the other for the desk."""
        server = None if self._runner is None else self._runner.server
        if server is None:
            raise ConnectionRefusedError("the desk is closed")
        loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
        try:
            await loop.create_unix_connection(lambda: protocol, sock=ours)
        except BaseException:
            theirs.close()
            raise
        await loop.connect_accepted_socket(server, theirs)

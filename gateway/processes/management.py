"""The management listener: health, status, metrics and an operator's few commands. supervisor.py does what they ask.

Nobody signs in here, so it listens on loopback or a Unix socket only, and refuses what a web page could send:
foreign names in `Host` (DNS rebinding) and anything with an `Origin` (cross-site requests).
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from aiohttp import web

from gateway.processes.reloading import Reload

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
REVOKED_BY = frozenset({"sid", "jti", "sub"})
LARGEST_BODY = 64 << 10
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Operations(Protocol):
    """What the supervisor can be asked."""

    def not_ready(self) -> str | None:
        """Why no requests should be sent here now; None when they may."""
        ...

    async def status(self) -> dict[str, Any]:
        """Plain data about everything that runs."""
        ...

    async def metrics(self) -> str:
        """All metrics in Prometheus' text format 0.0.4."""
        ...

    async def reload_now(self) -> Reload:
        """Take over the configuration files' content if it is good."""
        ...

    def stop(self) -> float:
        """Begin to drain; gives the seconds it may take."""
        ...

    async def revoke(self, revocation: dict[str, str]) -> dict[int, str | None]:
        """Withdraw a `sid`, `jti` or `sub` in every worker: by worker number, why it was not done, or None."""
        ...

    async def reopen_records(self) -> dict[int, str | None]:
        """Open the parent's log anew, and have every worker open its record files anew; see revoke."""
        ...


def make_application(operations: Operations, *, unix: bool) -> web.Application:
    """Build the listener's application.

    Args:
        operations: the supervisor.
        unix: True on a Unix socket, whose clients may send any `Host`.
    """
    application = web.Application(middlewares=[_guard(unix=unix)], client_max_size=LARGEST_BODY)
    answers = _Answers(operations)
    application.add_routes(
        [
            web.get("/livez", answers.livez),
            web.get("/readyz", answers.readyz),
            web.get("/status", answers.status),
            web.get("/metrics", answers.metrics),
            web.post("/reload", answers.reload),
            web.post("/drain", answers.drain),
            web.post("/revocations", answers.revoke),
            web.post("/records/reopen", answers.reopen),
        ]
    )
    return application


class _Answers:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def livez(self, _: web.Request) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(self, _: web.Request) -> web.Response:
        reason = self._operations.not_ready()
        if reason is None:
            return _json({"status": "ready"})
        return _json({"status": "not ready", "reason": reason}, 503)

    async def status(self, _: web.Request) -> web.Response:
        return _json(await self._operations.status())

    async def metrics(self, _: web.Request) -> web.Response:
        text = await self._operations.metrics()
        return web.Response(body=text.encode(), headers={"Content-Type": EXPOSITION})

    async def reload(self, _: web.Request) -> web.Response:
        outcome = await self._operations.reload_now()
        return _json({"ok": outcome.ok, **msgspec.to_builtins(outcome)}, 200 if outcome.ok else 422)

    async def drain(self, _: web.Request) -> web.Response:
        return _json({"status": "draining", "seconds": self._operations.stop()}, 202)

    async def revoke(self, request: web.Request) -> web.Response:
        try:
            revocation = msgspec.json.decode(await request.read(), type=dict[str, str])
        except msgspec.DecodeError as error:
            return _problem(400, "revocation-malformed", f"not a JSON object of texts: {error}")
        if not revocation or not revocation.keys() <= REVOKED_BY or not all(revocation.values()):
            return _problem(400, "revocation-malformed", "needed: one or more of sid, jti, sub, and nothing else")
        return _everywhere(await self._operations.revoke(revocation))

    async def reopen(self, _: web.Request) -> web.Response:
        return _everywhere(await self._operations.reopen_records())


def _everywhere(outcome: dict[int, str | None]) -> web.Response:
    failed = {str(number): why for number, why in outcome.items() if why is not None}
    if failed or not outcome:
        return _problem(503, "not-everywhere", "not every worker has done it; ask again", workers=failed)
    return _json({"ok": True, "workers": len(outcome)})


def _guard(*, unix: bool) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not unix and _host_name(request) not in LOOPBACK_NAMES:
            return _problem(421, "host-unknown", "only loopback names are served here")
        if "Origin" in request.headers:
            return _problem(403, "origin-refused", "web pages have no business here")
        try:
            return await handler(request)
        except web.HTTPException as error:
            answer = _problem(error.status, error.reason.lower().replace(" ", "-"), error.reason)
            if allow := error.headers.get("Allow"):
                answer.headers["Allow"] = allow
            return answer

    return guard


def _host_name(request: web.Request) -> str:
    host = request.headers.get("Host", "localhost").lower()
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _json(data: dict[str, Any], status: int = 200) -> web.Response:
    body = msgspec.json.encode(data) + b"\n"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _problem(status: int, code: str, detail: str, **more: Any) -> web.Response:
    answer = _json({"status": status, "code": code, "detail": detail, **more}, status)
    answer.content_type = "application/problem+json"
    return answer

"""The management listener: health, status, metrics and an operator's few commands. supervisor.py does what they ask.

Nobody signs in here, so it listens on loopback or a Unix socket only, and refuses what a web page could send:
foreign names in `Host` (DNS rebinding), anything with an `Origin`, and cross-site POSTs (Fetch Metadata).
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

import msgspec
from aiohttp import web

from gateway.errors import BodyTooLarge
from gateway.processes.reloading import Reload

LOOPBACK_HOST = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
OWN_SITES = frozenset({"none", "same-origin"})
REVOKED_BY = frozenset({"sid", "jti", "sub"})
LARGEST_BODY = 64 << 10
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

_NO_LOG: Any = None

_Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


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
        """Withdraw a `sid`, `jti` or `sub`, of the issuer `iss` or of any, in every worker.

        Returns:
            By worker number, why it was not done, or None.
        """
        ...

    async def refresh_keys(self, asked: dict[str, str]) -> dict[int, dict[str, str]]:
        """Have every worker fetch issuers' keys (Edge.command); by worker number what became of it, or `error`."""
        ...

    async def sessions(self, name: str, asked: dict[str, str]) -> dict[str, Any]:
        """Have one worker do `list-sessions` or `end-sessions` (Edge.command); what it says, or `error`."""
        ...

    async def reopen_records(self) -> dict[int, str | None]:
        """Open the parent's log anew, and have every worker open its record files anew; see revoke."""
        ...


class ManagementServer(web.Server):
    """The listener, to be run by an aiohttp `ServerRunner`.

    Args:
        operations: the supervisor.
        unix: True on a Unix socket, whose clients may send any `Host`.
    """

    def __init__(self, operations: Operations, *, unix: bool) -> None:
        super().__init__(self._answer, request_factory=_make_request, access_log=_NO_LOG)
        self._unix = unix
        answers = _Answers(operations)
        self._routes: dict[str, dict[str, _Handler]] = {
            "/livez": {"GET": answers.livez},
            "/readyz": {"GET": answers.readyz},
            "/status": {"GET": answers.status},
            "/metrics": {"GET": answers.metrics},
            "/reload": {"POST": answers.reload},
            "/drain": {"POST": answers.drain},
            "/revocations": {"POST": answers.revoke},
            "/keys/refresh": {"POST": answers.refresh_keys},
            "/sessions/list": {"POST": answers.list_sessions},
            "/sessions/end": {"POST": answers.end_sessions},
            "/records/reopen": {"POST": answers.reopen},
        }

    def __call__(self) -> web.RequestHandler:
        """A connection of ours."""
        return _Connection(self, loop=asyncio.get_running_loop(), access_log=_NO_LOG)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if refusal := _refuse(request, unix=self._unix):
            return refusal
        methods = self._routes.get(request.raw_path.partition("?")[0])
        if methods is None:
            return _plain_problem(HTTPStatus.NOT_FOUND)
        answer = methods.get("GET" if request.method == "HEAD" else request.method)
        if answer is None:
            refused = _plain_problem(HTTPStatus.METHOD_NOT_ALLOWED)
            refused.headers["Allow"] = ", ".join(methods)
            return refused
        try:
            return await answer(request)
        except web.HTTPRequestEntityTooLarge:
            return _problem(BodyTooLarge.status, BodyTooLarge.code, f"More than {LARGEST_BODY} bytes")


class _Connection(web.RequestHandler):
    """Answers what cannot be read without repeating it, and keeps it out of the log: it is no error of ours."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log_exception("management request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer was sent already")
        answer = _plain_problem(HTTPStatus(status))
        answer.force_close()
        return answer


class _Request(web.BaseRequest):
    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.popall("Server", None)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> _Request:
    loop = asyncio.get_running_loop()
    return _Request(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


class _Answers:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def livez(self, _: web.BaseRequest) -> web.Response:
        return _json({"status": "alive"})

    async def readyz(self, _: web.BaseRequest) -> web.Response:
        reason = self._operations.not_ready()
        if reason is None:
            return _json({"status": "ready"})
        return _json({"status": "not ready", "reason": reason}, 503)

    async def status(self, _: web.BaseRequest) -> web.Response:
        return _json(await self._operations.status())

    async def metrics(self, _: web.BaseRequest) -> web.Response:
        text = await self._operations.metrics()
        return web.Response(body=text.encode(), headers={"Content-Type": EXPOSITION})

    async def reload(self, _: web.BaseRequest) -> web.Response:
        outcome = await self._operations.reload_now()
        return _json({"ok": outcome.ok, **msgspec.to_builtins(outcome)}, 200 if outcome.ok else 422)

    async def drain(self, _: web.BaseRequest) -> web.Response:
        return _json({"status": "draining", "seconds": self._operations.stop()}, 202)

    async def revoke(self, request: web.BaseRequest) -> web.Response:
        try:
            revocation = _read_texts(await request.read())
        except ValueError as error:
            return _problem(400, "revocation-malformed", f"not a JSON object of texts: {error}")
        known = revocation.keys() <= {*REVOKED_BY, "iss"} and revocation.keys() & REVOKED_BY
        if not known or not all(revocation.values()):
            return _problem(400, "revocation-malformed", "needed: one or more of sid, jti, sub; iss may say whose")
        return _everywhere(await self._operations.revoke(revocation))

    async def refresh_keys(self, request: web.BaseRequest) -> web.Response:
        try:
            asked = _read_texts(await request.read() or b"{}")
        except ValueError as error:
            return _problem(400, "refresh-malformed", f"not a JSON object of texts: {error}")
        if not asked.keys() <= {"verifier"}:
            return _problem(400, "refresh-malformed", "understood: verifier, and nothing else")
        outcome = await self._operations.refresh_keys(asked)
        workers = {str(number): told for number, told in outcome.items()}
        if asked and not any(workers.values()):
            return _problem(404, "verifier-unknown", f"no verifier {asked['verifier']!r} that keeps keys")
        good = bool(outcome) and all("error" not in told for told in outcome.values())
        return _json({"ok": good, "workers": workers}, 200 if good else 503)

    async def list_sessions(self, request: web.BaseRequest) -> web.Response:
        return await self._sessions("list-sessions", request, {"subject", "reveal"})

    async def end_sessions(self, request: web.BaseRequest) -> web.Response:
        return await self._sessions("end-sessions", request, {"handle", "sub", "sid", "iss"}, {"handle", "sub", "sid"})

    async def _sessions(
        self, name: str, request: web.BaseRequest, known: set[str], one_of: set[str] | None = None
    ) -> web.Response:
        try:
            asked = _read_texts(await request.read() or b"{}")
        except ValueError as error:
            return _problem(400, "sessions-malformed", f"not a JSON object of texts: {error}")
        if not asked.keys() <= known or not all(asked.values()) or (one_of and not asked.keys() & one_of):
            return _problem(400, "sessions-malformed", f"understood: {', '.join(sorted(known))}, none of them empty")
        told = await self._operations.sessions(name, asked)
        return _problem(503, "sessions-unavailable", told["error"]) if "error" in told else _json(told)

    async def reopen(self, _: web.BaseRequest) -> web.Response:
        return _everywhere(await self._operations.reopen_records())


def _everywhere(outcome: dict[int, str | None]) -> web.Response:
    failed = {str(number): why for number, why in outcome.items() if why is not None}
    if failed or not outcome:
        return _problem(503, "not-everywhere", "not every worker has done it; ask again", workers=failed)
    return _json({"ok": True, "workers": len(outcome)})


def _refuse(request: web.BaseRequest, *, unix: bool) -> web.Response | None:
    hosts = request.headers.getall("Host", ["localhost"])
    if not unix and (len(hosts) > 1 or not LOOPBACK_HOST.fullmatch(hosts[0])):
        return _problem(421, "host-unknown", "only loopback names are served here")
    if not request.raw_path.startswith("/"):
        return _problem(400, "target-refused", "only paths are served here")
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if "Origin" in request.headers or (request.method == "POST" and not OWN_SITES.issuperset(sites)):
        return _problem(403, "origin-refused", "web pages have no business here")
    return None


def _read_texts(body: bytes) -> dict[str, str]:
    """A flat JSON object of texts; ValueError when it is none, or names a key twice."""
    texts = msgspec.json.decode(body, type=dict[str, str])
    if len(json.loads(body, object_pairs_hook=list)) != len(texts):
        raise ValueError("a key stands there twice")
    return texts


def _json(data: dict[str, Any], status: int = 200) -> web.Response:
    body = msgspec.json.encode(data) + b"\n"
    return web.Response(
        body=body, status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _problem(status: int, code: str, detail: str, **more: Any) -> web.Response:
    answer = _json({"status": status, "code": code, "detail": detail, **more}, status)
    answer.content_type = "application/problem+json"
    return answer


def _plain_problem(status: HTTPStatus) -> web.Response:
    return _problem(status.value, status.phrase.lower().replace(" ", "-"), status.phrase)

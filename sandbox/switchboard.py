"""Endpoints of a sandbox platform: each call is counted, and its answer spoilt while a fault is switched on.

`sandbox.faults` has the faults; the province and the dialects put their endpoints on it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiohttp import web

from sandbox.faults import FaultBoard, Spoil
from sandbox.serving import json_response

Handler = Callable[[web.Request], Awaitable[web.Response]]


class InvalidRequestError(ValueError):
    """A question asked wrongly; the text says what would be right."""


class Switchboard:
    """The endpoints of one platform, with their counters and faults.

    Args:
        kinds: the faults on offer.
        endpoints: what can have them.
        counted: further names that calls are only counted under.
    """

    def __init__(self, kinds: Mapping[str, Spoil], endpoints: Sequence[str], counted: Sequence[str] = ()) -> None:
        self._faults = FaultBoard(kinds, endpoints)
        self._calls: Counter[str] = Counter()
        self._shown = (*endpoints, *counted)

    def count(self, name: str) -> None:
        """Count something that is no call of an endpoint."""
        self._calls[name] += 1

    def counted(self, name: str, handler: Handler) -> Handler:
        """The same handler, whose calls are counted, and whose InvalidRequestError becomes a 400."""

        async def count_and_answer(request: web.Request) -> web.Response:
            self._calls[name] += 1
            try:
                return await handler(request)
            except InvalidRequestError as error:
                return json_response({"error": "invalid_request", "error_description": str(error)}, status=400)

        return count_and_answer

    def endpoint(self, name: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The same handler, counted, and spoilt while `name` has a fault."""
        counted = self.counted(name, handler)

        async def answer(request: web.Request) -> web.StreamResponse:
            return await self._faults.spoil(name, request, await counted(request))

        return answer

    def routes(self) -> list[web.RouteDef]:
        """Where faults and counters are seen and set."""
        return [
            web.get("/sandbox/faults", self._faults.show),
            web.post("/sandbox/faults", self._faults.accept),
            web.get("/sandbox/counters", self.counters),
            web.post("/sandbox/counters/reset", self.reset_counters),
        ]

    async def counters(self, request: web.Request) -> web.Response:
        """`GET /sandbox/counters`: how many calls each endpoint has had, spoilt ones included."""
        return json_response({name: self._calls[name] for name in self._shown})

    async def reset_counters(self, request: web.Request) -> web.Response:
        """`POST /sandbox/counters/reset`: count from zero again."""
        self._calls.clear()
        return await self.counters(request)


def only(parameters: Mapping[str, object], name: str) -> str | None:
    """A parameter that may be there once; None when it is missing.

    Args:
        parameters: of a query or a form, multi-valued ones included.
        name: which one.

    Raises:
        InvalidRequestError: it is there more than once, or is a file.
    """
    getall = getattr(parameters, "getall", None)
    found = getall(name, []) if getall else [parameters[name]] if name in parameters else []
    if len(found) > 1 or not all(isinstance(value, str) for value in found):
        raise InvalidRequestError(f"the parameter '{name}' may be there once")
    return str(found[0]) if found else None

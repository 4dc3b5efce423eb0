"""From a route id to the address and the fields that the inner unit calls with. The caller never names either."""

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote, unquote

from gateway.ferry.envelope import Answer, Request
from gateway.ferry.inner_settings import RouteSettings
from gateway.ferry.inspection import Blocked, Inspection, check_fields
from gateway.fields import INWARD_PREFIX
from gateway.inward import IDENTITY_FIELD
from gateway.model import Field
from gateway.templates import literals, parameters

_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,255}")
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,254}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NOT_IN_A_SEGMENT = frozenset("/\\;")


class InnerRoute:
    """One route, prepared.

    Attributes:
        id: its id.
        system: name of the business system.
        timeout: seconds for the whole answer.
        answer: the checks of what comes back.
    """

    def __init__(self, settings: RouteSettings) -> None:
        self.id = settings.id
        self.system = settings.system
        self.timeout = settings.timeout
        self.answer = Inspection(settings.answer)
        self._request = Inspection(settings.request)
        self._methods = {"GET", "HEAD"} if settings.method == "GET" else {settings.method}
        self._plain = literals(settings.path)
        self._names = parameters(settings.path)
        self._known = frozenset(self._names)
        self._query = frozenset(settings.query)
        self._inward = frozenset(map(str.encode, settings.request.fields)) | {b"accept"}
        self._outward = frozenset(map(str.encode, settings.answer.fields)) | {b"content-type"}

    def check(self, request: Request) -> None:
        """Check method, body and its digest.

        Raises:
            Blocked: the request may not pass.
        """
        if request.method not in self._methods:
            raise Blocked(f"method {request.method[:20]!r} is not that of the route")
        if sha256(request.body).digest() != request.body_sha256:
            raise Blocked("the digest does not fit the body")
        self._request.check(request.content_type, request.body)

    def target(self, request: Request) -> bytes:
        """Path and query of the call, written anew from the template.

        Raises:
            Blocked: a parameter is missing, unknown, or more than one plain segment; or a query parameter may not pass.
        """
        path = self._path(request.params) if self._names or request.params else self._plain[0]
        return (f"{path}?{self._pairs(request.query)}" if request.query else path).encode()

    def fields(self, request: Request) -> list[Field]:
        """Header fields of the call: the route's allow-list, then the gateway's own.

        Raises:
            Blocked: a field, the identity or the trace context is not well formed.
        """
        fields = [
            field
            for field in request.fields
            if field[0] in self._inward or (field[0].startswith(INWARD_PREFIX) and field[0] != IDENTITY_FIELD)
        ]
        check_fields(fields)
        if request.body:
            fields.append((b"content-type", request.content_type.encode("latin-1")))
        if request.identity:
            if not _JWS.fullmatch(request.identity):
                raise Blocked("the identity is no compact JWS")
            fields.append((IDENTITY_FIELD, request.identity.encode()))
        if not _TRACEPARENT.fullmatch(request.traceparent):
            raise Blocked("the trace context is not well formed")
        fields.append((b"traceparent", request.traceparent.encode()))
        fields.append((b"x-request-id", request.id.encode()))
        return fields

    def outward(self, fields: list[Field]) -> list[Field]:
        """What of an answer's fields goes back.

        Raises:
            Blocked: one of them is not well formed.
        """
        kept = [field for field in fields if field[0] in self._outward]
        check_fields(kept)
        return kept

    def _path(self, params: Mapping[str, str]) -> str:
        if params.keys() != self._known:
            raise Blocked(f"the route's parameters are {self._names}")
        written = self._plain[0]
        for name, plain in zip(self._names, self._plain[1:], strict=True):
            written += _segment(name, params[name]) + plain
        return written

    def _pairs(self, query: list[tuple[str, str]]) -> str:
        names = [name for name, _ in query]
        if not self._query.issuperset(names):
            raise Blocked("a query parameter that the route does not know")
        if len(set(names)) < len(names):
            raise Blocked("a query parameter that is there twice")
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)


def _segment(name: str, value: str) -> str:
    """One path segment, decoded, checked and encoded again."""
    if _PLAIN_SEGMENT.fullmatch(value):
        return value
    if not _SEGMENT.fullmatch(value):
        raise Blocked(f"parameter {name} holds characters that are not plain")
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise Blocked(f"parameter {name} is not UTF-8") from None
    if text in (".", "..") or not text.isprintable() or _NOT_IN_A_SEGMENT & set(text):
        raise Blocked(f"parameter {name} is not one plain segment")
    return quote(text, safe="")


def answer_of(request: Request, status: int, fields: list[Field], body: bytes, length: int | None, ms: float) -> Answer:
    """The message that brings an answer back.

    Raises:
        Blocked: the status is not one of an answer.
    """
    if not 200 <= status <= 599:
        raise Blocked(f"status {status} is no answer")
    return Answer(
        id=request.id,
        status=status,
        fields=fields,
        body=body,
        body_sha256=sha256(body).digest(),
        length=length,
        ms=ms,
    )

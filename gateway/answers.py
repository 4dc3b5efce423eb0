"""Error answers: a problem body (RFC 9457) for programs, a small page for browsers, in the caller's language.

The error class says status, code and sentence; nothing of its `detail` is ever shown. edge/answering.py writes
what is made here.
"""

from collections.abc import AsyncIterator
from html import escape
from typing import Any

import msgspec

from gateway.errors import FieldProblem, GatewayError, InputRefused, MethodNotAllowed
from gateway.model import NO_BODY, Field, Tunnel

_encode = msgspec.json.Encoder().encode

_PAGE = """<!doctype html>
<html lang="{lang}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{heading}</title></head>
<body><main><h1>{heading}</h1>
<p>{sentence}</p>
<p>{other}</p>{way}
<p><small>{code} · {id}</small></p></main></body>
</html>
"""

_WAY = """
<p><a href="{address}">继续办理 · Go on</a></p>"""

_HEADINGS = {"zh-CN": "办理未完成", "en": "This did not go through"}


def render(error: GatewayError, id: str, accept: bytes, accept_language: bytes) -> tuple[list[Field], bytes]:  # noqa: A002
    """Make the fields and the body of an error answer.

    Args:
        error: what happened.
        id: request id, by which the record can be found.
        accept: the request's Accept; empty when unknown.
        accept_language: the request's Accept-Language; empty when unknown.

    Returns:
        Header fields without framing, and the body.
    """
    language = preferred_language(accept_language)
    sentence, other = error.title if language == "zh-CN" else error.title[::-1]
    fields: list[Field] = [
        (b"content-language", language.encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept, Accept-Language"),
        (b"x-content-type-options", b"nosniff"),
        *_fields_of(error),
    ]
    if b"text/html" in accept.lower():
        fields += _PAGE_FIELDS
        page = _PAGE.format(
            lang=language,
            heading=_HEADINGS[language],
            sentence=escape(sentence),
            other=escape(other),
            way="" if error.way is None else _WAY.format(address=escape(error.way)),
            code=escape(error.code),
            id=id,
        )
        return fields, page.encode()
    fields.append((b"content-type", b"application/problem+json"))
    problem: dict[str, Any] = {
        "type": f"urn:tongguan:problem:{error.code}",
        "title": error.title[1],
        "status": error.status,
        "detail": sentence,
        "code": error.code,
        "request_id": id,
    }
    if error.way is not None:
        problem["continue_at"] = error.way
    if isinstance(error, InputRefused):
        problem["problems"] = [_field_problem(one, language) for one in error.problems]
    return fields, _encode(problem)


def _field_problem(problem: FieldProblem, language: str) -> dict[str, str]:
    detail = problem.title[0] if language == "zh-CN" else problem.title[1]
    return {"field": problem.field, "detail": detail, "title": problem.title[1]}


_PAGE_FIELDS: list[Field] = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]


def preferred_language(accept_language: bytes) -> str:
    """`en` when the caller puts English before Chinese (RFC 9110 §12.5.4), else `zh-CN`."""
    best, weight = "zh-CN", 0.0
    for part in accept_language.lower().split(b","):
        tag, _, parameters = part.strip().partition(b";")
        primary = tag.strip().split(b"-")[0]
        if primary in {b"zh", b"en"} and (quality := _quality(parameters)) > weight:
            best, weight = ("en" if primary == b"en" else "zh-CN"), quality
    return best


def _quality(parameters: bytes) -> float:
    name, _, value = parameters.strip().partition(b"=")
    if name.strip() != b"q":
        return 1.0
    try:
        return min(1.0, float(value))
    except ValueError:
        return 0.0


class PlainText:
    """A short answer of a channel itself (gateway.model.Reply): what a platform that tries our address out wants."""

    status = 200
    tunnel: Tunnel | None = None

    def __init__(self, text: str) -> None:
        self.whole: bytes | None = text.encode()
        self.length: int | None = len(text.encode())
        self.fields: list[Field] = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]

    def chunks(self) -> AsyncIterator[bytes]:
        """Nothing more is coming."""
        return NO_BODY.chunks()


def status_of(error: GatewayError) -> int:
    """Status code of an error answer: 303 where a browser is shown another way (RFC 9110 §15.4.4)."""
    return error.status if error.see_other is None else 303


def _fields_of(error: GatewayError) -> list[Field]:
    fields: list[Field] = []
    if error.see_other is not None:
        fields.append((b"location", error.see_other.encode("latin-1")))
    if error.challenge is not None:
        fields.append((b"www-authenticate", error.challenge.encode("latin-1", "replace")))
    if error.retry_after is not None:
        fields.append((b"retry-after", b"%d" % max(1, round(error.retry_after))))
    if error.proxy_error is not None:
        fields.append((b"proxy-status", f"tongguan; error={error.proxy_error}".encode()))
    if isinstance(error, MethodNotAllowed):
        fields.append((b"allow", ", ".join(error.allow).encode()))
    return fields

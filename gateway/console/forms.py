"""From what somebody entered to a checked input: a form, a query, or JSON. gateway/ledger/inputs names each problem."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar, get_origin
from urllib.parse import parse_qs

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.contracts import Settings
from gateway.errors import BodyTooLarge, FieldProblem, InputRefused, RequestMalformed, RequestTimeout
from gateway.fields import FORM
from gateway.ledger.inputs.checking import check_input, check_json

S = TypeVar("S", bound=Settings)

Entered = Mapping[str, list[str]]
"""Fields of a form as they were sent; a name may be there several times."""

MOST_FIELDS = 500
"""Fields of one form."""

SMALL = 64 << 10
"""Bytes of what somebody sends to sign in."""
LARGEST = 3 << 20
"""Bytes of any body: an import of the largest size, as a form or as JSON sends it."""

_PATIENCE = 30.0
"""Seconds for a whole body."""
_UNREADABLE = (web.RequestPayloadError, HttpProcessingError, ValueError, LookupError, RuntimeError)
"""What aiohttp raises of a body, and of the parts of a multipart one, that breaks the rules."""


async def read_form(request: web.Request, limit: int = LARGEST) -> dict[str, list[str]]:
    """The fields of an urlencoded form.

    Args:
        request: the request.
        limit: bytes, see read_body.

    Raises:
        RequestMalformed: it is none, not UTF-8, or has too many fields.
        BodyTooLarge: it is larger.
        RequestTimeout: it did not arrive in time.
    """
    if request.content_type != FORM:
        raise RequestMalformed(f"a body that is no {FORM}")
    try:
        text = (await read_body(request, limit)).decode("ascii")
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise RequestMalformed("a form that cannot be read") from None


async def read_body(request: web.Request, limit: int) -> bytes:
    """The whole body.

    Args:
        request: the request.
        limit: bytes; nobody who has not signed in makes us keep more than SMALL.

    Raises:
        BodyTooLarge: it is larger.
        RequestTimeout: it did not arrive in time.
        RequestMalformed: it broke off.
    """
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(f"a body of {request.content_length} bytes")
    body = bytearray()
    async with arriving(_PATIENCE):
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > limit:
                raise BodyTooLarge(f"a body of more than {limit} bytes")
    return bytes(body)


@contextlib.asynccontextmanager
async def arriving(patience: float) -> AsyncIterator[None]:
    """Every way in which a body does not arrive, or is none, is one of our refusals.

    Args:
        patience: seconds.

    Raises:
        RequestTimeout: it did not arrive in time.
        RequestMalformed: it broke off; or its parts are in a charset or an encoding that there is none of.
    """
    try:
        async with asyncio.timeout(patience):
            yield
    except TimeoutError:
        raise RequestTimeout("a body that did not arrive") from None
    except ConnectionError:
        raise RequestMalformed("a body that broke off") from None
    except _UNREADABLE as exc:
        raise RequestMalformed(f"a body that cannot be read: {type(exc).__name__}") from None


def read_form_input(model: type[S], entered: Entered) -> S:
    """Check the fields of a form. Empty ones count as not there; lists take a field several times, or a line each.

    Raises:
        InputRefused: with every problem, each by its field.
    """
    data: dict[str, Any] = {}
    for name, values in entered.items():
        told = [value.strip() for value in values if value.strip()]
        if _takes_many(model, name):
            data[name] = [line.strip() for value in told for line in value.splitlines() if line.strip()]
        elif len(told) > 1:
            raise InputRefused(FieldProblem(name, _TWICE))
        elif told:
            data[name] = told[0]
    return check_input(model, data, strict=False)


def read_json_input(model: type[S], data: object) -> S:
    """Check a JSON body, strictly: text is no number, and a number no text.

    Args:
        model: of the input.
        data: the body, decoded.

    Raises:
        InputRefused: with every problem, each by its field.
    """
    if not isinstance(data, dict):
        raise InputRefused(FieldProblem("", ("应为 JSON 对象。", "A JSON object is expected.")))
    return check_json(model, msgspec.json.encode(data))


def by_field(problems: Iterable[FieldProblem]) -> dict[str, list[tuple[str, str]]]:
    """Problems as the pages' macros take them: what is told, by the field beside which it stands.

    Elements of a list (`items.0`) stand beside the list.
    """
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for problem in problems:
        field, _, element = problem.field.partition(".")
        chinese, english = problem.title
        place = f"{int(element) + 1}: " if element.isdigit() else ""
        found[field].append((place + chinese, place + english))
    return dict(found)


def _takes_many(model: type[Settings], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and get_origin(field.annotation) in (tuple, list)


_TWICE = ("此项填写了多次。", "This was sent more than once.")

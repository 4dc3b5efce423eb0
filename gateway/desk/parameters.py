"""What a browser or a client hands over: query, form, JSON; each name once, everything bounded, nothing guessed."""

import re
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from gateway.errors import BodyTooLarge, SignInMalformed
from gateway.fields import FORM

MOST = 32
"""Parameters of one request."""
LONGEST = 4096
"""Characters of one value: a ticket of the largest kind fits."""
FORM_LIMIT = 16 << 10
"""Bytes of a form or a JSON body."""

MOST_FIELDS = 2000
"""Fields of an item's form that is offered again after a login."""

_JSON = "application/json"
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Control characters, and halves of characters: what stands for bytes that are not UTF-8."""

Parameters = dict[str, str]
T = TypeVar("T")


def read_query(request: web.Request) -> Parameters:
    """Parameters of the address.

    Raises:
        SignInMalformed: one is there twice, too long, not UTF-8, or they are too many.
    """
    return once(parse(request.raw_path.partition("?")[2]))


async def read_form(request: web.Request) -> Parameters:
    """Fields of a form.

    Raises:
        SignInMalformed: it is no form, or as in read_query.
        BodyTooLarge: it is larger than `FORM_LIMIT`.
    """
    if request.content_type != FORM:
        raise SignInMalformed(f"a body that is no {FORM}")
    try:
        text = (await read_body(request)).decode("ascii")
    except UnicodeDecodeError:
        raise SignInMalformed("a form that is not ASCII") from None
    return once(parse(text))


async def read_fields(request: web.Request) -> Parameters:
    """Fields of a form, or members of a JSON object of strings.

    Raises:
        SignInMalformed, BodyTooLarge: see read_form.
    """
    if request.content_type != _JSON:
        return await read_form(request)
    return checked(await read_json(request, dict[str, str]))


async def read_json(request: web.Request, kind: type[T]) -> T:
    """A JSON body of a certain shape.

    Raises:
        SignInMalformed: it is something else. BodyTooLarge: it is larger than `FORM_LIMIT`.
    """
    body = await read_body(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SignInMalformed("a body that is no JSON of the expected shape") from None


async def read_body(request: web.Request, limit: int = FORM_LIMIT) -> bytes:
    """The whole body.

    Raises:
        BodyTooLarge.
    """
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(f"a body of {request.content_length} bytes")
    body = await request.read()
    if len(body) > limit:
        raise BodyTooLarge(f"a body of {len(body)} bytes")
    return body


def parse(text: str, most: int = MOST) -> list[tuple[str, str]]:
    """Read `a=1&b=2` (WHATWG URL §5.1).

    Raises:
        SignInMalformed: too many, or not UTF-8.
    """
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise SignInMalformed("parameters are too many, or not UTF-8") from None


def once(pairs: list[tuple[str, str]]) -> Parameters:
    """Parameters by name.

    Raises:
        SignInMalformed: a name is there twice, or one is too long or no text.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise SignInMalformed("a parameter is there twice")
    return checked(found)


def checked(found: Parameters) -> Parameters:
    """The same parameters.

    Raises:
        SignInMalformed: see `once`.
    """
    told = [*found, *found.values()]
    if len(found) > MOST or any(len(one) > LONGEST or _NO_TEXT.search(one) for one in told):
        raise SignInMalformed("a parameter is too long, or holds what is no text")
    return found

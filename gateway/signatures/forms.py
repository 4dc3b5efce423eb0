"""Strict reading of what other platforms send: urlencoded forms and small XML messages, in one way only.

A reader that tolerates (a name twice, half an escape, a DOCTYPE) lets the gateway and the business system behind it
read one message in two ways. tokens/jose.py does the same for JSON; certificates.py reads what comes with a message.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn, TypeVar
from urllib.parse import unquote_to_bytes
from xml.parsers.expat import ExpatError, ParserCreate

from gateway.errors import ChannelRejected
from gateway.fields import is_form
from gateway.model import Inbound

MOST_PARAMETERS = 200
DEEPEST = 8
_NAME = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")
_PARAMETER = re.compile(rb"&[A-Za-z0-9_.:-]{1,128}=")
_HALF_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class WireFormError(ValueError):
    """Not acceptable. The text is for the record and repeats nothing of what was sent."""


def read_form(data: bytes, charset: str = "utf-8") -> dict[str, bytes]:
    """Read `application/x-www-form-urlencoded`: decoded once, each name once, at most `MOST_PARAMETERS`.

    Args:
        data: a body, or a query without `?`; empty for no parameters.
        charset: what the values must be text in.

    Returns:
        Values by name, as bytes, because signatures cover bytes.

    Raises:
        WireFormError: it is not so.
    """
    if not data:
        return {}
    pieces = data.split(b"&", MOST_PARAMETERS)
    if len(pieces) > MOST_PARAMETERS:
        raise WireFormError(f"more than {MOST_PARAMETERS} parameters")
    values: dict[str, bytes] = {}
    for piece in pieces:
        name, equals, value = (_decoded(part) for part in piece.partition(b"="))
        if not equals or _NAME.fullmatch(name) is None:
            raise WireFormError("a piece that is no parameter")
        if name.decode() in values:
            raise WireFormError("a parameter twice")
        _check_text(value, charset)
        values[name.decode()] = value
    return values


async def read_parameters(inbound: Inbound, charset: str = "utf-8") -> dict[str, bytes]:
    """Read the parameters of a signed request: the query of a GET, the form of any other, never of both.

    Raises:
        WireFormError: they are in two places, or the body is declared as something else than a form.
    """
    if inbound.method == "GET":
        return read_form(inbound.query.encode(), charset)
    if inbound.query or not is_form(inbound.fields.get(b"content-type", b"")):
        raise WireFormError("not one form, in one place")
    return read_form(await inbound.body.whole(), charset)


def check_split(values: Iterable[bytes]) -> None:
    """Refuse values in which another parameter could hide, as in `a=1&b=2` for the value of `a`.

    Where parameters are signed joined by `&` and not encoded, such a message has the signature of another one, which
    has a parameter more or less.

    Raises:
        WireFormError: there is one.
    """
    if any(_PARAMETER.search(value) for value in values):
        raise WireFormError("a value in which a parameter could hide")


def _decoded(part: bytes) -> bytes:
    if _HALF_ESCAPE.search(part):
        raise WireFormError("half an escape")
    return unquote_to_bytes(part.replace(b"+", b" "))


def _check_text(value: bytes, charset: str) -> None:
    try:
        value.decode(charset)
    except ValueError:
        raise WireFormError(f"a value that is no {charset}") from None


def read_xml(data: bytes) -> dict[str, str]:
    """Read a message of elements without attributes, DOCTYPE, entities of its own and processing instructions.

    Returns:
        The text of each element right under the root, which is there once; of one that holds elements, what is around
        them.

    Raises:
        WireFormError: it is not so, no UTF-8, not well-formed, or deeper than `DEEPEST`.
    """
    elements = _Elements()
    parser = ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = elements.begin
    parser.EndElementHandler = elements.end
    parser.CharacterDataHandler = elements.text
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = _refuse
    try:
        parser.Parse(data.decode("utf-8"), True)
    except (ExpatError, UnicodeDecodeError) as error:
        raise WireFormError(f"no acceptable XML: {type(error).__name__}") from None
    return elements.values


class _Elements:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self._open: list[str] = []

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if attributes or len(self._open) == DEEPEST:
            raise WireFormError(f"an element with attributes, or deeper than {DEEPEST}")
        if len(self._open) == 1:
            if name in self.values:
                raise WireFormError("an element twice")
            self.values[name] = ""
        self._open.append(name)

    def text(self, text: str) -> None:
        if len(self._open) == 2:
            self.values[self._open[1]] += text

    def end(self, _: str) -> None:
        self._open.pop()


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:
    if (encoding or "utf-8").lower() != "utf-8":
        raise WireFormError("declared as another encoding than UTF-8")


def _refuse(*_: object) -> NoReturn:
    raise WireFormError("a DOCTYPE or a processing instruction")


N = TypeVar("N", bound=str | bytes)


def read_shaped(values: Mapping[N, bytes], name: N, grammar: re.Pattern[bytes]) -> bytes:
    """A header field or parameter that has to be there, and to have its form.

    Raises:
        ChannelRejected: it is not so.
    """
    value = values.get(name)
    if value is None or grammar.fullmatch(value) is None:
        shown = name if isinstance(name, str) else name.decode()
        raise ChannelRejected(f"{shown} is missing or not of its form")
    return value


def decode_base64(text: str | bytes) -> bytes:
    """Decode base64 (RFC 4648 §4) with its padding, refusing what a decoder would skip.

    Raises:
        WireFormError: it is not so.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise WireFormError("no base64") from None
    if base64.b64encode(decoded) != (text.encode() if isinstance(text, str) else text):
        raise WireFormError("base64 with stray bits")  # two spellings of one signature would be two signatures
    return decoded


@contextmanager
def rejecting(client: str) -> Iterator[None]:
    """Reject a message that cannot be read like one whose signature does not hold, and name its sender in the record.

    Args:
        client: whose message it claims to be, as configured.
    """
    try:
        yield
    except (ChannelRejected, ValueError) as error:
        rejected = error if isinstance(error, ChannelRejected) else ChannelRejected(str(error))
        rejected.client = client
        raise rejected from None

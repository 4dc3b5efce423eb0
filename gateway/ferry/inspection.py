"""What may pass through the gatekeeper, judged by content: media type, size, JSON shape, attachments. Pure.

inner.py asks before it calls a business system and before it lets an answer out. Linear in the size, never recursive.
"""

import json
import math
import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Literal

from pydantic import Field as Key

from gateway.contracts import Settings
from gateway.fields import FIELD_NAME, FIELD_VALUE, TOKEN
from gateway.model import Field
from gateway.units import Size

FileType = Literal["pdf", "png", "jpeg", "gif", "zip"]

DEEPEST = 32
LARGEST_JSON = 1 << 20
"""Bytes of a body that is parsed, which happens on the unit's one thread; what is larger travels as an attachment."""
MOST_VALUES = 100_000
MOST_KEYS = 10_000
MOST_PARTS = 32
_LONGEST_PART_HEAD = 2048

_MAGIC: dict[FileType, tuple[bytes, ...]] = {
    "pdf": (b"%PDF-",),
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "zip": (b"PK\x03\x04",),
}
_EXTENSIONS: dict[str, FileType] = {
    "pdf": "pdf",
    "png": "png",
    "jpg": "jpeg",
    "jpeg": "jpeg",
    "gif": "gif",
    "zip": "zip",
}

_MEDIA_TYPE = re.compile(rf'({TOKEN}/{TOKEN})(?:[ \t]*;[ \t]*(charset|boundary)=("[^"\\\r\n]{{1,70}}"|{TOKEN}))?')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_JSON_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_SURROGATES = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_DISPOSITION = re.compile(r'form-data; name="([^"\r\n]{1,200})"(?:; filename="([^"\\/\r\n\0]{1,255})")?')


class Blocked(Exception):
    """The content may not pass; the text says why, for the record."""


class ContentSettings(Settings):
    """What one route lets through in one direction."""

    content_types: tuple[str, ...] = Key((), description="media types that may pass; none: there is no body")
    fields: tuple[str, ...] = Key((), description="header fields that pass, besides accept and content-type")
    size: Size = Key(1 << 20, description="largest body")
    json_: Literal["strict", "opaque"] = Key(
        "strict",
        alias="json",
        description="strict: JSON is parsed; at most 32 levels and 10000 keys, no duplicate key, no NaN",
    )
    attachments: tuple[FileType, ...] | None = Key(
        None, description="file types that a multipart/form-data body may hold, by their first bytes; none when missing"
    )


class Inspection:
    """The checks of one direction of one route, prepared."""

    def __init__(self, settings: ContentSettings) -> None:
        self._types = frozenset(name.lower() for name in settings.content_types)
        self._size = settings.size
        self._json = settings.json_ == "strict"
        self._attachments = frozenset(settings.attachments or ())

    @property
    def size(self) -> int:
        """Bytes of the largest body."""
        return self._size

    def check(self, content_type: str, body: bytes) -> None:
        """Check one body; its media type decides how.

        Raises:
            Blocked: it may not pass.
        """
        if len(body) > self._size:
            raise Blocked(f"{len(body)} bytes, and {self._size} may pass")
        if not body:
            return
        media_type, parameters = read_media_type(content_type)
        if media_type not in self._types:
            raise Blocked(f"content type {media_type[:80]!r} may not pass")
        if parameters.get("charset", "utf-8").lower() != "utf-8":
            raise Blocked("only UTF-8 text may pass")
        if media_type == "multipart/form-data":
            check_multipart(body, parameters.get("boundary", ""), self._attachments)
        elif self._json and (media_type == "application/json" or media_type.endswith("+json")):
            check_json(body)


def read_media_type(text: str) -> tuple[str, dict[str, str]]:
    """Read a Content-Type with at most one parameter, `charset` or `boundary` (RFC 9110 §8.3.1).

    Raises:
        Blocked: it is written in any other way, or missing.
    """
    found = _MEDIA_TYPE.fullmatch(text)
    if found is None:
        raise Blocked("the content type is missing or not plain")
    parameters = {found[2]: found[3].strip('"')} if found[2] else {}
    return found[1].lower(), parameters


def check_fields(fields: Iterable[Field]) -> None:
    """Check that names are lower-case tokens and values hold no control characters (RFC 9110 §5.5).

    Raises:
        Blocked: one is not.
    """
    for name, value in fields:
        if not FIELD_NAME.fullmatch(name) or not FIELD_VALUE.fullmatch(value):
            raise Blocked("a header field is not well formed")


def check_json(body: bytes) -> None:
    """Check that a body is I-JSON (RFC 7493) of bounded depth and size.

    Raises:
        Blocked: it is not, or is larger than 1 MiB, deeper than 32 levels, or has over 10000 keys or 100000 values.
    """
    if len(body) > LARGEST_JSON:
        raise Blocked(f"JSON of more than {LARGEST_JSON} bytes")
    bare = _without_strings(body)
    if bare.count(b",") > MOST_VALUES:
        raise Blocked(f"JSON with more than {MOST_VALUES} values")
    if b"\\u" in body and _LONE_SURROGATE.search(_SURROGATES.sub(b"", body.replace(b"\\\\", b""))):
        raise Blocked("JSON with half of a surrogate pair")
    brackets = bare.translate(None, _NO_BRACKET)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEEPEST:
        raise Blocked(f"JSON deeper than {DEEPEST} levels")
    try:
        _STRICT_JSON.read(body.decode("utf-8"))
    except ValueError as exc:  # also of UTF-8, and of integers with thousands of digits
        raise Blocked(f"not well-formed JSON: {type(exc).__name__}") from None


def _without_strings(body: bytes) -> bytes:
    """What of a JSON text stands outside its strings. Without escapes, every second quotation mark ends one."""
    return _JSON_TEXT.sub(b"", body) if b"\\" in body else b"".join(body.split(b'"')[::2])


class _StrictJson:
    """A decoder that is made once; what it counts begins anew with each text."""

    def __init__(self) -> None:
        self._count = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._check, parse_constant=_no_constant, parse_float=_finite
        )

    def read(self, text: str) -> None:
        self._count = 0
        self._decoder.decode(text)

    def _check(self, pairs: list[tuple[str, Any]]) -> None:
        self._count += len(pairs)
        if self._count > MOST_KEYS:
            raise Blocked(f"JSON with more than {MOST_KEYS} keys")
        if len({key for key, _ in pairs}) != len(pairs):
            raise Blocked("JSON with a duplicate key")


def _no_constant(name: str) -> None:
    raise Blocked(f"JSON with {name}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Blocked("JSON with a number that is too large")
    return number


_STRICT_JSON = _StrictJson()


def check_multipart(body: bytes, boundary: str, attachments: frozenset[FileType]) -> None:
    """Check a multipart/form-data body (RFC 7578): every part plain, every file of an allowed type.

    A file's first bytes and the extension of its name must both say the same allowed type. Other parts are UTF-8 text.

    Raises:
        Blocked: it is written in any other way, or a file may not pass.
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise Blocked("multipart without a plain boundary")
    delimiter = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(delimiter, MOST_PARTS + 1)
    if pieces[0] or len(pieces) < 3 or pieces[-1] not in (b"--", b"--\r\n"):
        raise Blocked(f"multipart that does not begin and end with its boundary, or has more than {MOST_PARTS} parts")
    for piece in pieces[1:-1]:
        _check_part(piece, attachments)


def _check_part(piece: bytes, attachments: frozenset[FileType]) -> None:
    head, empty_line, content = piece.partition(b"\r\n\r\n")
    if not head.startswith(b"\r\n") or not empty_line or len(head) > _LONGEST_PART_HEAD:
        raise Blocked("a part without a plain head")
    filename = _filename(head[2:])
    if filename is None:
        _check_text(content)
        return
    extension = filename.rpartition(".")[2].lower()
    expected = _EXTENSIONS.get(extension)
    if expected is None or expected not in attachments:
        raise Blocked(f"a file with the extension {extension[:20]!r} may not pass")
    if not content.startswith(_MAGIC[expected]):
        raise Blocked(f"a file that is no {expected} although its name says so")


def _filename(head: bytes) -> str | None:
    """Name of the file in a part; None when the part is a plain form field."""
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise Blocked("a part whose head is not UTF-8") from None
    fields: dict[str, str] = {}
    for line in lines:
        if not line.isprintable():  # controls would end the line for somebody else, formatting characters hide a name
            raise Blocked("a part whose head has control or formatting characters")
        name, colon, value = line.partition(":")
        if not colon or name.lower() in fields or name.lower() not in ("content-disposition", "content-type"):
            raise Blocked("a part with other fields than Content-Disposition and Content-Type")
        fields[name.lower()] = value.strip(" \t")
    media_type = _MEDIA_TYPE.fullmatch(fields.get("content-type", "text/plain"))
    if media_type is None or media_type[1].lower().startswith(("multipart/", "message/")):
        raise Blocked("a part whose Content-Type is not plain, or that holds parts")
    found = _DISPOSITION.fullmatch(fields.get("content-disposition", ""))
    if found is None or found[1] == "_charset_":  # RFC 7578 §4.6: would change how the other fields are read
        raise Blocked("a part whose Content-Disposition is not plain")
    return found[2]


def _check_text(content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        raise Blocked("a form field that is not UTF-8 text") from None

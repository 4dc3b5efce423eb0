"""The raw-request check: what aiohttp's parser let through becomes an `Inbound`, or a refusal. No socket, no clock.

Nothing is repaired. What could be read in two ways (RFC 9112 §11, docs/security.md) is refused, so the bytes that are
matched are the bytes that are forwarded. edge/answering.py calls it; its tests send raw bytes through real sockets.
"""

import contextlib
import re
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion10, HttpVersion11

from gateway.crypto import CryptoError
from gateway.crypto.der import SEQUENCE, Reader
from gateway.errors import (
    ExpectationUnknown,
    HeadersTooLarge,
    HostUnknown,
    MethodNotAllowed,
    RequestMalformed,
    TargetRefused,
    TargetTooLong,
)
from gateway.fields import PUBLIC_FIELD_NAME, nominated
from gateway.model import NO_BODY, Body, Inbound
from gateway.settings import LimitSettings
from gateway.units import Network, lies_in

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_SEGMENTS = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-]+)+/?|/")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?-]*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/=]+):")
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----\s*")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(/[^#]*)?")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NEVER_IN_A_PATH = frozenset(b"/\\;")

_LISTS = frozenset(
    {
        b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"cache-control", b"connection",
        b"forwarded", b"if-match", b"if-none-match", b"pragma", b"sec-websocket-extensions", b"sec-websocket-protocol",
        b"te", b"trailer", b"upgrade", b"via", b"warning", b"x-forwarded-for",
    }
)  # fmt: skip
"""Fields that may be repeated (RFC 9110 §5.3). Any other one twice is refused: nobody knows which one is meant."""

_MOST_NAMES = 2048
_LONGEST_NAME = 64
"""How many names are remembered, and how long they may be: nobody fills the memory with odd ones."""
_MOST_CERTIFICATES = 512
"""How many certificates are remembered; as header fields, of which one has at most 8 KiB."""


class InboundReader:
    """Turns raw messages into `Inbound` by fixed rules; made once per configuration.

    Args:
        hosts: values of Host that are served, lower case.
        scheme: how the public reaches this gateway.
        trusted: proxies that are believed: who the client is, and which certificate it has shown.
        limits: header limits.
    """

    def __init__(self, hosts: Iterable[str], scheme: str, trusted: Sequence[Network], limits: LimitSettings) -> None:
        self._hosts = frozenset(host.lower().encode() for host in hosts)
        self._scheme = scheme
        self._trusted = tuple(trusted)
        self._header_block = limits.header_block
        self._header_count = limits.header_count
        self._request_line = limits.request_line
        self._names: dict[bytes, bytes] = {}
        self._addresses: dict[bytes, str] = {}
        self._fingerprint = lru_cache(maxsize=_MOST_CERTIFICATES)(_fingerprint)

    def trusts(self, peer: str) -> bool:
        """Tell whether a peer address (empty for a Unix socket) is one of the trusted proxies."""
        return lies_in(peer or "unix", self._trusted)

    def read(self, message: RawRequestMessage, id: str, peer: str, trusted: bool, body: Body = NO_BODY) -> Inbound:  # noqa: A002
        """Check one raw request.

        Args:
            message: as aiohttp's C parser made it.
            id: request id.
            peer: the peer's address; empty for a Unix socket.
            trusted: whether the peer may say who the client is.
            body: how the body can be read.

        Raises:
            RequestMalformed (and its kinds), MethodNotAllowed: with what is wrong, for the record.
        """
        method = message.method
        if method not in METHODS:
            raise MethodNotAllowed(f"method {method[:32]!r}", allow=METHODS, close=True)
        modern = message.version == HttpVersion11
        if not modern and message.version != HttpVersion10:
            raise RequestMalformed("version is neither HTTP/1.0 nor HTTP/1.1")
        fields = self._read_fields(message)
        _check_framing(fields, modern)
        host = fields.get(b"host")
        path, query = self._read_target(message.path, host)
        return Inbound(
            id,
            method,
            path,
            query,
            fields,
            self._client(fields, peer) if trusted else peer or "unix",
            self._read_host(host),
            self._scheme,
            body,
            _asked_upgrade(method, fields) if b"upgrade" in fields else None,
            self._certificate(fields)
            if trusted and (b"x-ssl-client-verify" in fields or b"client-cert" in fields)
            else None,
        )

    def client_of(self, message: RawRequestMessage, peer: str) -> str:
        """Whom a trusted proxy names as the client, for the record of a request that was refused."""
        values = [value for name, value in message.raw_headers if name.lower() == b"x-forwarded-for"]
        with contextlib.suppress(RequestMalformed):
            return self._client({b"x-forwarded-for": b",".join(values)} if values else {}, peer)
        return peer or "unix"

    def _read_fields(self, message: RawRequestMessage) -> dict[bytes, bytes]:
        names = self._names
        fields: dict[bytes, bytes] = {}
        size = 0
        for raw, value in message.raw_headers:
            name = names.get(raw) or self._known_name(raw)
            size += len(raw) + len(value) + 4
            if name in fields:
                if name not in _LISTS:
                    raise RequestMalformed(f"{name.decode()} appears twice")
                value = fields[name] + b", " + value
            fields[name] = value
        if size > self._header_block:
            raise HeadersTooLarge(f"header block of {size} bytes")
        if len(message.raw_headers) > self._header_count:
            raise HeadersTooLarge(f"{len(message.raw_headers)} header fields")
        return fields

    def _known_name(self, raw: bytes) -> bytes:
        if not PUBLIC_FIELD_NAME.fullmatch(raw):
            raise RequestMalformed(f"header field name {raw[:64]!r}")
        name = raw.lower()
        if len(self._names) < _MOST_NAMES and len(raw) <= _LONGEST_NAME:
            self._names[raw] = name
        return name

    def _read_host(self, host: bytes | None) -> str:
        if host is None:
            raise RequestMalformed("no Host")
        if host not in self._hosts and (host := host.lower()) not in self._hosts:
            port = host.rpartition(b":")[2] if b":" in host.rpartition(b"]")[2] else b"0"
            if not _AUTHORITY.fullmatch(host) or int(port) > 65535:
                raise RequestMalformed("Host is not host[:port]")
            raise HostUnknown(f"host {host[:128].decode('latin-1')}")
        return host.decode()

    def _read_target(self, target: str, host: bytes | None) -> tuple[str, str]:
        if len(target) > self._request_line:
            raise TargetTooLong(f"target of {len(target)} characters")
        if not target.startswith("/"):
            target = _origin_form(target, host)
        path, mark, query = target.partition("?")
        if not _PLAIN_PATH.fullmatch(path):
            _check_path(path)
        if mark and not _PLAIN_QUERY.fullmatch(query):
            _check_query(query)
        return path, query

    def _client(self, fields: dict[bytes, bytes], peer: str) -> str:
        """Rightmost address of X-Forwarded-For that is not a trusted proxy itself; the peer when there is none."""
        forwarded = fields.get(b"x-forwarded-for")
        if forwarded is None:
            return peer or "unix"
        known = self._addresses.get(forwarded)
        if known is None:
            known = self._rightmost(forwarded)
            if len(self._addresses) >= _MOST_NAMES:
                self._addresses.clear()
            self._addresses[forwarded] = known
        return known or peer or "unix"

    def _rightmost(self, forwarded: bytes) -> str:
        """Empty when all of them are proxies."""
        for part in reversed(forwarded.split(b",")):
            try:
                address = str(ip_address(part.strip(b" \t").decode("ascii")))
            except ValueError:
                raise RequestMalformed("X-Forwarded-For of a trusted proxy holds no address") from None
            if not self.trusts(address):
                return address
        return ""

    def _certificate(self, fields: dict[bytes, bytes]) -> str | None:
        """Fingerprint of the certificate that the client has shown to a trusted proxy; None when it has shown none.

        Two spellings: `Client-Cert` (RFC 9440 §2.2), and the pair that nginx can set: `X-SSL-Client-Verify` with
        `$ssl_client_verify`, `X-SSL-Client-Cert` with `$ssl_client_escaped_cert`.
        """
        value = fields.get(b"client-cert")
        verdict = fields.get(b"x-ssl-client-verify")
        if value is not None and verdict is not None:
            raise RequestMalformed("a client certificate in two spellings: one of them may be the client's own")
        if value is not None:
            return self._fingerprint(value, False)
        return self._fingerprint(fields.get(b"x-ssl-client-cert", b""), True) if verdict == b"SUCCESS" else None


def _fingerprint(value: bytes, escaped: bool) -> str:
    """SHA-256 of a certificate's DER. The proxy has judged it: here it only has to be one whole element."""
    found = _PEM.fullmatch(unquote_to_bytes(value)) if escaped else _BYTE_SEQUENCE.fullmatch(value)
    try:
        der = b64decode(b"".join(found[1].split()) if found else b"", validate=True)
        reader = Reader(der)
        reader.take(SEQUENCE)
        reader.end()
    except (ValueError, CryptoError):
        raise RequestMalformed("the client certificate of a trusted proxy cannot be read") from None
    return sha256(der).hexdigest()


def _check_framing(fields: dict[bytes, bytes], modern: bool) -> None:
    """RFC 9112 §6.1: one way to tell where the body ends, or none at all."""
    coding = fields.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or not modern or b"content-length" in fields):
        raise RequestMalformed("Transfer-Encoding is not exactly chunked, or not alone, or not HTTP/1.1")
    length = fields.get(b"content-length")
    if length is not None and not (length.isdigit() and len(length) < 19):
        raise RequestMalformed("Content-Length is no number")
    expect = fields.get(b"expect")
    if expect is not None and expect.lower() != b"100-continue":
        raise ExpectationUnknown("Expect is not 100-continue")


def _origin_form(target: str, host: bytes | None) -> str:
    """Rewrite an absolute-form target that names our own host (RFC 9112 §3.2.2); anything else is refused."""
    found = _ABSOLUTE.fullmatch(target)
    if found is None or host is None or found[1].lower().encode("latin-1", "replace") != host.lower():
        raise TargetRefused("target is neither origin-form nor absolute-form of the same Host")
    return found[2] or "/"


def check_target(path: str, query: str = "") -> None:
    """Hold the parts of a target to the rules that a request's own target is held to.

    Raises:
        TargetRefused: a request with it would be refused.
    """
    _check_path(path)
    _check_query(query)


def _check_path(path: str) -> None:
    if not _SEGMENTS.fullmatch(path):
        raise TargetRefused("path has a character that RFC 3986 does not allow, or a semicolon")
    if "//" in path or "/./" in path or "/../" in path or path.endswith(("/.", "/..")):
        raise TargetRefused("path has an empty segment or a dot segment")
    octets = [int(found, 16) for found in _ESCAPE.findall(path)]
    if any(octet in _UNRESERVED or octet in _NEVER_IN_A_PATH or octet == 0x25 for octet in octets):
        raise TargetRefused("path escapes a character that has to stand plainly, or one that may not stand at all")
    _check_text(path, octets)


def _check_query(query: str) -> None:
    if not _QUERY.fullmatch(query):
        raise TargetRefused("query has a character that RFC 3986 does not allow")
    _check_text(query, [int(found, 16) for found in _ESCAPE.findall(query)])


def _check_text(text: str, octets: list[int]) -> None:
    if any(octet < 0x20 or octet == 0x7F for octet in octets):
        raise TargetRefused("target escapes a control character")
    try:
        _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise TargetRefused("target is not UTF-8 when its escapes are decoded once") from None


def _asked_upgrade(method: str, fields: dict[bytes, bytes]) -> str | None:
    """`websocket` when the request asks for exactly that (RFC 6455 §4.1); every other upgrade is ignored."""
    asked = fields[b"upgrade"].lower() == b"websocket" and b"upgrade" in nominated(fields.get(b"connection"))
    if not asked or method != "GET" or b"sec-websocket-key" not in fields:
        return None
    if not _WEBSOCKET_KEY.fullmatch(fields[b"sec-websocket-key"]) or fields.get(b"sec-websocket-version") != b"13":
        raise RequestMalformed("a WebSocket handshake without a key of 16 bytes, or not of version 13")
    return "websocket"

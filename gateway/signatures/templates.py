"""Texts made of parts of a request, as agreed with whoever signs them. plugins/channels/signed.py configures them."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gateway.crypto import CryptoProvider
from gateway.errors import ChannelRejected
from gateway.model import Inbound

_PART = re.compile(r"([^{}]*)(?:\{([a-z0-9:-]+)\}([^{}]*))?")
_FIELD = re.compile(r"field:([a-z0-9-]{1,64})")


class Said(NamedTuple):
    """What a request says about its signature, each as it is written.

    Attributes:
        key_id: whose key.
        timestamp: when it was signed.
        nonce: what never comes twice; empty where there is none.
    """

    key_id: bytes
    timestamp: bytes
    nonce: bytes


class Signable(NamedTuple):
    """A request that has arrived whole.

    Attributes:
        inbound: the request.
        query: its query, sorted.
        body: its body.
        said: see Said.
        crypto: computes SM3.
    """

    inbound: Inbound
    query: str
    body: bytes
    said: Said
    crypto: CryptoProvider


_Value = Callable[[Signable], bytes]

VALUES: Mapping[str, _Value] = {
    "method": lambda of: of.inbound.method.encode(),
    "path": lambda of: of.inbound.path.encode(),
    "query": lambda of: of.query.encode(),
    "raw-query": lambda of: of.inbound.query.encode(),
    "host": lambda of: of.inbound.host.encode(),
    "body-sha256": lambda of: hashlib.sha256(of.body).hexdigest().encode(),
    "body-sha256-base64": lambda of: base64.b64encode(hashlib.sha256(of.body).digest()),
    "body-sm3": lambda of: of.crypto.sm3(of.body).hex().encode(),
    "body-sm3-base64": lambda of: base64.b64encode(of.crypto.sm3(of.body)),
    "timestamp": lambda of: of.said.timestamp,
    "nonce": lambda of: of.said.nonce,
    "key-id": lambda of: of.said.key_id,
}
"""What a part can hold; and `field:NAME`, the value of a header field."""

_SAME = {"raw-query": "query", "body-sha256-base64": "body", "body-sha256": "body", "body-sm3": "body"}
_SAME["body-sm3-base64"] = "body"


class Template:
    """A text made of parts.

    Args:
        parts: each a text with one `{name}` of `VALUES` at most.
        separator: between them.

    Attributes:
        covers: of `method`, `path`, `query`, `body`, `timestamp`, `nonce` those that are in it.

    Raises:
        ValueError: a part is not so.
    """

    def __init__(self, parts: Sequence[str], separator: str) -> None:
        read = [_read(part) for part in parts]
        self.covers = frozenset(_SAME.get(name, name) for name, _ in read)
        self._makers = [make for _, make in read]
        self._separator = separator.encode()

    def text(self, of: Signable) -> bytes:
        """What is signed of this request.

        Raises:
            ChannelRejected: a header field that is signed is not there, or the request has a query or a body, and the
                template does not cover it.
            CryptoError: SM3 cannot be computed.
        """
        if (of.inbound.query and "query" not in self.covers) or (of.body and "body" not in self.covers):
            raise ChannelRejected("a query or a body that the signature does not cover")
        return self._separator.join(make(of) for make in self._makers)


def _read(part: str) -> tuple[str, _Value]:
    found = _PART.fullmatch(part)
    if found is None or not (part.isascii() and part.isprintable()):
        raise ValueError(f"{part!r}: a part is printable ASCII with one {{name}} at most")
    before, name, after = found[1].encode(), found[2], (found[3] or "").encode()
    if name is None:
        return "", lambda _: before
    value = _value(name)
    return name, lambda of: before + value(of) + after


def _value(name: str) -> _Value:
    field = _FIELD.fullmatch(name)
    if field is not None:
        return lambda of: _field(of.inbound, field[1])
    if name not in VALUES:
        raise ValueError(f"there is no {{{name}}}; there are {', '.join([*VALUES, 'field:NAME'])}")
    return VALUES[name]


def _field(inbound: Inbound, name: str) -> bytes:
    value = inbound.fields.get(name.encode())
    if value is None:
        raise ChannelRejected(f"the signature covers {name}, which is not there")
    return value

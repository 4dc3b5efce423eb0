"""HTTP Message Signatures (RFC 9421) and Content-Digest (RFC 9530), read strictly: one signature, one way to write it.

What is missing from RFC 9421 is missing on purpose: parameters of components, several signatures, signed answers.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.errors import ChannelRejected
from gateway.model import Inbound
from gateway.signatures.forms import WireFormError, decode_base64

INPUT_FIELD = b"signature-input"
"""The header field that makes a request one with a message signature."""

_LABEL = rb"[a-z*][a-z0-9_.*-]*"
_TEXT = rb'"[ !#-\[\]-~]*"'  # a string of RFC 8941 without escapes
_FIELD_NAME = r"[a-z0-9!#$%&'*+.^_`|~-]+"
_NAME = rb'"@?' + _FIELD_NAME.encode() + rb'"'
_PARAMETER = re.compile(rb";(" + _LABEL + rb")=(?:([0-9]{1,15})|(" + _TEXT + rb"))")
_INPUT = re.compile(
    rb"(" + _LABEL + rb")=(\(((?:" + _NAME + rb"(?: " + _NAME + rb")*)?)\)((?:" + _PARAMETER.pattern + rb")*))"
)
_BYTES = re.compile(rb"(" + _LABEL + rb")=:([A-Za-z0-9+/]+={0,2}):")
_NUMBERS = frozenset({"created", "expires"})
_TEXTS = frozenset({"keyid", "nonce", "alg", "tag"})
_DIGESTS = {"sha-256": "sha256", "sha-512": "sha512"}


def _authority(inbound: Inbound) -> str:
    """RFC 9421 §2.2.3: lower case, without the scheme's own port."""
    usual = ":443" if inbound.scheme == "https" else ":80"
    return inbound.host.lower().removesuffix(usual)


def _target(inbound: Inbound) -> str:
    return f"{inbound.path}?{inbound.query}" if inbound.query else inbound.path


DERIVED: Mapping[str, Callable[[Inbound], str]] = {
    "@method": lambda inbound: inbound.method,
    "@authority": _authority,
    "@scheme": lambda inbound: inbound.scheme,
    "@path": lambda inbound: inbound.path,
    "@query": lambda inbound: f"?{inbound.query}",
    "@request-target": _target,
    "@target-uri": lambda inbound: f"{inbound.scheme}://{_authority(inbound)}{_target(inbound)}",
}
"""Components that are no header field (RFC 9421 §2.2)."""


class MessageSignature(NamedTuple):
    """A message signature as it arrived, nothing of it believed yet.

    Attributes:
        components: what it covers, in order.
        written: components and parameters as they are signed.
        numbers: `created`, `expires`: Unix seconds.
        texts: `keyid`, `nonce`, `alg`, `tag`.
        signature: the signature itself.
    """

    components: tuple[str, ...]
    written: bytes
    numbers: Mapping[str, int]
    texts: Mapping[str, str]
    signature: bytes


def read_message_signature(inbound: Inbound) -> MessageSignature:
    """Take the one signature out of `Signature-Input` and `Signature`.

    Raises:
        ChannelRejected: there is none, more than one, or it is not written as RFC 8941 §4.1 writes it.
    """
    said = _INPUT.fullmatch(inbound.fields.get(INPUT_FIELD, b""))
    signed = _BYTES.fullmatch(inbound.fields.get(b"signature", b""))
    if said is None or signed is None or said[1] != signed[1]:
        raise ChannelRejected("not one Signature-Input and its Signature")
    components = tuple(name.strip('"') for name in said[3].decode().split(" ")) if said[3] else ()
    if len(set(components)) != len(components) or not all(map(is_component, components)):
        raise ChannelRejected("a component twice, or one that is not supported")
    numbers, texts = _parameters(said[4])
    return MessageSignature(components, said[2], numbers, texts, _decoded(signed[2]))


def is_component(name: str) -> bool:
    """Tell whether a signature can cover this: a header field in lower case, or one of `DERIVED`."""
    return name in DERIVED or re.fullmatch(_FIELD_NAME, name) is not None


def signature_base(inbound: Inbound, signature: MessageSignature) -> bytes:
    """What the signature covers (RFC 9421 §2.5).

    Raises:
        ChannelRejected: a header field that it names is not in the request.
    """
    lines = [b'"%b": %b' % (name.encode(), _component(inbound, name)) for name in signature.components]
    return b"\n".join([*lines, b'"@signature-params": ' + signature.written])


def check_content_digest(field: bytes | None, body: bytes) -> None:
    """Hold the body against `Content-Digest` (RFC 9530 §2): one of SHA-256 and SHA-512 at least, and all of them right.

    Raises:
        ChannelRejected: it is not so.
    """
    checked = False
    for entry in (field or b"").split(b","):
        found = _BYTES.fullmatch(entry.strip(b" \t"))
        if found is None:
            raise ChannelRejected("Content-Digest is missing or not of its form")
        name = _DIGESTS.get(found[1].decode())
        if name is not None:
            checked = True
            if not hmac.compare_digest(hashlib.new(name, body).digest(), _decoded(found[2])):
                raise ChannelRejected("Content-Digest is of another body")
    if not checked:
        raise ChannelRejected("Content-Digest has neither sha-256 nor sha-512")


def _parameters(written: bytes) -> tuple[dict[str, int], dict[str, str]]:
    numbers: dict[str, int] = {}
    texts: dict[str, str] = {}
    for name, number, text in ((one[1].decode(), one[2], one[3]) for one in _PARAMETER.finditer(written)):
        if name in numbers or name in texts or name not in (_NUMBERS if number else _TEXTS):
            raise ChannelRejected("a parameter of the signature twice, unknown, or of another type")
        if number:
            numbers[name] = int(number)
        else:
            texts[name] = text[1:-1].decode()
    return numbers, texts


def _component(inbound: Inbound, name: str) -> bytes:
    if name in DERIVED:
        return DERIVED[name](inbound).encode()
    value = inbound.fields.get(name.encode())
    if value is None:
        raise ChannelRejected(f"the signature covers {name}, which is not there")
    return value.strip(b" \t")


def _decoded(text: bytes) -> bytes:
    try:
        return decode_base64(text)
    except WireFormError as error:
        raise ChannelRejected(str(error)) from None

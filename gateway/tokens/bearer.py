"""How a person's token travels in a request: as a bearer token (RFC 6750) or, marked, as the id of a web session.

Channels read it here, so that every channel reads it alike; verifiers tell by its grammar whether it is theirs.
"""

import string

from gateway.errors import CredentialRejected
from gateway.model import Inbound

LONGEST_TOKEN = 8192
"""Characters of a token at most."""

SESSION_MARK = "session:"
"""Put before a session's id to make it a token. The colon is in no bearer token, so no client can send one as such."""

_CHARACTERS = f"{string.ascii_letters}{string.digits}._~+/-*@".encode()
"""Of a b64token (RFC 6750 §2.1), and the two more that provincial platforms put into theirs: `AQIC5w…*@node1`."""
_ODD = b"\1"
_ODD_ONES = bytes(byte not in _CHARACTERS for byte in range(256))
"""A table for `bytes.translate`: what is no character of a token becomes `_ODD`. The fastest way there is to look."""


def is_bearer_token(token: str) -> bool:
    """Tell whether this has the form of a bearer token, and so is no session and nothing that breaks a request."""
    return len(token) <= LONGEST_TOKEN and token.isascii() and _is_b64token(token.encode())


def read_bearer(inbound: Inbound) -> str | None:
    """The token of `Authorization: Bearer`; None when the request has no `Authorization` at all.

    Raises:
        CredentialRejected: there is one, and it is another scheme, no token, or longer than `LONGEST_TOKEN`.
    """
    value = inbound.fields.get(b"authorization")
    if value is None:
        return None
    scheme, _, token = value.partition(b" ")
    token = token.lstrip(b" ")
    if scheme.lower() != b"bearer" or not _is_b64token(token):
        raise CredentialRejected("Authorization is not one bearer token")
    if len(token) > LONGEST_TOKEN:
        raise CredentialRejected(f"bearer token of {len(token)} characters")
    return token.decode("ascii")


def _is_b64token(token: bytes) -> bool:
    """Characters, at least one, and any number of `=` behind them."""
    bare = token.rstrip(b"=")
    return bool(bare) and _ODD not in bare.translate(_ODD_ONES)


def cookie_values(line: bytes, name: bytes) -> list[bytes]:
    """Values of the cookies of this very name in a `Cookie` field (RFC 6265 §4.2.1).

    Read on bytes, because text functions strip more than a browser does: it would let a subdomain set such a cookie.
    """
    pairs = (pair.strip(b" \t").partition(b"=") for pair in line.split(b";"))
    return [content.strip(b" \t") for given, _, content in pairs if given.rstrip(b" \t") == name]

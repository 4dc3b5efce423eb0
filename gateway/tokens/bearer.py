"""How a person's token travels in a request: as a bearer token (RFC 6750) or, marked, as the id of a web session.

Channels read it here, so that every channel reads it alike; verifiers tell by its grammar whether it is theirs.
"""

import re

from gateway.errors import CredentialRejected
from gateway.model import Inbound

LONGEST_TOKEN = 8192
"""Characters of a token at most."""

SESSION_MARK = "session:"
"""Put before a session's id to make it a token. The colon is in no bearer token, so no client can send one as such."""

# RFC 6750 §2.1 b64token, and the two characters more that provincial platforms put into theirs: `AQIC5w…*@node1`.
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/*@-]+=*)")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/*@-]+=*")


def is_bearer_token(token: str) -> bool:
    """Tell whether this has the form of a bearer token, and so is no session and nothing that breaks a request."""
    return len(token) <= LONGEST_TOKEN and _TOKEN.fullmatch(token) is not None


def read_bearer(inbound: Inbound) -> str | None:
    """The token of `Authorization: Bearer`; None when the request has no `Authorization` at all.

    Raises:
        CredentialRejected: there is one, and it is another scheme, no token, or longer than `LONGEST_TOKEN`.
    """
    value = inbound.fields.get(b"authorization")
    if value is None:
        return None
    found = _BEARER.fullmatch(value)
    if found is None:
        raise CredentialRejected("Authorization is not one bearer token")
    if len(found[1]) > LONGEST_TOKEN:
        raise CredentialRejected(f"bearer token of {len(found[1])} characters")
    return found[1].decode("ascii")


def cookie_values(line: bytes, name: bytes) -> list[bytes]:
    """Values of the cookies of this very name in a `Cookie` field (RFC 6265 §4.2.1).

    Read on bytes, because text functions strip more than a browser does: it would let a subdomain set such a cookie.
    """
    pairs = (pair.strip(b" \t").partition(b"=") for pair in line.split(b";"))
    return [content.strip(b" \t") for given, _, content in pairs if given.rstrip(b" \t") == name]

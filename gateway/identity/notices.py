"""Notices that somebody has signed out elsewhere (统一登出), in three forms, read into one: whose, and what ends.

OIDC Back-Channel Logout 1.0, the form of CAS Single Logout, and JSON in a signed request. Whoever takes one ends the
sessions and withdraws what was given out; desk/peers.py is where they arrive.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

import msgspec

from gateway.errors import SignInMalformed
from gateway.tokens.claims import MalformedClaimsError, read_number, read_text

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_TYPES = frozenset({"logout+jwt", "jwt", ""})
"""Values of `typ` that a logout token may have; `logout+jwt` is recommended, none was usual (§2.4)."""

LONGEST_NOTICE = 16 << 10
"""Bytes of the body of a notice."""

_AGE = 600.0
"""Seconds that a logout token may be old, and its `exp` ahead."""
REMEMBERED = 2 * _AGE
"""Seconds for which its `jti` is remembered: longer than it can hold."""
CLOCKS = 60.0
"""Seconds that a sender's clock may be from ours, and nothing is missed."""
_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_SESSION_INDEX = f"{_PROTOCOL} SessionIndex"
_LOGOUT_REQUEST = f"{_PROTOCOL} LogoutRequest"
_LONGEST_TICKET = 256


class Notice(msgspec.Struct, frozen=True):
    """What has ended, of one issuer.

    Attributes:
        issuer: whose sessions and subjects these are.
        session: the province's session (`sid`).
        subject: everything that this person or unit was given until `at`.
        token_id: one token (`jti`).
        ticket: the login that was made with this ticket.
        at: Unix seconds; for the subject alone, the rest has ended whenever it began.
    """

    issuer: str
    at: float
    session: str | None = None
    subject: str | None = None
    token_id: str | None = None
    ticket: str | None = None


def read_logout_token(claims: Mapping[str, Any], issuer: str, now: float) -> tuple[Notice, bytes]:
    """Read the claims of a logout token whose signature, issuer and audience hold (OIDC Back-Channel Logout §2.6).

    Args:
        claims: of the token.
        issuer: of the platform that signed it.
        now: Unix seconds.

    Returns:
        What has ended, and the key under which its use (`jti`) is noted for `REMEMBERED` seconds, once it has.

    Raises:
        SignInMalformed: a claim is missing, or there that must not be; or it is too old.
    """
    try:
        issued, expires = read_number(claims, "iat"), read_number(claims, "exp")
        token_id, session, subject = (read_text(claims, name) for name in ("jti", "sid", "sub"))
    except MalformedClaimsError as error:
        raise SignInMalformed(f"logout token: {error}") from None
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
        raise SignInMalformed("logout token: `events` holds no logout")
    if "nonce" in claims:
        raise SignInMalformed("logout token: has a nonce, so it may be an ID token")
    if issued is None or expires is None or token_id is None or (session is None and subject is None):
        raise SignInMalformed("logout token: iat, exp, jti, or both sid and sub are missing")
    if not now - _AGE <= issued or expires > now + _AGE:
        raise SignInMalformed("logout token: too old, or holds for too long")
    use = hashlib.sha256(f"logout\n{issuer}\n{token_id}".encode()).digest()
    at = _until(issued, now)
    if session is not None:  # of this person, this one session; others of hers go on (§2.4)
        return Notice(issuer, at, session=session), use
    return Notice(issuer, at, subject=subject), use


def read_cas_request(document: str, issuer: str, now: float) -> Notice:
    """Read a `logoutRequest` (CAS protocol 3.0 §2.3.3): the ticket is in its one SessionIndex.

    Args:
        document: the XML.
        issuer: of the platform that sends it.
        now: Unix seconds.

    Raises:
        SignInMalformed: it is no such request, or has a document type, which could hide another one.
    """
    reader = _LogoutRequest()
    try:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = reader.refuse
        parser.StartElementHandler = reader.begin
        parser.EndElementHandler = reader.end
        parser.CharacterDataHandler = reader.read
        parser.Parse(document, True)
    except expat.ExpatError:
        raise SignInMalformed("logoutRequest is no XML") from None
    tickets = [ticket.strip() for ticket in reader.tickets]
    if not reader.is_logout or len(tickets) != 1 or not 0 < len(tickets[0]) <= _LONGEST_TICKET:
        raise SignInMalformed("logoutRequest holds no LogoutRequest with one SessionIndex")
    return Notice(issuer, now, ticket=tickets[0])


class _LogoutRequest:
    """What expat finds on its way through the document."""

    def __init__(self) -> None:
        self.is_logout = False
        self.tickets: list[str] = []
        self._depth = 0
        self._inside = False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.is_logout = name == _LOGOUT_REQUEST
        self._inside = self._depth == 2 and name == _SESSION_INDEX
        if self._inside:
            self.tickets.append("")

    def end(self, name: str) -> None:
        self._depth -= 1
        self._inside = False

    def read(self, text: str) -> None:
        if self._inside:
            self.tickets[-1] += text

    def refuse(self, *_: object) -> None:
        raise SignInMalformed("logoutRequest has a document type")


class SignedNotice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A notice in JSON, as the body of a request that its sender signed.

    Attributes:
        event: what happened: somebody signed out.
        issued_at: Unix seconds.
        sid: the province's session.
        sub: the person or unit; everything given to it until `issued_at` ends.
        jti: one token.
    """

    event: str
    issued_at: float
    sid: str | None = None
    sub: str | None = None
    jti: str | None = None


_decode = msgspec.json.Decoder(SignedNotice).decode


def read_signed_notice(body: bytes, issuer: str, now: float) -> Notice:
    """Read a JSON notice whose request's signature holds; that also says that it is new.

    Args:
        body: of the request.
        issuer: whose subjects and sessions the signer may end.
        now: Unix seconds.

    Raises:
        SignInMalformed: it is no such notice, or names nothing that ends.
    """
    try:
        told = _decode(body)
        texts = {name: value for name in ("sid", "sub", "jti") if (value := getattr(told, name)) is not None}
        for name in texts:
            read_text(texts, name)
    except (msgspec.DecodeError, UnicodeDecodeError, MalformedClaimsError) as error:
        raise SignInMalformed(f"notice: {error}") from None
    if told.event != "logout" or not texts or not 0 < told.issued_at <= now + _AGE:
        raise SignInMalformed("notice: not of a logout, names nothing, or is dated in the future")
    return Notice(issuer, _until(told.issued_at, now), told.sid, told.sub, told.jti)


def _until(told: float, now: float) -> float:
    """Up to when a notice of this time ends what a subject was given.

    Sessions have times of our clock. The sender's may be behind it, and tell whole seconds: what began up to CLOCKS
    later ends as well. It may be ahead, as are the times in its tokens: then its own word counts, for CLOCKS at most.
    """
    return min(now, told + CLOCKS) if told <= now else min(told, now + CLOCKS)

"""The nouns of the request path: what arrives, who sends it, what was decided, what goes inward, what comes back.

Values are frozen msgspec structs, because each request makes several of them (docs/decisions/003-values.md). Secrets
stay out of `repr`. contracts.py says which part makes which of them.
"""

from collections.abc import AsyncIterator, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

Field = tuple[bytes, bytes]
"""One header field: name in lower case, value as it is on the wire."""


class Stage(StrEnum):
    """The steps of the path, in order; an exchange ends in exactly one of them."""

    __hash__ = str.__hash__  # of an enum it is Python code, and stages are keys on the request path

    READ = "read"
    MATCH = "match"
    IDENTIFY = "identify"
    THROTTLE = "throttle"
    VERIFY = "verify"
    REAUTHORIZE = "reauthorize"
    FORWARD = "forward"
    RELAY = "relay"


class Kind(StrEnum):
    """Kinds of person an item can be meant for; `anyone` needs no sign-in."""

    __hash__ = str.__hash__

    ANYONE = "anyone"
    NATURAL = "natural"
    LEGAL = "legal"


class Body(Protocol):
    """A request body that has not been read yet.

    Attributes:
        length: bytes announced by Content-Length; None when chunked; 0 when there is none.
    """

    length: int | None

    async def whole(self) -> bytes:
        """Read all of it, within the item's size limit and the body deadline; again and again if asked.

        Raises:
            BodyTooLarge, RequestTimeout, ClientGone.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Hand out the pieces as they arrive, under the same limits. Once."""
        ...


class NoBody:
    """The body of a request that has none."""

    length: int | None = 0

    async def whole(self) -> bytes:
        """Nothing, at once."""
        return b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """No piece at all."""
        nothing: tuple[bytes, ...] = ()
        for piece in nothing:
            yield piece


NO_BODY = NoBody()


class HeldBody:
    """A body that is there already, such as one that a channel had to decrypt.

    Args:
        data: all of it.
    """

    def __init__(self, data: bytes) -> None:
        self.length: int | None = len(data)
        self._data = data

    async def whole(self) -> bytes:
        """All of it, at once."""
        return self._data

    async def chunks(self) -> AsyncIterator[bytes]:
        """One piece."""
        yield self._data


class Inbound(msgspec.Struct, frozen=True):
    """One well-formed request, as read from the wire and before anybody was asked about it.

    Attributes:
        id: request id of this gateway, 32 hex digits; also the trace id (W3C Trace Context).
        method: one of the methods of `gateway.inbound.METHODS`.
        path: the target's path, exactly the bytes that arrived; these are matched, recorded and forwarded.
        query: the target's query without `?`, exactly as it arrived; empty when there is none.
        fields: header fields by lower-case name; repeated list fields are joined with a comma (RFC 9110 §5.3).
        client: the client's address: the peer, or what a trusted proxy said.
        host: the value of Host, one of the configured hosts.
        scheme: how the public reaches this host: from configuration, never from the request.
        body: see Body.
        upgrade: "websocket" when the client asks for one (RFC 6455 §4.1), else None.
        certificate: SHA-256 of the DER of the client's certificate, 64 hex digits in lower case, as a trusted proxy
            checked it; None when there was none, and when the peer is no trusted proxy.
    """

    id: str
    method: str
    path: str
    query: str
    fields: Mapping[bytes, bytes]
    client: str
    host: str
    scheme: str
    body: Body = NO_BODY
    upgrade: str | None = None
    certificate: str | None = None

    def field(self, name: str) -> str | None:
        """Value of a header field as text (ISO 8859-1, so that no byte is lost); None when absent."""
        value = self.fields.get(name.lower().encode())
        return None if value is None else value.decode("latin-1")


class Credential(msgspec.Struct, frozen=True):
    """What a channel took out of a request for the verifiers.

    Attributes:
        channel: name of the channel that recognised the request.
        token: the person's token; None when the request carries none.
        client: id of the calling program (for example an access key); None where the channel knows none.
        body: the request's body in the clear, where the channel had to decrypt it; None leaves the body as it came.
        answer: what the channel itself answers, when the request is meant for it alone (a platform that tries our
            address out): plain text, and nothing is forwarded. None for every other request.
        owner: issuer and subject of the only person whose token may come along: whose device signed. The token's
            person has to be that one, or act for the token's unit. None where anybody's token may come.
    """

    channel: str
    token: str | None = None
    client: str | None = None
    body: Body | None = None
    answer: str | None = None
    owner: tuple[str, str] | None = None

    def __repr__(self) -> str:
        held = "no token" if self.token is None else f"token of {len(self.token)} characters"
        return f"Credential(channel={self.channel!r}, client={self.client!r}, {held})"


class Principal(msgspec.Struct, frozen=True):
    """Who sends the request, according to one verifier.

    Attributes:
        issuer: whose word this is, exactly as configured for the verifier.
        subject: the issuer's id of the person or unit.
        kind: natural or legal person.
        operator: the natural person acting for a legal person (经办人, RFC 8693 `act.sub`); None for natural persons.
        assurance: 0 none, 1 self-asserted, 2 two-factor data check, 3 live person, 4 certificate or on site.
        expires_at: Unix seconds after which this no longer holds.
        issued_at: Unix seconds of the token's issue; 0.0 when the issuer does not say.
        authenticated_at: Unix seconds of the login itself; None when the issuer does not say.
        session: the issuer's session (`sid`); None when it has none.
        token_id: the issuer's id of this token (`jti`); None when it has none.
        verifier: name of the verifier that said so.
        version: counts changes of the person's profile at the issuer; 0 when the issuer does not say. What was
            remembered of an older version no longer holds.
        level: the issuer's own word for the assurance, as it came; None when it said nothing.
        device: id of the designated computer whose passkey this session has shown; None when it showed none.
    """

    issuer: str
    subject: str
    kind: Kind
    assurance: int
    expires_at: float
    operator: str | None = None
    issued_at: float = 0.0
    authenticated_at: float | None = None
    session: str | None = None
    token_id: str | None = None
    verifier: str = ""
    version: int = 0
    level: str | None = None
    device: str | None = None


class Item(msgspec.Struct, frozen=True):
    """A service item of the catalogue (事项), as far as a plugin needs to know it.

    Attributes:
        code: its code in the catalogue (10, 12, 31, 33 or 43 characters in the field, any in a test).
        name: its name as published.
        category: what statistics count by.
        audience: whom it is meant for.
        assurance: the least assurance it asks for.
        system: name of the business system behind it.
    """

    code: str
    name: str
    category: str
    audience: frozenset[Kind]
    assurance: int
    system: str

    @property
    def public(self) -> bool:
        """True when nobody has to sign in."""
        return Kind.ANYONE in self.audience


class Visit(msgspec.Struct, frozen=True):
    """One request for one item: what a re-authorizer decides about and a forwarder carries.

    Attributes:
        inbound: the request.
        item: what it asks for.
        route: id of the item's operation; the gatekeeper's inner unit knows it by this name.
        template: the operation's path template, safe as a metric label.
        params: values of the template's parameters, percent-encoding kept.
        channel: name of the channel it came through.
        at: Unix seconds when it arrived.
    """

    inbound: Inbound
    item: Item
    route: str
    template: str
    params: Mapping[str, str]
    channel: str
    at: float


class Allow(msgspec.Struct, frozen=True):
    """This re-authorizer has no objection.

    Attributes:
        inject: header fields that go inward with the request, for example a bound local account.
    """

    inject: tuple[Field, ...] = ()


class Deny(msgspec.Struct, frozen=True):
    """No, and no stronger login would help.

    Attributes:
        code: stable code of the answer, for example `operator-not-authorized`.
        title: what the person is told, Chinese first, then English; who can change it belongs here.
        detail: why, for the record only.
        conflict: True answers 409 (something must be done first) instead of 403.
    """

    code: str
    title: tuple[str, str]
    detail: str = ""
    conflict: bool = False


class StepUp(msgspec.Struct, frozen=True):
    """Not like this, but a stronger or fresher login would do (RFC 9470).

    Attributes:
        acr_values: what the login has to reach, as the issuer names it.
        max_age: seconds the login may be old; None when its age does not matter.
        detail: why, for the record only.
        title: what the person is told, Chinese first, then English; None says that a stronger login is needed.
    """

    acr_values: str
    max_age: int | None = None
    detail: str = ""
    title: tuple[str, str] | None = None


Decision = Allow | Deny | StepUp

ALLOW = Allow()


class Account(Protocol):
    """The running account of a request, as far as the gateway's own desk adds to it (exchange.py).

    Attributes:
        principal: whom the record names; None while nobody is known.
    """

    principal: Principal | None

    def note(self, part: str, verdict: str) -> None:
        """Remember what a part said."""
        ...


class Outbound(msgspec.Struct, frozen=True):
    """One request on its way to a business system. Its fields began empty: nothing is in them by accident.

    Attributes:
        visit: what is carried, with the bytes that were matched.
        principal: for whom; None for items that anyone may use.
        fields: allow-listed client fields first, then the gateway's own.
        body: the request's body.
        timeout: seconds left for the whole answer's head to arrive.
        upgrade: "websocket" when the client asks for one and the item lets it through, else None.
        account: where the gateway's own desk notes what it found out; None for business systems.
    """

    visit: Visit
    principal: Principal | None
    fields: list[Field]
    body: Body
    timeout: float
    upgrade: str | None = None
    account: Account | None = None


class Tunnel(Protocol):
    """A connection to a system that has switched protocols (RFC 9110 §7.8): bytes both ways until either side ends."""

    async def read(self) -> bytes:
        """The next bytes; empty at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes; returns when the other side keeps up again."""
        ...

    def close(self) -> None:
        """End it, once what was written has left. Harmless when it has ended."""
        ...


class Reply(Protocol):
    """A business system's answer. Its fields are already free of hop-by-hop and reserved names."""

    @property
    def status(self) -> int:
        """200..599, or 101 together with a tunnel."""
        ...

    @property
    def fields(self) -> list[Field]:
        """Header fields for the client, without framing."""
        ...

    @property
    def whole(self) -> bytes | None:
        """The complete body when it has arrived already; None when it is still coming."""
        ...

    @property
    def length(self) -> int | None:
        """Body length in bytes when known, None when not."""
        ...

    @property
    def tunnel(self) -> Tunnel | None:
        """Set when the system switched protocols, else None."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's pieces as they arrive, with back-pressure. Once, and only when `whole` is None.

        Raises:
            Undelivered: the system broke off; what was sent so far must not look complete.
        """
        ...

"""A channel by configuration: bank clients, kiosks, SMS and telephone systems, other platforms, each signing its way.

`scheme` tells what is signed and where the signature stands, `callers` who may sign. docs/channels.md describes both.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator

from gateway import (
    DERIVED,
    INPUT_FIELD,
    KEY_ID,
    NONCE,
    CannotDecide,
    Channel,
    ChannelRejected,
    ClockSkew,
    Credential,
    CryptoError,
    Duration,
    Freshness,
    Inbound,
    MessageSignature,
    Network,
    PartContext,
    RepeatedParameterError,
    Said,
    Settings,
    Signable,
    SignatureAlgorithm,
    SignatureKey,
    Template,
    WireFormError,
    check_content_digest,
    check_signature_key,
    decode_base64,
    is_component,
    lies_in,
    read_bearer,
    read_message_signature,
    read_shaped,
    read_signature_key,
    signature_base,
    sort_query,
)

SHORTEST_SECRET = 16
"""Bytes of a shared secret."""

FieldName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
_TIMESTAMP = {"seconds": re.compile(rb"[0-9]{10}"), "milliseconds": re.compile(rb"[0-9]{13}")}
_SIGNATURE = {
    "hex": re.compile(rb"(?:[0-9a-f]{2}){16,1024}|(?:[0-9A-F]{2}){16,1024}"),
    "base64": re.compile(rb"[A-Za-z0-9+/]{22,1368}={0,2}"),
    "base64url": re.compile(rb"[A-Za-z0-9_-]{22,1368}"),
}
_REGISTERED = {
    "hmac-sha256": "hmac-sha256",
    "rsa-sha256": "rsa-v1_5-sha256",
    "ecdsa-p256": "ecdsa-p256-sha256",
    "ed25519": "ed25519",
}
"""What RFC 9421 §6.2.2 calls our algorithms; it has no name for the national ones."""


class Caller(Settings):
    """Somebody who signs. The algorithm is fixed here; nothing in a request can choose another."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="its key id")
    algorithm: SignatureAlgorithm = Field(description="of this key, always")
    key: SecretStr = Field(
        description="shared secret, 16 bytes at least, or public key (PEM; of SM2 also 130 hex digits), by reference"
    )
    user_id: str = Field("1234567812345678", min_length=1, description="sm2: the signer's identity")
    der: bool = Field(False, description="ecdsa-p256, sm2: signatures come as DER, not as r and s of 32 bytes each")
    enabled: bool = Field(True, description="false refuses the caller without forgetting it")
    not_before: AwareDatetime | None = Field(None, description="the key holds from then on")
    not_after: AwareDatetime | None = Field(None, description="the key holds until then")
    networks: tuple[Network, ...] = Field((), description="addresses it calls from; any when empty")

    @model_validator(mode="after")
    def _has_a_good_key(self) -> Self:
        key = self.key.get_secret_value()
        check_signature_key(self.algorithm, key)
        if self.algorithm.startswith("hmac-") and len(key.encode()) < SHORTEST_SECRET:
            raise ValueError(f"a shared secret of fewer than {SHORTEST_SECRET} bytes can be guessed")
        return self

    def is_in_force(self, now: datetime) -> bool:
        """Tell whether the key holds now."""
        begun = self.not_before is None or now >= self.not_before
        return self.enabled and begun and (self.not_after is None or now < self.not_after)

    def may_call_from(self, client: str) -> bool:
        """Tell whether it may call from this address: an IP address, or what a Unix socket's peer is called."""
        return not self.networks or lies_in(client, self.networks)


class FieldNames(Settings):
    """Names of header fields, in lower case."""

    key_id: FieldName = Field("x-key-id", description="whose key; its presence makes the request this channel's")
    timestamp: FieldName = Field("x-timestamp", description="when it was signed")
    nonce: FieldName | None = Field("x-nonce", description="never the same twice; null where callers have none")
    signature: FieldName = Field("x-signature", description="the signature")


class TemplateScheme(Settings):
    """A text made of parts of the request is signed."""

    kind: Literal["template"] = Field(description="a text made of parts of the request")
    fields: FieldNames = Field(FieldNames(), description="where the pieces stand")
    timestamp: Literal["seconds", "milliseconds"] = Field("seconds", description="Unix time in 10 or in 13 digits")
    encoding: Literal["hex", "base64", "base64url"] = Field("hex", description="of the signature")
    parts: tuple[str, ...] = Field(
        ("{method}", "{path}", "{query}", "{body-sha256}", "{timestamp}", "{nonce}", "{key-id}"),
        description="what is signed, in order; each a text with one {name} at most",
    )
    separator: str = Field("\n", max_length=4, description="between the parts")
    unsafe_separator: bool = Field(False, description="allow a separator without a line feed")
    unsafe_uncovered: tuple[Literal["method", "path", "nonce"], ...] = Field(
        (), description="what need not be signed, although somebody on the way could then change it"
    )

    @model_validator(mode="after")
    def _covers_what_matters(self) -> Self:
        covers = Template(self.parts, self.separator).covers
        if "timestamp" not in covers:
            raise ValueError("parts: without {timestamp} a request could be repeated for ever, with a new time")
        for name in ("method", "path", "nonce"):
            if name in covers and name in self.unsafe_uncovered:
                raise ValueError(f"unsafe_uncovered: {name} is covered")
            if name not in covers and name not in self.unsafe_uncovered:
                raise ValueError(f"parts: without {{{name}}} anybody on the way could change it (unsafe_uncovered)")
        if ("nonce" in covers) != (self.fields.nonce is not None):
            raise ValueError("fields.nonce and the part {nonce} belong together; write null where callers have none")
        if "\n" not in self.separator and not self.unsafe_separator:
            raise ValueError("separator: one that can stand in a part lets two requests have one signature; use \\n")
        return self


class MessageScheme(Settings):
    """HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530)."""

    kind: Literal["rfc9421"] = Field(description="HTTP Message Signatures")
    components: tuple[str, ...] = Field(
        ("@authority",), description="always covered, besides method and path, and query and body where there are any"
    )

    @field_validator("components")
    @classmethod
    def _are_components(cls, components: tuple[str, ...]) -> tuple[str, ...]:
        for one in components:
            if not is_component(one):
                raise ValueError(f"{one!r} cannot be covered: a header field in lower case, or {', '.join(DERIVED)}")
        return components


class SignedConfig(Settings):
    """How requests are signed, and by whom."""

    scheme: TemplateScheme | MessageScheme = Field(discriminator="kind", description="what is signed")
    callers: tuple[Caller, ...] = Field(min_length=1, description="who may sign; each id once")
    window: Duration = Field(
        300.0, gt=0, le=3600, description="how far the signed time may be from our clock, either way"
    )

    @field_validator("callers")
    @classmethod
    def _are_distinct(cls, callers: tuple[Caller, ...]) -> tuple[Caller, ...]:
        if len({caller.id for caller in callers}) != len(callers):
            raise ValueError("two callers have the same id")
        return callers


class Claim(NamedTuple):
    """What a request says about its signature, in its form and not believed.

    Attributes:
        said: key id, timestamp and nonce as they are written.
        signed_at: Unix seconds.
        signature: decoded.
        message: with RFC 9421: what else it says.
    """

    said: Said
    signed_at: float
    signature: bytes
    message: MessageSignature | None = None


class Signed(Channel[SignedConfig]):
    """Checks the signature over the whole request before anything of it is believed.

    Attributes:
        clock_offsets: by caller, seconds by which its clock was ahead of ours in its last good request.
    """

    Config = SignedConfig
    shares_state = True

    def __init__(self, config: SignedConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.clock_offsets: dict[str, float] = {}
        self._freshness = Freshness(context, config.window)
        self._callers = {caller.id: (caller, self._key_of(caller)) for caller in config.callers}
        scheme = config.scheme
        self._scheme = _Template(scheme) if isinstance(scheme, TemplateScheme) else _Message(scheme)

    def _key_of(self, caller: Caller) -> SignatureKey:
        text, user_id = caller.key.get_secret_value(), caller.user_id.encode()
        return read_signature_key(caller.algorithm, text, self.context.crypto, user_id=user_id, der=caller.der)

    def status(self) -> dict[str, Any]:
        """How far each caller's clock is ahead."""
        return {"clock_offsets": self.clock_offsets} if self.clock_offsets else {}

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check shape, caller, time, signature and first use, in this order.

        Raises:
            ChannelRejected: the signature, or what it needs, is missing or wrong; the caller is not known or not now.
            ClockSkew: signed too long ago, in the future, expired, or before it is remembered what was used.
            Replayed: this very request, or its nonce, was here before.
            CredentialRejected: the signature holds, and `Authorization` is no bearer token.
            CannotDecide: nobody can say whether it was here before, or SM2 and SM3 are out of order.
        """
        if self._scheme.mark not in inbound.fields:
            return None
        claim = self._scheme.read(inbound)
        try:
            return await self._check(inbound, claim)
        except ChannelRejected as error:
            error.client = claim.said.key_id.decode()
            raise

    async def _check(self, inbound: Inbound, claim: Claim) -> Credential:
        caller, key = self._caller(claim, inbound.client)
        offset = self._freshness.check_time(claim.signed_at)
        text = await self._signed_text(inbound, claim, caller)
        mark = await key.verify(text, claim.signature)
        if mark is None:
            raise ChannelRejected(f"signature of {caller.id}")
        marks = (mark, claim.said.nonce) if claim.said.nonce else (mark,)
        await self._freshness.check_first_use(caller.id, claim.signed_at, *marks)
        self.clock_offsets[caller.id] = offset
        return Credential(self.name, read_bearer(inbound), caller.id)

    def _caller(self, claim: Claim, client: str) -> tuple[Caller, SignatureKey]:
        """Said before the body is read: nobody without a key shall make us hold it. Key ids are no secret."""
        caller, key = self._callers.get(claim.said.key_id.decode(), (None, None))
        if caller is None or key is None:
            raise ChannelRejected("unknown caller")
        if not caller.is_in_force(datetime.fromtimestamp(self.context.clock()).astimezone()):
            raise ChannelRejected(f"the key of {caller.id} is not in force")
        if not caller.may_call_from(client):
            raise ChannelRejected(f"{caller.id} calls from an address that is not its own")
        if claim.message is not None:
            self._check_parameters(claim.message, caller)
        return caller, key

    def _check_parameters(self, message: MessageSignature, caller: Caller) -> None:
        if message.texts.get("alg", _REGISTERED.get(caller.algorithm)) != _REGISTERED.get(caller.algorithm):
            raise ChannelRejected(f"alg is not the algorithm of {caller.id}")
        if message.numbers.get("expires", float("inf")) < self.context.clock():
            raise ClockSkew("the signature has expired")

    async def _signed_text(self, inbound: Inbound, claim: Claim, caller: Caller) -> bytes:
        try:
            query = sort_query(inbound.query)
            body = await inbound.body.whole()
            return self._scheme.text(Signable(inbound, query, body, claim.said, self.context.crypto), claim)
        except RepeatedParameterError as error:
            raise ChannelRejected(str(error)) from error
        except CryptoError as error:
            raise CannotDecide(f"{caller.id}: {error}") from error


# ── the schemes: where the pieces stand, and what is signed ───────────────────────────────────────────────────────


class _Template:
    def __init__(self, settings: TemplateScheme) -> None:
        self.mark = settings.fields.key_id.encode()
        self._settings = settings
        self._template = Template(settings.parts, settings.separator)

    def read(self, inbound: Inbound) -> Claim:
        fields, encoding = self._settings.fields, self._settings.encoding
        key_id = read_shaped(inbound.fields, fields.key_id.encode(), KEY_ID)
        timestamp = read_shaped(inbound.fields, fields.timestamp.encode(), _TIMESTAMP[self._settings.timestamp])
        nonce = b"" if fields.nonce is None else read_shaped(inbound.fields, fields.nonce.encode(), NONCE)
        signature = read_shaped(inbound.fields, fields.signature.encode(), _SIGNATURE[encoding])
        signed_at = int(timestamp) / (1 if self._settings.timestamp == "seconds" else 1000)
        return Claim(Said(key_id, timestamp, nonce), signed_at, _decoded(signature, encoding))

    def text(self, of: Signable, _: Claim) -> bytes:
        return self._template.text(of)


class _Message:
    def __init__(self, settings: MessageScheme) -> None:
        self.mark = INPUT_FIELD
        self._needed = frozenset(settings.components)

    def read(self, inbound: Inbound) -> Claim:
        message = read_message_signature(inbound)
        key_id, nonce = (message.texts.get(name, "").encode() for name in ("keyid", "nonce"))
        if KEY_ID.fullmatch(key_id) is None or NONCE.fullmatch(nonce) is None or "created" not in message.numbers:
            raise ChannelRejected("keyid, nonce or created is missing or not of its form")
        created = message.numbers["created"]
        return Claim(Said(key_id, b"%d" % created, nonce), created, message.signature, message)

    def text(self, of: Signable, claim: Claim) -> bytes:
        message = claim.message
        if message is None:
            raise ChannelRejected("no message signature")
        _check_coverage(frozenset(message.components), self._needed, of)
        if of.body or "content-digest" in message.components:
            check_content_digest(of.inbound.fields.get(b"content-digest"), of.body)
        return signature_base(of.inbound, message)


def _check_coverage(covered: frozenset[str], needed: frozenset[str], of: Signable) -> None:
    """Whatever the request has must be signed: method and path always, query and body where there are any."""
    target = covered & {"@request-target", "@target-uri"}
    missing = needed - covered
    if missing or "@method" not in covered or not (target or "@path" in covered):
        raise ChannelRejected(f"not covered: {', '.join(sorted(missing)) or 'method or path'}")
    if of.query and not (target or "@query" in covered):
        raise ChannelRejected("not covered: the query")
    if of.body and "content-digest" not in covered:
        raise ChannelRejected("not covered: the body")


def _decoded(signature: bytes, encoding: str) -> bytes:
    if encoding == "hex":
        return bytes.fromhex(signature.decode())
    try:
        if encoding == "base64":
            return decode_base64(signature)
        raw = urlsafe_b64decode(signature + b"=" * (-len(signature) % 4))
    except (WireFormError, ValueError):
        raise ChannelRejected("the signature is not in its encoding") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != signature:
        raise ChannelRejected("the signature has stray bits")
    return raw

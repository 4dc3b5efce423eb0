"""Behind a TIF (or RIO) gateway: checks the `x-tif-*` fields in which it hands on who calls, and takes its word for it.

The signature covers the person and the time, but neither method, path, query nor body: docs/platforms.md says what
follows. guangdong.py is the login that these people come from.
"""

import base64
import hashlib
import hmac
import re
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec
from pydantic import Field, SecretStr

from gateway import (
    NONCE,
    Channel,
    ChannelRejected,
    Credential,
    CredentialRejected,
    Duration,
    Freshness,
    Inbound,
    JoseError,
    Kind,
    Level,
    PartContext,
    Person,
    Principal,
    Settings,
    Verifier,
    as_text,
    decode_base64url,
    identifier,
    read_json,
    read_shaped,
    read_version,
)

TIF_MARK = "tif:"
"""Put before a vouched identity to make it a token. The colon is in no bearer token, so no client can send one."""

_TIMESTAMP = re.compile(rb"[0-9]{10}")
_SIGNATURE = re.compile(rb"[0-9A-F]{64}")
# Commas part uid, uinfo and ext. Where neither the first nor the last holds one, the text can be read in one way only.
_VOUCHED = {
    b"x-tif-uid": re.compile(rb"[!-+\--~]{0,128}"),
    b"x-tif-uinfo": re.compile(rb"[ -~\x80-\xff]{0,8192}"),
    b"x-tif-ext": re.compile(rb"[ -+\--~]{0,2048}"),
}


class TifChannelConfig(Settings):
    """What the gateway in front signs with, and how late that may arrive."""

    paas_id: str | None = Field(None, min_length=1, description="what `x-tif-paasid` must be, where it is sent")
    token: SecretStr = Field(min_length=16, description="the `paasToken` shared with the gateway, by reference")
    window: Duration = Field(
        90.0, gt=0, le=300, description="how far x-tif-timestamp may be from our clock, either way"
    )


class TifChannel(Channel[TifChannelConfig]):
    """Recognises requests with `x-tif-signature` and checks it before anything else is believed.

    Attributes:
        clock_offset: seconds by which the gateway's clock was ahead of ours in its last good request; None before.
    """

    Config = TifChannelConfig
    shares_state = True

    def __init__(self, config: TifChannelConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.clock_offset: float | None = None
        self._token = config.token.get_secret_value().encode()
        self._freshness = Freshness(context, config.window)

    def status(self) -> dict[str, Any]:
        """How far the gateway's clock is ahead."""
        return {} if self.clock_offset is None else {"clock_offsets": {self.name: self.clock_offset}}

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check shape, time, signature and first use, in this order.

        Raises:
            ChannelRejected: the signature, or what it needs, is missing or wrong.
            ClockSkew: signed too long ago, in the future, or before it is known what was used.
            Replayed: this signature was here before.
            CannotDecide: nobody can say whether it was.
        """
        if b"x-tif-signature" not in inbound.fields:
            return None
        given = {**dict.fromkeys(_VOUCHED, b""), **inbound.fields}
        time, nonce = read_shaped(given, b"x-tif-timestamp", _TIMESTAMP), read_shaped(given, b"x-tif-nonce", NONCE)
        signature = read_shaped(given, b"x-tif-signature", _SIGNATURE)
        vouched = tuple(read_shaped(given, name, form) for name, form in _VOUCHED.items())
        self._check_application(inbound)
        offset = self._freshness.check_time(int(time))
        if not hmac.compare_digest(sign_vouched(time, self._token, nonce, vouched).encode(), signature):
            raise ChannelRejected("the signature does not hold")
        await self._freshness.check_first_use("", int(time), signature)
        self.clock_offset = offset
        uid, uinfo, _ = vouched
        return Credential(self.name, _token(uid, uinfo, int(time)) if uid else None, self.config.paas_id)

    def _check_application(self, inbound: Inbound) -> None:
        """It is not signed, so it only tells a gateway that is set up for somebody else."""
        said = inbound.fields.get(b"x-tif-paasid")
        if self.config.paas_id is not None and said not in (None, self.config.paas_id.encode()):
            raise ChannelRejected("x-tif-paasid is another")


class TifConfig(Settings):
    """What the vouched identity means."""

    issuer: str = Field(min_length=1, description="the name under which its persons are known here and inside")
    uinfo: Literal["json", "base64", "percent"] = Field(
        "json", description="how `x-tif-uinfo` is written: JSON, or JSON in base64 or percent-encoded"
    )
    kind: str = Field("usertype", min_length=1, description="its member that says natural or legal person")
    kinds: dict[str, Person] = Field(
        default={"1": Kind.NATURAL, "2": Kind.LEGAL}, description="values of it; one that is not listed is refused"
    )
    default_kind: Person | None = Field(
        Kind.NATURAL, description="kind where it is silent; refused when this is missing"
    )
    level: str = Field("creditable_level_of_account", min_length=1, description="its member that tells the level")
    assurance: dict[str, Level] = Field(
        {"L0": 0, "L1": 2, "L2": 3, "L3": 4}, description="values of it, and our level of each; one not listed is 0"
    )
    operator: str = Field("link_person_code", min_length=1, description="its member that names who acts for a unit")
    lifetime: Duration = Field(
        120.0,
        gt=0,
        le=600,
        description="how long after its signature an identity holds; more than the channel's `window`",
    )


class Tif(Verifier[TifConfig]):
    """Takes over the identity that a TIF channel has checked. It asks nobody."""

    Config = TifConfig
    remember = 0.0

    async def verify(self, credential: Credential) -> Principal | None:
        """Read a vouched identity; None for every other token.

        Raises:
            CredentialRejected: it names nobody, no kind of person, or a unit without who acts for it; or it is too old.
        """
        token = credential.token or ""
        if not token.startswith(TIF_MARK):
            return None
        try:
            said = msgspec.json.decode(decode_base64url(token.removeprefix(TIF_MARK)), type=_Vouched)
            return self._principal(said)
        except (ValueError, msgspec.MsgspecError) as error:
            raise CredentialRejected(f"the vouched identity cannot be understood: {error}") from None

    def _principal(self, said: "_Vouched") -> Principal:
        expires_at = said.ts + self.config.lifetime
        if expires_at <= self.context.clock():
            raise CredentialRejected("the vouched identity is too old")
        about = self._about(said.uinfo)
        raw = as_text(about.get(self.config.kind))
        kind = self.config.default_kind if raw is None else self.config.kinds.get(raw)
        if kind is None:
            raise ValueError(f"{self.config.kind} is not one of the configured kinds")
        level = as_text(about.get(self.config.level))
        return Principal(
            issuer=self.config.issuer,
            subject=identifier("uid", said.uid),
            kind=kind,
            assurance=self.config.assurance.get(level, 0) if level is not None else 0,
            expires_at=expires_at,
            operator=identifier("operator", about.get(self.config.operator)) if kind is Kind.LEGAL else None,
            issued_at=float(said.ts),
            verifier=self.name,
            version=read_version(about.get("uversion")),
            level=level if level is None or len(level) <= 128 else None,
        )

    def _about(self, uinfo: str) -> dict[str, Any]:
        if not uinfo:
            return {}
        data = uinfo.encode("latin-1")
        if self.config.uinfo == "base64":
            data = base64.b64decode(data, validate=True)
        elif self.config.uinfo == "percent":
            data = unquote_to_bytes(data)
        value = read_json(data)
        if not isinstance(value, dict):
            raise JoseError("uinfo is no object")
        return value


class _Vouched(msgspec.Struct, frozen=True):
    """What a token of this mark holds."""

    uid: str
    uinfo: str
    ts: int

    def __repr__(self) -> str:
        return "_Vouched()"


def sign_caller(time: str, token: bytes, nonce: str) -> str:
    """`x-tif-signature` of a request to a TIF gateway: what a caller sends, 64 upper-case hex digits."""
    return hashlib.sha256(time.encode() + token + nonce.encode() + time.encode()).hexdigest().upper()


def sign_vouched(time: bytes, token: bytes, nonce: bytes, vouched: tuple[bytes, ...]) -> str:
    """`x-tif-signature` of a request that a TIF gateway hands on.

    Args:
        time: Unix seconds, ten digits.
        token: the shared `paasToken`.
        nonce: `x-tif-nonce`.
        vouched: `x-tif-uid`, `x-tif-uinfo` and `x-tif-ext`.
    """
    return hashlib.sha256(time + token + b",".join((nonce, *vouched)) + time).hexdigest().upper()


def _token(uid: bytes, uinfo: bytes, time: int) -> str:
    said = _Vouched(uid.decode("ascii"), uinfo.decode("latin-1"), time)
    return TIF_MARK + base64.urlsafe_b64encode(msgspec.json.encode(said)).rstrip(b"=").decode()

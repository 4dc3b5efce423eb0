"""The app channel: requests signed with an access key, HMAC-SHA256 or HMAC-SM3 (GB/T 32905-2016, GB/T 15852.2).

docs/channels.md gives the canonical string, signing examples and test vectors to those who call.
"""

import hashlib
import hmac
import re
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import AwareDatetime, Field, SecretStr, field_validator

from gateway import (
    Channel,
    ChannelRejected,
    ClockSkew,
    Credential,
    Duration,
    Inbound,
    PartContext,
    Replayed,
    Settings,
    read_bearer,
)

_DIGESTS = {"hmac-sha256": "sha256", "hmac-sm3": "sm3"}
_KEY_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_NONCE = re.compile(rb"[A-Za-z0-9._~+/=:-]{1,128}")
_TIMESTAMP = re.compile(rb"[0-9]{10}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")


class AppKey(Settings):
    """One access key. Its algorithm is fixed here; nothing in a request can choose another."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="what callers send as x-ak")
    secret: SecretStr = Field(min_length=1, description="shared secret, by reference")
    algorithm: Literal["hmac-sha256", "hmac-sm3"] = Field("hmac-sha256", description="of this key, always")
    enabled: bool = Field(True, description="false refuses the key without forgetting it")
    not_before: AwareDatetime | None = Field(None, description="the key holds from then on")

    @field_validator("algorithm")
    @classmethod
    def _is_available(cls, algorithm: str) -> str:
        try:
            hashlib.new(_DIGESTS[algorithm])
        except ValueError:
            raise ValueError(f"this machine's OpenSSL cannot do {algorithm}; install one that has SM3") from None
        return algorithm


class AppConfig(Settings):
    """Whose signatures are accepted, and for how long."""

    keys: tuple[AppKey, ...] = Field(min_length=1, description="access keys; each id once")
    window: Duration = Field(300.0, gt=0, le=3600, description="how far x-timestamp may be from our clock, either way")
    refuse_before_start: bool = Field(
        True,
        description="refuse what was signed before this channel started: what was used before that is not remembered",
    )

    @field_validator("keys")
    @classmethod
    def _are_distinct(cls, keys: tuple[AppKey, ...]) -> tuple[AppKey, ...]:
        ids = [key.id for key in keys]
        if len(set(ids)) != len(ids):
            raise ValueError("two keys have the same id")
        return keys


class App(Channel[AppConfig]):
    """Recognises requests with `x-ak` and checks the signature over all of them before anything else is believed.

    Attributes:
        clock_offsets: by key id, seconds by which the caller's clock was ahead of ours in its last good request.
    """

    Config = AppConfig
    shares_state = True

    def __init__(self, config: AppConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self.clock_offsets: dict[str, float] = {}
        self._keys = {key.id.encode(): key for key in config.keys}
        self._latest = context.clock()
        self._start = int(self._latest) if config.refuse_before_start else 0

    def status(self) -> dict[str, Any]:
        """How far each caller's clock is ahead."""
        return {"clock_offsets": self.clock_offsets} if self.clock_offsets else {}

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check shape, key, time, signature and first use, in this order.

        Raises:
            ChannelRejected: the signature, or what it needs, is missing or wrong; the key is not known or not in force.
            ClockSkew: signed too long ago, or in the future.
            Replayed: this very request was here before.
            CredentialRejected: the signature holds, and `Authorization` is no bearer token.
            CannotDecide: nobody can say whether it was here before.
        """
        if b"x-ak" not in inbound.fields:
            return None
        key_id, nonce, timestamp, signature = (
            _header(inbound, b"x-ak", _KEY_ID),
            _header(inbound, b"x-nonce", _NONCE),
            _header(inbound, b"x-timestamp", _TIMESTAMP),
            _header(inbound, b"x-signature", _SIGNATURE),
        )
        try:
            return await self._check(inbound, key_id, nonce, timestamp, signature)
        except ChannelRejected as error:
            error.client = key_id.decode()
            raise

    async def _check(
        self, inbound: Inbound, key_id: bytes, nonce: bytes, timestamp: bytes, signature: bytes
    ) -> Credential:
        key = self._keys.get(key_id)
        if key is None or not self._is_in_force(key):
            # Said before the body is read: nobody without a key shall make us hold it. Key ids are no secret.
            raise ChannelRejected("unknown key" if key is None else f"key {key.id} is not in force")
        query = sort_query(inbound.query)
        offset = self._check_time(int(timestamp))
        canonical = canonical_string(inbound, query, key_id, nonce, timestamp, await inbound.body.whole())
        self._check_signature(key, canonical, bytes.fromhex(signature.decode()))
        await self._check_first_use(key_id, nonce, signature)
        self.clock_offsets[key.id] = offset
        return Credential(self.name, read_bearer(inbound), key.id)

    def _check_time(self, signed_at: int) -> float:
        now = self.context.clock()
        # A clock that is set back must not bring back requests whose use has been forgotten meanwhile.
        self._latest = max(self._latest, now)
        if signed_at > now + self.config.window or signed_at < self._latest - self.config.window:
            raise ClockSkew(f"signed {signed_at - now:+.0f} s from now")
        if signed_at < self._start:
            raise ClockSkew("signed before this channel started")
        return signed_at - now

    def _check_signature(self, key: AppKey, canonical: bytes, signature: bytes) -> None:
        secret = key.secret.get_secret_value().encode()
        if not hmac.compare_digest(hmac.digest(secret, canonical, _DIGESTS[key.algorithm]), signature):
            raise ChannelRejected(f"signature of key {key.id}")

    def _is_in_force(self, key: AppKey) -> bool:
        return key.enabled and (key.not_before is None or self._now() >= key.not_before)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.context.clock()).astimezone()

    async def _check_first_use(self, key_id: bytes, nonce: bytes, signature: bytes) -> None:
        # A request can be believed from `window` before to `window` after its timestamp; a second more rounds that up.
        seconds = 2 * self.config.window + 1
        use = hashlib.sha256(b"\n".join((self.name.encode(), key_id, nonce, signature))).digest()
        if not await self.context.once.first_use(use, seconds):
            raise Replayed("signature and nonce were used before")


def canonical_string(inbound: Inbound, query: str, key_id: bytes, nonce: bytes, timestamp: bytes, body: bytes) -> bytes:
    """What is signed. No part can hold a line feed, so no part can pass for another.

    Args:
        inbound: for its method and its path as it arrived.
        query: as `sort_query` gives it.
        key_id: value of x-ak.
        nonce: value of x-nonce.
        timestamp: value of x-timestamp.
        body: the whole body.
    """
    return b"\n".join(
        (
            inbound.method.encode(),
            inbound.path.encode(),
            query.encode(),
            b"x-ak:" + key_id,
            b"x-nonce:" + nonce,
            b"x-timestamp:" + timestamp,
            hashlib.sha256(body).hexdigest().encode(),
        )
    )


def sort_query(query: str) -> str:
    """The pieces between `&`, percent-encoding untouched, in the order of their bytes.

    Raises:
        ChannelRejected: a parameter is there twice: sorting hides which one comes first, and that may matter inside.
    """
    if not query:
        return ""
    pieces = query.split("&")
    names = [unquote_to_bytes(piece.partition("=")[0].replace("+", " ")) for piece in pieces]
    if len(set(names)) != len(names):
        raise ChannelRejected("a query parameter is there twice")
    return "&".join(sorted(pieces))


def _header(inbound: Inbound, name: bytes, grammar: re.Pattern[bytes]) -> bytes:
    value = inbound.fields.get(name)
    if value is None or grammar.fullmatch(value) is None:
        raise ChannelRejected(f"{name.decode()} is missing or not of its form")
    return value

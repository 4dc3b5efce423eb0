"""The app channel: requests signed with an access key, or with the key of a person's own device.

docs/channels.md gives the canonical string, signing examples and test vectors to those who call.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator

from gateway import (
    KEY_ID,
    NONCE,
    Channel,
    ChannelRejected,
    Credential,
    Device,
    Duration,
    Freshness,
    Inbound,
    PartContext,
    RepeatedParameterError,
    Settings,
    SignatureKey,
    canonical_request,
    check_signature_key,
    read_bearer,
    read_device_key,
    read_shaped,
    read_signature_key,
    sort_query,
)

DEVICE_MARK = "dev."
"""Stands before a device's id in `x-ak`; no access key begins so."""

_TIMESTAMP = re.compile(rb"[0-9]{10}")
_SIGNATURE = re.compile(rb"[0-9a-f]{64}")
_DEVICE_SIGNATURE = re.compile(rb"[A-Za-z0-9_-]{86}")


class AppKey(Settings):
    """One access key. Its algorithm is fixed here; nothing in a request can choose another."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,64}$", description="what callers send as x-ak; does not begin with `dev.`"
    )
    secret: SecretStr = Field(min_length=1, description="shared secret, by reference")
    algorithm: Literal["hmac-sha256", "hmac-sm3"] = Field("hmac-sha256", description="of this key, always")
    enabled: bool = Field(True, description="false refuses the key without forgetting it")
    not_before: AwareDatetime | None = Field(None, description="the key holds from then on")

    @field_validator("id")
    @classmethod
    def _is_no_device(cls, key_id: str) -> str:
        if key_id.startswith(DEVICE_MARK):
            raise ValueError(f"ids that begin with {DEVICE_MARK} are those of devices")
        return key_id

    @field_validator("secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr) -> SecretStr:
        check_signature_key("hmac-sha256", secret.get_secret_value())
        return secret


class AppConfig(Settings):
    """Whose signatures are accepted, and for how long."""

    keys: tuple[AppKey, ...] = Field((), description="access keys; each id once")
    devices: bool = Field(False, description="accept the keys of devices that people enrolled; needs a ledger")
    window: Duration = Field(300.0, gt=0, le=3600, description="how far x-timestamp may be from our clock, either way")
    refuse_before_start: bool = Field(
        True,
        description="refuse what was signed before it is remembered what was used: after a restart, or a loss in Redis",
    )

    @field_validator("keys")
    @classmethod
    def _are_distinct(cls, keys: tuple[AppKey, ...]) -> tuple[AppKey, ...]:
        ids = [key.id for key in keys]
        if len(set(ids)) != len(ids):
            raise ValueError("two keys have the same id")
        return keys

    @model_validator(mode="after")
    def _accepts_somebody(self) -> Self:
        if not self.keys and not self.devices:
            raise ValueError("neither keys nor devices: nobody could call")
        return self


class _Claim(NamedTuple):
    """What a request says about itself, in its form and not believed."""

    key_id: bytes
    nonce: bytes
    timestamp: bytes
    signature: bytes


class App(Channel[AppConfig]):
    """Recognises requests with `x-ak` and checks the signature over all of them before anything else is believed.

    Attributes:
        clock_offsets: by access key, seconds by which the caller's clock was ahead of ours in its last good request.
    """

    Config = AppConfig
    shares_state = True

    def __init__(self, config: AppConfig, context: PartContext) -> None:
        super().__init__(config, context)
        if config.devices and context.devices is None:
            raise ValueError("devices need a ledger, which comes with `sessions` in gateway.yaml")
        self.clock_offsets: dict[str, float] = {}
        self._freshness = Freshness(context, config.window, refuse_unknown=config.refuse_before_start)
        self._keys = {key.id: (key, self._signature_key(key)) for key in config.keys}

    def _signature_key(self, key: AppKey) -> SignatureKey:
        return read_signature_key(key.algorithm, key.secret.get_secret_value(), self.context.crypto)

    def status(self) -> dict[str, Any]:
        """How far each caller's clock is ahead."""
        return {"clock_offsets": self.clock_offsets} if self.clock_offsets else {}

    async def identify(self, inbound: Inbound) -> Credential | None:
        """Check shape, key, time, signature and first use, in this order.

        Raises:
            ChannelRejected: the signature, or what it needs, is missing or wrong; the key is not known or not in force.
            ClockSkew: signed too long ago, in the future, or before it is remembered what was used.
            Replayed: this very request, or its nonce, was here before.
            CredentialRejected: the signature holds, and `Authorization` is no bearer token.
            CannotDecide: nobody can say whether it was here before, or whose device it is.
        """
        if b"x-ak" not in inbound.fields:
            return None
        key_id = read_shaped(inbound.fields, b"x-ak", KEY_ID)
        is_device = key_id.startswith(DEVICE_MARK.encode())
        nonce, timestamp = (
            read_shaped(inbound.fields, b"x-nonce", NONCE),
            read_shaped(inbound.fields, b"x-timestamp", _TIMESTAMP),
        )
        signature = read_shaped(inbound.fields, b"x-signature", _DEVICE_SIGNATURE if is_device else _SIGNATURE)
        claim = _Claim(key_id, nonce, timestamp, signature)
        try:
            return await (self._check_device(inbound, claim) if is_device else self._check_key(inbound, claim))
        except ChannelRejected as error:
            error.client = key_id.decode()
            raise

    async def _check_key(self, inbound: Inbound, claim: _Claim) -> Credential:
        key, signature_key = self._keys.get(claim.key_id.decode(), (None, None))
        if key is None or signature_key is None or not self._is_in_force(key):
            # Said before the body is read: nobody without a key shall make us hold it. Key ids are no secret.
            raise ChannelRejected("unknown key" if key is None else f"key {key.id} is not in force")
        self.clock_offsets[key.id] = await self._check(inbound, claim, signature_key)
        return Credential(self.name, read_bearer(inbound), key.id)

    async def _check_device(self, inbound: Inbound, claim: _Claim) -> Credential:
        device = await self._device(claim.key_id.decode().removeprefix(DEVICE_MARK))
        try:
            key = read_device_key(device.algorithm, device.public_key, self.context.crypto)
        except ValueError as error:
            raise ChannelRejected(f"the device's key cannot be used: {error}") from error
        await self._check(inbound, claim, key)
        return Credential(self.name, read_bearer(inbound), device.id, owner=(device.issuer, device.subject))

    async def _device(self, device_id: str) -> Device:
        devices = self.context.devices
        device = await devices.find(device_id) if devices is not None and self.config.devices else None
        if device is None:
            raise ChannelRejected("a device that is not enrolled, or was removed")
        return device

    async def _check(self, inbound: Inbound, claim: _Claim, key: SignatureKey) -> float:
        """Check everything but the key's own state; give how far the caller's clock is ahead."""
        signed_at = int(claim.timestamp)
        offset = self._freshness.check_time(signed_at)
        try:
            query = sort_query(inbound.query)
        except RepeatedParameterError as error:
            raise ChannelRejected(str(error)) from error
        body = await inbound.body.whole()
        signed = canonical_request(
            inbound.method, inbound.path, query, claim.key_id, claim.nonce, claim.timestamp, body
        )
        mark = await key.verify(signed, _decoded(claim.signature))
        if mark is None:
            raise ChannelRejected("the signature does not hold")
        await self._freshness.check_first_use(claim.key_id.decode(), signed_at, mark, claim.nonce)
        return offset

    def _is_in_force(self, key: AppKey) -> bool:
        return key.enabled and (key.not_before is None or self._now() >= key.not_before)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.context.clock()).astimezone()


def _decoded(signature: bytes) -> bytes:
    """64 bytes of a device in base64url, 32 of an access key in hexadecimal; the two have different lengths."""
    if len(signature) == 64:
        return bytes.fromhex(signature.decode())
    raw = urlsafe_b64decode(signature + b"==")
    if urlsafe_b64encode(raw).rstrip(b"=") != signature:
        raise ChannelRejected("x-signature has stray bits")
    return raw

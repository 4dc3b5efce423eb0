"""Configuration keys of signing in: sessions and the shared store (gateway.yaml), `login:` (policy.yaml).

settings.py has all other keys and names these.
"""

from typing import Literal

from pydantic import Field, SecretStr

from gateway.contracts import Settings
from gateway.units import Duration, Name, Network, Rate

SIGN_IN_PREFIX = "/sso/"
"""Paths under it are the gateway's own; no item may have one."""

PEOPLES_CHANNEL, PEERS_CHANNEL = OWN_CHANNELS = ("sso", "sso-peers")
"""What records call the channel of those pages: where people come, and where platforms and departments do."""

OWN_SYSTEM = "sso"
"""What records call the desk that answers them."""


class RedisSettings(Settings):
    """The store that all workers and instances share."""

    url: SecretStr = Field(
        description="`redis://`, `rediss://` (TLS) or `unix://`, by reference, for it may have a password"
    )
    sentinels: tuple[str, ...] = Field(
        (), description="host:port of Sentinels; then `url` says user, password and database"
    )
    service: str | None = Field(None, description="the Sentinels' name of the service")
    prefix: str = Field("tongguan:", pattern=r"^[!-~]+$", description="put before every key and channel")
    timeout: Duration = Field(0.25, gt=0, le=5, description="for one command, connecting included")
    connections: int = Field(32, ge=1, description="most connections per worker")


class SessionSettings(Settings):
    """Sign-in sessions (docs/identity.md)."""

    keys: tuple[SecretStr, ...] = Field(
        min_length=1,
        description="keys that seal sessions in the store, 32 bytes at least; the first one seals, all open",
    )
    node: Name = Field(
        description="this department's mark behind the `@` of tokens that it gives out; the province routes by it"
    )
    cookie: str = Field(
        "__Host-sid", pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", description="name of the session cookie"
    )
    idle: Duration = Field(1200.0, ge=60, le=86400, description="a session without a request ends after this")
    absolute: Duration = Field(28800.0, ge=60, le=86400, description="every session ends after this")
    token: Duration = Field(
        1800.0, ge=60, le=86400, description="how long a token for another department holds at most"
    )
    remember: Duration = Field(
        10.0, ge=0, le=60, description="how long a worker believes a session without looking; ends are told at once"
    )


class CryptoSettings(Settings):
    """SM2, SM3 and SM4 (docs/cryptography.md)."""

    backend: str = Field(
        "auto",
        description="`auto`, `libcrypto`, `tongsuo`, `gmalg`, or `package.module:Class` of a cipher machine's provider",
    )


class IntrospectionClientSettings(Settings):
    """Who may ask whether a token given out here still holds: the province."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="its client id")
    secret: SecretStr = Field(min_length=16, description="shared with it, by reference")
    method: Literal["basic", "hmac-sha256", "hmac-sm3"] = Field(
        "basic",
        description="how it proves itself: HTTP Basic, or signed as the app channel signs; then answers are signed too",
    )


class IntrospectionSettings(Settings):
    """The routed question (RFC 7662): is this token, whose session lives here, still good?"""

    clients: tuple[IntrospectionClientSettings, ...] = Field(min_length=1, description="who may ask; each id once")
    rate: Rate = Field("6000/minute", description="questions of one client")


class CasNoticeSettings(Settings):
    """CAS-style logout notices: a form with the ticket of the login. They carry no signature."""

    platform: Name = Field(description="the platform that sends them")
    networks: tuple[Network, ...] = Field(min_length=1, description="addresses they may come from")


class NoticeKeySettings(Settings):
    """Whoever signs JSON notices."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="`key_id` of the notice")
    issuer: str = Field(min_length=1, description="whose subjects and sessions it may end")
    algorithm: Literal["hmac-sha256", "hmac-sm3", "sm2"] = Field(description="of this key, always")
    key: SecretStr = Field(
        min_length=16, description="the shared secret, or the SM2 public key (PEM or 130 hex digits)"
    )


class NoticeSettings(Settings):
    """Logout notices that are taken (统一登出)."""

    backchannel: Name | None = Field(None, description="platform whose OIDC Back-Channel Logout tokens are taken")
    cas: CasNoticeSettings | None = Field(None, description="CAS-style forms")
    signed: tuple[NoticeKeySettings, ...] = Field((), description="signers of JSON notices; each id once")
    rate: Rate = Field("6000/minute", description="notices of one sender's address")


class LoginSettings(Settings):
    """Signing in through this gateway (docs/identity.md)."""

    natural: Name | None = Field(None, description="platform where natural persons sign in; a verifier's name")
    legal: Name | None = Field(None, description="platform where units sign in; a verifier's name")
    others: tuple[Name, ...] = Field((), description="further platforms, chosen with ?platform=NAME")
    return_to: tuple[str, ...] = Field(
        ("/",), min_length=1, description="paths, or beginnings of paths, to come back to"
    )
    signed_out: str = Field("/sso/", description="where a visitor is sent after signing out; one of our paths")
    unsolicited: tuple[Name, ...] = Field(
        (), description="platforms whose portal may send visitors here who did not begin their login here"
    )
    timeout: Duration = Field(600.0, ge=60, le=3600, description="how long a visitor may take at the platform")
    client_rate: Rate | None = Field(
        "120/minute", description="sign-in requests of one client (IPv4 address, IPv6 /64)"
    )
    channels: tuple[Name, ...] = Field((), description="channels whose accounts may be linked to persons and sign in")
    link_assurance: int = Field(1, ge=0, le=4, description="most assurance of a sign-in through a linked account")
    introspection: IntrospectionSettings | None = Field(None, description="who may ask about tokens given out here")
    notices: NoticeSettings = Field(NoticeSettings(), description="logout notices")

"""Every configuration key, typed and described. loading.py reads YAML into these; docs/configuration.md shows them all.

`StaticSettings` needs a restart (listeners, stores, sinks); `PolicySettings` is reloaded live (who may do what).
"""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from gateway.contracts import Settings
from gateway.model import Kind
from gateway.office_settings import ConsoleSettings, LocalIdSettings
from gateway.signin_settings import CryptoSettings, LoginSettings, RedisSettings, SessionSettings
from gateway.units import AddressText, Duration, Name, Network, Rate, SinkText, Size

USUAL_LEDGER = "sqlite:///ledger.db"
"""The ledger of whoever needs one and does not say where."""

SHORTEST_MAC_KEY = 32
"""Bytes of the key that both units of a ferry share (RFC 2104 §3: at least the digest's length)."""


class LimitSettings(Settings):
    """What one worker takes on at most, and how long it waits for a client."""

    connections: int = Field(
        4096, ge=1, description="open client connections per worker; beyond it nothing is accepted"
    )
    connections_per_client: int = Field(
        512, ge=1, description="open connections of one client per worker: an IPv4 address or an IPv6 /64"
    )
    in_flight: int = Field(1024, ge=1, description="requests being carried at once per worker; beyond it 503")
    request_line: Size = Field(8 << 10, gt=0, description="longest request line; beyond it 414")
    header_block: Size = Field(32 << 10, gt=0, description="largest header block; beyond it 431")
    header_count: int = Field(100, ge=1, description="most header fields; beyond it 431")
    body: Size = Field(1 << 20, description="largest request body where the item does not say")
    header_timeout: Duration = Field(15.0, gt=0, description="from the first byte to the end of the header block")
    body_timeout: Duration = Field(
        30.0, gt=0, description="for a whole request body; the item's timeout begins after it"
    )
    body_rate: Size = Field(240, gt=0, description="fewest body bytes per second, after five seconds")
    write_stall: Duration = Field(30.0, gt=0, description="a client that takes no byte for so long is dropped")
    idle: Duration = Field(20.0, gt=0, description="a connection without a request is closed after this")
    tunnel_idle: Duration = Field(300.0, gt=0, description="a WebSocket without a byte either way is closed after this")
    buffered: Size = Field(256 << 20, gt=0, description="request bodies held whole in memory at once; beyond it 503")
    requests_per_connection: int = Field(1000, ge=1, description="then `Connection: close`")
    connection_age: Duration = Field(600.0, gt=0, description="then `Connection: close`")


class IdentitySettings(Settings):
    """The key that signs who a request is for, so that business systems can check it (docs/ferry.md)."""

    key: SecretStr = Field(description="private key, PEM (Ed25519 or P-256), by reference")
    kid: str = Field(min_length=1, max_length=64, description="its id in the published key set")
    lifetime: Duration = Field(60.0, gt=0, description="how long an assertion to an external-zone system holds")


class RecordSettings(Settings):
    """Where records go and with which key identifiers become pseudonyms (docs/records.md)."""

    access: SinkText = Field("stdout", description="`stdout`, `stderr` or `file:PATH`; one JSON line per request")
    application: SinkText = Field(
        "stderr", description="`stdout`, `stderr` or `file:PATH`; what the gateway itself has to say"
    )
    pseudonym_key: SecretStr = Field(description="key of the subjects' pseudonyms, at least 16 bytes, by reference")
    former_pseudonym_keys: tuple[SecretStr, ...] = Field(
        (), description="what it was before: operators in the ledger are recognised by these too"
    )
    queue: int = Field(
        65536,
        ge=1024,
        description="records that may wait for a slow sink; beyond it they are counted and lost",
    )
    query_parameters: tuple[str, ...] = Field((), description="query parameters whose values may be recorded, masked")

    @property
    def digest_keys(self) -> tuple[bytes, ...]:
        """Keys of the ledger's digests: the first makes them, all recognise them."""
        return tuple(key.get_secret_value().encode() for key in (self.pseudonym_key, *self.former_pseudonym_keys))


class StaticSettings(Settings):
    """gateway.yaml: needs a restart."""

    department: str = Field(min_length=1, description="issuer of the identity that goes inward, for example dept-hrss")
    listen: AddressText = Field(description="public listener")
    management: AddressText = Field(description="health, status and metrics; loopback or a Unix socket")
    workers: int = Field(1, ge=1, le=256, description="processes on the public listener")
    hosts: tuple[str, ...] = Field(
        min_length=1, description="values of Host that are served, with port where it is not the default"
    )
    scheme: Literal["http", "https"] = Field("https", description="how the public reaches this gateway")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="whose X-Forwarded-For and client certificate are believed; `unix` for a Unix socket's peer"
    )
    unsafe_trust_everybody: bool = Field(False, description="allow 0.0.0.0/0 or ::/0 in trusted_proxies")
    policy: str = Field("policy.yaml", description="the reloadable file, beside this one")
    state: Literal["memory", "redis"] = Field(
        "memory",
        description="where sessions, withdrawals and what was used once live; memory serves one worker",
    )
    redis: RedisSettings | None = Field(None, description="needed by `state: redis`")
    ledger: str | None = Field(
        None,
        description="database of what is kept: `sqlite:///FILE` (beside this file) or `postgresql://…`;"
        " `sqlite:///ledger.db` where `sessions` or `console` need one and this is missing",
    )
    ledger_stale: Duration = Field(
        5.0, ge=1, le=300, description="how long decisions rest on what was last heard when the ledger cannot be asked"
    )
    console: ConsoleSettings | None = Field(None, description="the back office; there is none when missing")
    sessions: SessionSettings | None = Field(None, description="sign-in sessions; nobody signs in here when missing")
    crypto: CryptoSettings = Field(CryptoSettings(), description="national cryptography")
    drain: Duration = Field(30.0, gt=0, description="how long requests in flight may finish after SIGTERM")
    limits: LimitSettings = Field(LimitSettings(), description="what one worker takes on")
    identity: IdentitySettings = Field(description="who the gateway is to business systems")
    records: RecordSettings = Field(description="where records go")

    @property
    def ledger_url(self) -> str | None:
        """The ledger's database; None where nothing needs one."""
        needed = self.sessions is not None or self.console is not None
        return USUAL_LEDGER if self.ledger is None and needed else self.ledger


class CorsSettings(Settings):
    """Which web pages may call through a channel (Fetch standard, CORS protocol)."""

    origins: tuple[str, ...] = Field(description="exact origins, for example https://www.example.gov.cn; no wildcard")
    fields: tuple[str, ...] = Field(
        ("authorization", "content-type"), description="request header fields a page may set"
    )
    expose: tuple[str, ...] = Field(("x-request-id",), description="answer header fields a page may read")
    credentials: bool = Field(False, description="whether cookies may come along")
    max_age: Duration = Field(600.0, gt=0, description="how long a browser may remember the answer")


class PartSettings(Settings):
    """A part that YAML names: where its code is and what it is told."""

    name: Name = Field(description="what items and records call it")
    use: str = Field(description="`package.module:Class`, or the name of an installed entry point")
    config: dict[str, Any] = Field(default_factory=dict, description="checked against the part's own schema")


class ChannelSettings(PartSettings):
    """A channel of the outside."""

    cors: CorsSettings | None = Field(None, description="which web pages may call; none when missing")
    rate: Rate | None = Field(None, description="requests through this channel, all clients together")
    client_rate: Rate | None = Field(
        None, description="requests of one client (IPv4 address, IPv6 /64) through this channel"
    )


class BreakerSettings(Settings):
    """When to stop asking a system that fails."""

    failures: int = Field(5, ge=1, description="failures in a row that open the breaker")
    pause: Duration = Field(3.0, gt=0, description="how long it stays open before one probe")


class HealthSettings(Settings):
    """Active checks of a direct system's targets."""

    path: str = Field("/healthz", pattern=r"^/[!-~]*$", description="asked with GET; any 2xx or 3xx is good")
    interval: Duration = Field(5.0, gt=0, description="from one check to the next")
    timeout: Duration = Field(2.0, gt=0, description="how long one check may take")
    healthy: int = Field(2, ge=1, description="good checks in a row that bring a target back")
    unhealthy: int = Field(2, ge=1, description="bad checks in a row that take it out")


class DirectSettings(Settings):
    """A system in the external zone, reached by HTTP/1.1."""

    name: Name = Field(description="what items and records call it")
    via: Literal["direct"] = Field(description="by HTTP/1.1")
    targets: tuple[str, ...] = Field(min_length=1, description="http://host:port or unix:/path, without a path")
    host: str | None = Field(None, description="value of Host sent to it; the target's own when missing")
    connect_timeout: Duration = Field(2.0, gt=0, description="how long connecting to a target may take")
    idle_timeout: Duration = Field(15.0, gt=0, description="idle ones are kept so long; shorter than the system's own")
    connections: int = Field(256, ge=1, description="most connections per target and worker")
    tunnels: int = Field(
        64, ge=0, description="most WebSockets at once per worker, beside the connections; beyond it 503"
    )
    waiting: int = Field(256, ge=0, description="most requests that wait for one of them; beyond it 503")
    retry: Literal["safe", "never"] = Field(
        "safe", description="whether GET and HEAD without body may be sent once more"
    )
    breaker: BreakerSettings = Field(BreakerSettings(), description="when to stop asking a target that fails")
    health: HealthSettings | None = Field(None, description="active checks; passive ones always run")
    request_fields: tuple[str, ...] = Field((), description="client header fields that pass, besides the standard ones")
    response_limit: Size | None = Field(None, description="largest answer body; none when missing, it is streamed")
    identity: Literal["assertion", "none"] = Field("assertion", description="send a signed assertion of who asks")
    local_id: LocalIdSettings | None = Field(None, description="its own ids of units, which the back office binds")


class CarrierSettings(Settings):
    """What moves frames between the units."""

    kind: Literal["memory", "socket"] = Field(description="memory is for tests: both units in one process")
    address: AddressText | None = Field(None, description="socket: the gatekeeper's address")


class FerrySettings(Settings):
    """A system behind the gatekeeper. Its address is known to the inner unit only."""

    name: Name = Field(description="what items and records call it")
    via: Literal["ferry"] = Field(description="across the gatekeeper")
    carrier: CarrierSettings = Field(description="what moves the frames")
    key: SecretStr = Field(
        description="key of the envelopes' MAC, at least 32 bytes, shared with the inner unit, by reference"
    )
    queue: int = Field(512, ge=1, description="requests under way at once per worker; beyond it 503 at once")
    message: Size = Field(16 << 20, gt=0, description="largest message either way")
    request_fields: tuple[str, ...] = Field(
        (), description="client header fields that cross, besides content-type and accept"
    )
    response_fields: tuple[str, ...] = Field(
        (), description="answer header fields that come back, besides content-type"
    )
    local_id: LocalIdSettings | None = Field(None, description="its own ids of units, which the back office binds")


SystemSettings = Annotated[DirectSettings | FerrySettings, Field(discriminator="via")]


class OperationSettings(Settings):
    """One thing to do with an item."""

    id: Name | None = Field(None, description="the route id the inner unit knows; needed via ferry")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(description="GET answers HEAD too")
    path: str = Field(description="template: /medical/settlements/{settlement_id}")
    upgrade: Literal["websocket"] | None = Field(None, description="direct only: let WebSocket through")


class ReauthorizeSettings(Settings):
    """A re-authorizer with some of its settings replaced for one item."""

    name: Name = Field(description="the re-authorizer")
    config: dict[str, Any] = Field(default_factory=dict, description="keys that replace the catalogue's for this item")


class ItemLimitSettings(Settings):
    """Limits of one item."""

    body: Size | None = Field(None, description="largest request body; the gateway's own limit when missing")
    timeout: Duration = Field(10.0, gt=0, description="for the whole way to the business system's answer")
    rate: Rate | None = Field(None, description="requests for this item, everybody together")
    subject_rate: Rate | None = Field(None, description="requests of one person for this item")
    in_flight: int | None = Field(None, ge=1, description="requests for this item at once per worker; beyond it 503")


class ItemSettings(Settings):
    """A service item (事项)."""

    code: str = Field(min_length=1, max_length=64, pattern=r"^[!-~]+$", description="its code in the catalogue")
    name: str = Field(min_length=1, max_length=200, description="its name as published")
    category: Name = Field(description="what statistics count by")
    audience: tuple[Kind, ...] = Field(min_length=1, description="anyone, natural, legal")
    system: Name = Field(description="the business system behind it; says whether via direct or ferry")
    operations: tuple[OperationSettings, ...] = Field(min_length=1, description="what can be done with it")
    channels: tuple[Name, ...] = Field(min_length=1, description="channels it is offered through")
    verifiers: tuple[Name, ...] | None = Field(None, description="asked in this order; all of them when missing")
    assurance: int = Field(0, ge=0, le=4, description="least assurance; 0 asks for none")
    reauthorize: tuple[Name | ReauthorizeSettings, ...] = Field(description="all must allow; [] means none")
    limits: ItemLimitSettings = Field(ItemLimitSettings(), description="limits of this item")


class PolicySettings(Settings):
    """policy.yaml and the item files it includes: reloaded live."""

    include: tuple[str, ...] = Field((), description="further files with items, beside this one: items/*.yaml")
    channels: tuple[ChannelSettings, ...] = Field(min_length=1, description="asked in this order")
    verifiers: tuple[PartSettings, ...] = Field((), description="who says whose token it is, asked in this order")
    reauthorizers: tuple[PartSettings, ...] = Field((), description="parts that items name under reauthorize")
    systems: tuple[SystemSettings, ...] = Field((), description="business systems, each via direct or ferry")
    client_rate: Rate | None = Field(
        None, description="requests of one client (IPv4 address, IPv6 /64), whatever it asks for"
    )
    login: LoginSettings | None = Field(None, description="signing in; needs `sessions` in gateway.yaml")
    items: tuple[ItemSettings, ...] = Field((), description="service items; what matches none is answered 404")

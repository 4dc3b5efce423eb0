"""The ledger's tables as of `SCHEMA`. migrations/ makes them; a test holds the two together. Times are Unix seconds.

Here are channel links, devices and the history; the tables of re-authorization are in office_tables.py.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

SCHEMA = "0002"
"""Newest migration. A ledger of another one is not used until `tongguan db upgrade`."""

METADATA = MetaData()

_LIVE = text("removed_at IS NULL")

CHANNEL_LINKS = Table(
    "channel_links",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("channel", String(63), nullable=False),
    Column("application", String(128), nullable=False),
    Column("account", String(256), nullable=False),
    Column("union_id", String(256)),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double, nullable=False),
    Column("removed_at", Double),
    # One account is one person's, whatever races; removed links stay as history.
    Index(
        "channel_links_live",
        "channel",
        "application",
        "account",
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    ),
    Index("channel_links_owner", "issuer", "subject"),
)

DEVICES = Table(
    "devices",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("name", String(64), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("removed_at", Double),
    CheckConstraint("algorithm IN ('ed25519', 'ecdsa-p256', 'sm2')", name="devices_algorithm"),
    Index("devices_owner", "issuer", "subject"),
)

CHANGES = Table(
    "changes",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("action", String(64), nullable=False),
    Column("entry", String(32), nullable=False),
    # Whose record it concerns, under which post it was done, and what changed; not there for links and devices.
    Column("party_id", String(32)),
    Column("post_id", String(32)),
    Column("detail", JSON),
    Index("changes_entry", "entry"),
    Index("changes_party", "party_id"),
    Index("changes_subject", "issuer", "subject"),
)

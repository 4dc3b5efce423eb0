"""Channel links, devices, and the history of both."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    live = sa.text("removed_at IS NULL")
    op.create_table(
        "channel_links",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("channel", sa.String(63), nullable=False),
        sa.Column("application", sa.String(128), nullable=False),
        sa.Column("account", sa.String(256), nullable=False),
        sa.Column("union_id", sa.String(256)),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double, nullable=False),
        sa.Column("removed_at", sa.Double),
    )
    account = ["channel", "application", "account"]
    op.create_index(
        "channel_links_live", "channel_links", account, unique=True, sqlite_where=live, postgresql_where=live
    )
    op.create_index("channel_links_owner", "channel_links", ["issuer", "subject"])
    op.create_table(
        "devices",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("algorithm", sa.String(16), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("removed_at", sa.Double),
        sa.CheckConstraint("algorithm IN ('ed25519', 'ecdsa-p256', 'sm2')", name="devices_algorithm"),
    )
    op.create_index("devices_owner", "devices", ["issuer", "subject"])
    op.create_table(
        "changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("entry", sa.String(32), nullable=False),
    )
    op.create_index("changes_entry", "changes", ["entry"])

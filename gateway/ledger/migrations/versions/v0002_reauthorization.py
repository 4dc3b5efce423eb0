"""What re-authorization rests on: staff, units, operators, grants, bindings, switches, devices, the view's source."""

import sqlalchemy as sa
from alembic import op

from gateway.ledger.migrations.triggers_0002 import statements

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and the rules of the database that are more than a constraint."""
    _history()
    _staff()
    _parties()
    _operators()
    _bindings()
    _designated()
    _looks()
    op.execute("INSERT INTO facts_clock (id, seq) VALUES (1, 0)")
    for statement in statements(op.get_bind().dialect.name):
        op.execute(statement)


def _once(name: str, table: str, columns: list[str], where: str) -> None:
    """At most one row with these values among those that the condition names."""
    op.create_index(name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _waiting(table: str, name: str, since: str, state: str) -> None:
    """Finds what waits for a decision among everything that was ever decided."""
    where = sa.text(f"state = '{state}'")
    op.create_index(name, table, [since], sqlite_where=where, postgresql_where=where)


def _history() -> None:
    op.add_column("changes", sa.Column("party_id", sa.String(32)))
    op.add_column("changes", sa.Column("post_id", sa.String(32)))
    op.add_column("changes", sa.Column("detail", sa.JSON()))
    op.create_index("changes_party", "changes", ["party_id"])
    op.create_index("changes_subject", "changes", ["issuer", "subject"])


def _staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password", sa.String(256), nullable=False),
        sa.Column("password_changed_at", sa.Double()),
        sa.Column("second_factor", sa.LargeBinary()),
        sa.Column("second_factor_step", sa.BigInteger(), nullable=False),
        sa.Column("second_factor_at", sa.Double()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("disabled_at", sa.Double()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login"),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(12), nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("begun_by", sa.String(32)),
        sa.Column("ended_at", sa.Double()),
        sa.CheckConstraint("role IN ('system', 'security', 'audit', 'clerk', 'reviewer')", name="posts_role"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("posts_live", "posts", ["staff_id"], "ended_at IS NULL")
    op.create_table(
        "staff_sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("begun_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("staff_sessions_staff", "staff_sessions", ["staff_id"])


def _parties() -> None:
    op.create_table(
        "parties",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("uscc", sa.String(18)),
        sa.Column("name", sa.String(200)),
        sa.Column("region", sa.String(12), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("registration", sa.JSON()),
        sa.Column("registered_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('natural', 'legal')", name="parties_kind"),
        sa.CheckConstraint(
            "state IN ('new', 'applied', 'reviewed', 'bound', 'suspended', 'revoked')", name="parties_state"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("issuer", "subject", name="parties_subject"),
    )
    op.create_index("parties_region", "parties", ["region", "state"])
    op.create_index("parties_uscc", "parties", ["uscc"])
    op.create_table(
        "applications",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("two_people", sa.Boolean(), nullable=False),
        sa.Column("proposed_at", sa.Double(), nullable=False),
        sa.Column("proposed_post", sa.String(32), nullable=False),
        sa.Column("proposed_staff", sa.String(32), nullable=False),
        sa.Column("approved_at", sa.Double()),
        sa.Column("approved_post", sa.String(32)),
        sa.Column("approved_staff", sa.String(32)),
        sa.Column("ended_at", sa.Double()),
        sa.Column("ended_reason", sa.String(400)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('received', 'approved', 'rejected')", name="applications_state"),
        sa.CheckConstraint(
            "NOT two_people OR approved_staff IS NULL OR approved_staff <> proposed_staff",
            name="applications_two_people",
        ),
        sa.ForeignKeyConstraint(["approved_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.ForeignKeyConstraint(["proposed_post"], ["posts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("applications_open", "applications", ["party_id"], "state = 'received'")
    op.create_index("applications_of", "applications", ["party_id"])
    _waiting("applications", "applications_waiting", "proposed_at", "received")


def _operators() -> None:
    op.create_table(
        "operators",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("account", sa.String(256), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("id_number", sa.String(32), nullable=False),
        sa.Column("id_digest", sa.String(64), nullable=False),
        sa.Column("administrator", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.Double(), nullable=False),
        sa.Column("added_post", sa.String(32), nullable=False),
        sa.Column("left_at", sa.Double()),
        sa.Column("left_reason", sa.String(400)),
        sa.ForeignKeyConstraint(["added_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("id", "party_id", name="operators_party"),
    )
    _once("operators_live", "operators", ["party_id", "account"], "left_at IS NULL")
    op.create_index("operators_of", "operators", ["party_id"])
    op.create_table(
        "grants",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("operator_id", sa.String(32), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(12), nullable=False),
        sa.Column("valid_from", sa.Double(), nullable=False),
        sa.Column("valid_until", sa.Double(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.Column("constraints", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("accepted_at", sa.Double()),
        sa.Column("two_people", sa.Boolean(), nullable=False),
        sa.Column("proposed_at", sa.Double(), nullable=False),
        sa.Column("proposed_post", sa.String(32), nullable=False),
        sa.Column("proposed_staff", sa.String(32), nullable=False),
        sa.Column("approved_at", sa.Double()),
        sa.Column("approved_post", sa.String(32)),
        sa.Column("approved_staff", sa.String(32)),
        sa.Column("ended_at", sa.Double()),
        sa.Column("ended_reason", sa.String(400)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('proposed', 'offered', 'live', 'ended')", name="grants_state"),
        sa.CheckConstraint("state NOT IN ('offered', 'live') OR approved_post IS NOT NULL", name="grants_approved"),
        sa.CheckConstraint(
            "NOT two_people OR approved_staff IS NULL OR approved_staff <> proposed_staff", name="grants_two_people"
        ),
        sa.CheckConstraint("valid_from < valid_until", name="grants_validity"),
        sa.ForeignKeyConstraint(["approved_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["operator_id", "party_id"], ["operators.id", "operators.party_id"]),
        sa.ForeignKeyConstraint(["proposed_post"], ["posts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("grants_exclusive", "grants", ["party_id", "item"], "exclusive AND state <> 'ended'")
    _once("grants_operator", "grants", ["operator_id", "item"], "state <> 'ended'")
    op.create_index("grants_of", "grants", ["party_id"])
    _waiting("grants", "grants_waiting", "proposed_at", "proposed")


def _bindings() -> None:
    op.create_table(
        "bindings",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("system", sa.String(63), nullable=False),
        sa.Column("local_id", sa.String(64), nullable=False),
        sa.Column("compared", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("two_people", sa.Boolean(), nullable=False),
        sa.Column("proposed_at", sa.Double(), nullable=False),
        sa.Column("proposed_post", sa.String(32), nullable=False),
        sa.Column("proposed_staff", sa.String(32), nullable=False),
        sa.Column("approved_at", sa.Double()),
        sa.Column("approved_post", sa.String(32)),
        sa.Column("approved_staff", sa.String(32)),
        sa.Column("ended_at", sa.Double()),
        sa.Column("ended_reason", sa.String(400)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state <> 'live' OR approved_post IS NOT NULL", name="bindings_approved"),
        sa.CheckConstraint("state IN ('proposed', 'live', 'ended')", name="bindings_state"),
        sa.CheckConstraint(
            "NOT two_people OR approved_staff IS NULL OR approved_staff <> proposed_staff", name="bindings_two_people"
        ),
        sa.ForeignKeyConstraint(["approved_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.ForeignKeyConstraint(["proposed_post"], ["posts.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("bindings_local", "bindings", ["system", "local_id"], "state = 'live'")
    _once("bindings_party", "bindings", ["party_id", "system"], "state <> 'ended'")
    op.create_index("bindings_of", "bindings", ["party_id"])
    _waiting("bindings", "bindings_waiting", "proposed_at", "proposed")
    op.create_table(
        "switches",
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("setting", sa.String(8), nullable=False),
        sa.Column("set_at", sa.Double(), nullable=False),
        sa.Column("set_by", sa.String(256), nullable=False),
        sa.CheckConstraint("setting IN ('open', 'closed', 'left')", name="switches_setting"),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("party_id", "item"),
    )


def _designated() -> None:
    op.create_table(
        "designated_devices",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("value", sa.String(1400), nullable=False),
        sa.Column("public_key", sa.LargeBinary()),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("proposed_by", sa.String(256), nullable=False),
        sa.Column("proposed_at", sa.Double(), nullable=False),
        sa.Column("approved_at", sa.Double()),
        sa.Column("approved_post", sa.String(32)),
        sa.Column("ended_at", sa.Double()),
        sa.Column("ended_reason", sa.String(400)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('certificate', 'passkey', 'network')", name="designated_kind"),
        sa.CheckConstraint("state <> 'live' OR approved_post IS NOT NULL", name="designated_approved"),
        sa.CheckConstraint("state IN ('proposed', 'live', 'ended')", name="designated_state"),
        sa.ForeignKeyConstraint(["approved_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("designated_live", "designated_devices", ["party_id", "kind", "value"], "state <> 'ended'")
    op.create_index("designated_of", "designated_devices", ["party_id"])
    _waiting("designated_devices", "designated_waiting", "proposed_at", "proposed")
    op.create_table(
        "appeals",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("system", sa.String(63), nullable=False),
        sa.Column("local_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(1000), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("opened_by", sa.String(256), nullable=False),
        sa.Column("decided_at", sa.Double()),
        sa.Column("decided_post", sa.String(32)),
        sa.Column("decision", sa.String(400)),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("state = 'open' OR decided_post IS NOT NULL", name="appeals_decided"),
        sa.CheckConstraint("state IN ('open', 'upheld', 'dismissed')", name="appeals_state"),
        sa.ForeignKeyConstraint(["decided_post"], ["posts.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    _once("appeals_open", "appeals", ["party_id", "system"], "state = 'open'")
    op.create_index("appeals_of", "appeals", ["party_id"])
    _waiting("appeals", "appeals_waiting", "opened_at", "open")


def _looks() -> None:
    op.create_table(
        "looks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("staff_id", sa.String(32), nullable=False),
        sa.Column("post_id", sa.String(32), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"]),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("looks_party", "looks", ["party_id", "at"])
    op.create_table(
        "facts",
        sa.Column("party_id", sa.String(32), nullable=False),
        sa.Column("issuer", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("party_id"),
    )
    op.create_index("facts_seq", "facts", ["seq"], unique=True)
    op.create_table(
        "facts_clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="facts_clock_single"),
        sa.PrimaryKeyConstraint("id"),
    )

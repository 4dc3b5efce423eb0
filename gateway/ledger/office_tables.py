"""The tables of re-authorization: who is known here, who may do what for whom, and which staff said so.

What cannot be said as a constraint of a table (a post that covers the region, the moves between states, a history that
only grows) is a trigger; see migrations/triggers_0002.py.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from gateway.ledger.tables import METADATA


def _once(name: str, *columns: str, where: str) -> Index:
    """At most one row with these values among those that the condition names."""
    return Index(name, *columns, unique=True, sqlite_where=text(where), postgresql_where=text(where))


def _waiting(name: str, since: str, state: str) -> Index:
    """Finds what waits for a decision among everything that was ever decided (queues.py)."""
    where = text(f"state = '{state}'")
    return Index(name, since, sqlite_where=where, postgresql_where=where)


def _decided() -> list[Column[object]]:
    """Who proposed something and who approved it. Both are the same where nobody has to look twice."""
    return [
        Column("two_people", Boolean, nullable=False),
        Column("proposed_at", Double, nullable=False),
        Column("proposed_post", String(32), ForeignKey("posts.id"), nullable=False),
        Column("proposed_staff", String(32), nullable=False),
        Column("approved_at", Double),
        Column("approved_post", String(32), ForeignKey("posts.id")),
        Column("approved_staff", String(32)),
        Column("ended_at", Double),
        Column("ended_reason", String(400)),
        Column("version", Integer, nullable=False),
    ]


_TWO_PEOPLE = "NOT two_people OR approved_staff IS NULL OR approved_staff <> proposed_staff"

# ── staff ─────────────────────────────────────────────────────────────────────────────────────────────────────────

STAFF = Table(
    "staff",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("password", String(256), nullable=False),
    Column("password_changed_at", Double),
    Column("second_factor", LargeBinary),
    Column("second_factor_step", BigInteger, nullable=False),
    Column("second_factor_at", Double),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
    Column("version", Integer, nullable=False),
)

POSTS = Table(
    "posts",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("staff_id", String(32), ForeignKey("staff.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("scope", String(12), nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("begun_by", String(32)),
    Column("ended_at", Double),
    CheckConstraint("role IN ('system', 'security', 'audit', 'clerk', 'reviewer')", name="posts_role"),
    # One post at a time: so nobody holds two of the three administrators' roles, or one of them and an agency's.
    _once("posts_live", "staff_id", where="ended_at IS NULL"),
)

STAFF_SESSIONS = Table(
    "staff_sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("staff_id", String(32), ForeignKey("staff.id"), nullable=False),
    Column("begun_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Column("complete", Boolean, nullable=False),
    Index("staff_sessions_staff", "staff_id"),
)

# ── who is known here ─────────────────────────────────────────────────────────────────────────────────────────────

PARTIES = Table(
    "parties",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("uscc", String(18)),
    Column("name", String(200)),
    Column("region", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("registration", JSON),
    Column("registered_version", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("issuer", "subject", name="parties_subject"),
    CheckConstraint("kind IN ('natural', 'legal')", name="parties_kind"),
    CheckConstraint("state IN ('new', 'applied', 'reviewed', 'bound', 'suspended', 'revoked')", name="parties_state"),
    Index("parties_uscc", "uscc"),
    Index("parties_region", "region", "state"),
)

APPLICATIONS = Table(
    "applications",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("items", JSON, nullable=False),
    Column("note", String(1000), nullable=False),
    Column("state", String(12), nullable=False),
    *_decided(),
    CheckConstraint("state IN ('received', 'approved', 'rejected')", name="applications_state"),
    CheckConstraint(_TWO_PEOPLE, name="applications_two_people"),
    _once("applications_open", "party_id", where="state = 'received'"),
    Index("applications_of", "party_id"),
    _waiting("applications_waiting", "proposed_at", "received"),
)

OPERATORS = Table(
    "operators",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("account", String(256), nullable=False),
    Column("name", String(64), nullable=False),
    Column("id_number", String(32), nullable=False),
    Column("id_digest", String(64), nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("added_at", Double, nullable=False),
    Column("added_post", String(32), ForeignKey("posts.id"), nullable=False),
    Column("left_at", Double),
    Column("left_reason", String(400)),
    UniqueConstraint("id", "party_id", name="operators_party"),
    _once("operators_live", "party_id", "account", where="left_at IS NULL"),
    Index("operators_of", "party_id"),
)

GRANTS = Table(
    "grants",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), nullable=False),
    Column("operator_id", String(32), nullable=False),
    Column("item", String(64), nullable=False),
    Column("scope", String(12), nullable=False),
    Column("valid_from", Double, nullable=False),
    Column("valid_until", Double, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("constraints", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    Column("accepted_at", Double),
    *_decided(),
    ForeignKeyConstraint(["operator_id", "party_id"], ["operators.id", "operators.party_id"]),
    CheckConstraint("state IN ('proposed', 'offered', 'live', 'ended')", name="grants_state"),
    CheckConstraint("valid_from < valid_until", name="grants_validity"),
    CheckConstraint("state NOT IN ('offered', 'live') OR approved_post IS NOT NULL", name="grants_approved"),
    CheckConstraint(_TWO_PEOPLE, name="grants_two_people"),
    _once("grants_operator", "operator_id", "item", where="state <> 'ended'"),
    _once("grants_exclusive", "party_id", "item", where="exclusive AND state <> 'ended'"),
    Index("grants_of", "party_id"),
    _waiting("grants_waiting", "proposed_at", "proposed"),
)

BINDINGS = Table(
    "bindings",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("system", String(63), nullable=False),
    Column("local_id", String(64), nullable=False),
    Column("compared", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    *_decided(),
    CheckConstraint("state IN ('proposed', 'live', 'ended')", name="bindings_state"),
    CheckConstraint("state <> 'live' OR approved_post IS NOT NULL", name="bindings_approved"),
    CheckConstraint(_TWO_PEOPLE, name="bindings_two_people"),
    _once("bindings_party", "party_id", "system", where="state <> 'ended'"),
    _once("bindings_local", "system", "local_id", where="state = 'live'"),
    Index("bindings_of", "party_id"),
    _waiting("bindings_waiting", "proposed_at", "proposed"),
)

SWITCHES = Table(
    "switches",
    METADATA,
    Column("party_id", String(32), ForeignKey("parties.id"), primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("setting", String(8), nullable=False),
    Column("set_at", Double, nullable=False),
    Column("set_by", String(256), nullable=False),
    CheckConstraint("setting IN ('open', 'closed', 'left')", name="switches_setting"),
)

DESIGNATED = Table(
    "designated_devices",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("value", String(1400), nullable=False),
    Column("public_key", LargeBinary),
    Column("sign_count", BigInteger, nullable=False),
    Column("name", String(64), nullable=False),
    Column("items", JSON, nullable=False),
    Column("state", String(12), nullable=False),
    Column("proposed_by", String(256), nullable=False),
    Column("proposed_at", Double, nullable=False),
    Column("approved_at", Double),
    Column("approved_post", String(32), ForeignKey("posts.id")),
    Column("ended_at", Double),
    Column("ended_reason", String(400)),
    Column("version", Integer, nullable=False),
    CheckConstraint("kind IN ('certificate', 'passkey', 'network')", name="designated_kind"),
    CheckConstraint("state IN ('proposed', 'live', 'ended')", name="designated_state"),
    CheckConstraint("state <> 'live' OR approved_post IS NOT NULL", name="designated_approved"),
    _once("designated_live", "party_id", "kind", "value", where="state <> 'ended'"),
    Index("designated_of", "party_id"),
    _waiting("designated_waiting", "proposed_at", "proposed"),
)

APPEALS = Table(
    "appeals",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("system", String(63), nullable=False),
    Column("local_id", String(64), nullable=False),
    Column("reason", String(1000), nullable=False),
    Column("state", String(12), nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("opened_by", String(256), nullable=False),
    Column("decided_at", Double),
    Column("decided_post", String(32), ForeignKey("posts.id")),
    Column("decision", String(400)),
    Column("version", Integer, nullable=False),
    CheckConstraint("state IN ('open', 'upheld', 'dismissed')", name="appeals_state"),
    CheckConstraint("state = 'open' OR decided_post IS NOT NULL", name="appeals_decided"),
    _once("appeals_open", "party_id", "system", where="state = 'open'"),
    Index("appeals_of", "party_id"),
    _waiting("appeals_waiting", "opened_at", "open"),
)

LOOKS = Table(
    "looks",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("party_id", String(32), ForeignKey("parties.id"), nullable=False),
    Column("staff_id", String(32), ForeignKey("staff.id"), nullable=False),
    Column("post_id", String(32), ForeignKey("posts.id"), nullable=False),
    Column("what", String(64), nullable=False),
    Index("looks_party", "party_id", "at"),
)

# ── the hot view's source ─────────────────────────────────────────────────────────────────────────────────────────

FACTS = Table(
    "facts",
    METADATA,
    Column("party_id", String(32), ForeignKey("parties.id"), primary_key=True),
    Column("issuer", String(512), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("facts_seq", "seq", unique=True),
)

FACTS_CLOCK = Table(
    "facts_clock",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="facts_clock_single"),
)
"""One row that every writer counts up: whoever has seen a number has seen all below it, also on PostgreSQL."""

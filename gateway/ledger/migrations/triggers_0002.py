"""What migration 0002 has the database itself hold besides constraints, for SQLite and PostgreSQL alike.

The moves between a unit's states; a live post that covers the unit's region behind every entry of the staff; entries
that stay what was approved, and ended; a region that does not change under open grants; a history that only grows. The
texts after `tongguan:` are known to acting.py.
"""

from collections.abc import Iterator

_MOVES = (
    "new>applied", "applied>new", "applied>reviewed", "reviewed>applied", "reviewed>bound", "bound>reviewed",
    "reviewed>suspended", "bound>suspended", "suspended>reviewed", "suspended>bound", "new>revoked",
    "applied>revoked", "reviewed>revoked", "bound>revoked", "suspended>revoked", "revoked>applied",
)  # fmt: skip

_COVERED = (
    "SELECT 1 FROM posts JOIN parties ON parties.id = NEW.party_id WHERE posts.id = NEW.{post}"
    " AND posts.ended_at IS NULL AND substr(parties.region, 1, length(posts.scope)) = posts.scope{more}{lock}"
)
_BY_STAFF = " AND posts.staff_id = NEW.{staff}"
_IN_SCOPE = " AND substr(NEW.scope, 1, length(posts.scope)) = posts.scope"

_ENTRIES = (
    ("applications", "INSERT", "proposed_post", _BY_STAFF.format(staff="proposed_staff")),
    ("operators", "INSERT", "added_post", ""),
    ("grants", "INSERT", "proposed_post", _BY_STAFF.format(staff="proposed_staff") + _IN_SCOPE),
    ("bindings", "INSERT", "proposed_post", _BY_STAFF.format(staff="proposed_staff")),
    ("applications", "UPDATE", "approved_post", _BY_STAFF.format(staff="approved_staff")),
    ("grants", "UPDATE", "approved_post", _BY_STAFF.format(staff="approved_staff") + _IN_SCOPE),
    ("bindings", "UPDATE", "approved_post", _BY_STAFF.format(staff="approved_staff")),
    ("designated_devices", "UPDATE", "approved_post", ""),
    ("appeals", "UPDATE", "decided_post", ""),
    ("looks", "INSERT", "post_id", _BY_STAFF.format(staff="staff_id")),
)
"""Table, event, the column that names the post, and what else has to hold. An INSERT may decide at once, too."""

_KEPT = {
    "grants": (
        "party_id", "operator_id", "item", "scope", "valid_from", "valid_until", "exclusive", "constraints",
        "two_people", "proposed_post", "proposed_staff",
    ),
    "bindings": ("party_id", "system", "local_id", "compared", "two_people", "proposed_post", "proposed_staff"),
    "designated_devices": ("party_id", "kind", "value", "public_key", "items", "proposed_by"),
}  # fmt: skip
"""Columns that say what was proposed, and was then approved as that."""
_JSON = frozenset({"constraints", "compared", "items"})
"""Those that PostgreSQL compares as text alone."""

_OPEN = (
    "SELECT 1 FROM grants WHERE grants.party_id = NEW.id AND grants.state <> 'ended'"
    " UNION ALL SELECT 1 FROM bindings WHERE bindings.party_id = NEW.id AND bindings.state <> 'ended'"
)


def statements(dialect: str) -> Iterator[str]:
    """Every statement for this kind of database, in order.

    Args:
        dialect: `sqlite` or `postgresql`.
    """
    make = _postgresql if dialect == "postgresql" else _sqlite
    # Against a post that ends, or a unit that moves, at this very moment. SQLite has one writer at a time.
    lock = " FOR SHARE OF posts, parties" if dialect == "postgresql" else ""
    moves = ", ".join(f"'{move}'" for move in _MOVES)
    yield from make(
        "parties_moves", "parties", "UPDATE",
        f"NEW.state <> OLD.state AND OLD.state || '>' || NEW.state NOT IN ({moves})", "state-move",
    )  # fmt: skip
    yield from make(
        "parties_region_kept", "parties", "UPDATE", f"NEW.region <> OLD.region AND EXISTS ({_OPEN})", "region-in-use"
    )
    for table, event, post, more in _ENTRIES:
        covered = f"NOT EXISTS ({_COVERED.format(post=post, more=more, lock=lock)})"
        if event == "INSERT":
            yield from make(f"{table}_insert_covered", table, event, covered, "outside-region")
            continue
        decided = f"NEW.{post} IS NOT NULL AND {covered}"
        yield from make(f"{table}_decided_covered", table, "INSERT", decided, "outside-region")
        yield from make(
            f"{table}_update_covered", table, "UPDATE", f"OLD.{post} IS NULL AND {decided}", "outside-region"
        )
    for table, columns in _KEPT.items():
        yield from make(f"{table}_kept", table, "UPDATE", _changed(*columns), "approved-as-it-is")
    for table in ("changes", "looks"):
        for event in ("UPDATE", "DELETE"):
            yield from make(f"{table}_{event.lower()}_never", table, event, "1 = 1", "history-only-grows")


def _changed(*columns: str) -> str:
    changed = " OR ".join(f"{_comparable('NEW', column)} <> {_comparable('OLD', column)}" for column in columns)
    again = "(OLD.approved_post IS NOT NULL AND COALESCE(NEW.approved_post, '') <> OLD.approved_post)"
    return f"{changed} OR {again} OR (OLD.state = 'ended' AND NEW.state <> 'ended')"


def _comparable(row: str, column: str) -> str:
    return f"CAST({row}.{column} AS TEXT)" if column in _JSON else f"{row}.{column}"


def _sqlite(name: str, table: str, event: str, wrong: str, code: str) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {name} BEFORE {event} ON {table} WHEN {wrong}"
        f" BEGIN SELECT RAISE(ABORT, 'tongguan:{code}'); END"
    )


def _postgresql(name: str, table: str, event: str, wrong: str, code: str) -> Iterator[str]:
    row = "OLD" if event == "DELETE" else "NEW"
    yield (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {wrong} THEN"
        f" RAISE EXCEPTION 'tongguan:{code}' USING ERRCODE = 'check_violation'; END IF; RETURN {row}; END $$"
    )
    yield f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"

"""What tests of the office share: staff with posts, units in a region, written as acts write them."""

from itertools import count

from sqlalchemy import insert

from gateway.ledger.acting import Office, new_id
from gateway.ledger.office_tables import PARTIES, POSTS, STAFF
from gateway.ledger.powers import Role
from gateway.ledger.values import Officer

ISSUER = "https://id.province.example"

_NUMBERS = count(1)


async def seed_staff(office: Office, role: Role | str, scope: str = "3501") -> Officer:
    """A member of the staff with a post; nobody can sign in as her."""
    number, role, now = next(_NUMBERS), Role(role), office.clock()
    officer = Officer(new_id(), f"staff-{number}", f"样例职员{number}", new_id(), role, scope)
    async with office.by_itself() as act:
        await act.connection.execute(
            insert(STAFF).values(
                id=officer.staff, login=officer.login, name=officer.name, password="-", second_factor_step=0,
                failures=0, locked_until=0.0, created_at=now, version=1,
            )
        )  # fmt: skip
        await act.connection.execute(
            insert(POSTS).values(id=officer.post, staff_id=officer.staff, role=role.value, scope=scope, begun_at=now)
        )
    return officer


async def seed_unit(
    office: Office, subject: str = "91350100M000100Y43", region: str = "350100", state: str = "new", kind: str = "legal"
) -> str:
    """The record of a unit (or a person), in any state; gives its id."""
    party, now = new_id(), office.clock()
    async with office.by_itself() as act:
        await act.connection.execute(
            insert(PARTIES).values(
                id=party, kind=kind, issuer=ISSUER, subject=subject, uscc=subject if kind == "legal" else None,
                name="样例一有限公司" if kind == "legal" else "样例甲", region=region, state=state,
                registered_version=0, created_at=now, changed_at=now, version=1,
            )
        )  # fmt: skip
        await act.note("party.created", party, party=party)
    return party

"""Accounts and posts as rows: read, made and changed within an act. staff.py and imports.py say who may do that."""

from typing import Any

import msgspec
from sqlalchemy import Row, Select, func, insert, select, update

from gateway.codes import region_code
from gateway.errors import FieldProblem, InputRefused
from gateway.ledger.acting import Act, new_id
from gateway.ledger.inputs.staff import PostInput, StaffInput
from gateway.ledger.office_tables import POSTS, STAFF
from gateway.ledger.passwords import Passwords
from gateway.ledger.powers import Role
from gateway.ledger.staff_sessions import end_sessions
from gateway.ledger.tables import CHANGES


class StaffRecord(msgspec.Struct, frozen=True):
    """A member of the staff, as administrators see her.

    Attributes:
        id: of the account.
        login: what she signs in with.
        name: what she is called.
        role: of her post; None while she has none.
        region: that her post covers, as a code; None while she has none.
        disabled: True when nobody can sign in with the account.
        locked_until: Unix seconds; not later than now when it is not locked.
        second_factor: True when she has enrolled one.
        password_changed_at: Unix seconds; None while she has a one-time password.
        created_at: Unix seconds.
        version: counts what administrators did to the account, for forms that change it. What its holder does, and who
            fails to sign in with it, does not count: neither shall keep an administrator from acting.
    """

    id: str
    login: str
    name: str
    role: Role | None
    region: str | None
    disabled: bool
    locked_until: float
    second_factor: bool
    password_changed_at: float | None
    created_at: float
    version: int

    def __repr__(self) -> str:
        return f"StaffRecord(id={self.id!r})"


class IssuedPassword(msgspec.Struct, frozen=True):
    """A password for one sign-in, to be handed over; it is told once and kept nowhere.

    Attributes:
        staff: whose it is.
        password: what to sign in with; a new one has to be chosen then.
    """

    staff: StaffRecord
    password: str

    def __repr__(self) -> str:
        return f"IssuedPassword(staff={self.staff!r})"


def accounts() -> Select[Any]:
    """Every account with its live post, and `home`: the region that it belongs to.

    That is the region of its post, or of its last one; of an account that never had one, of the post that made it.
    """
    live = (POSTS.c.staff_id == STAFF.c.id) & POSTS.c.ended_at.is_(None)
    last, maker = POSTS.alias("last"), POSTS.alias("maker")
    of_last = (
        select(last.c.scope).where(last.c.staff_id == STAFF.c.id).order_by(last.c.ended_at.desc()).limit(1)
    ).scalar_subquery()
    of_maker = (
        select(maker.c.scope)
        .join(CHANGES, CHANGES.c.post_id == maker.c.id)
        .where(CHANGES.c.entry == STAFF.c.id, CHANGES.c.action == "staff.created")
        .limit(1)
    ).scalar_subquery()
    home = func.coalesce(POSTS.c.scope, of_last, of_maker, "").label("home")
    return select(STAFF, POSTS.c.id.label("post"), POSTS.c.role, POSTS.c.scope, home).outerjoin(POSTS, live)


def record_of(row: Row[Any]) -> StaffRecord:
    """What administrators see of a row of `accounts`."""
    return StaffRecord(
        row.id,
        row.login,
        row.name,
        None if row.role is None else Role(row.role),
        None if row.scope is None else region_code(row.scope),
        row.disabled_at is not None,
        row.locked_until,
        row.second_factor_at is not None,
        row.password_changed_at,
        row.created_at,
        row.version,
    )


async def read_record(act: Act, staff: str) -> StaffRecord:
    """An account as it is within the act."""
    return record_of((await act.connection.execute(accounts().where(STAFF.c.id == staff))).one())


async def insert_account(act: Act, entered: StaffInput, passwords: Passwords) -> IssuedPassword:
    """Make an account without a post, which can do nothing.

    Raises:
        InputRefused: `login` is taken.
    """
    taken = await act.connection.scalar(select(STAFF.c.id).where(STAFF.c.login == entered.login))
    if taken is not None:
        raise InputRefused(FieldProblem("login", _TAKEN))
    staff, (password, kept) = new_id(), passwords.one_time()
    values = {"id": staff, "login": entered.login, "name": entered.name, "password": kept, "created_at": act.now}
    unused = {"second_factor_step": 0, "failures": 0, "locked_until": 0.0, "version": 1}
    await act.connection.execute(insert(STAFF).values(values | unused))
    await act.note("staff.created", staff)
    record = StaffRecord(staff, entered.login, entered.name, None, None, False, 0.0, False, None, act.now, 1)
    return IssuedPassword(record, password)


async def give_post(act: Act, staff: str, entered: PostInput) -> None:
    """End the post that somebody has, if any, and begin another one."""
    await end_post(act, staff)
    begun_by = None if act.officer is None else act.officer.staff
    values = {"id": new_id(), "staff_id": staff, "role": entered.role.value, "scope": entered.scope}
    await act.connection.execute(insert(POSTS).values(**values, begun_at=act.now, begun_by=begun_by))
    await change_account(act, staff)
    await act.note("staff.appointed", staff, role=entered.role.value, scope=entered.scope)


async def end_post(act: Act, staff: str) -> bool:
    """End the post that somebody has; False when she has none."""
    ending = update(POSTS).where(POSTS.c.staff_id == staff, POSTS.c.ended_at.is_(None)).values(ended_at=act.now)
    return (await act.connection.execute(ending)).rowcount == 1


async def reset_account(act: Act, staff: str, passwords: Passwords) -> IssuedPassword:
    """Give a new one-time password and forget the second factor; the account is unlocked, its sessions end."""
    password, kept = passwords.one_time()
    values = {"password": kept, "password_changed_at": None, "second_factor": None, "second_factor_at": None}
    await change_account(act, staff, failures=0, locked_until=0.0, **values)
    await end_sessions(act.connection, staff)
    await act.note("staff.reset", staff)
    return IssuedPassword(await read_record(act, staff), password)


async def change_account(act: Act, staff: str, **values: Any) -> None:
    """Change columns of an account, and its version."""
    changing = update(STAFF).where(STAFF.c.id == staff).values(version=STAFF.c.version + 1, **values)
    await act.connection.execute(changing)


_TAKEN = ("该登录名已被使用。", "Somebody has this login already.")

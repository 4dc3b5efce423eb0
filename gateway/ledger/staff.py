"""Accounts and posts of the staff: the system administrator makes accounts, the security administrator fills posts.

An account without a post can do nothing, so neither of the two can give powers alone; and nobody acts on herself.
staff_sign_in.py is how they are used.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, func, or_, select

from gateway.codes import is_within
from gateway.errors import Conflict, Forbidden
from gateway.ledger.acting import Act, Office, check_version, outside_region, state_not_reachable
from gateway.ledger.inputs.searching import SearchInput
from gateway.ledger.inputs.staff import AppointmentInput, PostInput, StaffInput
from gateway.ledger.office_tables import STAFF
from gateway.ledger.paging import read_counted
from gateway.ledger.passwords import Passwords
from gateway.ledger.powers import Power, Role
from gateway.ledger.staff_accounts import (
    IssuedPassword,
    StaffRecord,
    accounts,
    change_account,
    end_post,
    give_post,
    insert_account,
    read_record,
    record_of,
    reset_account,
)
from gateway.ledger.staff_sessions import end_sessions
from gateway.ledger.values import Officer, Page

_ID_OR_LOGIN = re.compile(r"[0-9A-Za-z._-]{1,64}")

WHOLE_COUNTRY = "000000"
"""The region of a post that covers everything."""


class StaffRegister:
    """Everybody who may sign in to the back office.

    Every method with `by` raises Forbidden: `not-your-role`, the post does not include it; `not-your-region`, there is
    no such account, or it belongs to a region that the post does not cover; `own-account`, nobody does this to herself.
    And CannotDecide, 503: the ledger cannot be asked now, and nothing was changed.

    Every change takes the version of the account that was shown (StaffRecord says what it counts), and raises Conflict
    `changed-meanwhile`, 409, when it has another one now: of two administrators at once the slower one looks again.

    Args:
        office: where acts begin.
        passwords: makes one-time passwords.
    """

    def __init__(self, office: Office, passwords: Passwords) -> None:
        self._office = office
        self._passwords = passwords

    async def create(self, by: Officer, entered: StaffInput) -> IssuedPassword:
        """Make an account without a post (system administrator).

        Raises:
            InputRefused: `login` is taken; 422.
        """
        async with self._office.by_staff(by, Power.STAFF_CREATE) as act:
            return await self.create_in(act, entered)

    async def create_in(self, act: Act, entered: StaffInput) -> IssuedPassword:
        """The same within an act of somebody with that power."""
        return await insert_account(act, entered, self._passwords)

    async def disable(self, by: Officer, staff: str, version: int) -> StaffRecord:
        """Let nobody sign in with an account any more, and end its sessions (system administrator)."""
        async with self._office.by_staff(by, Power.STAFF_DISABLE) as act:
            await _shown(act, staff, version)
            await change_account(act, staff, disabled_at=act.now)
            await end_sessions(act.connection, staff)
            await act.note("staff.disabled", staff)
            return await read_record(act, staff)

    async def enable(self, by: Officer, staff: str, version: int) -> StaffRecord:
        """Take `disable` back; the post is still there (system administrator)."""
        async with self._office.by_staff(by, Power.STAFF_DISABLE) as act:
            await _shown(act, staff, version)
            await change_account(act, staff, disabled_at=None)
            await act.note("staff.enabled", staff)
            return await read_record(act, staff)

    async def appoint(self, by: Officer, staff: str, entered: AppointmentInput) -> StaffRecord:
        """Give somebody a post; the one she has ends in the same act (security administrator).

        Raises:
            Conflict: `state-not-reachable`, the account is disabled; 409.
        """
        async with self._office.by_staff(by, Power.STAFF_APPOINT) as act:
            await _appoint(act, await _shown(act, staff, entered.version), entered)
            return await read_record(act, staff)

    async def appoint_in(self, act: Act, staff: str, entered: PostInput) -> None:
        """The same within an act of somebody with that power, whatever the version: to a file none was shown."""
        await _appoint(act, await _someone_else(act, staff), entered)

    async def id_in(self, act: Act, login: str) -> str:
        """Id of the account with this login, within an act.

        Raises:
            Forbidden: `not-your-region`.
        """
        return str((await _visible(act, STAFF.c.login == _readable(login))).id)

    async def dismiss(self, by: Officer, staff: str, version: int) -> StaffRecord:
        """End somebody's post; the account stays (security administrator).

        Raises:
            Conflict: `state-not-reachable`, she has none; 409.
        """
        async with self._office.by_staff(by, Power.STAFF_APPOINT) as act:
            row = await _shown(act, staff, version)
            if not await end_post(act, staff):
                raise state_not_reachable(_NO_POST)
            await change_account(act, staff)
            await act.note("staff.dismissed", staff, role=row.role, scope=row.scope)
            return await read_record(act, staff)

    async def unlock(self, by: Officer, staff: str, version: int) -> StaffRecord:
        """Let somebody try again who failed too often (security administrator)."""
        async with self._office.by_staff(by, Power.STAFF_UNLOCK) as act:
            await _shown(act, staff, version)
            await change_account(act, staff, failures=0, locked_until=0.0)
            await act.note("staff.unlocked", staff)
            return await read_record(act, staff)

    async def reset(self, by: Officer, staff: str, version: int) -> IssuedPassword:
        """Give a new one-time password and forget the second factor; the sessions end (security administrator)."""
        async with self._office.by_staff(by, Power.STAFF_UNLOCK) as act:
            await _shown(act, staff, version)
            return await reset_account(act, staff, self._passwords)

    async def listing(self, by: Officer, search: SearchInput) -> Page[StaffRecord]:
        """Accounts of the post's region whose login or name holds the text, by login (any administrator)."""
        async with self._office.asked_by(by, Power.STAFF_LOOK) as (connection, post):
            question = _within(post.scope).order_by(STAFF.c.login)
            if search.text:
                holds = (STAFF.c.login, search.text.lower()), (STAFF.c.name, search.text)
                question = question.where(or_(*(column.contains(part, autoescape=True) for column, part in holds)))
            return await read_counted(connection, question, search.page, record_of)

    async def find(self, by: Officer, staff: str) -> StaffRecord:
        """One account of the post's region (any administrator)."""
        async with self._office.asked_by(by, Power.STAFF_LOOK) as (connection, post):
            question = _within(post.scope).where(STAFF.c.id == _readable(staff))
            row = (await connection.execute(question)).one_or_none()
        if row is None:
            raise outside_region()
        return record_of(row)

    async def first_administrators(self, founders: Mapping[Role, StaffInput]) -> list[IssuedPassword]:
        """Make the first accounts with posts for the whole country, once: while there is nobody else.

        Args:
            founders: by role: the three administrators, three people.

        Raises:
            Conflict: `staff-exist`, there is somebody already; 409.
            InputRefused: two of them have one login; 422.
            CannotDecide: the ledger cannot be written now; 503.
        """
        async with self._office.by_itself() as act:
            if await act.connection.scalar(select(func.count()).select_from(STAFF)):
                raise Conflict("not the first", code="staff-exist", title=_NOT_THE_FIRST)
            return [await self._found(act, role, entered) for role, entered in founders.items()]

    async def reset_by_itself(self, login: str) -> IssuedPassword | None:
        """`reset` by whoever operates the machine, as the gateway itself; None when nobody has this login.

        Raises:
            CannotDecide: the ledger cannot be written now; 503.
        """
        async with self._office.by_itself() as act:
            staff = await act.connection.scalar(select(STAFF.c.id).where(STAFF.c.login == _readable(login)))
            return None if staff is None else await reset_account(act, staff, self._passwords)

    async def everybody(self) -> list[StaffRecord]:
        """Every account, by login, for whoever operates the machine.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            rows = (await connection.execute(accounts().order_by(STAFF.c.login))).all()
        return [record_of(row) for row in rows]

    async def _found(self, act: Act, role: Role, entered: StaffInput) -> IssuedPassword:
        issued = await insert_account(act, entered, self._passwords)
        await give_post(act, issued.staff.id, PostInput(role=role, region=WHOLE_COUNTRY))
        return IssuedPassword(await read_record(act, issued.staff.id), issued.password)


def _within(scope: str) -> Any:
    question = accounts()
    home = question.selected_columns.home
    return question.where(func.substr(home, 1, len(scope)) == scope) if scope else question


def _readable(text: str) -> str:
    """An id or a login; what can be neither is empty, as not every text is a question to a database."""
    return text if _ID_OR_LOGIN.fullmatch(text) else ""


async def _visible(act: Act, which: Any) -> Row[Any]:
    """The one account that a condition names, locked until the end of the act."""
    question = accounts().where(which).with_for_update(of=STAFF)
    row: Row[Any] | None = (await act.connection.execute(question)).one_or_none()
    if row is None or not is_within(row.home, act.staff.scope):
        raise outside_region()
    return row


async def _someone_else(act: Act, staff: str) -> Row[Any]:
    row = await _visible(act, STAFF.c.id == _readable(staff))
    if staff == act.staff.staff:
        raise Forbidden("her own account", code="own-account", title=_OWN)
    return row


async def _shown(act: Act, staff: str, version: int) -> Row[Any]:
    """Somebody else's account, as it was shown."""
    row = await _someone_else(act, staff)
    check_version(row.version, version)
    return row


async def _appoint(act: Act, row: Row[Any], entered: PostInput) -> None:
    if not is_within(entered.scope, act.staff.scope):
        raise outside_region()
    if row.disabled_at is not None:
        raise state_not_reachable(_DISABLED)
    await give_post(act, row.id, entered)


_OWN = ("不能对本人账户进行此操作，请由其他管理员办理。", "Nobody does this to her own account: another has to.")
_DISABLED = ("账户已停用，请先启用。", "The account is disabled. Have it enabled first.")
_NO_POST = ("该人员没有岗位。", "She holds no post.")
_NOT_THE_FIRST = (
    "已有工作人员账户，不能再次初始化。",
    "There are accounts already: the first administrators are made only once.",
)

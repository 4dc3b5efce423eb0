"""Counts failed sign-ins and locks accounts (GB/T 22239-2019, 8.1.4.1: 登录失败处理). staff_sign_in.py tells of each.

Logins that nobody has are counted as well, in memory: the answers to both are the same, so nobody learns who is here.
"""

import math

import msgspec
from sqlalchemy import select, update

from gateway.errors import Forbidden
from gateway.ledger.acting import Office
from gateway.ledger.office_tables import STAFF
from gateway.office_settings import ConsoleSettings

_MOST_UNKNOWN = 4096


class _Count(msgspec.Struct):
    failures: int = 0
    locked_until: float = 0.0


class Locking:
    """What is counted, in the ledger for accounts and in memory for the rest.

    Args:
        office: where acts begin.
        settings: after how many failures accounts are locked, and for how long.
    """

    def __init__(self, office: Office, settings: ConsoleSettings) -> None:
        self._office = office
        self._settings = settings
        self._unknown: dict[str, _Count] = {}

    def locked_until(self, login: str) -> float:
        """Until when a login that nobody has is answered like a locked one; Unix seconds, 0 when it is not."""
        count = self._unknown.get(login)
        return 0.0 if count is None else count.locked_until

    def require_open(self, locked_until: float) -> None:
        """Refuse whoever is locked.

        Raises:
            Forbidden: `account-locked`, with when it ends.
        """
        left = locked_until - self._office.clock()
        if left > 0:
            raise Forbidden("the account is locked", code="account-locked", title=_locked(left), retry_after=left)

    async def failed(self, staff: str, step: str, client: str) -> None:
        """Count a failure of an account, and lock it when it is one too many.

        Args:
            staff: id of the account.
            step: `password` or `second-factor`.
            client: address from which it came.

        Raises:
            CannotDecide: the ledger cannot be written now; 503.
        """
        async with self._office.by_itself() as act:
            question = select(STAFF.c.failures, STAFF.c.locked_until).where(STAFF.c.id == staff).with_for_update()
            row = (await act.connection.execute(question)).one()
            if row.locked_until > act.now:  # another attempt locked it while this one was being checked
                return
            after = self._counted(_Count(row.failures, row.locked_until), act.now)
            values = {"failures": after.failures, "locked_until": after.locked_until}
            await act.connection.execute(update(STAFF).where(STAFF.c.id == staff).values(values))
            await act.note("staff.sign-in-failed", staff, step=step, client=client)
            if after.locked_until > act.now:
                await act.note("staff.locked", staff, until=after.locked_until, client=client)

    async def failed_unknown(self, login: str, client: str) -> None:
        """Count a failure of a login that nobody has. The history names it by a digest: it may be a password.

        Raises:
            CannotDecide: as in `failed`.
        """
        count = self._unknown.pop(login, None) or _Count()
        while len(self._unknown) >= _MOST_UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[login] = self._counted(count, self._office.clock())
        async with self._office.by_itself() as act:
            entry = self._office.digest(login)[:32]
            await act.note("staff.sign-in-failed", entry, step="password", client=client, unknown=True)

    def _counted(self, count: _Count, now: float) -> _Count:
        if count.failures + 1 < self._settings.lock_after:
            return _Count(count.failures + 1, count.locked_until)
        return _Count(0, now + self._settings.lock_for)


def _locked(left: float) -> tuple[str, str]:
    minutes = math.ceil(left / 60)
    return (
        f"登录失败次数过多，账户已锁定。请在 {minutes} 分钟后再试，或联系安全管理员解锁。",
        f"Too many failures: the account is locked for {minutes} min. The security administrator can unlock it.",
    )

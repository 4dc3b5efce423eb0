"""How the staff sign in: password, second factor, and at the first time a password and a factor of one's own.

Every answer to a wrong password, a wrong login and a disabled account is the same, and takes as long. Whatever fails
is counted (staff_locking.py) and written into the history.
"""

from typing import Any

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import CannotDecide, Conflict, FieldProblem, InputRefused, SignInRefused, TokenMissing
from gateway.ledger.acting import STAFF_ISSUER, Act, Office, changed_meanwhile, state_not_reachable
from gateway.ledger.inputs.staff import LOGIN
from gateway.ledger.office_tables import STAFF
from gateway.ledger.passwords import Passwords
from gateway.ledger.second_factors import Enrolment, Seal, enrolment_of, matching_step, new_secret
from gateway.ledger.staff_locking import Locking
from gateway.ledger.staff_sessions import Missing, StaffSession, StaffSessions, end_sessions
from gateway.ledger.values import Person
from gateway.office_settings import ConsoleSettings


class SignInStep(msgspec.Struct, frozen=True):
    """Where a sign-in stands.

    Attributes:
        token: opens the session from now on; an older one does not.
        missing: what comes next; None when she may work.
    """

    token: str
    missing: Missing | None

    def __repr__(self) -> str:
        return f"SignInStep(missing={self.missing!r})"


class StaffSignIn:
    """Signing in.

    Args:
        office: where acts begin.
        sessions: where it ends.
        passwords: checks them.
        settings: when accounts are locked.
        seal: keeps the secrets of second factors.
        issuer: what authenticator apps show beside the login.
    """

    def __init__(
        self,
        office: Office,
        sessions: StaffSessions,
        passwords: Passwords,
        settings: ConsoleSettings,
        seal: Seal,
        issuer: str = "Tongguan",
    ) -> None:
        self._office = office
        self._sessions = sessions
        self._passwords = passwords
        self._locking = Locking(office, settings)
        self._seal = seal
        self._issuer = issuer

    async def password(self, login: str, password: str, client: str) -> SignInStep:
        """The first step.

        Args:
            login: as it was entered.
            password: as it was entered.
            client: address from which it comes, for the history.

        Raises:
            SignInRefused: it is not right, or there is no such account, or it is disabled; 401.
            Forbidden: `account-locked`, with when it ends; 403.
            CannotDecide: the ledger cannot be asked, or too many wait for an answer; 503.
        """
        login = _read_login(login)
        account = await self._find(STAFF.c.login == login)
        self._locking.require_open(self._locking.locked_until(login) if account is None else account.locked_until)
        right = await self._passwords.matches(None if account is None else account.password, password)
        if account is None:
            await self._locking.failed_unknown(login, client)
            raise _refused()
        if not right or account.disabled_at is not None:
            await self._locking.failed(account.id, "password", client)
            raise _refused()
        renewed = await self._passwords.hash(password) if self._passwords.outdated(account.password) else None
        return await self._step(await self._begin(account, renewed))

    async def second_factor(self, session: StaffSession, code: str, client: str) -> SignInStep:
        """The second step, with a code of the authenticator app. A code is good once.

        Raises:
            SignInRefused: it is not right, or was used; 401.
            Forbidden: `account-locked`; 403.
            Conflict: `state-not-reachable`, it is not asked for; 409.
            TokenMissing: the session has ended; 401.
            CannotDecide: the ledger cannot be asked, or no key opens what it holds; 503.
        """
        _require(session, "second-factor")
        account = await self._account(session)
        self._locking.require_open(account.locked_until)
        step = matching_step(self._secret(account), code, self._office.clock(), account.second_factor_step)
        if step is None:
            await self._locking.failed(account.id, "second-factor", client)
            raise _refused()
        async with self._acting(account.id) as act:
            await self._lock_row(act, account)
            return await self._completed(act, session, step, client)

    async def begin_second_factor(self, session: StaffSession) -> Enrolment:
        """Give an authenticator app its secret; the same one until it is confirmed.

        Raises:
            Conflict: `state-not-reachable`, there is a confirmed one, or something else comes first; 409.
            TokenMissing: the account is gone or disabled; 401.
            CannotDecide: as in `second_factor`.
        """
        _require(session, "second-factor-enrolment")
        async with self._acting(session.staff) as act:
            account = await self._fresh(act, session.staff)
            if account.second_factor_at is not None:
                raise _not_now()
            if account.second_factor is not None:
                return enrolment_of(self._secret(account), account.login, self._issuer)
            secret = new_secret()
            sealed = self._seal.seal(account.id.encode(), secret.encode())
            await _change(act.connection, account.id, second_factor=sealed)
        return enrolment_of(secret, account.login, self._issuer)

    async def confirm_second_factor(self, session: StaffSession, code: str, client: str) -> SignInStep:
        """Take the app's first code: from now on it is asked for. With it she is signed in.

        Raises:
            InputRefused: `code` is not right; 422.
            Conflict, TokenMissing, CannotDecide: as in `begin_second_factor`.
        """
        _require(session, "second-factor-enrolment")
        async with self._acting(session.staff) as act:
            account = await self._fresh(act, session.staff)
            if account.second_factor is None or account.second_factor_at is not None:
                raise _not_now()
            step = matching_step(self._secret(account), code, act.now, account.second_factor_step)
            if step is None:
                raise InputRefused(FieldProblem("code", _WRONG_CODE))
            await _change(act.connection, account.id, second_factor_at=act.now)
            await act.note("staff.second-factor-enrolled", account.id)
            return await self._completed(act, session, step, client)

    async def change_password(self, session: StaffSession, old: str, new: str, client: str) -> SignInStep:
        """Change one's own password. Every other session ends, and this one goes on under a new token.

        Raises:
            InputRefused: `old` is not right (and counted), or `new` cannot be taken; 422.
            Forbidden: `account-locked`; 403.
            Conflict: `state-not-reachable`, the second factor comes first; `changed-meanwhile`; 409.
            TokenMissing: the session has ended; 401.
            CannotDecide: as in `password`.
        """
        if session.missing == "second-factor":
            raise _not_now()
        account = await self._account(session)
        self._locking.require_open(account.locked_until)
        if not await self._passwords.matches(account.password, old):
            await self._locking.failed(account.id, "password", client)
            raise InputRefused(FieldProblem("old", _WRONG_PASSWORD))
        self._require_good(account, old, new)
        hashed = await self._passwords.hash(new)
        async with self._acting(account.id) as act:
            await self._lock_row(act, account)
            await _change(act.connection, account.id, password=hashed, password_changed_at=act.now)
            if not await end_sessions(act.connection, account.id):
                raise _ended()
            token = await self._sessions.begin_in(act.connection, account.id, complete=session.complete)
            await act.note("staff.password-changed", account.id, client=client)
        return await self._step(token)

    def _require_good(self, account: Row[Any], old: str, new: str) -> None:
        problem = FieldProblem("new", _SAME) if new == old else None
        problem = problem or self._passwords.problem(new, account.login, account.name)
        if problem is not None:
            raise InputRefused(problem)

    async def _begin(self, account: Row[Any], renewed: str | None) -> str:
        async with self._acting(account.id) as act:
            await self._lock_row(act, account)
            if renewed is not None:
                await _change(act.connection, account.id, password=renewed)
            return await self._sessions.begin_in(act.connection, account.id)

    async def _completed(self, act: Act, session: StaffSession, step: int, client: str) -> SignInStep:
        """The end of a sign-in, in the act of its last step."""
        await _change(act.connection, session.staff, second_factor_step=step, failures=0)
        token = await self._sessions.complete_in(act.connection, session)
        if token is None:
            raise _ended()
        await act.note("staff.signed-in", session.staff, client=client)
        overdue = await self._sessions.missing_in(act.connection, token)
        return SignInStep(token, overdue)

    async def _step(self, token: str) -> SignInStep:
        session = await self._sessions.find(token)
        if session is None:
            raise _ended()
        return SignInStep(token, session.missing)

    def _acting(self, staff: str) -> Any:
        return self._office.by_owner(Person(STAFF_ISSUER, staff))

    async def _lock_row(self, act: Act, seen: Row[Any]) -> None:
        """Hold the account, as it was when its password or code was checked: many guesses at once count as many."""
        account = await self._fresh(act, seen.id)
        self._locking.require_open(account.locked_until)
        if (account.password, account.second_factor_step) != (seen.password, seen.second_factor_step):
            raise changed_meanwhile()

    async def _fresh(self, act: Act, staff: str) -> Row[Any]:
        question = select(STAFF).where(STAFF.c.id == staff).with_for_update()
        account = (await act.connection.execute(question)).one_or_none()
        if account is None or account.disabled_at is not None:
            raise _ended()
        return account

    async def _account(self, session: StaffSession) -> Row[Any]:
        account = await self._find(STAFF.c.id == session.staff)
        if account is None or account.disabled_at is not None:
            raise _ended()
        return account

    async def _find(self, which: Any) -> Row[Any] | None:
        async with self._office.database.reading() as connection:
            return (await connection.execute(select(STAFF).where(which))).one_or_none()

    def _secret(self, account: Row[Any]) -> str:
        opened = self._seal.open(account.id.encode(), account.second_factor)
        if opened is None:
            raise CannotDecide("a second factor that no key of console.keys opens")
        return opened.decode()


def _read_login(entered: str) -> str:
    """The login that was entered; what can be nobody's is empty, as not every text is a question to a database."""
    login = entered.strip().lower()
    return login if LOGIN.fullmatch(login) else ""


async def _change(connection: AsyncConnection, staff: str, **values: Any) -> None:
    await connection.execute(update(STAFF).where(STAFF.c.id == staff).values(values))


def _require(session: StaffSession, step: Missing) -> None:
    if session.missing != step:
        raise _not_now()


def _not_now() -> Conflict:
    return state_not_reachable(_NOT_NOW)


def _refused() -> SignInRefused:
    return SignInRefused("login, password or code", title=_REFUSED)


def _ended() -> TokenMissing:
    return TokenMissing("the session has ended, or its account is disabled")


_REFUSED = (
    "登录名、密码或动态验证码不正确。",
    "The login, the password or the code is not right.",
)
_WRONG_CODE = (
    "动态验证码不正确，请核对手机时间后重试。",
    "The code is not right. Compare the clock of the phone and try again.",
)
_WRONG_PASSWORD = ("当前密码不正确。", "This is not the current password.")
_SAME = ("新密码不得与当前密码相同。", "The new password has to be another one.")
_NOT_NOW = (
    "请按登录步骤操作。",
    "This is not the step of the sign-in that is due now.",
)

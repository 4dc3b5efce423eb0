"""Logins under way: what was begun here and comes back from a platform; each is finished once, by one exchange.

Also kept for ten minutes while somebody is away signing in: a form that needs a stronger login, and a channel account
that is to be linked; and for five what the key of a computer has to sign. Everything lies sealed in the shared store
(sealing.py); sessions.py keeps what becomes of it.
"""

import asyncio
import copy
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from gateway.contracts import Store
from gateway.errors import GatewayError, InternalError, Overloaded, SignInMalformed, StateUnavailable
from gateway.identity.sealed_store import SealedStore, entry_of
from gateway.model import Kind
from gateway.signin import ChannelAccount, Login
from gateway.signin_settings import SessionSettings

LARGEST_FORM = 64 << 10
"""Bytes of a form that is kept while somebody signs in."""
KEPT = 600.0
"""Seconds that forms and channel accounts are kept."""
CHALLENGED = 300.0
"""Seconds that somebody has to use the key of her computer."""
LINGER = 30.0
"""Seconds that a worker still tells what became of a login: browsers send a callback twice."""

T = TypeVar("T")


class Pending(msgspec.Struct, frozen=True):
    """A login under way.

    Attributes:
        login: as the platform was asked for it.
        return_to: where the visitor wanted to go, already checked.
        browser: digest of the secret that the browser's login cookie holds.
        session: id of the browser's session when this began, which the new one replaces; None without.
    """

    login: Login
    return_to: str
    browser: bytes
    session: str | None = None

    def __repr__(self) -> str:
        return f"Pending({self.login!r}, return_to={self.return_to!r})"


Sender = tuple[str, Kind, str, str | None]
"""Who sent a form: issuer, kind, subject, and who acts where that is a unit."""


class KeptForm(msgspec.Struct, frozen=True):
    """A form that was sent and needs a stronger login first.

    Attributes:
        path: of the item, as it arrived.
        query: likewise, without `?`.
        body: application/x-www-form-urlencoded; the `csrf_token` in it is of a session that ends with the login.
        sender: in whose session it was sent; nobody else is offered it again.
    """

    path: str
    query: str
    body: bytes
    sender: Sender

    def __repr__(self) -> str:
        return f"KeptForm(path={self.path!r}, {len(self.body)} bytes)"


class Challenge(msgspec.Struct, frozen=True):
    """What the key of a computer has to sign (WebAuthn Level 2 §13.4.3).

    Attributes:
        value: 32 random bytes.
        name: what the computer is going to be called; empty when it is known already.
    """

    value: bytes
    name: str = ""

    def __repr__(self) -> str:
        return "Challenge()"


class _KeptAccount(msgspec.Struct, frozen=True):
    """A channel account that waits to be linked; `browser` is as in Pending, empty where any browser may link it."""

    account: ChannelAccount
    browser: bytes


class _Outcome(NamedTuple):
    """What became of an exchange; the error is without its traceback, which holds the ticket."""

    value: Any
    error: GatewayError | None


def new_login(
    platform: str,
    kind: Kind,
    callback: str,
    at: float,
    *,
    acr_values: str | None = None,
    max_age: int | None = None,
) -> Login:
    """A login with secrets of its own; see Login for the arguments. `at` is its beginning, Unix seconds."""
    state, nonce, secret = (secrets.token_hex(32) for _ in range(3))  # some platforms take letters and digits only
    return Login(platform, kind, state, callback, nonce, secret, acr_values, max_age, at)


class LoginTransactions:
    """Logins under way, of all browsers. Whatever asks the store can raise StateUnavailable.

    Args:
        store: what all workers share.
        settings: the keys.
        monotonic: seconds, never running backwards.
        most: exchanges that this worker makes at once, or still remembers.

    Raises:
        ConfigurationError: a key is too short.
    """

    def __init__(
        self,
        store: Store,
        settings: SessionSettings,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = 1024,
    ) -> None:
        self._store = SealedStore(store, settings.keys, "login")
        self._monotonic = monotonic
        self._most = most
        self._flights: dict[bytes, asyncio.Task[_Outcome]] = {}
        self._done: dict[bytes, float] = {}

    # ── logins ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(
        self,
        login: Login,
        return_to: str,
        binding: str,
        seconds: float,
        *,
        session: str | None = None,
    ) -> None:
        """Note a login before the browser is sent away.

        Args:
            login: made by `new_login`.
            return_to: where to go afterwards; one of our own paths.
            binding: the secret in this browser's login cookie (32 random bytes); several logins may share it.
            seconds: how long the visitor may take.
            session: see Pending.
        """
        pending = Pending(login, return_to, _digest(binding), session)
        lists = [_of_browser(pending.browser, login.platform)]
        await self._store.write(entry_of("login", login.state), pending, seconds, lists)

    async def finish(
        self,
        state: str | None,
        binding: str,
        platform: str,
        answer: Mapping[str, str],
        exchange: Callable[[Pending], Awaitable[T]],
    ) -> T:
        """Finish a login with what its callback says. Of many that finish it at once, one makes the exchange.

        The others wait and get the same outcome; so does whoever repeats the callback a moment later. On another worker
        they learn that the login is over. A caller that leaves stops nothing.

        Args:
            state: what the platform brought back; None, where it never brings one, means the browser's latest login.
            binding: the secret in the browser's login cookie.
            platform: whose callback this is.
            answer: parameters of the callback.
            exchange: what is to be done once; it may raise GatewayErrors, which everybody gets.

        Raises:
            SignInMalformed: no such login is under way in this browser, or it is over.
        """
        said = (part for pair in sorted(answer.items()) for part in pair)

        async def once() -> T:
            return await exchange(await self._take_login(state, binding, platform))

        return await self._fly(_digest("callback", state or "", binding, platform, *said), once)

    async def exchange_once(
        self, what: str, exchange: Callable[[], Awaitable[T]], *, caller: str | None, seconds: float = KEPT
    ) -> T:
        """Exchange a ticket or code that no login of ours belongs to, once among all workers; else like `finish`.

        Args:
            what: the ticket or code, and whose it is.
            exchange: what is to be done once.
            caller: tells one caller from another: only the same one is given the outcome again. None tells nothing, so
                nobody is.
            seconds: how long it is remembered; longer than it can hold.

        Raises:
            SignInMalformed: it was exchanged before, or somebody else is at it.
        """
        known = secrets.token_urlsafe(32) if caller is None else caller

        async def once() -> T:
            if not await self._store.first_use(entry_of("ticket", what), seconds):
                raise SignInMalformed("this ticket or code was used before")
            return await exchange()

        return await self._fly(_digest("ticket", what, known), once)

    async def stop(self) -> None:
        """Wait for the exchanges under way."""
        if self._flights:
            await asyncio.wait(self._flights.values())

    async def _take_login(self, state: str | None, binding: str, platform: str) -> Pending:
        """The login, which is gone from the store then: nobody else finishes it.

        The browser is compared before the login is taken, so that a stranger who knows the state destroys nothing.
        """
        browser = _digest(binding)
        latest = _of_browser(browser, platform)
        entries = [entry_of("login", state)] if state is not None else await self._store.listed(latest)
        found = [(entry, await self._store.read(entry, Pending)) for entry in entries]
        mine = [
            (pending.login.began_at, entry)
            for entry, pending in found
            if pending is not None
            and pending.login.platform == platform
            and hmac.compare_digest(pending.browser, browser)
        ]
        if not mine:
            raise SignInMalformed("no such login is under way in this browser")
        _, entry = max(mine)
        taken = await self._store.take(entry, Pending)
        if taken is None:
            raise SignInMalformed("this login is over")
        return taken

    # ── one exchange for all who ask for it ───────────────────────────────────────────────────────────────────────

    async def _fly(self, key: bytes, once: Callable[[], Awaitable[T]]) -> T:
        self._forget()
        flight = self._flights.get(key)
        if flight is None:
            if len(self._flights) >= self._most:
                raise Overloaded(f"{self._most} sign-ins are under way")
            flight = self._flights[key] = asyncio.get_running_loop().create_task(self._settle(key, once))
        outcome = await asyncio.shield(flight)
        if outcome.error is not None:
            raise copy.copy(outcome.error) from outcome.error.__cause__
        value: T = outcome.value
        return value

    async def _settle(self, key: bytes, once: Callable[[], Awaitable[T]]) -> _Outcome:
        try:
            outcome = _Outcome(await once(), None)
        except (SignInMalformed, StateUnavailable) as error:
            del self._flights[key]  # nothing was exchanged, or nothing was kept of it: there is nothing to repeat
            return _Outcome(None, copy.copy(error))
        except GatewayError as error:
            outcome = _Outcome(None, copy.copy(error))
        except Exception as exc:  # noqa: BLE001 - whatever broke, nobody is signed in and everybody is told
            broken = InternalError(f"sign-in: {exc!r}")
            broken.__cause__ = exc
            outcome = _Outcome(None, broken)
        self._done[key] = self._monotonic()
        return outcome

    def _forget(self) -> None:
        """Drop what lingered long enough; more of it when there is no room."""
        now = self._monotonic()
        for key, at in list(self._done.items()):
            if now - at < LINGER and len(self._flights) < self._most:
                break  # they stand in the order in which they ended
            del self._done[key], self._flights[key]

    # ── kept while somebody signs in ──────────────────────────────────────────────────────────────────────────────

    async def keep_form(self, form: KeptForm) -> str | None:
        """Keep a form for `KEPT` seconds; gives an id for it, or None when it is larger than `LARGEST_FORM`."""
        return None if len(form.body) > LARGEST_FORM else await self._keep("form", form)

    async def read_form(self, kept: str) -> KeptForm | None:
        """The form, which stays; None when its time is over."""
        return await self._store.read(entry_of("form", kept), KeptForm)

    async def take_form(self, kept: str) -> KeptForm | None:
        """The form, which is gone then; None when its time is over or it was taken."""
        return await self._store.take(entry_of("form", kept), KeptForm)

    async def keep_account(self, account: ChannelAccount, binding: str | None = None) -> str:
        """Keep a channel account that somebody wants to be linked with, for `KEPT` seconds; gives an id for it.

        Args:
            account: its `secret` is not kept.
            binding: the secret in the login cookie of the browser that brought it, which alone may link it then; None
                where a client brought it that has no cookies.
        """
        browser = b"" if binding is None else _digest(binding)
        return await self._keep("account", _KeptAccount(msgspec.structs.replace(account, secret=b""), browser))

    async def take_account(self, kept: str, binding: str | None = None) -> ChannelAccount | None:
        """The account, which is gone then; None when its time is over, it was taken, or another browser brought it."""
        entry = entry_of("account", kept)
        found = await self._store.read(entry, _KeptAccount)
        if found is None or (found.browser and not hmac.compare_digest(found.browser, _digest(binding or ""))):
            return None  # and stays for the browser that brought it
        taken = await self._store.take(entry, _KeptAccount)
        return None if taken is None else taken.account

    async def new_challenge(self, session: str, what: str, name: str = "") -> bytes:
        """Keep a new challenge for `CHALLENGED` seconds. A session has one for each purpose, the latest.

        Args:
            session: id of the session in which it has to be met.
            what: the purpose.
            name: see Challenge.
        """
        value = secrets.token_bytes(32)
        await self._store.write(_of_session(session, what), Challenge(value, name), CHALLENGED)
        return value

    async def take_challenge(self, session: str, what: str) -> Challenge | None:
        """The challenge, which is gone then; None when its time is over or it was taken."""
        return await self._store.take(_of_session(session, what), Challenge)

    async def _keep(self, what: str, value: msgspec.Struct) -> str:
        kept = secrets.token_urlsafe(32)
        await self._store.write(entry_of(what, kept), value, KEPT)
        return kept


def _digest(*parts: str) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode([part.encode("utf-8", "surrogatepass") for part in parts])).digest()


def _of_session(session: str, what: str) -> bytes:
    return entry_of("challenge", f"{what}\n{session}")


def _of_browser(browser: bytes, platform: str) -> tuple[str, str]:
    """The list of a browser's logins at a platform."""
    return browser.hex(), platform

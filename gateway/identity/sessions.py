"""Sign-in sessions: begun after a login, looked at on requests, changed, ended; and the tokens given out for them.

A session is a sealed entry of the shared store under the digest of its id, which only the browser's cookie knows.
storage.py is its face towards aiohttp-session; plugins/verifiers/session.py judges requests with it. In the desk:

    aiohttp_session.setup(app, EncryptedStorage(sessions))           # gateway.identity.storage

    session = await get_session(request)                             # identity None, empty: nobody is signed in
    signed_in = session.get(SIGNED_IN)                               # SignedIn | None
    id, signed_in = await sessions.begin(sign_in, replaces=session.identity)
    remember(request, id, signed_in)                                 # the answer carries the new cookie
    session.invalidate()                                             # instead: the answer takes the cookie away,
                                                                     # after `await sessions.end(session.identity)`

Nothing is written by the middleware: what these methods returned from is in the store already.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from gateway.contracts import Store
from gateway.errors import CredentialRejected, StateUnavailable
from gateway.identity.revocations import Revocations, Withdraw
from gateway.identity.sealed_store import Listing, SealedStore, entry_of
from gateway.model import Principal
from gateway.signin import ChannelAccount, SignIn
from gateway.signin_settings import SessionSettings
from gateway.tokens.bearer import SESSION_MARK

_ID = re.compile(r"[A-Za-z0-9_-]{43}")
"""256 random bits in base64url."""
_TOUCHES_PER_IDLE = 20
_TOUCH = 60.0
"""Seconds between two notes that a session was used, at most; and at most a twentieth of the idle time."""
_REMEMBERED = 60.0
"""Seconds that the verdict on a session, or on an own token, is remembered at most, whichever verifier gave it."""
_UNDER_WAY = 60.0
"""Seconds more for requests that were under way when a session ended, and for the clocks of other instances."""
_EVERY: Listing = ("", "")
"""The list of all sessions."""


class SignedIn(msgspec.Struct, frozen=True):
    """One session.

    Attributes:
        sign_in: what the platform said at login.
        principal: who it is now: that person, or a unit she acts for. `session` is the province's `sid` (the handle
            where it has none), `token_id` the handle, `issued_at` the login, `expires_at` the end as it stands now.
        began_at: Unix seconds of the login here.
        touched_at: Unix seconds of the last use, as far as it was noted.
        handle: the session's public name, 16 hex digits: for records, lists and operators.
        account: the channel account it was opened with; None after a login at a platform.
    """

    sign_in: SignIn
    principal: Principal
    began_at: float
    touched_at: float
    handle: str
    account: ChannelAccount | None = None

    def __repr__(self) -> str:
        return f"SignedIn(handle={self.handle!r}, began_at={self.began_at!r})"


class _Issued(msgspec.Struct, frozen=True):
    """What an own token stands for: the session's entry, until when (Unix seconds)."""

    session: bytes
    until: float


class SignInSessions:
    """All sign-in sessions. Implements gateway.contracts.Sessions. Whatever it asks can raise StateUnavailable.

    Ends come before what they make room for only where nothing is lost by it: an entry is written before the one it
    replaces is dropped, and is dropped only after everybody was told.

    Args:
        store: what all workers share.
        settings: keys, lifetimes and this department's mark.
        revocations: the deny set of this worker.
        withdraw: tells all workers.
        clock: wall clock, Unix seconds.

    Raises:
        ConfigurationError: a key is too short.
    """

    def __init__(
        self,
        store: Store,
        settings: SessionSettings,
        revocations: Revocations,
        withdraw: Withdraw,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.cookie = settings.cookie
        self.remember = settings.remember
        self._revocations = revocations
        self._withdraw = withdraw
        self._clock = clock
        self._idle = settings.idle
        self._absolute = settings.absolute
        self._token_life = settings.token
        self._suffix = f"@{settings.node}"
        self._touch_every = min(_TOUCH, settings.idle / _TOUCHES_PER_IDLE)
        self._store = SealedStore(store, settings.keys, "session")

    # ── one session ───────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(
        self, sign_in: SignIn, account: ChannelAccount | None = None, replaces: str | None = None
    ) -> tuple[str, SignedIn]:
        """Open a session after a login.

        Args:
            sign_in: what the platform said.
            account: the channel account that somebody signed in with.
            replaces: id of the browser's session until now; it ends once the new one is kept.

        Returns:
            The new id, for the cookie and nothing else, and the session.
        """
        now = self._clock()
        return await self._keep(sign_in, sign_in.principal, now, account, replaces)

    async def open(self, session: str) -> SignedIn | None:
        """The session of this id, which counts as a use of it; None when it has ended or never was."""
        if _ID.fullmatch(session) is None:
            return None
        return await self._open(entry_of("session", session))

    async def change(self, session: str, principal: Principal) -> tuple[str, SignedIn]:
        """Go on as somebody else: oneself, or a unit one acts for. The id is new, the old one ends.

        Args:
            session: its id.
            principal: who it is from now on; session, times and ids are set here.

        Raises:
            CredentialRejected: the session has ended.
        """
        known = await self.open(session)
        if known is None:
            raise CredentialRejected("the session has ended")
        changed, now = await self._keep(known.sign_in, principal, known.began_at, known.account, None)
        if not await self._retire(entry_of("session", session), _REMEMBERED):
            await self._store.drop(entry_of("session", changed))  # it was ended, or changed, meanwhile: it stays so
            raise CredentialRejected("the session has ended")
        return changed, now

    async def end(self, session: str) -> SignedIn | None:
        """End the session, and others of the same province's session; None when it had ended before.

        What rests on the province's session otherwise (its own tokens) ends with the notice that the province sends: if
        it could not be told, its session goes on, and somebody who comes back with it must not be turned away.
        """
        return await self._end(entry_of("session", session))

    async def end_token(self, token: str) -> SignedIn | None:
        """End the session that an own token stands for, as `end` does, for clients that have no cookie.

        Returns:
            The session, whose platform is then to be told, as after `end`; None for every other token, and when it had
            ended before.
        """
        issued = await self._issued(token)
        return None if issued is None else await self._end(issued.session)

    def request_token(self, session: str) -> str:
        """The synchronizer token of a session, which unsafe requests have to carry.

        The id is the key: it is secret and random, and so the token outlives a change of `sessions.keys`.
        """
        return hmac.new(session.encode(), b"tongguan request token", hashlib.sha256).hexdigest()

    # ── many ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def end_matching(
        self,
        issuer: str | None,
        *,
        subject: str | None = None,
        sid: str | None = None,
        ticket: str | None = None,
        at: float | None = None,
    ) -> int:
        """End every session of a subject, of a province's session, or of a login's ticket, and tell everybody.

        Args:
            issuer: whose subject, session or ticket it is; None for whoever's.
            subject: ends the sessions of this person or unit, also those in which she acts for another.
            sid: the province's session.
            ticket: what the login was made with.
            at: Unix seconds; the subject's sessions that began later stay. None: now. What `sid` and `ticket` name has
                ended whenever it began.

        Returns:
            How many were open.
        """
        at = self._clock() if at is None else at
        if subject is not None or sid is not None:
            await self._withdraw(session=sid, subject=subject, issuer=issuer, at=at)
        ended = 0
        for field, value in (("subject", subject), ("sid", sid), ("ticket", ticket)):
            for entry, known in [] if value is None else await self._listed(field, value):
                if issuer in (None, known.principal.issuer) and (field != "subject" or known.began_at <= at):
                    ended += await self._retire(entry, self._idle)
        return ended

    async def end_handle(self, handle: str) -> int:
        """End the session with this public name; 0 when there is none."""
        return sum([await self._retire(entry, self._idle) for entry, _ in await self._listed("handle", handle)])

    async def listing(self, subject: str | None = None, most: int = 1000) -> tuple[list[SignedIn], int]:
        """Open sessions, those of one person or unit when it is named, the latest uses first.

        Args:
            subject: whoever's, as its issuer names it.
            most: how many are looked at.

        Returns:
            They, and how many there are in all.
        """
        entries = await self._store.listed(_EVERY if subject is None else ("subject", subject))
        found = [await self._read(entry) for entry in entries[:most]]
        listed = [known for known in found if known is not None and self._holds(known)]
        return sorted(listed, key=lambda one: -one.touched_at), len(entries)

    # ── tokens for other departments ──────────────────────────────────────────────────────────────────────────────

    async def issue_token(self, session: str) -> tuple[str, float]:
        """Give out a token for another department. It ends with the session.

        Returns:
            The token, and when it ends at the latest (Unix seconds).

        Raises:
            CredentialRejected: the session has ended.
        """
        known = await self.open(session)
        if known is None:
            raise CredentialRejected("the session has ended")
        now = self._clock()
        until = min(now + self._token_life, known.began_at + self._absolute)
        token = secrets.token_urlsafe(32) + self._suffix
        entry = entry_of("token", token)
        await self._store.write(entry, _Issued(entry_of("session", session), until), until - now)
        return token, until

    async def find(self, token: str) -> Principal | None:
        """Whose session a marked session id or an own token stands for; None when it is neither.

        Raises:
            CredentialRejected: it stands for a session that has ended, or never was.
        """
        if token.startswith(SESSION_MARK):
            known = await self.open(token[len(SESSION_MARK) :])
            principal = None if known is None else known.principal
        elif token.endswith(self._suffix):
            principal = await self._find_issued(token, use=True)
        else:
            return None
        if principal is None:
            raise CredentialRejected("the session has ended, or never was")
        return principal

    async def introspect(self, token: str) -> Principal | None:
        """Whose session an own token stands for; None for every other token, and when it has ended. No use of it."""
        return await self._find_issued(token, use=False)

    async def _find_issued(self, token: str, *, use: bool) -> Principal | None:
        issued = await self._issued(token)
        known = None if issued is None else await self._open(issued.session, use=use)
        if issued is None or known is None:
            return None
        return replace(known.principal, expires_at=min(known.principal.expires_at, issued.until))

    async def _issued(self, token: str) -> _Issued | None:
        if not token.endswith(self._suffix) or _ID.fullmatch(token.removesuffix(self._suffix)) is None:
            return None
        issued = await self._store.read(entry_of("token", token), _Issued)
        return None if issued is None or issued.until <= self._clock() else issued

    # ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(
        self,
        sign_in: SignIn,
        principal: Principal,
        began_at: float,
        account: ChannelAccount | None,
        replaces: str | None,
    ) -> tuple[str, SignedIn]:
        session = secrets.token_urlsafe(32)
        entry = entry_of("session", session)
        handle = _handle(entry)
        sid = sign_in.principal.session or handle
        now = self._clock()
        principal = replace(principal, session=sid, token_id=handle, issued_at=began_at)
        known = self._dated(SignedIn(sign_in, principal, began_at, now, handle, account))
        await self._store.write(entry, known, known.principal.expires_at - now, _lists(known))
        if replaces is not None and _ID.fullmatch(replaces):
            await self._retire(entry_of("session", replaces), _REMEMBERED)
        return session, known

    async def _open(self, entry: bytes, *, use: bool = True) -> SignedIn | None:
        known = await self._read(entry)
        if known is None or not self._holds(known):
            return None
        if use and self._clock() - known.touched_at >= self._touch_every:
            return await asyncio.shield(self._touch(entry, known))  # a client that leaves cuts nothing in half
        return known

    async def _touch(self, entry: bytes, known: SignedIn) -> SignedIn | None:
        """Note a use. Never revives: what was ended since it was read stays ended."""
        touched = self._dated(replace(known, touched_at=self._clock()))
        try:
            there = await self._store.replace(entry, touched, touched.principal.expires_at - touched.touched_at)
        except StateUnavailable:
            return known  # it holds as it was read; the next use is noted instead
        return touched if there else None

    async def _end(self, entry: bytes) -> SignedIn | None:
        known = await self._read(entry)
        if known is None:
            return None
        who = known.principal
        for other, found in await self._listed("sid", who.session or known.handle):
            if other != entry and found.principal.issuer == who.issuer:
                await self._retire(other, self._idle)
        ended = await self._retire(entry, self._idle)  # the last one: where the store goes away, asking again goes on
        return known if ended else None  # of two that end it at once, one has ended it

    async def _retire(self, entry: bytes, denied: float) -> bool:
        """Tell everybody, then drop it: whoever remembers the session forgets it, and nobody finds it again.

        Args:
            entry: the session's.
            denied: seconds that the deny set, which has room for so many, denies it at least. An ended one for `idle`,
                so that it stays ended where a fail-over brings the entry back; one that goes on under a new id, which
                takes no more than a click, for as long as a worker may remember it.
        """
        at = self._clock()
        await self._withdraw(token_id=_handle(entry), at=at, until=at + denied + _UNDER_WAY)
        return await self._store.drop(entry)

    async def _listed(self, field: str, value: str) -> list[tuple[bytes, SignedIn]]:
        found = [(entry, await self._read(entry)) for entry in await self._store.listed((field, value))]
        return [(entry, known) for entry, known in found if known is not None]

    async def _read(self, entry: bytes) -> SignedIn | None:
        known = await self._store.read(entry, SignedIn)
        return None if known is None else self._dated(known)

    def _dated(self, known: SignedIn) -> SignedIn:
        """The session with its end as it stands now: whichever comes first, idle or absolute."""
        until = min(known.touched_at + self._idle, known.began_at + self._absolute)
        return replace(known, principal=replace(known.principal, expires_at=until))

    def _holds(self, known: SignedIn) -> bool:
        if not self._revocations.current():
            raise StateUnavailable("what was withdrawn lately is not known")
        return self._clock() < known.principal.expires_at and not self._revocations.deny(known.principal)


def _handle(entry: bytes) -> str:
    return hashlib.sha256(entry).hexdigest()[:16]


def _subjects(known: SignedIn) -> set[str]:
    """Everybody it concerns: who signed in, who it is now, and who acts for whom."""
    both = (known.principal, known.sign_in.principal)
    return {one.subject for one in both} | {one.operator for one in both if one.operator is not None}


def _lists(known: SignedIn) -> list[Listing]:
    """Lists that find it again. Whose subject or session it is, they do not tell: the session does."""
    found = [_EVERY, ("sid", known.principal.session or known.handle), ("handle", known.handle)]
    found += [("subject", subject) for subject in sorted(_subjects(known))]
    if known.sign_in.ticket is not None:
        found.append(("ticket", known.sign_in.ticket))
    return found

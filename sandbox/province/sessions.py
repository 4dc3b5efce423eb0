"""Who is logged in at the province, where they went from there, and what is under way: logins and codes.

`sandbox.province.login` fills it, `sandbox.province.endings` empties it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.accounts import Account, SubjectType
from sandbox.province.clients import Client

LOGIN_SECONDS = 600
CODE_SECONDS = 60
MOST = 20_000

T = TypeVar("T")


@dataclass(slots=True)
class Session:
    """One login of one account in one browser.

    Attributes:
        sid: its public name, as tokens and notices have it.
        account: who.
        level: how strongly.
        auth_time: when, Unix seconds.
        parties: the departments that took part, each with the ticket (its code) that it came by.
        ended: whether it was logged out.
    """

    sid: str
    account: Account
    level: int
    auth_time: int
    parties: dict[str, str] = field(default_factory=dict)
    ended: bool = False


@dataclass(slots=True)
class Authorization:
    """A department's request for a login (RFC 6749 §4.1.1), while the visitor is at the login page.

    Attributes:
        client: which department.
        redirect_uri: where the answer goes.
        state: comes back as it was.
        kind: as whom the visitor is to log in.
        level: how strongly at least.
        nonce: goes into the ID token.
        challenge: the proof key's S256 challenge (RFC 7636); None without.
        max_age: seconds that the login may be old; None when any will do.
        form_post: whether the answer is posted rather than put into the address.
        account: who was chosen, once somebody was.
        expires_at: Unix seconds.
    """

    client: Client
    redirect_uri: str
    state: str | None
    kind: SubjectType
    level: int
    nonce: str | None
    challenge: str | None
    max_age: int | None
    form_post: bool
    account: Account | None = None
    expires_at: float = 0.0


@dataclass(slots=True)
class Code:
    """A code that a department may exchange once (RFC 6749 §4.1.2).

    Attributes:
        authorization: what it answers.
        session: whose login it stands for.
        expires_at: Unix seconds.
        token: what was given for it; None before.
    """

    authorization: Authorization
    session: Session
    expires_at: float
    token: str | None = None


class Sessions:
    """All of it, in memory and bounded: beyond MOST the oldest are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._cookies: dict[str, Session] = {}
        self._authorizations: dict[str, Authorization] = {}
        self._codes: dict[str, Code] = {}

    def open(self, account: Account, level: int) -> tuple[str, Session]:
        """Begin a session; gives the cookie's value with it."""
        session = Session(secrets.token_hex(16), account, level, int(self._clock()))
        cookie = secrets.token_urlsafe(32)
        _keep(self._sessions, session.sid, session)
        _keep(self._cookies, cookie, session)
        return cookie, session

    def of_cookie(self, cookie: str | None) -> Session | None:
        """The session of a browser; None when there is none, or it has ended."""
        session = self._cookies.get(cookie or "")
        return None if session is None or session.ended else session

    def find(self, sid: str) -> Session | None:
        """The session of this name, ended or not."""
        return self._sessions.get(sid)

    def of_subject(self, sub: str) -> list[Session]:
        """All sessions of an account that have not ended."""
        return [one for one in self._sessions.values() if one.account.sub == sub and not one.ended]

    def everybody(self) -> list[Session]:
        """All sessions, ended ones included."""
        return list(self._sessions.values())

    def begin(self, authorization: Authorization) -> str:
        """Remember what a visitor came for; gives the name by which the login page refers to it."""
        name = secrets.token_urlsafe(16)
        authorization.expires_at = self._clock() + LOGIN_SECONDS
        _keep(self._authorizations, name, authorization)
        return name

    def under_way(self, name: str | None) -> Authorization | None:
        """What the visitor came for; None when it is done, or too old."""
        found = self._authorizations.get(name or "")
        return found if found is not None and found.expires_at > self._clock() else None

    def conclude(self, name: str) -> None:
        """The visitor is done with it."""
        self._authorizations.pop(name, None)

    def grant(self, authorization: Authorization, session: Session) -> str:
        """Make a code, which also names the department's part in the session."""
        code = "ST-" + secrets.token_urlsafe(24)
        _keep(self._codes, code, Code(authorization, session, self._clock() + CODE_SECONDS))
        session.parties[authorization.client.id] = code
        return code

    def code(self, code: str) -> Code | None:
        """What a code stands for; None when nobody made it, or it is too old."""
        found = self._codes.get(code)
        return found if found is not None and found.expires_at > self._clock() else None


def _keep(kept: dict[str, T], name: str, value: T) -> None:
    kept[name] = value
    if len(kept) > MOST:
        del kept[next(iter(kept))]

"""What the simulated dialects share: a login page, tickets that are good once, tokens, a clock that can be wrong."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from aiohttp import web

from sandbox.accounts import Account, Register, SubjectType
from sandbox.faults import PROVINCE_FAULTS
from sandbox.pages import page, redirect
from sandbox.serving import json_response
from sandbox.switchboard import InvalidRequestError, Switchboard, only

LOCAL = ZoneInfo("Asia/Shanghai")
TICKET_SECONDS = 120
TOKEN_SECONDS = 7200
MOST = 20_000
LOCAL_HOSTS = ("127.0.0.1", "localhost")
"""The simulated platforms send browsers to this machine only."""


class Clock:
    """Unix seconds, off by what somebody has set: to try out clocks that differ.

    Attributes:
        offset: seconds that it is ahead.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.offset = 0.0

    def __call__(self) -> float:
        """Unix seconds as this clock has them."""
        return self._clock() + self.offset

    def local(self) -> str:
        """The time of day in China, `yyyyMMddHHmmss`."""
        return datetime.fromtimestamp(self(), LOCAL).strftime("%Y%m%d%H%M%S")

    def is_near(self, local: str, seconds: float) -> bool:
        """Whether a time of day in China is within so many seconds of this clock."""
        try:
            told = datetime.strptime(local, "%Y%m%d%H%M%S").replace(tzinfo=LOCAL).timestamp()
        except ValueError:
            return False
        return abs(told - self()) <= seconds


@dataclass(frozen=True, slots=True)
class Entry:
    """One login at a dialect's platform.

    Attributes:
        account: who.
        level: how strongly, 0 to 4.
        expires_at: when its ticket or token ends, Unix seconds.
        application: which application it is for, as the dialect names them; empty where it does not say.
    """

    account: Account
    level: int
    expires_at: float
    application: str = ""


class Tickets:
    """Tickets, exchanged once, and the tokens that they are exchanged for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: dict[str, Entry] = {}
        self._tokens: dict[str, Entry] = {}

    def issue(self, account: Account, level: int, application: str = "") -> str:
        """A ticket for a fresh login."""
        ticket = "ST-" + secrets.token_urlsafe(18)
        _keep(self._tickets, ticket, Entry(account, level, self._clock() + TICKET_SECONDS, application))
        return ticket

    def redeem(self, ticket: str) -> Entry | None:
        """What a ticket stands for, the first time; None ever after, and when it is too old or nobody's."""
        entry = self._tickets.pop(ticket, None)
        return entry if entry is not None and entry.expires_at > self._clock() else None

    def token(self, entry: Entry, form: str) -> str:
        """A token for a login; `form` has `*` where the random part goes."""
        token = form.replace("*", secrets.token_urlsafe(24))
        _keep(self._tokens, token, Entry(entry.account, entry.level, self._clock() + TOKEN_SECONDS, entry.application))
        return token

    def find(self, token: str) -> Entry | None:
        """The login of a token that still holds."""
        entry = self._tokens.get(token)
        return entry if entry is not None and entry.expires_at > self._clock() else None

    def end(self, sub: str) -> int:
        """End every token of an account; gives how many."""
        found = [token for token, entry in self._tokens.items() if entry.account.sub == sub]
        for token in found:
            del self._tokens[token]
        return len(found)


class Dialect(ABC):
    """What every dialect's platform has, under a path of its own.

    Attributes:
        name: what its pages call it.
        endpoints: its steps, each with a fault switch and a counter.
        token_form: see Tickets.token.
        prefix: the path that everything of it lies under.
    """

    name = ""
    token_form = "*"
    endpoints: tuple[str, ...] = ()

    def __init__(self, prefix: str, register: Register, clock: Callable[[], float]) -> None:
        self.prefix = prefix
        self.register = register
        self.clock = Clock(clock)
        self.tickets = Tickets(self.clock)
        self.board = Switchboard(PROVINCE_FAULTS, self.endpoints, ("login", "logout"))

    def application(self) -> web.Application:
        """Put the platform on its routes."""
        app = web.Application(client_max_size=256 * 1024)
        common = [
            web.post("/sandbox/login", self.board.counted("login", self.choose)),
            web.get("/sandbox/token", self.board.counted("given", self.give)),
            web.post("/sandbox/clock", self.board.counted("clock", self.set_clock)),
            web.post("/sandbox/end", self.board.counted("ended", self.end)),
            *self.board.routes(),
        ]
        app.add_routes([*common, *self.routes()])
        return app

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The dialect's own steps."""

    def login_page(self, kind: SubjectType | None, back: str | None, **carried: str) -> web.Response:
        """Let somebody be chosen who goes back to `back`.

        Args:
            kind: persons or units; None for both.
            back: address of the department that sent the visitor.
            carried: what `ticketed` will want to know again.

        Raises:
            InvalidRequestError: there is no such address, or it is not on this machine.
        """
        if urlsplit(back or "").hostname not in LOCAL_HOSTS:
            raise InvalidRequestError("the address to go back to must be on this machine")
        return page(
            "login",
            platform=self.name,
            department=back,
            action=f"{self.prefix}/sandbox/login",
            hidden={"back": back, **carried},
            accounts=self.register.choices(kind),
            levels=[str(level) for level in range(1, 5)],
        )

    async def choose(self, request: web.Request) -> web.Response:
        """`POST …/sandbox/login`: somebody was chosen."""
        form = await request.post()
        account = self.register.find(only(form, "user") or "")
        back = only(form, "back") or ""
        if account is None or urlsplit(back).hostname not in LOCAL_HOSTS:
            raise InvalidRequestError("user must be one of those on the page")
        level = only(form, "level") or ""
        strength = int(level) if level in set("01234") else account.level
        carried = {name: str(value) for name, value in form.items() if name not in ("user", "back", "level")}
        return self.ticketed(account, min(strength, account.highest), back, carried)

    @abstractmethod
    def ticketed(self, account: Account, level: int, back: str, carried: Mapping[str, str]) -> web.Response:
        """Send the browser back with a ticket in the dialect's own way."""

    async def give(self, request: web.Request) -> web.Response:
        """`GET …/sandbox/token?user=…&operator=…`: a token without a login page, for trying things out."""
        query = request.query
        account = self.register.find(query.get("user", ""), query.get("operator"))
        if account is None:
            raise InvalidRequestError(self.register.expected)
        level = int(query.get("level", account.level))
        entry = Entry(account, level, self.clock() + TICKET_SECONDS)
        return json_response({"token": self.new_token(entry)}, headers={"Cache-Control": "no-store"})

    def new_token(self, entry: Entry) -> str:
        """A token as this dialect gives them out. Its form tells whose it is."""
        return self.tickets.token(entry, self.token_form)

    async def set_clock(self, request: web.Request) -> web.Response:
        """`POST …/sandbox/clock?offset=SECONDS`: let this platform's clock be wrong."""
        try:
            self.clock.offset = float(request.query["offset"])
        except (KeyError, ValueError):
            raise InvalidRequestError("offset must be a number of seconds") from None
        return json_response({"offset": self.clock.offset})

    async def end(self, request: web.Request) -> web.Response:
        """`POST …/sandbox/end?user=…`: end every token of an account."""
        account = self.register.find(request.query.get("user", ""))
        if account is None:
            raise InvalidRequestError(self.register.expected)
        return json_response({"ended": self.tickets.end(account.sub)})

    def signed_out(self, back: str | None) -> web.Response:
        """Where the visitor goes after the logout page."""
        if back is None or urlsplit(back).hostname not in LOCAL_HOSTS:
            return page(
                "notice", platform=self.name, chinese="您已退出登录。", english="You are logged out.", action=None
            )
        return redirect(back)


def with_query(address: str, values: Mapping[str, str]) -> str:
    """The address with these parameters added to its query."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"


def text_of(members: Mapping[str, Any], name: str) -> str:
    """A member as text; empty when it is missing or something else."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _keep(kept: dict[str, Entry], name: str, entry: Entry) -> None:
    kept[name] = entry
    if len(kept) > MOST:
        del kept[next(iter(kept))]

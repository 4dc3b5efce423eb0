"""What tests of the back office share: one on a real socket over a small ledger, and somebody who has signed in."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv4Network
from itertools import count
from pathlib import Path
from socket import socket
from typing import Any

import pyotp
import structlog
from aiohttp import ClientResponse, ClientSession, DummyCookieJar, web
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import text, update

from gateway.console.application import make_console
from gateway.console.comparing import Comparing
from gateway.console.console import Console
from gateway.console.opening import SEALED, open_console
from gateway.console.session import COOKIE, token_of
from gateway.identity.sealing import Sealing
from gateway.ledger import open_ledger
from gateway.ledger.acting import Office
from gateway.ledger.office_tables import STAFF
from gateway.ledger.passwords import Passwords
from gateway.ledger.rules import LocalId, OfficeItem, Rules
from gateway.ledger.values import Officer
from gateway.model import Kind
from gateway.office_settings import ConsoleSettings
from gateway.settings import DirectSettings, FerrySettings
from tests.ledger.office_world import seed_staff
from tests.plugin_world import Clock

HOST = "console.test"
ORIGIN = f"https://{HOST}"
PASSWORD = "Lang-Genug-2024-Regen"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

RULES = Rules(
    items={
        "pension": OfficeItem("pension", "退休待遇申领", frozenset({Kind.LEGAL}), True, True, "si"),
        "medical": OfficeItem("medical", "医保报销", frozenset({Kind.LEGAL}), True, True, "si"),
        "query": OfficeItem("query", "信息查询", frozenset({Kind.NATURAL}), True, False, "si"),
    },
    local_ids={"si": LocalId("si", "社保编号", "[0-9]{20}", ("社保编号应为 20 位数字。", "It has to be 20 digits."))},
)


def console_settings(**replaced: Any) -> ConsoleSettings:
    """`console` of gateway.yaml, small."""
    keys = (SecretStr("k" * 32),)
    return ConsoleSettings.model_validate({"listen": "127.0.0.1:0", "hosts": (HOST,), "keys": keys} | replaced)


_CLIENTS = count(1)


class Visitor:
    """Somebody before a browser, or a program: what she sends carries her cookie, as our own pages' requests do.

    Attributes:
        token: of her session; None before she signs in.
        client: address from which she comes, her own.
    """

    def __init__(self, http: ClientSession, address: str, token: str | None = None) -> None:
        self._http = http
        self._address = address
        self.token = token
        self.client = str(IPv4Address("10.0.0.0") + next(_CLIENTS))

    @property
    def csrf_token(self) -> str:
        """The synchronizer token of her session."""
        return "" if self.token is None else token_of(self.token)

    async def send(self, method: str, path: str, **options: Any) -> ClientResponse:
        """Send a request; redirects are not followed. `headers` replace her own, None leaves one out."""
        headers = {"Host": HOST, "Origin": ORIGIN, "Accept": "text/html", "X-Forwarded-For": self.client}
        if self.token is not None:
            headers |= {"X-Csrf-Token": self.csrf_token, "Cookie": f"{COOKIE}={self.token}"}
        headers |= options.pop("headers", {})
        kept = {name: value for name, value in headers.items() if value is not None}
        return await self._http.request(
            method, self._address + path, headers=kept, allow_redirects=False, **options
        )  # fmt: skip

    async def get(self, path: str, **options: Any) -> ClientResponse:
        """Look at a page."""
        return await self.send("GET", path, **options)

    async def post(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> ClientResponse:
        """Send a form with the session's token, as a page of ours does; keeps the cookie of the answer."""
        known = {} if self.token is None else {"csrf_token": self.csrf_token}
        options["headers"] = {"X-Csrf-Token": None} | options.get("headers", {})
        answer = await self.send("POST", path, data=known | (fields or {}), **options)
        self.keep(answer)
        return answer

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> ClientResponse:
        """Call the JSON API; keeps the cookie of the answer."""
        answer = await self.send(method, f"/api{path}", json=body, **options)
        self.keep(answer)
        return answer

    def keep(self, answer: ClientResponse) -> None:
        """Keep the cookie of an answer, or throw it away when the answer says so."""
        morsel = answer.cookies.get(COOKIE)
        if morsel is not None:
            self.token = morsel.value or None


class World:
    """A back office that listens.

    Attributes:
        console: see Console.
        office: its ledger's.
        clock: which it goes by.
        log: everything that it said.
    """

    def __init__(self, console: Console, office: Office, clock: Clock, log: Any, http: ClientSession, address: str):
        self.console = console
        self.office = office
        self.clock = clock
        self.log = log
        self.address = address
        self._http = http

    def visitor(self, token: str | None = None) -> Visitor:
        """Somebody new."""
        return Visitor(self._http, self.address, token)

    async def seat(self, officer: Officer) -> Visitor:
        """Somebody who has signed in with everything, under a post that is there (office_world.seed_staff)."""
        now = self.office.clock()
        enrolled = (
            update(STAFF).where(STAFF.c.id == officer.staff).values(password_changed_at=now, second_factor_at=now)
        )
        async with self.office.database.writing() as connection:
            await connection.execute(enrolled)
            token = await self.console.sessions.begin_in(connection, officer.staff, complete=True)
        return self.visitor(token)

    async def sit(self, role: str, scope: str = "3501") -> Visitor:
        """Somebody new with a post who has signed in with everything."""
        return await self.seat(await seed_staff(self.office, role, scope))

    async def hire(self, role: str = "clerk", scope: str = "3501", *, enrolled: bool = True) -> "Account":
        """Somebody with a post who can sign in with PASSWORD, and with a second factor when she has enrolled one."""
        officer = await seed_staff(self.office, role, scope)
        secret, now = pyotp.random_base32(), self.office.clock()
        sealed = Sealing(self.console.settings.keys, SEALED).seal(officer.staff.encode(), secret.encode())
        values: dict[str, Any] = {"password": HASHER.hash(PASSWORD), "password_changed_at": now}
        if enrolled:
            values |= {"second_factor": sealed, "second_factor_at": now}
        async with self.office.database.writing() as connection:
            await connection.execute(update(STAFF).where(STAFF.c.id == officer.staff).values(**values))
        return Account(officer, secret, self.clock)


class Account:
    """Somebody who can sign in, with her authenticator app."""

    def __init__(self, officer: Officer, secret: str, clock: Clock) -> None:
        self.officer = officer
        self.login = officer.login
        self.secret = secret
        self._clock = clock

    def code(self) -> str:
        """What the app shows now."""
        return pyotp.TOTP(self.secret).at(int(self._clock.wall))


def no_forwarder(_: DirectSettings | FerrySettings) -> Any:
    """There is no business system here."""
    raise AssertionError("nothing names a system")


@contextlib.asynccontextmanager
async def open_world(
    folder: Path,
    file: bytes,
    *,
    make: Callable[[Any], Any] = no_forwarder,
    listener: socket | None = None,
    **replaced: Any,
) -> AsyncIterator[World]:
    """A back office over a new ledger.

    Args:
        folder: for the ledger's file.
        file: a ledger's file as migrations make it.
        make: makes the forwarder of a business system that units are compared with.
        listener: where it listens; on a port of the system's choice when missing.
        replaced: settings of `console`.
    """
    (folder / "ledger.db").write_bytes(file)
    clock, log = Clock(), structlog.testing.CapturingLogger()
    ledger = open_ledger("sqlite:///ledger.db", folder, clock=lambda: clock.wall, log=log, keys=(b"k" * 16,))
    await ledger.start()
    settings = console_settings(**replaced)
    passwords = Passwords(settings.password_length, HASHER)
    ledger.office.rules = Rules(RULES.items, RULES.local_ids, frozenset(settings.two_people), settings.acceptance)
    comparing = Comparing(ledger.office, make, "dept-test")
    console = open_console(ledger.office, settings, comparing, passwords, log, trusted=(IPv4Network("127.0.0.1/32"),))
    runner = web.AppRunner(make_console(console), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    try:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0) if listener is None else web.SockSite(runner, listener)
        await site.start()
        host, port = runner.addresses[0][:2]
        async with ClientSession(cookie_jar=DummyCookieJar()) as http:
            yield World(console, ledger.office, clock, log, http, f"http://{host}:{port}")
    finally:
        await runner.cleanup()
        passwords.close()
        await ledger.close()


async def content_of(office: Office, *but: str) -> str:
    """A digest of everything in the ledger but sessions, and but these tables: the same when nothing was changed."""
    digest = hashlib.sha256()
    async with office.database.reading() as connection:
        names = await connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"))
        for name in [name for name in names if name not in ("staff_sessions", *but)]:
            rows = (await connection.execute(text(f'SELECT * FROM "{name}"'))).all()
            digest.update(f"{name}{sorted(map(repr, rows))}".encode())
    return digest.hexdigest()

"""What tests of the staff share: cheap passwords, an authenticator app, and people who have signed in."""

from contextlib import contextmanager
from dataclasses import dataclass

import pyotp
from argon2 import PasswordHasher

from gateway.identity.sealing import Sealing
from gateway.ledger.ledger import Ledger
from gateway.ledger.passwords import Passwords
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_accounts import IssuedPassword
from gateway.ledger.staff_sessions import StaffSession, StaffSessions
from gateway.ledger.staff_sign_in import SignInStep, StaffSignIn
from gateway.office_settings import ConsoleSettings
from tests.plugin_world import Clock

CHEAP = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
"""Another cost than that of one-time passwords, and as good as none."""
OWN = "mountain.river.38"
CLIENT = "192.0.2.7"
KEYS = ("0123456789abcdef0123456789abcdef",)
SETTINGS = ConsoleSettings(listen="127.0.0.1:8082", hosts=("console.example",), keys=KEYS, idle="15m", absolute="8h")


@dataclass
class Person:
    """Somebody with an account, as she sits before the page.

    Attributes:
        token: of her session; empty until she has signed in.
        app: her authenticator; None until it is enrolled.
    """

    login: str
    password: str
    token: str = ""
    app: pyotp.TOTP | None = None


class StaffWorld:
    """The parts that serve the staff, put together on one ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, settings: ConsoleSettings = SETTINGS) -> None:
        self.office = ledger.office
        self.clock = clock
        self.database = ledger.database
        self.passwords = Passwords(settings.password_length, CHEAP)
        self.sessions = StaffSessions(ledger.office, settings)
        seal = Sealing(settings.keys, "second-factor")
        self.sign_in = StaffSignIn(ledger.office, self.sessions, self.passwords, settings, seal)
        self.register = StaffRegister(ledger.office, self.passwords)

    def code(self, person: Person) -> str:
        """What her app shows now."""
        return person.app.at(int(self.clock.wall))

    async def session(self, person: Person) -> StaffSession:
        session = await self.sessions.find(person.token)
        assert session is not None
        return session

    async def take(self, person: Person, step: SignInStep) -> str | None:
        """Go on with the token of a step; gives what is missing."""
        person.token = step.token
        return step.missing

    async def begin(self, person: Person) -> str | None:
        """Give the password."""
        return await self.take(person, await self.sign_in.password(person.login, person.password, CLIENT))

    async def begin_with(self, issued: IssuedPassword) -> str | None:
        """Give a one-time password."""
        return await self.begin(Person(issued.staff.login, issued.password))

    async def enrol(self, person: Person) -> str | None:
        """Enrol an app and give its first code."""
        enrolment = await self.sign_in.begin_second_factor(await self.session(person))
        person.app = pyotp.parse_uri(enrolment.uri)
        step = await self.sign_in.confirm_second_factor(await self.session(person), self.code(person), CLIENT)
        return await self.take(person, step)

    async def change(self, person: Person, new: str) -> str | None:
        """Choose another password."""
        step = await self.sign_in.change_password(await self.session(person), person.password, new, CLIENT)
        person.password = new
        return await self.take(person, step)

    async def first_time(self, issued: IssuedPassword) -> Person:
        """Everything that somebody does who signs in for the first time."""
        person = Person(issued.staff.login, issued.password)
        assert await self.begin(person) == "password-change"
        assert await self.change(person, OWN) == "second-factor-enrolment"
        assert await self.enrol(person) is None
        return person

    async def again(self, person: Person) -> None:
        """Sign in as always, half a minute later."""
        self.clock.advance(30)
        assert await self.begin(person) == "second-factor"
        step = await self.sign_in.second_factor(await self.session(person), self.code(person), CLIENT)
        assert await self.take(person, step) is None


@contextmanager
def staff_world(ledger: Ledger, clock: Clock, **changed: object):
    """The parts on a ledger, with other settings where a test names them."""
    world = StaffWorld(ledger, clock, SETTINGS.model_copy(update=changed))
    try:
        yield world
    finally:
        world.passwords.close()

"""Begins the ledger of the first department: its sample staff, and units of which each has come to another point.

`sandbox.launch` calls it once, before the edge starts. Everything is done by the product's own use cases, as of half a
year ago: so one grant has run out by now, which nobody could open like that today.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path

from argon2 import PasswordHasher
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.beijing import day_of
from gateway.configuration.loading import Loaded, load, policy_from
from gateway.configuration.office_rules import office_rules
from gateway.console.comparing import compare_records
from gateway.console.opening import SEALED
from gateway.identity.sealing import Sealing
from gateway.ledger import open_ledger
from gateway.ledger.acting import Office, digest_with, find_post
from gateway.ledger.applications import Applications
from gateway.ledger.bindings import Bindings
from gateway.ledger.database import Database
from gateway.ledger.grants import Grants
from gateway.ledger.inputs.claims import BindingInput
from gateway.ledger.inputs.deciding import ReviewInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.staff import AppointmentInput, StaffInput
from gateway.ledger.inputs.units import ApplicationInput, OperatorInput
from gateway.ledger.office_tables import STAFF
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from gateway.ledger.passwords import Passwords
from gateway.ledger.powers import Role
from gateway.ledger.staff import StaffRegister
from gateway.ledger.values import Officer, Owner
from gateway.model import Kind, Principal
from gateway.office_settings import ConsoleSettings
from gateway.signin import Profile, SignIn
from sandbox.accounts import SAMPLE_ACCOUNTS, Account
from sandbox.places import Places
from sandbox.staff import SAMPLE_STAFF
from sandbox.unit_case import DECLARATION, SYSTEM
from sandbox.units import UNIT_RECORDS, UnitFile

AGO = timedelta(days=180)
LONG, SHORT = timedelta(days=1000), timedelta(days=30)
"""How long grants hold."""

_FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Everybody knows these passwords, and nobody should wait for them: the first sign-in hashes each anew, as is due."""
_ADMINISTRATORS = (Role.SYSTEM, Role.SECURITY, Role.AUDIT)


async def begin_ledger(places: Places) -> bool:
    """Make the ledger, unless it is there; as a whole or not at all.

    Args:
        places: a sandbox that was furnished.

    Returns:
        True when it was made.

    Raises:
        ConfigurationError: the configuration was edited since, and has mistakes.
        OSError: the directory cannot be written.
    """
    if places.ledger.exists():
        return False
    unfinished = places.ledger.with_suffix(".new")
    for left in places.edge.glob(f"{unfinished.name}*"):  # of a beginning that was interrupted
        left.unlink()
    await _fill(unfinished, load(places.gateway_yaml), places.url("province"))
    unfinished.rename(places.ledger)
    return True


async def _fill(path: Path, loaded: Loaded, issuer: str) -> None:
    console = loaded.settings.console
    if console is None:
        return
    key = loaded.settings.records.pseudonym_key.get_secret_value().encode()
    ledger = open_ledger(f"sqlite:///{path.name}", path.parent)
    passwords = Passwords(console.password_length, _FAST)
    try:
        await ledger.start()
        async with ledger.database.writing() as connection:
            office = Office(AtOnce(connection), _half_a_year_ago, digest_with(key))
            office.rules = office_rules(policy_from(loaded.policy), console)
            staff = await _employ(office, passwords, console)
            await _open_units(Procedure(office, staff, issuer))
    finally:
        passwords.close()
        await ledger.close()


class AtOnce(Database):
    """A database in which all acts are one transaction, as waiting for the disk forty times takes too long.

    Args:
        connection: of the transaction.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """The connection."""
        yield self._connection

    writing = reading


def _half_a_year_ago() -> float:
    return time.time() - AGO.total_seconds()


async def _employ(office: Office, passwords: Passwords, console: ConsoleSettings) -> dict[str, Officer]:
    """Give everybody an account and a post, and let each have signed in for the first time; gives them by login."""
    entered = {one.login: StaffInput(login=one.login, name=one.name) for one in SAMPLE_STAFF.values()}
    roles = {one.login: Role(one.role) for one in SAMPLE_STAFF.values()}
    register = StaffRegister(office, passwords)
    founders = {role: entered[login] for login, role in roles.items() if role in _ADMINISTRATORS}
    issued = await register.first_administrators(founders)
    officers = await _officers(office, {one.staff.login: one.staff.id for one in issued})
    for login, role in roles.items():
        if role not in _ADMINISTRATORS:
            made = await register.create(officers["admin-system"], entered[login])
            region, version = SAMPLE_STAFF[login].region, made.staff.version
            post = AppointmentInput(role=role, region=region, version=version)
            await register.appoint(officers["admin-security"], made.staff.id, post)
            issued.append(made)
    staff = await _officers(office, {one.staff.login: one.staff.id for one in issued})
    await _enrol(office, passwords, Sealing(console.keys, SEALED), staff)
    return staff


async def _officers(office: Office, ids: Mapping[str, str]) -> dict[str, Officer]:
    async with office.database.reading() as connection:
        found = {login: await find_post(connection, id_, kept=False) for login, id_ in ids.items()}
    return {login: officer for login, officer in found.items() if officer is not None}


async def _enrol(office: Office, passwords: Passwords, seal: Sealing, staff: Mapping[str, Officer]) -> None:
    """Let each have the password and the app that everybody knows: nobody could choose such ones herself."""
    now = time.time()  # a password of half a year ago would have to be changed
    async with office.database.writing() as connection:
        for login, officer in staff.items():
            sealed = seal.seal(officer.staff.encode(), SAMPLE_STAFF[login].secret.encode())
            values = {"password": await passwords.hash(SAMPLE_STAFF[login].password), "password_changed_at": now}
            values |= {"second_factor": sealed, "second_factor_at": now}
            await connection.execute(update(STAFF).where(STAFF.c.id == officer.staff).values(**values))


async def _open_units(procedure: "Procedure") -> None:
    unit_1, unit_2, unit_4 = (SAMPLE_ACCOUNTS[user] for user in ("unit-1", "unit-2", "unit-4"))
    citizen = SAMPLE_ACCOUNTS["citizen-1"]
    party = await procedure.review(unit_1)
    for login in unit_1.logins[:-1]:
        await procedure.open(unit_1, party, OperatorInput(account=login.id, name=login.name, id_number=login.id_number))
    acting = OperatorInput(account=citizen.sub, name=citizen.name, id_number=str(citizen.profile["id_number"]))
    await procedure.open(unit_1, party, acting)
    await procedure.bind(unit_1, party, "35010020141000000101")
    await procedure.review(unit_2)
    party, login = await procedure.review(unit_4), unit_4.logins[0]
    expired = OperatorInput(account=login.id, name=login.name, id_number=login.id_number)
    await procedure.open(unit_4, party, expired, SHORT)
    await procedure.bind(unit_4, party, "35020020141000000401")


class Procedure:
    """Takes units through the procedure, each at the counter of its region.

    Args:
        office: where acts begin.
        staff: by login.
        issuer: the province.
    """

    def __init__(self, office: Office, staff: Mapping[str, Officer], issuer: str) -> None:
        self._office = office
        self._staff = staff
        self._issuer = issuer

    async def review(self, unit: Account) -> str:
        """A unit signs in here for the first time, applies, and is reviewed; gives the id of its record."""
        principal = Principal(self._issuer, unit.sub, Kind.LEGAL, unit.level, 0.0, operator=unit.operator, version=1)
        told = unit.profile
        profile = Profile(
            name=unit.name,
            uscc=unit.sub,
            legal_representative=str(told["legal_representative"]),
            registered_address=str(told["registered_address"]),
            registered_on=str(told["registration_date"]),
        )
        party = (await Parties(self._office).arrive(SignIn(principal, profile))).id
        applications, (clerk, reviewer) = Applications(self._office), self._at(unit)
        made = await applications.record(clerk, party, ApplicationInput(items=(DECLARATION,)))
        await applications.review(reviewer, made.id, ReviewInput(approve=True, version=made.version))
        return party

    async def open(self, unit: Account, party: str, entered: OperatorInput, lasting: timedelta = LONG) -> None:
        """An operator is entered, granted the declaration from today on, and accepts."""
        grants, (clerk, reviewer) = Grants(self._office), self._at(unit)
        operator = await Operators(self._office).enter(clerk, party, entered)
        today: date = day_of(self._office.clock())
        terms = GrantInput(operator=operator.id, items=(DECLARATION,), valid_from=today, valid_until=today + lasting)
        [grant] = await grants.propose(clerk, party, terms)
        await grants.approve(reviewer, grant.id, grant.version)
        await grants.accept(Owner(self._issuer, unit.sub, Kind.LEGAL, entered.account), grant.id)

    async def bind(self, unit: Account, party: str, local_id: str) -> None:
        """A unit is bound to a record of the pension system, after both were compared."""
        record, told = UnitFile(UNIT_RECORDS[SYSTEM]).find(local_id), unit.profile
        if record is None:
            raise LookupError(f"{SYSTEM} has no {local_id}")
        province: dict[str, str | None] = {"name": unit.name, "uscc": unit.sub, "region": unit.region}
        province["legal_representative"] = str(told["legal_representative"])
        province["registered_on"] = str(told["registration_date"])
        both_sides = compare_records(province, dict(record.members()))
        compared = {one.field: (one.province, one.system, one.equal) for one in both_sides}
        bindings, (clerk, reviewer) = Bindings(self._office), self._at(unit)
        made = await bindings.propose(clerk, party, BindingInput(system=SYSTEM, local_id=local_id, compared=compared))
        await bindings.approve(reviewer, made.id, made.version)

    def _at(self, unit: Account) -> tuple[Officer, Officer]:
        """Clerk and reviewer of the unit's region."""
        clerk, reviewer = (
            next(one.login for one in SAMPLE_STAFF.values() if (one.role, one.region) == (role, unit.region))
            for role in ("clerk", "reviewer")
        )
        return self._staff[clerk], self._staff[reviewer]

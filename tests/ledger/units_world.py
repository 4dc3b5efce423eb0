"""What tests about units share: one ledger of each kind for a whole module, and a region of its own for every test."""

from dataclasses import dataclass, field
from itertools import count

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import insert, select

from gateway.codes import uscc_check_digit
from gateway.ledger import open_ledger
from gateway.ledger.acting import Office, digest_with, new_id
from gateway.ledger.applications import Applications
from gateway.ledger.changes import History
from gateway.ledger.inputs.deciding import ReasonInput, ReviewInput
from gateway.ledger.inputs.units import ApplicationInput, OperatorInput
from gateway.ledger.looks import Looks
from gateway.ledger.office_tables import BINDINGS, DESIGNATED, GRANTS, PARTIES
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from gateway.ledger.queues import Queues
from gateway.ledger.rules import OfficeItem, Rules
from gateway.ledger.tables import CHANGES
from gateway.ledger.values import Officer, Owner
from gateway.model import Kind, Principal
from gateway.signin import Profile, SignIn
from tests.ledger.office_world import ISSUER, seed_staff, seed_unit
from tests.plugin_world import Clock

NUMBERS = ("11010519491231002X", "440524188001010014")
"""Identity numbers that can be right (field reference §3.3)."""

UNITS, PEOPLE = frozenset({Kind.LEGAL}), frozenset({Kind.NATURAL})
ITEMS = {
    item.code: item
    for item in (
        OfficeItem("declare", "退休待遇申报", UNITS, closable=True, granted=True, system="pension"),
        OfficeItem("change", "单位信息变更", UNITS, closable=True, granted=True, system="pension"),
        OfficeItem("query", "单位信息查询", UNITS, closable=True, granted=False, system="pension"),
        OfficeItem("hospital", "住院结算查询", PEOPLE, closable=True, granted=True, system="medical"),
    )
}

_REGIONS = (number for number in count(1101) if number % 100)  # NN00 is a province, and no city of it
_SERIALS = count(1)


def uscc_of(region: str) -> str:
    """A unified social credit code that was not here before."""
    first = f"91{region}{next(_SERIALS):09}"
    return first + uscc_check_digit(first)


def owner_of(subject: str, operator: str | None = "operator-a", kind: str = "legal") -> Owner:
    return Owner(ISSUER, subject, kind, operator)


def sign_in(subject: str, kind: Kind = Kind.LEGAL, version: int = 0, **profile) -> SignIn:
    operator = "operator-a" if kind is Kind.LEGAL else None
    principal = Principal(ISSUER, subject, kind, assurance=3, expires_at=9e9, operator=operator, version=version)
    return SignIn(principal, Profile(**profile))


def why(version: int = 1, reason: str = "材料不全") -> ReasonInput:
    return ReasonInput(reason=reason, version=version)


def verdict(version: int = 1, *, approve: bool = True, reason: str = "") -> ReviewInput:
    return ReviewInput(approve=approve, reason=reason, version=version)


def applied_for(*items: str) -> ApplicationInput:
    return ApplicationInput(items=items or ("declare",))


def operator(account: str = "operator-a", number: str = NUMBERS[0]) -> OperatorInput:
    return OperatorInput(account=account, name="样例甲", id_number=number)


@dataclass
class World:
    """One test's own part of a ledger.

    Attributes:
        office: with rules of its own.
        scope: of the region that no other test has.
    """

    office: Office
    clock: Clock
    scope: str = field(default_factory=lambda: str(next(_REGIONS)))

    def __post_init__(self):
        self.office.rules = Rules(ITEMS)
        self.region = f"{self.scope}00"
        self.parties = Parties(self.office)
        self.applications = Applications(self.office)
        self.operators = Operators(self.office)
        self.looks = Looks(self.office)
        self.queues = Queues(self.office)
        self.history = History(self.office)

    async def staff(self, role: str = "reviewer", scope: str | None = None) -> Officer:
        return await seed_staff(self.office, role, self.scope if scope is None else scope)

    async def unit(self, state: str = "new", region: str | None = None) -> tuple[str, str]:
        """A unit's record in any state: its id and its USCC."""
        subject = uscc_of(region or self.region)
        return await seed_unit(self.office, subject, region or self.region, state), subject

    async def units(self, number: int) -> list[str]:
        """Records of so many new units, made at once and without a history: their ids."""
        columns = {"kind": "legal", "issuer": ISSUER, "region": self.region, "state": "new", "registered_version": 0}
        columns |= {"created_at": 0.0, "changed_at": 0.0, "version": 1}
        rows = [columns | {"id": new_id(), "subject": uscc_of(self.region)} for _ in range(number)]
        async with self.office.by_itself() as act:
            await act.connection.execute(insert(PARTIES), rows)
        return [row["id"] for row in rows]

    async def entries(self, by: Officer, party: str, account: str = "operator-a", state: str = "live") -> dict:
        """An operator with a grant, a binding and a designated device, as other use cases would have made them."""
        entered = await self.operators.enter(by, party, operator(account))
        approver = await self.staff()
        decided = {"two_people": True, "proposed_at": self.clock.wall, "version": 1, "state": "proposed"}
        decided |= {"proposed_post": by.post, "proposed_staff": by.staff}
        ids = {"grant": new_id(), "binding": new_id(), "device": new_id()}
        days = {"valid_from": 0.0, "valid_until": 9e9}
        device = {"kind": "network", "value": "203.0.113.0/24", "sign_count": 0, "name": "样例电脑", "items": []}
        device |= {"proposed_by": by.staff, "proposed_at": self.clock.wall, "version": 1, "state": "proposed"}
        rows = {
            "grant": (GRANTS, decided | days | {"operator_id": entered.id, "item": "declare", "scope": self.scope}),
            "binding": (BINDINGS, decided | {"system": "pension", "local_id": new_id(), "compared": {}}),
            "device": (DESIGNATED, device),
        }
        rows["grant"][1].update(exclusive=False, constraints={})
        async with self.office.by_itself() as act:
            for kind, (table, values) in rows.items():
                await act.connection.execute(insert(table).values(id=ids[kind], party_id=party, **values))
                if state == "live":
                    await self.approve(act, table, ids[kind], approver)
                await act.note(f"{kind}.proposed", ids[kind], party=party)
        return ids | {"operator": entered.id}

    async def approve(self, act, table, entry: str, approver: Officer) -> None:
        values = {"state": "live", "approved_post": approver.post, "approved_at": self.clock.wall}
        values |= {"approved_staff": approver.staff} if "approved_staff" in table.c else {}
        await act.connection.execute(table.update().where(table.c.id == entry).values(**values))

    async def state_of(self, table, entry: str) -> str:
        async with self.office.database.reading() as connection:
            return await connection.scalar(select(table.c.state).where(table.c.id == entry))

    async def changes(self, *entries: str) -> list[str]:
        """Actions of the history of these entries, the first one first."""
        question = select(CHANGES.c.action).where(CHANGES.c.entry.in_(entries)).order_by(CHANGES.c.id)
        async with self.office.database.reading() as connection:
            return list(await connection.scalars(question))


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))])
def shared_url(request, tmp_path_factory, new_ledger):
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("units") / "ledger.db"
        path.write_bytes(new_ledger)
        yield f"sqlite:///{path}"
        return
    server = request.getfixturevalue("postgres_server")
    server.ensure()
    url = server.new_database()
    yield url
    server.ensure()
    server.drop_database(url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_url, tmp_path_factory):
    """One ledger for all tests of a module."""
    ledger = open_ledger(shared_url, tmp_path_factory.mktemp("base"), log=structlog.testing.CapturingLogger())
    await ledger.start()
    yield ledger
    await ledger.close()


@pytest.fixture
def world(shared) -> World:
    clock = Clock()
    return World(Office(shared.database, lambda: clock.wall, digest_with(b"k" * 32)), clock)

"""What tests of grants, bindings, appeals, switches and designated devices share: a scene, and what is left of it."""

import re
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from datetime import date
from itertools import count

import pytest
from sqlalchemy import insert, select

from gateway.errors import GatewayError
from gateway.facts import Facts
from gateway.ledger.acting import Office, new_id
from gateway.ledger.appeals import Appeals
from gateway.ledger.bindings import Bindings
from gateway.ledger.designated import DesignatedDevices
from gateway.ledger.facts import read_facts
from gateway.ledger.grants import Grants
from gateway.ledger.inputs.claims import AppealInput, BindingInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.office_tables import FACTS, LOOKS, OPERATORS, PARTIES
from gateway.ledger.rules import LocalId, OfficeItem, Rules
from gateway.ledger.switches import Switches
from gateway.ledger.tables import CHANGES
from gateway.ledger.values import Officer, Owner
from gateway.model import Kind
from tests.ledger.office_world import ISSUER, seed_staff

TODAY = date(2023, 11, 15)  # of plugin_world.NOW, in China
PENSION, TRAINING, SETTLEMENTS, OPEN_TO_ALL = "item-pension", "item-training", "item-settlements", "item-hours"
TAX = "{:040d}"

_UNITS, _NUMBERS, _LEGAL = count(1), count(1), frozenset({Kind.LEGAL})


def _item(code: str, audience: frozenset[Kind] = _LEGAL, *, closable: bool = True, granted: bool = True) -> OfficeItem:
    return OfficeItem(code, f"样例事项 {code}", audience, closable, granted, "pension")


RULES = Rules(
    items={
        item.code: item
        for item in (
            _item(PENSION),
            _item(TRAINING),
            _item(SETTLEMENTS, frozenset({Kind.NATURAL}), granted=False),
            _item(OPEN_TO_ALL, closable=False, granted=False),
        )
    },
    local_ids={
        "social": LocalId("social", "社保编号", r"[0-9]{20}", ("应为 20 位数字。", "20 digits are expected.")),
        "tax": LocalId("tax", "税务编号", r"[0-9A-Z]{40}", ("应为 40 位。", "40 characters are expected.")),
    },
)


async def _seed(office: Office, subject: str, region: str, state: str, accounts: list[str], post: Officer) -> "Unit":
    """A unit and its operators, in one act: that is what makes many scenes cheap."""
    party, operators = new_id(), [new_id() for _ in accounts]
    async with office.by_itself() as act:
        await act.connection.execute(
            insert(PARTIES).values(
                id=party, kind="legal", issuer=ISSUER, subject=subject, name="样例一有限公司", region=region,
                state=state, registered_version=0, created_at=act.now, changed_at=act.now, version=1,
            )
        )  # fmt: skip
        entered = {"party_id": party, "name": "样例子", "id_number": "3***********1", "id_digest": "0" * 64}
        entered |= {"administrator": False, "added_at": act.now, "added_post": post.post}
        rows = [{"id": id_, "account": account, **entered} for id_, account in zip(operators, accounts, strict=True)]
        await act.connection.execute(insert(OPERATORS), rows)
        await act.note("party.created", party, party=party)
    return Unit(party, subject, operators, accounts)


class Unit:
    """A unit with two operators.

    Attributes:
        id: of its record.
        operators: ids of their entries.
        owners: each of them signed in; the unit's own login last.
        plain: what another process makes it of.
    """

    def __init__(self, party: str, subject: str, operators: list[str], accounts: list[str]) -> None:
        self.plain = {"party": party, "subject": subject, "operators": operators, "accounts": accounts}
        self.id = party
        self.operators = operators
        self.owners = [Owner(ISSUER, subject, "legal", account) for account in [*accounts, subject]]


class Scene:
    """An office with staff of one city, and units.

    Args:
        open_office: makes offices of one ledger, as several workers have them.
        staff: of that ledger; empty until there is some.

    Attributes:
        office: where acts begin.
        clerk, reviewer: posts of the city 3501.
        province: a reviewer of the province 35.
    """

    office: Office
    clerk: Officer
    reviewer: Officer
    province: Officer

    def __init__(self, open_office: Callable[[], Awaitable[Office]], staff: list[Officer]) -> None:
        self._open_office = open_office
        self._staff = staff
        self._offices: list[Office] = []

    async def begin(self) -> "Scene":
        [self.office] = [office] = await self.offices(1)
        self.grants, self.bindings, self.appeals = Grants(office), Bindings(office), Appeals(office)
        self.switches, self.devices = Switches(office), DesignatedDevices(office)
        if not self._staff:
            for role, scope in [("clerk", "3501"), ("reviewer", "3501"), ("reviewer", "35")]:
                self._staff.append(await seed_staff(office, role, scope))
        self.clerk, self.reviewer, self.province = self._staff
        return self

    async def another_office(self) -> Office:
        """What another worker has."""
        office = await self._open_office()
        office.rules = RULES
        return office

    async def offices(self, number: int) -> list[Office]:
        """So many workers, of which this one is the first."""
        while len(self._offices) < number:
            self._offices.append(await self.another_office())
        return self._offices[:number]

    async def unit(self, state: str = "reviewed", region: str = "350100") -> Unit:
        number = next(_UNITS)
        accounts = [f"operator-{number}", f"operator-{number}b"]
        return await _seed(self.office, f"unit-{number}", region, state, accounts, self.province)

    def rule(self, **changed) -> None:
        """Change the rules for this scene."""
        current = self.office.rules
        kept = {name: getattr(current, name) for name in ("items", "local_ids", "two_people", "acceptance")}
        self.office.rules = Rules(**kept | changed)

    async def granted(self, unit: Unit, *items: str, operator: int = 0, **more):
        """A grant that holds, by all its steps."""
        [grant] = await self.grants.propose(self.clerk, unit.id, asked(unit, *items, operator=operator, **more))
        grant = await self.grants.approve(self.reviewer, grant.id, grant.version)
        return await self.grants.accept(unit.owners[operator], grant.id)

    async def bound(self, unit: Unit, local_id: str, system: str = "social"):
        """A binding that holds, by all its steps."""
        binding = await self.bindings.propose(self.clerk, unit.id, BindingInput(system=system, local_id=local_id))
        return await self.bindings.approve(self.reviewer, binding.id, binding.version)

    async def facts(self, party: str) -> Facts:
        """What decisions about this record rest on."""
        async with self.office.database.reading() as connection:
            return read_facts(await connection.scalar(select(FACTS.c.body).where(FACTS.c.party_id == party)))

    async def history(self, entry: str) -> list[str]:
        """Actions that concern this entry, the first one first."""
        question = select(CHANGES.c.action).where(CHANGES.c.entry == entry).order_by(CHANGES.c.id)
        async with self.office.database.reading() as connection:
            return list(await connection.scalars(question))

    async def looks(self, party: str) -> list[tuple[str, str]]:
        """Who looked at what of this record."""
        question = select(LOOKS.c.staff_id, LOOKS.c.what).where(LOOKS.c.party_id == party).order_by(LOOKS.c.id)
        async with self.office.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(question)]


def asked(unit: Unit, *items: str, operator: int = 0, **more) -> GrantInput:
    """What a clerk enters."""
    values = {"valid_from": TODAY, "valid_until": date(2024, 11, 14), **more}
    return GrantInput(operator=unit.operators[operator], items=items or (PENSION,), **values)


def new_number() -> str:
    """An id at social insurance that nobody has."""
    return f"{next(_NUMBERS):020d}"


def claim(local_id: str, system: str = "social") -> AppealInput:
    """What a unit enters whose number somebody else has."""
    return AppealInput(system=system, local_id=local_id, reason="编号登记有误")


@contextmanager
def refused(code: str, *fields: str):
    """A refusal with this code, and of a form with problems of just these fields; it tells nobody's name or number."""
    with pytest.raises(GatewayError) as caught:
        yield caught
    assert caught.value.code == code
    assert sorted(problem.field for problem in getattr(caught.value, "problems", ())) == sorted(fields)
    assert not re.search(r"样例[一-龥]{0,2}有限|样例子|[0-9]{18}|unit-\d", " ".join(caught.value.title))

"""A small business system, and a unit at every point of the procedure: what the tests of pages share."""

import contextlib
import html
import json
import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from sqlalchemy import update

from gateway.ledger.inputs.claims import AppealInput, BindingInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.units import ApplicationInput, OperatorInput
from gateway.ledger.office_tables import PARTIES
from gateway.ledger.values import Owner
from gateway.model import Outbound
from gateway.settings import DirectSettings
from tests.console.console_world import World
from tests.ferry.ferry_world import Reply
from tests.ledger.office_world import ISSUER, seed_staff, seed_unit

USCC = "91350100M000100Y43"
LOCAL_ID = "35010020141000000101"
RECORD = {
    "local_id": LOCAL_ID,
    "name": "样例一有限公司",
    "uscc": USCC,
    "legal_representative": "样例甲",
    "registered_on": "20100101",
    "region": "350100",
    "status": "active",
}


class BusinessSystem:
    """Has units on file, and answers as sandbox/operations.py does; a gateway.contracts.Forwarder by itself.

    Attributes:
        records: what it has on file.
        asked: every request that it got.
        answer: when set, a function of the request that answers instead.
    """

    def __init__(self, *records: dict[str, Any]) -> None:
        self.records = list(records)
        self.asked: list[Outbound] = []
        self.answer: Any = None
        self.running = 0

    async def start(self) -> None:
        self.running += 1

    async def stop(self) -> None:
        self.running -= 1

    @contextlib.asynccontextmanager
    async def send(self, outbound: Outbound, *, attempts: Any = None) -> AsyncIterator[Reply]:
        self.asked.append(outbound)
        yield self._reply(outbound) if self.answer is None else await self.answer(outbound)

    def _reply(self, outbound: Outbound) -> Reply:
        inbound = outbound.visit.inbound
        if inbound.query:
            found = [one for one in self.records if f"uscc={one['uscc']}" == inbound.query]
            return _json(200 if found else 404, {"units": found})
        found = [one for one in self.records if inbound.path == f"/units/{one['local_id']}"]
        return _json(200, found[0]) if found else _json(404, {"code": "unit-unknown"})


def _json(status: int, value: object) -> Reply:
    return Reply(status, json.dumps(value).encode())


def system_settings(name: str = "si", **lookups: Any) -> DirectSettings:
    """Settings of a system that units are bound to."""
    offered = {
        "record": {"route": f"{name}-unit", "path": "/units/{local_id}"},
        "search": {"route": f"{name}-units", "path": "/units"},
    } | lookups
    local_id = {"name": "社保编号", "length": 20} | {key: value for key, value in offered.items() if value}
    return DirectSettings.model_validate(
        {"name": name, "via": "direct", "targets": ["http://127.0.0.1:9"], "local_id": local_id}
    )


class Case:
    """A unit with something of every kind that waits, and an account to administer.

    Attributes:
        names: values for the parameters of page addresses: `unit`, `application`, `operator`, …
    """

    def __init__(self, **names: str) -> None:
        self.names = names

    def at(self, address: str) -> str:
        """An address with the parameters filled in."""
        return address.format_map(self.names)


async def seed_case(world: World, region: str, uscc: str = USCC, local_id: str = LOCAL_ID, name: str = "") -> Case:
    """Make one: a clerk for the whole country has proposed everything."""
    console, office = world.console, world.office
    clerk = await seed_staff(office, "clerk", "")
    party = await seed_unit(office, uscc, region, "reviewed")
    if name:
        async with office.by_itself() as act:
            await act.connection.execute(update(PARTIES).where(PARTIES.c.id == party).values(name=name))
    application = await console.applications.record(clerk, party, ApplicationInput(items=("medical",), note="窗口"))
    entered = OperatorInput(account="operator-1", name="样例子", id_number="350100190001011015")
    operator = await console.operators.enter(clerk, party, entered)
    today, later = date(2023, 11, 15), date(2024, 11, 14)
    terms = GrantInput(operator=operator.id, items=("pension",), valid_from=today, valid_until=later, scope=region)
    [grant] = await console.grants.propose(clerk, party, terms)
    device = await console.devices.register(
        clerk, party, DeviceInput(kind="network", value="192.0.2.0/24", name="样例电脑")
    )
    binding = await console.bindings.propose(clerk, party, BindingInput(system="si", local_id=local_id))
    claim = AppealInput(system="si", local_id=local_id, reason="号码被他人登记")
    appeal = await console.appeals.open(Owner(ISSUER, uscc, "legal", "operator-1"), claim)
    account = await seed_staff(office, "clerk", region.rstrip("0"))
    return Case(
        unit=party, application=application.id, operator=operator.id, grant=grant.id, device=device.id,
        binding=binding.id, appeal=appeal.id, staff=account.staff, login=account.login, local_id=local_id,
    )  # fmt: skip


PAGE_TEXT = re.compile(r"<(?:style|head)\b.*?</(?:style|head)>|<[^>]*>", re.DOTALL)


def text_of(page: str) -> str:
    """What a page says, in one line."""
    return " ".join(html.unescape(PAGE_TEXT.sub(" ", page)).split())


def field_value(page: str, name: str) -> str:
    """What stands in a field of a page's form."""
    found = re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page)
    assert found is not None, f"no field {name}"
    return html.unescape(found[1])

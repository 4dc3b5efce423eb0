"""What the operations of the back office are tried on: a target in a region for each, which could succeed."""

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, NamedTuple

from gateway.codes import uscc_check_digit
from gateway.ledger.appeals import Appeals
from gateway.ledger.inputs.claims import AppealInput, BindingInput
from gateway.ledger.inputs.deciding import ReasonInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.units import ApplicationInput, OperatorInput
from gateway.ledger.values import Officer, Owner
from tests.console.console_world import World
from tests.ledger.office_world import ISSUER, seed_staff, seed_unit

NUMBER = "11010519491231002X"
TODAY, LATER = "2023-11-15", "2024-11-14"

_COUNT = count(1)


class Target(NamedTuple):
    """What an operation is tried on.

    Attributes:
        id: for the path; what a list shows, or does not.
        input: query or body.
    """

    id: str
    input: dict[str, Any] | None = None


class Stage:
    """Makes targets.

    Attributes:
        everywhere: posts for the whole country, by role: they prepare what a post of one region is tried on.
    """

    def __init__(self, world: World, everywhere: dict[str, Officer]) -> None:
        self.console = world.console
        self.office = world.office
        self.everywhere = everywhere

    @classmethod
    async def open(cls, world: World) -> "Stage":
        return cls(world, {role: await seed_staff(world.office, role, "") for role in ("system", "clerk", "reviewer")})

    # ── what is there ─────────────────────────────────────────────────────────────────────────────────────────────

    async def unit(self, region: str, state: str = "reviewed") -> tuple[str, str]:
        """A unit's record: its id and USCC."""
        first = f"91{region}{next(_COUNT):09}"
        uscc = first + uscc_check_digit(first)
        return await seed_unit(self.office, uscc, region, state), uscc

    async def operator(self, party: str) -> str:
        entered = OperatorInput(account=f"operator-{next(_COUNT)}", name="样例甲", id_number=NUMBER)
        return (await self.console.operators.enter(self.everywhere["clerk"], party, entered)).id

    async def grant(self, region: str) -> tuple[str, int]:
        party, _ = await self.unit(region)
        given = GrantInput.model_validate(grant_input(await self.operator(party)))
        [record] = await self.console.grants.propose(self.everywhere["clerk"], party, given)
        return record.id, record.version

    async def binding(self, region: str) -> tuple[str, int]:
        party, _ = await self.unit(region)
        given = BindingInput(system="si", local_id=f"{next(_COUNT):020}")
        record = await self.console.bindings.propose(self.everywhere["clerk"], party, given)
        return record.id, record.version

    async def device(self, region: str) -> tuple[str, int]:
        party, _ = await self.unit(region)
        given = DeviceInput(kind="network", value="192.0.2.0/24", name="样例电脑")
        record = await self.console.devices.register(self.everywhere["clerk"], party, given)
        return record.id, record.version

    async def application(self, region: str) -> tuple[str, str, int]:
        """The unit's id, the application's, and its version."""
        party, _ = await self.unit(region, "new")
        record = await self.console.applications.record(
            self.everywhere["clerk"], party, ApplicationInput(items=("pension",))
        )
        return party, record.id, record.version

    async def appeal(self, region: str) -> tuple[str, int]:
        _, uscc = await self.unit(region)
        given = AppealInput(system="si", local_id=f"{next(_COUNT):020}", reason="号码被他人登记")
        record = await Appeals(self.office).open(Owner(ISSUER, uscc, "legal", "operator"), given)
        return record.id, record.version

    async def staff(self, region: str) -> Officer:
        """Somebody whose post covers just this region."""
        return await seed_staff(self.office, "clerk", region.rstrip("0"))


def grant_input(operator: str) -> dict[str, Any]:
    return {"operator": operator, "items": ["pension"], "valid_from": TODAY, "valid_until": LATER}


# ── a target for each operation ───────────────────────────────────────────────────────────────────────────────────

Prepare = Callable[[Stage, str], Awaitable[Target]]


def _on_unit(state: str = "reviewed", input: dict[str, Any] | None = None) -> Prepare:  # noqa: A002
    async def prepare(stage: Stage, region: str) -> Target:
        party, _ = await stage.unit(region, state)
        return Target(party, input)

    return prepare


async def _search(stage: Stage, region: str) -> Target:
    party, uscc = await stage.unit(region)
    return Target(party, {"text": uscc})


async def _waiting(stage: Stage, region: str) -> Target:
    _, application, _ = await stage.application(region)
    return Target(application)


async def _history(stage: Stage, region: str) -> Target:
    party, _, _ = await stage.application(region)
    return Target(party, {"action": "application.received"})


async def _operator(stage: Stage, region: str) -> Target:
    party, _ = await stage.unit(region)
    return Target(await stage.operator(party), {"reason": "离职"})


async def _review(stage: Stage, region: str) -> Target:
    _, application, version = await stage.application(region)
    return Target(application, {"approve": True, "version": version})


async def _propose_grant(stage: Stage, region: str) -> Target:
    party, _ = await stage.unit(region)
    return Target(party, grant_input(await stage.operator(party)))


async def _propose_binding(stage: Stage, region: str) -> Target:
    party, _ = await stage.unit(region)
    return Target(party, {"system": "si", "local_id": f"{next(_COUNT):020}"})


def _decided(kind: str, **more: Any) -> Prepare:
    """An entry that was proposed, with the version that was shown."""

    async def prepare(stage: Stage, region: str) -> Target:
        entry, version = await getattr(stage, kind)(region)
        return Target(entry, {"version": version} | more)

    return prepare


def _on_staff(**more: Any) -> Prepare:
    async def prepare(stage: Stage, region: str) -> Target:
        return Target((await stage.staff(region)).staff, {"version": 1} | more)

    return prepare


async def _list_staff(stage: Stage, region: str) -> Target:
    officer = await stage.staff(region)
    return Target(officer.staff, {"text": officer.login})


async def _create_staff(stage: Stage, region: str) -> Target:
    return Target("", {"login": f"new-{next(_COUNT)}", "name": "样例新人"})


async def _disabled(stage: Stage, region: str) -> Target:
    officer = await stage.staff(region)
    record = await stage.console.staff.disable(stage.everywhere["system"], officer.staff, 1)
    return Target(officer.staff, {"version": record.version})


async def _resume(stage: Stage, region: str) -> Target:
    party, _ = await stage.unit(region)
    why = ReasonInput(reason="核查", version=1)
    record = await stage.console.parties.suspend(stage.everywhere["reviewer"], party, why)
    return Target(party, {"reason": "已核实", "version": record.version})


async def _staff_file(stage: Stage, region: str) -> Target:
    return Target("", {"file": f"login,name\nnew-{next(_COUNT)},样例新人\n"})


async def _posts_file(stage: Stage, region: str) -> Target:
    officer = await stage.staff(region)
    return Target("", {"file": f"login,role,region\n{officer.login},clerk,{region}\n"})


async def _grants_file(stage: Stage, region: str) -> Target:
    _, uscc = await stage.unit(region)
    header = "uscc,operator_account,operator_name,operator_id_number,item,valid_from,valid_until"
    row = f"{uscc},operator-{next(_COUNT)},样例甲,{NUMBER},pension,{TODAY},{LATER}"
    return Target("", {"file": f"{header}\n{row}\n"})


_WHY = {"reason": "核查", "version": 1}
_RECORD = {"system": "si", "local_id": "35010000000000000001"}

PREPARE: dict[str, Prepare] = {
    "queues.pending": _waiting,
    "units.search": _search,
    "units.find": _on_unit(),
    "units.suspend": _on_unit(input=_WHY),
    "units.resume": _resume,
    "units.revoke": _on_unit(input=_WHY),
    "units.relocate": _on_unit("new", {"region": "350103", "version": 1}),
    "applications.of_unit": _on_unit(),
    "applications.record": _on_unit("new", {"items": ["pension"], "note": "窗口受理"}),
    "applications.review": _review,
    "operators.of_unit": _on_unit(),
    "operators.enter": _on_unit(input={"account": "operator-new", "name": "样例乙", "id_number": NUMBER}),
    "operators.leave": _operator,
    "history.of_unit": _on_unit(),
    "history.everything": _history,
    "grants.of_unit": _on_unit(),
    "grants.propose": _propose_grant,
    "grants.approve": _decided("grant"),
    "grants.reject": _decided("grant", reason="材料不全"),
    "grants.end": _decided("grant", reason="材料不全"),
    "devices.of_unit": _on_unit(),
    "devices.register": _on_unit(input={"kind": "network", "value": "192.0.2.0/24", "name": "样例电脑"}),
    "devices.approve": _decided("device"),
    "devices.end": _decided("device", reason="材料不全"),
    "bindings.search": _on_unit(input={"system": "si"}),
    "bindings.compare": _on_unit(input=_RECORD),
    "bindings.of_unit": _on_unit(),
    "bindings.propose": _propose_binding,
    "bindings.approve": _decided("binding"),
    "bindings.reject": _decided("binding", reason="材料不全"),
    "bindings.end": _decided("binding", reason="材料不全"),
    "appeals.of_unit": _on_unit(),
    "appeals.decide": _decided("appeal", uphold=False, reason="号码无误"),
    "staff.list": _list_staff,
    "staff.create": _create_staff,
    "staff.disable": _on_staff(),
    "staff.enable": _disabled,
    "staff.appoint": _on_staff(role="reviewer", region="350102"),
    "staff.dismiss": _on_staff(),
    "staff.unlock": _on_staff(),
    "staff.reset": _on_staff(),
    "imports.staff.check": _staff_file,
    "imports.staff.take": _staff_file,
    "imports.posts.check": _posts_file,
    "imports.posts.take": _posts_file,
    "imports.grants.check": _grants_file,
    "imports.grants.take": _grants_file,
}
"""How each operation's target is made."""

"""The case of one unit at the back office, step by step as the paper has it; `sandbox.story_office` tells it.

A case can be brought to any step: forward by what has to be done, and back by revoking the unit. That ends all that it
had, and it applies again as on its first day.
"""

import time
from datetime import timedelta
from enum import IntEnum
from typing import Any

from yarl import URL

from gateway.beijing import day_of
from sandbox.accounts import SAMPLE_ACCOUNTS, Account, Login
from sandbox.back_office import BackOffice
from sandbox.visitor import Answer, Visitor, require

DECLARATION = "11350100M0009000XP3350511818002"
"""Code of 退休人员待遇申报, as in `config/edge/items/pension.yaml`."""
SYSTEM = "pension"
THIS_COMPUTER = "127.0.0.1/32"

CLERK, REVIEWER, SECOND_REVIEWER = "clerk-1", "reviewer-1", "reviewer-0"


class Step(IntEnum):
    """How far a unit has come."""

    UNKNOWN = 0
    NEW = 1
    """Or revoked, which is where the unit of an earlier tour begins."""
    REVIEWED = 2
    OPENED = 3
    BOUND = 4


class UnitCase:
    """The case of `unit-3`.

    Args:
        visitor: whose browser the unit's operator sits before.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.unit: Account = SAMPLE_ACCOUNTS["unit-3"]
        self.operator: Login = self.unit.logins[0]
        self.local_id = "35010020141000000301"
        self.office = BackOffice(visitor)
        self._visitor = visitor

    async def bring_to(self, wanted: Step) -> None:
        """Take the steps that are missing, after starting all over when it has come too far."""
        step = await self._step()
        if step is None or step > wanted:
            await self.start_over()
            step = Step.NEW
        for missing in _STEPS[step:wanted]:
            await missing(self)

    async def record(self) -> Any:
        """The unit's record, as the clerk finds it; None when there is none."""
        found = (await self.office.look(CLERK, f"/units?text={self.unit.sub}"))["found"]
        return found[0] if found else None

    async def path(self, more: str = "") -> str:
        """Address of the unit's record in the API."""
        return f"/units/{(await self._known())['id']}{more}"

    # ── the steps ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def sign_in(self, login: str | None = None) -> None:
        """One of the unit's accounts signs in here, with a browser that was nowhere yet; a new unit gets its record."""
        visitor = self._visitor
        visitor.new_browser()
        address = URL(visitor.places.url("edge") + "/sso/login")
        page = await visitor.browser.open(address.with_query({"return_to": "/sso/", "as": "legal"}))
        page = await visitor.browser.press(page, user=login or self.operator.id)
        visitor.seen += [f"> GET /sso/login   [browser, {login or self.operator.id}]", f"< {page.status}"]
        require((page.status, page.url.path) == (200, "/sso/"), f"the login ends at {page.status} {page.url}")

    async def apply(self) -> Any:
        """The clerk records at the counter what the unit applies for."""
        return await self.office.do(CLERK, await self.path("/applications"), {"items": [DECLARATION]}, 201)

    async def review(self, application: Any, login: str = REVIEWER, *, approve: bool = True) -> Answer:
        """Somebody decides about an application."""
        entered = {"approve": approve, "version": application["version"]} | ({} if approve else {"reason": "材料不全"})
        return await self.office.ask(login, "POST", f"/applications/{application['id']}/review", entered)

    async def enter_operator(self) -> Any:
        """The clerk enters the operator."""
        entered = {"account": self.operator.id, "name": self.operator.name, "id_number": self.operator.id_number}
        return await self.office.do(CLERK, await self.path("/operators"), entered, 201)

    async def designate(self) -> None:
        """The clerk designates this computer, by its address, and the reviewer approves it."""
        entered = {"kind": "network", "value": THIS_COMPUTER, "name": "样例办公室电脑", "items": [DECLARATION]}
        device = await self.office.do(CLERK, await self.path("/devices"), entered, 201)
        await self.office.do(REVIEWER, f"/devices/{device['id']}/approve", {"version": device["version"]})

    async def propose_grant(self, operator: Any) -> Any:
        """The reviewer opens the item, for this operator alone and for a year."""
        today = day_of(time.time())
        terms = {"operator": operator["id"], "items": [DECLARATION], "exclusive": True}
        terms |= {"valid_from": today.isoformat(), "valid_until": (today + timedelta(days=365)).isoformat()}
        [grant] = await self.office.do(REVIEWER, await self.path("/grants"), terms, 201)
        return grant

    async def approve_grant(self, grant: Any, login: str = SECOND_REVIEWER) -> Answer:
        """Somebody approves it."""
        return await self.office.ask(login, "POST", f"/grants/{grant['id']}/approve", {"version": grant["version"]})

    async def accept(self, grant: Any) -> None:
        """The operator herself accepts it, in self-service."""
        await self.sign_in()
        accepted = await self._visitor.post_as_page(f"/sso/my/grants/{grant['id']}/accept")
        require(accepted.must_be(200).data["state"] == "live", "the grant is not live")

    async def propose_binding(self) -> Any:
        """The clerk says which record of the pension system is the unit's."""
        entered = {"system": SYSTEM, "local_id": self.local_id}
        return await self.office.do(CLERK, await self.path("/bindings"), entered, 201)

    async def approve_binding(self, binding: Any) -> None:
        """The reviewer agrees."""
        await self.office.do(REVIEWER, f"/bindings/{binding['id']}/approve", {"version": binding["version"]})

    async def get_reviewed(self) -> None:
        """From new to reviewed."""
        (await self.review(await self.apply())).must_be(200)

    async def get_opened(self) -> None:
        """From reviewed to opened for the operator."""
        grant = await self.propose_grant(await self.enter_operator())
        await self.designate()
        (await self.approve_grant(grant)).must_be(200)
        await self.accept(grant)

    async def get_bound(self) -> None:
        """From opened to bound."""
        await self.approve_binding(await self.propose_binding())

    async def start_over(self) -> None:
        """Bring the unit back to where it has a record, and nothing else."""
        self._visitor.seen.append("= 前次演示的结果先行撤销，从头开始 what an earlier tour left is revoked first")
        for operator in (await self.office.look(CLERK, await self.path("/operators")))["found"]:
            if operator["left_at"] is None:
                await self.office.do(CLERK, f"/operators/{operator['id']}/leave", {"reason": "演示重新开始"})
        for application in (await self.office.look(CLERK, await self.path("/applications")))["found"]:
            if application["state"] == "received":
                (await self.review(application, approve=False)).must_be(200)
        record = await self._known()
        if record["state"] not in ("new", "revoked"):
            reason = {"reason": "演示重新开始", "version": record["version"]}
            await self.office.do(REVIEWER, await self.path("/revoke"), reason)

    # ── where it stands ───────────────────────────────────────────────────────────────────────────────────────────

    async def _known(self) -> Any:
        """The record, which has to be there; that it was looked for is not worth telling."""
        before = len(self._visitor.seen)
        record = await self.office.find(CLERK, self.unit.sub)
        del self._visitor.seen[before:]
        return record

    async def _step(self) -> Step | None:
        """How far it has come; None for what the story does not lead to."""
        before = len(self._visitor.seen)
        try:
            return await self._find_step()
        finally:
            del self._visitor.seen[before:]

    async def _find_step(self) -> Step | None:
        record = await self.record()
        if record is None:
            return Step.UNKNOWN
        at = f"/units/{record['id']}"
        kinds = ("applications", "operators", "grants", "devices", "bindings")
        lists = [(await self.office.look(CLERK, f"{at}/{kind}"))["found"] for kind in kinds]  # what is open is newest
        applications, entered, *entries = lists
        if any(one["state"] == "received" for one in applications):
            return None
        operators = [one["account"] for one in entered if not one["left_at"]]
        states = [[one["state"] for one in several if one["state"] != "ended"] for several in entries]
        here, live = [self.operator.id], ["live"]
        for step, state, known in (
            (Step.NEW, "new", [[], [], [], []]),
            (Step.NEW, "revoked", [[], [], [], []]),
            (Step.REVIEWED, "reviewed", [[], [], [], []]),
            (Step.OPENED, "reviewed", [here, live, live, []]),
            (Step.BOUND, "bound", [here, live, live, live]),
        ):
            if (record["state"], [operators, *states]) == (state, known):
                return step
        return None


_STEPS = (UnitCase.sign_in, UnitCase.get_reviewed, UnitCase.get_opened, UnitCase.get_bound)
"""What leads from each step to the next."""

"""Everything that is known here of one person or unit, and what is next to do with it (办理进度)."""

from collections.abc import Mapping

import msgspec

from gateway.console.console import Console
from gateway.ledger.applications import ApplicationRecord
from gateway.ledger.changes import HistoryEntry
from gateway.ledger.entries import AppealRecord, BindingRecord, DesignatedRecord, GrantRecord
from gateway.ledger.operators import OperatorRecord
from gateway.ledger.parties import PartyDetail
from gateway.ledger.rules import LocalId, Rules
from gateway.ledger.standing import Standing
from gateway.ledger.values import Officer, Page
from gateway.ledger.words import Words

READY = frozenset({"reviewed", "bound"})
"""States in which operators, grants, devices and bindings can be added."""

LISTS = ("applications", "operators", "grants", "devices", "bindings", "appeals", "history")
"""What a record has many of, as the attributes of Dossier."""


class Dossier(msgspec.Struct, frozen=True):
    """Everything of one record; of each list a page, the newest first, with what has ended.

    Attributes:
        detail: the record, what the province registered, and where it stands.
        applications: at the counter.
        operators: who can be granted something.
        grants: what they may do.
        devices: designated computers.
        bindings: to business systems.
        appeals: of the unit.
        history: what happened.
    """

    detail: PartyDetail
    applications: Page[ApplicationRecord]
    operators: Page[OperatorRecord]
    grants: Page[GrantRecord]
    devices: Page[DesignatedRecord]
    bindings: Page[BindingRecord]
    appeals: Page[AppealRecord]
    history: Page[HistoryEntry]

    @property
    def ready(self) -> bool:
        """True when the unit has been reviewed, and was not suspended or revoked."""
        return self.detail.record.kind == "legal" and self.detail.record.state in READY

    @property
    def resting(self) -> bool:
        """True while grants or bindings are open: the unit's region rests under them."""
        return self.detail.standing.granted or bool(self.detail.standing.systems)

    def unbound(self, rules: Rules) -> list[LocalId]:
        """The systems to which the unit has no binding, and none is proposed."""
        return [one for system, one in rules.local_ids.items() if system not in self.detail.standing.systems]


async def read_dossier(console: Console, officer: Officer, party: str, pages: Mapping[str, int]) -> Dossier:
    """Read everything; that somebody looked is noted.

    Args:
        console: the back office.
        officer: who looks.
        party: id of the record.
        pages: which one of each of LISTS, from 1.

    Raises:
        Forbidden, CannotDecide: see Parties.find.
    """
    return Dossier(
        await console.parties.find(officer, party),
        await console.applications.of_party(officer, party, pages["applications"]),
        await console.operators.of_party(officer, party, pages["operators"]),
        await console.grants.of_party(officer, party, pages["grants"]),
        await console.devices.of_party(officer, party, pages["devices"]),
        await console.bindings.of_party(officer, party, pages["bindings"]),
        await console.appeals.of_party(officer, party, pages["appeals"]),
        await console.history.of_party(officer, party, pages["history"]),
    )


def next_step(dossier: Dossier, rules: Rules) -> Words:
    """What the procedure asks for next, for whoever sits at the counter."""
    record, standing = dossier.detail.record, dossier.detail.standing
    if record.kind != "legal":
        return ("个人记录，无需经办机构办理。", "A person's own record: there is nothing to do for the agency.")
    waiting = _waiting(standing)
    if waiting is not None:
        return waiting
    if record.state not in READY:
        return _BY_STATE[record.state]
    if not standing.operators:
        return ("请录入经办人。", "Enter the unit's operators.")
    if not standing.granted:
        return ("请为经办人开通业务事项。", "Open items for the operators.")
    if dossier.unbound(rules):
        return ("请比对业务系统信息并绑定账号。", "Compare with the business systems' records, and bind.")
    return ("已开通，单位登录后即可办理。", "All is done: the unit signs in and does its business.")


def _waiting(standing: Standing) -> Words | None:
    if standing.application:
        return ("申请待审核。", "The application waits for its review.")
    if standing.appeal:
        return ("申诉待处理。", "An appeal waits for its decision.")
    if standing.proposed:
        return ("有内容待复核。", "Something that was proposed waits for a second person.")
    if standing.offered:
        return ("授权待经办人接受。", "A grant waits for the operator to accept it.")
    return None


_BY_STATE = {
    "new": ("请受理单位申请。", "Record the unit's application."),
    "applied": ("请受理单位申请。", "Record the unit's application."),
    "suspended": ("单位已暂停，可恢复或撤销。", "The unit is suspended: resume or revoke it."),
    "revoked": ("单位已撤销，可重新申请。", "The unit was revoked; it can apply anew."),
}

"""Operations on units: looked up, moved between states; what they apply for, who acts for them, what waits."""

from gateway.console.operation import Operation
from gateway.ledger.applications import ApplicationRecord
from gateway.ledger.changes import HistoryEntry
from gateway.ledger.inputs.deciding import ReasonInput, ReviewInput
from gateway.ledger.inputs.searching import PageInput
from gateway.ledger.inputs.units import (
    ApplicationInput,
    HistoryInput,
    LeaveInput,
    OperatorInput,
    PartySearchInput,
    RegionInput,
)
from gateway.ledger.operators import OperatorRecord
from gateway.ledger.parties import PartyDetail, PartyRecord
from gateway.ledger.powers import Power
from gateway.ledger.queues import Pending
from gateway.ledger.values import Page

UNIT_OPERATIONS = (
    Operation(
        "queues.pending", "GET", "/queues", Power.PARTY_LOOK, ("待办", "What waits for a decision"),
        lambda console, by, asked: console.queues.pending(by),
        result=Pending,
    ),
    Operation(
        "units.search", "GET", "/units", Power.PARTY_LOOK, ("查找单位和个人", "Search units and persons"),
        lambda console, by, asked: console.parties.search(by, asked.input),
        PartySearchInput, Page[PartyRecord],
    ),
    Operation(
        "units.find", "GET", "/units/{id}", Power.PARTY_LOOK, ("查看单位", "Look at a unit"),
        lambda console, by, asked: console.parties.find(by, asked.path["id"]),
        result=PartyDetail,
    ),
    Operation(
        "units.suspend", "POST", "/units/{id}/suspend", Power.PARTY_SUSPEND, ("暂停单位", "Suspend a unit"),
        lambda console, by, asked: console.parties.suspend(by, asked.path["id"], asked.input),
        ReasonInput, PartyRecord,
    ),
    Operation(
        "units.resume", "POST", "/units/{id}/resume", Power.PARTY_SUSPEND, ("恢复单位", "Resume a unit"),
        lambda console, by, asked: console.parties.resume(by, asked.path["id"], asked.input),
        ReasonInput, PartyRecord,
    ),
    Operation(
        "units.revoke", "POST", "/units/{id}/revoke", Power.PARTY_REVOKE, ("撤销单位", "Revoke a unit"),
        lambda console, by, asked: console.parties.revoke(by, asked.path["id"], asked.input),
        ReasonInput, PartyRecord,
    ),
    Operation(
        "units.relocate", "POST", "/units/{id}/region", Power.PARTY_MOVE, ("变更区划", "Move to another region"),
        lambda console, by, asked: console.parties.relocate(by, asked.path["id"], asked.input),
        RegionInput, PartyRecord,
    ),
    Operation(
        "applications.of_unit", "GET", "/units/{id}/applications", Power.PARTY_LOOK,
        ("查看申请", "Look at a unit's applications"),
        lambda console, by, asked: console.applications.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[ApplicationRecord],
    ),
    Operation(
        "applications.record", "POST", "/units/{id}/applications", Power.APPLICATION_RECORD,
        ("登记申请", "Record an application"),
        lambda console, by, asked: console.applications.record(by, asked.path["id"], asked.input),
        ApplicationInput, ApplicationRecord, 201,
    ),
    Operation(
        "applications.review", "POST", "/applications/{id}/review", Power.APPLICATION_REVIEW,
        ("审核申请", "Review an application"),
        lambda console, by, asked: console.applications.review(by, asked.path["id"], asked.input),
        ReviewInput, ApplicationRecord,
    ),
    Operation(
        "operators.of_unit", "GET", "/units/{id}/operators", Power.PARTY_LOOK,
        ("查看经办人", "Look at a unit's operators"),
        lambda console, by, asked: console.operators.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[OperatorRecord],
    ),
    Operation(
        "operators.enter", "POST", "/units/{id}/operators", Power.OPERATOR_ENTER, ("录入经办人", "Enter an operator"),
        lambda console, by, asked: console.operators.enter(by, asked.path["id"], asked.input),
        OperatorInput, OperatorRecord, 201,
    ),
    Operation(
        "operators.leave", "POST", "/operators/{id}/leave", Power.OPERATOR_END,
        ("登记经办人离开", "Note that an operator has left"),
        lambda console, by, asked: console.operators.leave(by, asked.path["id"], asked.input),
        LeaveInput, OperatorRecord,
    ),
    Operation(
        "history.of_unit", "GET", "/units/{id}/history", Power.PARTY_LOOK, ("查看单位历史", "Look at a unit's history"),
        lambda console, by, asked: console.history.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[HistoryEntry],
    ),
    Operation(
        "history.everything", "GET", "/history", Power.HISTORY_LOOK, ("查看全部历史", "Look at the whole history"),
        lambda console, by, asked: console.history.everything(by, asked.input),
        HistoryInput, Page[HistoryEntry],
    ),
)  # fmt: skip

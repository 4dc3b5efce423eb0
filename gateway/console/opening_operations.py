"""Operations of opening and binding: grants, designated devices, comparisons, bindings, appeals."""

from gateway.console.comparing import Candidates, Comparison
from gateway.console.console import Console
from gateway.console.inputs import ComparisonInput, ProposalInput, SystemInput, VersionInput
from gateway.console.operation import Asked, Operation
from gateway.ledger.entries import AppealRecord, BindingRecord, DesignatedRecord, GrantRecord
from gateway.ledger.inputs.claims import BindingInput, DecisionInput
from gateway.ledger.inputs.deciding import ReasonInput
from gateway.ledger.inputs.designated import DeviceInput
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.searching import PageInput
from gateway.ledger.powers import Power
from gateway.ledger.values import Officer, Page


async def _propose_binding(console: Console, by: Officer, asked: Asked) -> BindingRecord:
    """What was compared is kept with the binding: as it was fetched here, whatever the caller saw."""
    party, given = asked.path["id"], asked.input
    compared = await console.comparing.compare(by, party, given.system, given.local_id)
    kept = BindingInput(system=given.system, local_id=given.local_id, compared=compared.entries(), note=given.note)
    return await console.bindings.propose(by, party, kept)


OPENING_OPERATIONS = (
    Operation(
        "grants.of_unit", "GET", "/units/{id}/grants", Power.PARTY_LOOK, ("查看授权", "Look at a unit's grants"),
        lambda console, by, asked: console.grants.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[GrantRecord],
    ),
    Operation(
        "grants.propose", "POST", "/units/{id}/grants", Power.GRANT_PROPOSE, ("开通事项", "Open items for an operator"),
        lambda console, by, asked: console.grants.propose(by, asked.path["id"], asked.input),
        GrantInput, list[GrantRecord], 201,
    ),
    Operation(
        "grants.approve", "POST", "/grants/{id}/approve", Power.GRANT_APPROVE, ("复核通过授权", "Approve a grant"),
        lambda console, by, asked: console.grants.approve(by, asked.path["id"], asked.input.version),
        VersionInput, GrantRecord,
    ),
    Operation(
        "grants.reject", "POST", "/grants/{id}/reject", Power.GRANT_APPROVE, ("退回授权", "Reject a grant"),
        lambda console, by, asked: console.grants.reject(
            by, asked.path["id"], asked.input.reason, asked.input.version
        ),
        ReasonInput, GrantRecord,
    ),
    Operation(
        "grants.end", "POST", "/grants/{id}/end", Power.GRANT_END, ("终止授权", "End a grant"),
        lambda console, by, asked: console.grants.end(
            by, asked.path["id"], asked.input.reason, asked.input.version
        ),
        ReasonInput, GrantRecord,
    ),
    Operation(
        "devices.of_unit", "GET", "/units/{id}/devices", Power.PARTY_LOOK,
        ("查看指定设备", "Look at a unit's designated devices"),
        lambda console, by, asked: console.devices.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[DesignatedRecord],
    ),
    Operation(
        "devices.register", "POST", "/units/{id}/devices", Power.DEVICE_REGISTER,
        ("登记指定设备", "Designate a device"),
        lambda console, by, asked: console.devices.register(by, asked.path["id"], asked.input),
        DeviceInput, DesignatedRecord, 201,
    ),
    Operation(
        "devices.approve", "POST", "/devices/{id}/approve", Power.DEVICE_APPROVE,
        ("复核通过指定设备", "Approve a designated device"),
        lambda console, by, asked: console.devices.approve(by, asked.path["id"], asked.input.version),
        VersionInput, DesignatedRecord,
    ),
    Operation(
        "devices.end", "POST", "/devices/{id}/end", Power.DEVICE_END, ("停用指定设备", "End a designated device"),
        lambda console, by, asked: console.devices.end(
            by, asked.path["id"], asked.input.reason, asked.input.version
        ),
        ReasonInput, DesignatedRecord,
    ),
    Operation(
        "bindings.search", "GET", "/units/{id}/records", Power.BINDING_COMPARE,
        ("在业务系统中查找单位", "Search a business system for a unit"),
        lambda console, by, asked: console.comparing.candidates(by, asked.path["id"], asked.input.system),
        SystemInput, Candidates,
    ),
    Operation(
        "bindings.compare", "GET", "/units/{id}/comparison", Power.BINDING_COMPARE,
        ("比对登记信息", "Compare the province's registration with a business system's record"),
        lambda console, by, asked: console.comparing.compare(
            by, asked.path["id"], asked.input.system, asked.input.local_id
        ),
        ComparisonInput, Comparison,
    ),
    Operation(
        "bindings.of_unit", "GET", "/units/{id}/bindings", Power.PARTY_LOOK, ("查看绑定", "Look at a unit's bindings"),
        lambda console, by, asked: console.bindings.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[BindingRecord],
    ),
    Operation(
        "bindings.propose", "POST", "/units/{id}/bindings", Power.BINDING_PROPOSE, ("提交绑定", "Propose a binding"),
        _propose_binding, ProposalInput, BindingRecord, 201,
    ),
    Operation(
        "bindings.approve", "POST", "/bindings/{id}/approve", Power.BINDING_APPROVE,
        ("复核通过绑定", "Approve a binding"),
        lambda console, by, asked: console.bindings.approve(by, asked.path["id"], asked.input.version),
        VersionInput, BindingRecord,
    ),
    Operation(
        "bindings.reject", "POST", "/bindings/{id}/reject", Power.BINDING_APPROVE, ("退回绑定", "Reject a binding"),
        lambda console, by, asked: console.bindings.reject(
            by, asked.path["id"], asked.input.reason, asked.input.version
        ),
        ReasonInput, BindingRecord,
    ),
    Operation(
        "bindings.end", "POST", "/bindings/{id}/end", Power.BINDING_END, ("解除绑定", "Unbind"),
        lambda console, by, asked: console.bindings.end(
            by, asked.path["id"], asked.input.reason, asked.input.version
        ),
        ReasonInput, BindingRecord,
    ),
    Operation(
        "appeals.of_unit", "GET", "/units/{id}/appeals", Power.PARTY_LOOK, ("查看申诉", "Look at a unit's appeals"),
        lambda console, by, asked: console.appeals.of_party(by, asked.path["id"], asked.input.page),
        PageInput, Page[AppealRecord],
    ),
    Operation(
        "appeals.decide", "POST", "/appeals/{id}/decide", Power.APPEAL_DECIDE, ("处理申诉", "Decide an appeal"),
        lambda console, by, asked: console.appeals.decide(by, asked.path["id"], asked.input),
        DecisionInput, AppealRecord,
    ),
)  # fmt: skip

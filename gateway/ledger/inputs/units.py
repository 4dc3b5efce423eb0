"""What is entered about units: searches, regions, applications, operators; and questions to the history.

parties.py, applications.py, operators.py and changes.py take them.
"""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gateway.codes import CodeError, check_citizen_number, region_scope
from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line, Prose
from gateway.ledger.inputs.searching import PageInput, SearchInput

PartyKind = Literal["natural", "legal"]
PartyState = Literal["new", "applied", "reviewed", "bound", "suspended", "revoked"]


def _check_region(code: str) -> str:
    if not region_scope(code):
        raise CodeError("请填写具体的行政区划代码。", "The whole country is nobody's region.")
    return code


def _check_number(number: str) -> str:
    check_citizen_number(number)
    return number


ItemCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]


class PartySearchInput(SearchInput):
    """Which persons and units are looked for."""

    text: Line = Field(
        "",
        max_length=200,
        description="名称（部分）、统一社会信用代码或账号，也可输入经办人姓名或账号、业务系统内编号、设备标识 · "
        "part of the name, or the USCC or subject; or an operator's name or account, an id in a business system, "
        "what identifies a device",
    )
    state: PartyState | None = Field(None, description="状态，不选为全部 · state; any when left out")
    kind: PartyKind | None = Field(None, description="类型，不选为全部 · natural person or unit; both when left out")


class RegionInput(Settings):
    """Where a person or unit belongs from now on."""

    region: Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_check_region)] = Field(
        description="行政区划代码，6、9 或 12 位 · region, GB/T 2260"
    )
    version: int = Field(ge=1, description="版本 · version of the record that was shown")


class ApplicationInput(Settings):
    """What a unit applies for at the counter."""

    items: tuple[ItemCode, ...] = Field(min_length=1, max_length=50, description="申请事项编码 · codes of the items")
    note: Prose = Field("", max_length=1000, description="备注 · note")


class OperatorInput(Settings):
    """Who is to act for a unit (经办人)."""

    account: Line = Field(
        min_length=1, max_length=256, repr=False, description="省平台经办人账号 · her account at the province"
    )
    name: Line = Field(min_length=1, max_length=64, repr=False, description="姓名 · name")
    id_number: Annotated[
        str, StringConstraints(strip_whitespace=True, to_upper=True, max_length=18), AfterValidator(_check_number)
    ] = Field(repr=False, description="证件号码，仅存掩码和摘要 · identity number; only a mask and a digest are kept")
    administrator: bool = Field(
        False,
        description="单位管理员，可恢复已关闭的事项 · administrator: may open again what was closed",
    )


class LeaveInput(Settings):
    """Why an operator does not act for a unit any longer."""

    reason: Line = Field(
        min_length=1, max_length=400, description="原因，请勿填写个人信息 · why; no personal data, please"
    )


class HistoryInput(PageInput):
    """Which entries of the history are looked for. Days are those of 北京时间."""

    action: str = Field("", pattern=r"^[a-z.-]*$", max_length=64, description="操作（开头部分） · action begins with")
    subject: Line = Field("", max_length=256, description="操作人账号 · who did it: login or subject")
    since: date | None = Field(None, description="起始日期 · first day")
    until: date | None = Field(None, description="截止日期 · last day")

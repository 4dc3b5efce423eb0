"""What a binding is proposed with, and what a unit says whose number somebody else has registered."""

from typing import Annotated

from pydantic import Field, StringConstraints

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line, Prose

_Value = Annotated[Line, StringConstraints(max_length=200)]
ComparedEntry = tuple[_Value | None, _Value | None, bool]
"""One field: what the province has, what the business system has, and whether that is the same."""


class BindingInput(Settings):
    """Which record of a business system is a unit's."""

    system: Line = Field(min_length=1, max_length=63, description="业务系统 · name of the business system")
    local_id: Line = Field(min_length=1, max_length=64, repr=False, description="系统内编号 · the unit's id there")
    compared: dict[_Value, ComparedEntry] = Field(
        {},
        max_length=40,
        repr=False,
        description="比对结果：字段 → [省平台, 业务系统, 是否一致] · what was compared, by field",
    )
    note: Line = Field("", max_length=400, description="备注 · note")


class AppealInput(Settings):
    """A unit says that somebody else has registered its number."""

    system: Line = Field(min_length=1, max_length=63, description="业务系统 · name of the business system")
    local_id: Line = Field(
        min_length=1, max_length=64, repr=False, description="本单位在该系统的编号 · the unit's id there"
    )
    reason: Prose = Field(min_length=1, max_length=1000, repr=False, description="申诉理由 · why")


class DecisionInput(Settings):
    """What a reviewer says to an appeal."""

    uphold: bool = Field(description="申诉是否成立 · true: the number is the claimant's")
    reason: Line = Field(min_length=1, max_length=400, description="理由 · why")
    version: int = Field(ge=1, description="所见版本 · version of the appeal that was shown")

"""What staff enter when they decide about something that is there: why, and the version that they have seen."""

from pydantic import Field

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line


class ReasonInput(Settings):
    """Why something is changed. The history keeps the reason, and its owner can read it."""

    reason: Line = Field(
        min_length=1, max_length=400, description="原因，请勿填写个人信息 · why; no personal data, please"
    )
    version: int = Field(ge=1, description="版本 · version of the record that was shown")


class ReviewInput(Settings):
    """A decision about what somebody proposed."""

    approve: bool = Field(description="是否通过 · true approves, false rejects")
    reason: Line = Field("", max_length=400, description="原因，退回时必填 · why; needed to reject")
    version: int = Field(ge=1, description="版本 · version of the record that was shown")

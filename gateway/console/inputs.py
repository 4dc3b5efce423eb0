"""What operations are asked with beyond the models of gateway/ledger/inputs."""

from pydantic import Field

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line


class VersionInput(Settings):
    """That what was shown is meant, and nothing newer."""

    version: int = Field(ge=1, description="所见版本 · version that was shown")


class SystemInput(Settings):
    """In which business system a unit is looked for."""

    system: Line = Field(min_length=1, max_length=63, description="业务系统 · name of the business system")


class ComparisonInput(SystemInput):
    """Which record there is compared."""

    local_id: Line = Field(min_length=1, max_length=64, description="系统内编号 · the unit's id there")


class ImportInput(Settings):
    """A CSV file to take over. A form sends its bytes, JSON its text."""

    file: bytes = Field(repr=False, description="CSV 文件内容，首行为列名 · the file, column names first")


class ProposalInput(ComparisonInput):
    """Which record there is the unit's. What both sides say is fetched anew, and kept with the binding."""

    note: Line = Field("", max_length=400, description="备注 · note")

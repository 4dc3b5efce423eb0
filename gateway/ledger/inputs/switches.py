"""What an owner closes, opens or leaves. switches.py keeps it."""

from typing import Literal

from pydantic import Field

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line


class SwitchInput(Settings):
    """What an owner wants an item to be."""

    item: Line = Field(min_length=1, max_length=64, description="事项编码 · code of the item")
    setting: Literal["open", "closed", "left"] = Field(
        description="开放、关闭或转再次授权 · open, closed, or left to re-authorization (units only)"
    )

"""How lists are searched and turned over (paging.py)."""

from pydantic import Field

from gateway.contracts import Settings
from gateway.ledger.inputs.lines import Line


class PageInput(Settings):
    """Which page of a list."""

    page: int = Field(1, ge=1, le=10_000, description="页码 · page, from 1")


class SearchInput(PageInput):
    """What is looked for, and which page of it."""

    text: Line = Field("", max_length=64, description="查找内容 · what is looked for; everything when empty")

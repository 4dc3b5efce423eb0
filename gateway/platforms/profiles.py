"""Reads profiles as GB/T 39046-2020 table 12 has them, out of the many names that platforms give the same items.

A profile informs, it decides nothing: what is masked, too long or of another form is left out instead of believed.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.platforms.calls import as_text
from gateway.signin import Profile

LENGTHS = {
    "name": 30,
    "id_type": 50,
    "id_number": 18,
    "uscc": 18,
    "mobile": 18,
    "email": 50,
    "user_name": 50,
    "nation": 10,
    "sex": 1,
    "post": 12,
    "workplace": 100,
    "address": 400,
    "legal_representative": 30,
    "registered_address": 100,
    "registered_on": 8,
    "business_scope": 1000,
}
"""Most characters of each item (table 12); the 机构名称 of a unit has 100."""

_UNIT_NAME = 100
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})")
_SEXES = {"男": "1", "女": "2", "M": "1", "F": "2"}
_TRUTH = {"1": True, "true": True, "0": False, "false": False}


def read_profile(said: Mapping[str, Any], names: Mapping[str, str], *, unit: bool = False) -> Profile:
    """Take over what a platform tells.

    Args:
        said: its members.
        names: item of `Profile` and the platform's name of it.
        unit: True when it tells of a unit: names may then be longer.
    """
    items: dict[str, Any] = {}
    for item, name in names.items():
        text = as_text(said.get(name))
        if text is not None and "*" not in text:
            items[item] = _TRUTH.get(text.lower()) if item == "real_name" else _read(item, text, unit)
    return Profile(**items)


def _read(item: str, text: str, unit: bool) -> str | None:
    if item == "registered_on":
        return _date(text)
    if item == "sex":
        text = _SEXES.get(text, text)
        return text if text.isascii() and text.isdigit() and len(text) == LENGTHS[item] else None
    if item == "uscc":
        return text if _USCC.fullmatch(text) else None
    most = _UNIT_NAME if unit and item == "name" else LENGTHS[item]
    return text if len(text) <= most and text.isprintable() else None


def _date(text: str) -> str | None:
    """YYYYMMDD of a day that exists; hyphens are left out."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    day = "".join(found.groups())
    try:
        datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None
    return day

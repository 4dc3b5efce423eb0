"""Office hours: the edges of a span, holidays, the days that make up for them, and other time zones."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from gateway import ALLOW, Deny
from plugins.reauthorizers.office_hours import OfficeHours, OfficeHoursConfig
from tests.plugin_world import principal, visit

SPANS = ["09:00-12:00", "13:30-17:00"]
WEEK = dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), SPANS) | {"saturday": ["09:00-12:00"]}
CONFIG = {
    "hours": WEEK,
    "holidays": ["2026-10-01", "2026-10-02"],
    "extra_days": ["2026-10-10"],
    "extra_hours": ["10:00-16:00"],
}


def make(context, **changed) -> OfficeHours:
    return OfficeHours(OfficeHoursConfig.model_validate(CONFIG | changed), context)


async def decide(part: OfficeHours, when: str, zone: str = "Asia/Shanghai"):
    at = datetime.fromisoformat(when).replace(tzinfo=ZoneInfo(zone)).timestamp()
    return await part.decide(principal(), visit(at=at))


@pytest.mark.parametrize(
    ("when", "is_open"),
    [
        ("2026-11-23 08:59:59", False),  # a Monday
        ("2026-11-23 09:00:00", True),
        ("2026-11-23 11:59:59", True),
        ("2026-11-23 12:00:00", False),
        ("2026-11-23 13:30:00", True),
        ("2026-11-23 17:00:00", False),
        ("2026-11-28 11:00:00", True),  # a Saturday
        ("2026-11-28 14:00:00", False),
        ("2026-11-29 10:00:00", False),  # a Sunday
        ("2026-10-01 10:00:00", False),  # a Thursday, and a holiday
        ("2026-10-10 15:59:59", True),  # a Saturday that makes up for it
        ("2026-10-10 09:30:00", False),
    ],
)
async def test_the_office_is_open_when_the_configuration_says_so(context, when, is_open):
    assert (await decide(make(context), when) is ALLOW) is is_open


async def test_the_hours_are_those_of_the_configured_zone(context):
    part = make(context)
    assert await decide(part, "2026-11-23 01:00:00", "UTC") is ALLOW
    assert await decide(part, "2026-11-23 09:00:00", "UTC") is not ALLOW
    assert await decide(make(context, timezone="Europe/Berlin"), "2026-11-23 09:00:00", "Europe/Berlin") is ALLOW


async def test_a_day_can_be_open_until_its_end(context):
    part = make(context, hours={"monday": ["00:00-24:00"]})
    assert await decide(part, "2026-11-23 00:00:00") is ALLOW
    assert await decide(part, "2026-11-23 23:59:59") is ALLOW
    assert await decide(part, "2026-11-24 00:00:00") is not ALLOW


async def test_who_comes_outside_the_hours_is_told_them(context):
    decision = await decide(make(context), "2026-11-29 10:00:00")
    assert isinstance(decision, Deny)
    assert decision.code == "outside-office-hours"
    assert "周一-周五 09:00-12:00, 13:30-17:00；周六 09:00-12:00" in decision.title[0]
    assert "Mon-Fri 09:00-12:00, 13:30-17:00; Sat 09:00-12:00" in decision.title[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"timezone": "Asia/Nowhere"},
        {"timezone": "../etc/passwd"},
        {"hours": {}},
        {"hours": {"mon": SPANS}},
        {"hours": {"monday": ["9:00-12:00"]}},
        {"hours": {"monday": ["12:00-09:00"]}},
        {"hours": {"monday": ["09:00-09:00"]}},
        {"hours": {"monday": ["22:00-25:00"]}},
        {"hours": {"monday": ["09:60-12:00"]}},
        {"hours": {"monday": ["09:00-12:00\n"]}},
        {"holidays": ["2026-02-30"]},
        {"holidays": ["2026-10-10"]},
        {"extra_hours": []},
        {"opening": {}},
    ],
)
def test_settings_that_cannot_be_right_are_refused(changed):
    with pytest.raises(ValidationError):
        OfficeHoursConfig.model_validate(CONFIG | changed)

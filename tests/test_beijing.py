"""北京时间: how moments are read, and where days begin and end."""

from datetime import date

import pytest

from gateway.beijing import begin_of, day_of, end_of, local_time, minute_of

MIDNIGHT = 1_700_064_000.0
"""2023-11-16, 00:00 in China: 16:00 of the day before in UTC."""


def test_a_moment_is_read_eight_hours_ahead_of_utc_and_without_seconds():
    assert local_time(MIDNIGHT - 0.5) == "2023-11-15 23:59"
    assert local_time(MIDNIGHT) == "2023-11-16 00:00"


def test_the_end_of_all_calendars_can_be_read():
    """A grant may hold until then, and its end stands in the history of its unit for ever."""
    assert local_time(end_of(date.max)) == "9999-12-31 23:59"


@pytest.mark.parametrize("day", [date(2023, 11, 16), date(2024, 2, 29), date(1989, 7, 1), date.max], ids=str)
def test_a_day_holds_from_its_begin_until_before_its_end(day):
    assert day_of(begin_of(day)) == day_of(end_of(day) - 1) == day
    assert end_of(day) - begin_of(day) == 24 * 3600


def test_minutes_are_counted_from_midnight():
    assert [minute_of(MIDNIGHT + at) for at in (-1, 0, 59.9, 9 * 3600)] == [1439, 0, 0, 540]

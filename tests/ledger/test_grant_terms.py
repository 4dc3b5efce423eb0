"""What a grant may be asked for with: dates in China, regions, networks, hours. No database is needed to tell."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.beijing import day_of
from gateway.codes import CodeError
from gateway.errors import InputRefused
from gateway.ledger.inputs.grants import GrantInput, Ground, read_terms
from gateway.ledger.inputs.texts import read_network
from tests.ledger.grants_world import PENSION, RULES, TODAY

LAST = date(2024, 11, 14)


def terms(region="350102", post="3501", **more):
    values = {"operator": "o", "items": [PENSION], "valid_from": TODAY, "valid_until": LAST} | more
    return read_terms(GrantInput(**values), RULES, Ground(region, post, TODAY, True, frozenset({"d"})))


def problems(**more) -> list[str]:
    with pytest.raises(InputRefused) as caught:
        terms(**more)
    return [problem.field for problem in caught.value.problems]


def test_days_begin_and_end_in_china_whatever_the_machine_is_set_to():
    read = terms()
    assert datetime.fromtimestamp(read.valid_from, UTC).isoformat() == "2023-11-14T16:00:00+00:00"
    assert datetime.fromtimestamp(read.valid_until, UTC).isoformat() == "2024-11-14T16:00:00+00:00"
    assert day_of(read.valid_until - 1) == LAST
    assert day_of(read.valid_until) > LAST


DATES = {
    "today alone": (TODAY, TODAY, None),
    "five years": (TODAY, date(2028, 11, 15), None),
    "a day more": (TODAY, date(2028, 11, 16), "valid_until"),
    "from a leap day": (date(2024, 2, 29), date(2029, 2, 28), None),
    "a day more than from a leap day": (date(2024, 2, 29), date(2029, 3, 1), "valid_until"),
    "ends before it begins": (date(2024, 1, 2), date(2024, 1, 1), "valid_until"),
    "from yesterday": (date(2023, 11, 14), LAST, "valid_from"),
    "at the end of all calendars": (date(9999, 12, 31), date(9999, 12, 31), None),
}


@pytest.mark.parametrize(("first", "last", "wrong"), DATES.values(), ids=DATES.keys())
def test_a_grant_lies_ahead_and_holds_for_five_years_at_most(first, last, wrong):
    if wrong is None:
        read = terms(valid_from=first, valid_until=last)
        assert read.valid_from < read.valid_until
    else:
        assert problems(valid_from=first, valid_until=last) == [wrong]


SCOPES = {
    "the unit's own": ("", "350102", True),
    "the unit's own, written": ("350102", "350102", True),
    "its city": ("350100", "3501", True),
    "its province, above the post": ("350000", None, False),
    "another district": ("350103", None, False),
    "a town within": ("350102001", None, False),
    "no code": ("35010", None, False),
}


@pytest.mark.parametrize(("code", "scope", "fits"), SCOPES.values(), ids=SCOPES.keys())
def test_a_grant_covers_its_unit_and_lies_within_the_post(code, scope, fits):
    if fits:
        assert terms(scope=code).scope == scope
    else:
        assert problems(scope=code) == ["scope"]


def test_a_unit_of_no_known_region_is_for_posts_that_cover_the_country():
    assert terms(region="", post="").scope == ""
    assert problems(region="", post="35") == ["scope"]


NETWORKS = {
    " 10.1.2.3/24 ": "10.1.2.0/24",
    "10.1.2.3": "10.1.2.3/32",
    "10.1.0.0/16": "10.1.0.0/16",
    "2001:DB8:1::/48": "2001:db8:1::/48",
    "2001:db8::/32": "2001:db8::/32",
}


@pytest.mark.parametrize(("text", "network"), NETWORKS.items())
def test_a_network_has_one_form(text, network):
    assert read_network(text) == network


@pytest.mark.parametrize(
    "text", ["10.0.0.0/15", "0.0.0.0/0", "2001:d00::/31", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.1.2", "", "近"]
)
def test_what_is_no_network_or_half_the_world_is_refused(text):
    with pytest.raises(CodeError):
        read_network(text)


@given(st.ip_addresses(), st.integers(0, 128))
def test_a_network_that_was_read_reads_as_itself(address, length):
    try:
        read = read_network(f"{address}/{length}")
    except CodeError:
        return
    assert read_network(read) == read


def test_entries_of_a_list_are_kept_once_each():
    read = terms(items=[PENSION, PENSION], networks=["10.1.2.3/24", "10.1.2.0/24"], hours=["09:00-12:00"])
    assert read.items == (PENSION,)
    assert read.constraints == {"networks": ["10.1.2.0/24"], "hours": ["09:00-12:00"]}
    assert problems(hours=["09:00-12:00", "9-17"], devices=["d", "e"]) == ["devices.1", "hours.1"]

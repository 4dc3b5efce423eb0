"""bench/statistics.py: medians, ratios by round, percentiles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.statistics import Spread, pairwise, percentile

rates = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=12)


@given(rates)
def test_a_median_lies_between_the_lowest_and_the_highest_round(values):
    spread = Spread.of(values)

    assert spread.low <= spread.median <= spread.high
    assert len(values) == spread.rounds


def test_a_ratio_is_formed_round_by_round_and_not_between_medians():
    """A round that was slow for both sides must not look like a difference between them."""
    spread = pairwise([100.0, 10.0, 100.0], [50.0, 5.0, 50.0])

    assert Spread(2.0, 2.0, 2.0, 3) == spread


@given(rates)
def test_everything_is_as_fast_as_itself(values):
    assert Spread(1.0, 1.0, 1.0, len(values)) == pairwise(values, values)


@pytest.mark.parametrize(
    ("over", "under"),
    [
        pytest.param([], [], id="no rounds"),
        pytest.param([1.0, 2.0], [1.0], id="a round that only one side had"),
        pytest.param([1.0], [0.0], id="nothing to divide by"),
    ],
)
def test_a_ratio_that_means_nothing_is_refused(over, under):
    with pytest.raises(ValueError):  # noqa: PT011 - three texts, one meaning
        pairwise(over, under)


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_a_value_that_was_measured(percent, expected):
    """Nearest rank: no value is made up between two that were seen."""
    assert expected == percentile(range(100, 0, -1), percent)

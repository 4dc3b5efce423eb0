"""Profiles of GB/T 39046 table 12: lengths held, masked values left out, nothing believed that cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Profile, read_profile
from gateway.platforms.profiles import LENGTHS

NAMES = {item: item for item in Profile.__struct_fields__}


FREE = {item: most for item, most in LENGTHS.items() if item not in ("sex", "uscc", "registered_on")}
"""Items without a form of their own."""


@pytest.mark.parametrize(("item", "most"), FREE.items())
def test_an_item_is_as_long_as_the_standard_allows_and_no_longer(item, most):
    assert getattr(read_profile({item: "样" * most}, NAMES), item) == "样" * most
    assert getattr(read_profile({item: "样" * (most + 1)}, NAMES), item) is None


def test_a_unit_has_a_longer_name():
    assert read_profile({"name": "样" * 100}, NAMES, unit=True).name == "样" * 100
    assert read_profile({"name": "样" * 101}, NAMES, unit=True).name is None


@pytest.mark.parametrize("value", ["138****0001", "*", "郑**", "", "  ", None, [], {}, 1.5, "a\nb", "a\x00b", "\ud800"])
def test_what_is_masked_empty_or_no_text_is_left_out(value):
    assert read_profile({"mobile": value}, NAMES).mobile is None


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("20200102", "20200102"),
        ("2020-01-02", "20200102"),
        (20200102, "20200102"),
        ("20200230", None),
        ("2020-1-2", None),
        ("02.01.2020", None),
        ("20200102000000", None),
        ("２０２００１０２", None),
    ],
)
def test_a_date_is_a_day_that_exists(told, read):
    assert read_profile({"registered_on": told}, NAMES).registered_on == read


@pytest.mark.parametrize(
    ("told", "read"),
    [("1", "1"), (2, "2"), ("女", "2"), ("男", "1"), ("M", "1"), ("x", None), ("12", None), ("²", None)],
)
def test_a_sex_is_one_digit(told, read):
    assert read_profile({"sex": told}, NAMES).sex == read


@pytest.mark.parametrize(
    ("told", "read"),
    [("91350100M000100Y43", True), ("91350100M000100Y4", False), ("91350100M000100I43", False), ("9" * 19, False)],
)
def test_a_unified_code_has_eighteen_characters_of_its_alphabet(told, read):
    assert (read_profile({"uscc": told}, NAMES).uscc == told) is read


@pytest.mark.parametrize(
    ("told", "read"),
    [("1", True), (0, False), (True, True), ("false", False), ("TRUE", True), ("2", None), (None, None)],
)
def test_real_name_is_yes_no_or_silence(told, read):
    assert read_profile({"real_name": told}, NAMES).real_name is read


@given(
    st.dictionaries(
        st.sampled_from(sorted(NAMES)), st.text() | st.integers() | st.booleans() | st.none() | st.lists(st.text())
    )
)
def test_whatever_a_platform_tells_the_profile_keeps_to_the_standard(said):
    profile = read_profile(said, NAMES)
    for item, most in LENGTHS.items():
        value = getattr(profile, item)
        assert value is None or (0 < len(value) <= most and "*" not in value)
    assert profile.real_name in (True, False, None)

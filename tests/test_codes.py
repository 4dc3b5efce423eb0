"""gateway.codes: identifiers of the field, by the vectors of their standards and by what holds for all of them."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codes import (
    CodeError,
    check_citizen_number,
    check_uscc,
    citizen_check_digit,
    is_within,
    mask_citizen_number,
    mask_name,
    read_fingerprint,
    region_code,
    region_of_uscc,
    region_scope,
    uscc_check_digit,
)

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CITIZEN = "11010519491231002X"


def with_check_digit(check_digit):
    """Completes 17 characters."""
    return lambda *parts: "".join(parts) + check_digit("".join(parts))


regions = st.from_regex(r"[1-9][0-9]{5}", fullmatch=True)
usccs = st.builds(
    with_check_digit(uscc_check_digit),
    st.text(ALPHABET, min_size=2, max_size=2),
    regions,
    st.text(ALPHABET, min_size=9, max_size=9),
)
citizens = st.builds(
    with_check_digit(citizen_check_digit),
    regions,
    st.dates(date(1900, 1, 1), date(2020, 12, 31)).map("{:%Y%m%d}".format),
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)


def refusal(check, text):
    """What is said about a text that is refused, in both languages."""
    with pytest.raises(CodeError) as caught:
        check(text)
    assert str(caught.value) == caught.value.title[1]
    return " ".join(caught.value.title)


@pytest.mark.parametrize("text", [
    "91350100M000100Y43", "91330000755918469E", "11440100696927671X", "12441500196720244T", "11310000MB2F30661Y",
])  # fmt: skip
def test_codes_of_real_units_are_good(text):
    check_uscc(text)


@pytest.mark.parametrize(("text", "why"), [
    ("", "18"), ("91350100M000100Y4", "17"), ("91350100M000100Y433", "19"),
    ("91350100M000100I43", "capital"), ("91350100M00010OY43", "I、O、S、V、Z"), ("91350100m000100y43", "capital"),
    ("91350100M000100Y4\n", "capital"), ("９1350100M000100Y43", "数字"), ("9135A100M000100Y43", "region"),
    ("91350100M000100Y44", "校验位"),
])  # fmt: skip
def test_a_bad_code_of_a_unit_is_told_why(text, why):
    assert why in refusal(check_uscc, text)


@given(usccs, st.integers(0, 17), st.sampled_from(ALPHABET))
def test_any_single_change_of_a_units_code_is_refused(uscc, place, other):
    check_uscc(uscc)
    if uscc[place] != other:
        refusal(check_uscc, uscc[:place] + other + uscc[place + 1 :])


@given(usccs, st.integers(0, 16))
def test_neighbours_that_changed_places_in_a_units_code_are_refused(uscc, place):
    swapped = uscc[:place] + uscc[place + 1] + uscc[place] + uscc[place + 2 :]
    if swapped != uscc:
        refusal(check_uscc, swapped)


def test_a_units_code_names_the_region_that_registered_it():
    assert region_of_uscc("91350100M000100Y43") == "350100"


@pytest.mark.parametrize("text", [
    CITIZEN, "440524188001010014",
    "310115198606194014",  # the region's code is younger than the person
    "110105491231002",
    with_check_digit(citizen_check_digit)("810000", "19900307", "001"),
    with_check_digit(citizen_check_digit)("830000", "19900307", "002"),
    with_check_digit(citizen_check_digit)("931840", "19900307", "003"),
    "USA110090030712",
])  # fmt: skip
def test_every_kind_of_citizen_and_resident_has_a_number(text):
    check_citizen_number(text)


@pytest.mark.parametrize(("text", "why"), [
    ("", "15"), ("1101051949123100", "15"), ("11010519491231002x", "大写 X"), ("010105194912310021", "15"),
    ("1101051949123100２X", "15"), ("11010519491231002X\n", "15"), ("E12345678", "15"), ("H12345678", "15"),
    ("usa110090030712", "15"), ("110105194902310021", "出生日期"), ("110105490231002", "date of birth"),
    ("110105209912310021", "出生日期"), ("110105179912310021", "出生日期"), ("110105194912310021", "check digit"),
])  # fmt: skip
def test_a_bad_number_of_a_person_is_told_why_and_not_repeated(text, why):
    said = refusal(check_citizen_number, text)
    assert why in said
    assert not text.strip() or text.strip() not in said


@given(citizens, st.integers(0, 17), st.sampled_from("0123456789X"))
def test_any_single_change_of_a_citizens_number_is_refused(number, place, other):
    check_citizen_number(number)
    if number[place] != other:
        refusal(check_citizen_number, number[:place] + other + number[place + 1 :])


@pytest.mark.parametrize(("text", "shown"), [
    (CITIZEN, "110105********002X"), ("110105491231002", "110105*****1002"), ("E12345678", "E********"), ("1", "*"),
    ("", ""),
])  # fmt: skip
def test_of_a_citizens_number_region_and_end_are_shown(text, shown):
    assert mask_citizen_number(text) == shown


@pytest.mark.parametrize(("name", "shown"), [
    ("张三", "张*"), ("样例甲", "样**"), ("欧阳样例", "欧阳**"), ("欧阳甲", "欧阳*"), ("欧阳", "欧*"), ("甲", "*"),
    ("样例·甲乙", "样****"), ("", ""),
])  # fmt: skip
def test_of_a_name_the_surname_is_shown(name, shown):
    assert mask_name(name) == shown


@given(st.text(max_size=30))
def test_what_is_masked_keeps_its_length_and_hides_something(text):
    for mask in (mask_name, mask_citizen_number):
        assert len(mask(text)) == len(text)
        assert not text or "*" in mask(text)


@pytest.mark.parametrize(("code", "scope"), [
    ("000000", ""), ("370000", "37"), ("370100", "3701"), ("370102", "370102"), ("371000", "3710"),
    ("370102000", "370102"), ("370102001", "370102001"), ("370102001000", "370102001"), ("000000000000", ""),
    ("370102001003", "370102001003"), ("370000000000", "37"), ("441900003000", "441900003"),
])  # fmt: skip
def test_a_scope_is_what_all_codes_inside_begin_with(code, scope):
    assert region_scope(code) == scope
    assert code.startswith(region_code(scope))
    assert region_scope(region_code(scope)) == scope


@pytest.mark.parametrize("code", [
    "", "37", "3701", "3701022", "37010200", "3701020010", "3701020010000", "37010a", "370102\n", "３70102", "-37010",
    "000100", "000001", "370002", "370000001", "370102000001", "370000000001", "000000001000",
])  # fmt: skip
def test_what_is_no_code_of_a_region_has_no_scope(code):
    assert "区划" in refusal(region_scope, code)


def code_of(length, depth, *levels):
    """A code of so many digits whose first levels, `depth` of them, are named and no others."""
    return "".join(one if place < depth else "0" * len(one) for place, one in enumerate(levels))[:length]


SOME = [st.sampled_from([f"{number:0{digits}d}" for number in (1, 2, 10)]) for digits in (2, 2, 2, 3, 3)]
codes = st.one_of(
    st.builds(code_of, st.sampled_from([6, 9, 12]), st.integers(0, 5), *SOME),
    st.builds("{}{}00{}".format, SOME[0], SOME[1], SOME[3]),  # a city without counties
)
scopes = codes.map(region_scope)


@given(scopes, scopes, scopes)
def test_scopes_are_partly_ordered(one, two, three):
    assert is_within(one, one)
    assert is_within(one, "")
    assert one == two or not (is_within(one, two) and is_within(two, one))
    assert is_within(one, three) or not (is_within(one, two) and is_within(two, three))


@given(codes, scopes)
def test_a_code_lies_where_its_scope_lies(code, scope):
    assert is_within(code, scope) == is_within(region_scope(code), scope)


def test_a_neighbour_is_outside():
    assert not is_within("370100", region_scope("370200"))
    assert not is_within("370000", region_scope("370100"))
    assert is_within("370102", region_scope("370000"))


PRINT = "0a" * 31 + "ff"


@pytest.mark.parametrize("text", [
    PRINT, PRINT.upper(), f"  {PRINT}\n", "0A:" * 31 + "FF", "sha256 Fingerprint=" + "0A:" * 31 + "FF",
    "SHA256 Fingerprint=" + "0A:" * 31 + "FF",
])  # fmt: skip
def test_a_fingerprint_is_read_however_it_is_written(text):
    assert read_fingerprint(text) == PRINT


@pytest.mark.parametrize("text", [
    "", PRINT[2:], PRINT + "00", PRINT[:-1] + "g", "0A:" * 19 + "FF", "sha1 Fingerprint=" + PRINT, PRINT + ":",
    "0a::" + PRINT[2:], "٠a" * 32,
])  # fmt: skip
def test_what_is_no_sha_256_is_no_fingerprint(text):
    assert "SHA-256" in refusal(read_fingerprint, text)

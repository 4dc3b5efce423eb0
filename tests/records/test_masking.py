"""What masking takes out and what it leaves, plain, percent-encoded and in JSON."""

import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.records.masking import Pseudonyms, fingerprint, is_citizen_number, mask_named, mask_query, mask_text

CITIZEN = "11010519491231002X"
JWT = ".".join(
    base64.urlsafe_b64encode(part).rstrip(b"=").decode()
    for part in (b'{"alg":"ES256"}', b'{"sub":"110105194912310029","name":"x"}', bytes(range(64)))
)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("/persons/11010519491231002X", "/persons/1***************2X"),
        ("/persons/11010519491231002x/card", "/persons/1***************2x/card"),
        ("440524188001010014", "4***************14"),
        ("no check digit: 110105194912310021", "no check digit: 1***************21"),
        ("11010519491231002X440524188001010014", "1***************2X4***************14"),
        ("0011010519491231002X", "001***************2X"),
        ("old: 110105491231002", "old: 1************02"),
        ("tel:13800138000", "tel:138****8000"),
        ("+8613800138000", "+86138****8000"),
        ("008613800138000", "0086138****8000"),
        ("013800138000", "0138****8000"),
        ("138 0013 8000", "138****8000"),
        ("138-0013-8000", "138****8000"),
        ("card 6222021234567890128", "card ***************0128"),
        ("4111 1111 1111 1111", "************1111"),
        ("li.na@example.org", "l***@example.org"),
        ("to=13800138000@mail.example.org;", "to=1***@mail.example.org;"),
        (f"token {JWT} refused", f"token {fingerprint(JWT)} refused"),
        ("Bearer abc123.def", f"Bearer {fingerprint('abc123.def')}"),
        ("Authorization: Basic Zm9vOmJhcg==", f"Authorization: {fingerprint('Basic Zm9vOmJhcg==')}"),
        ("Cookie: sid=1; other=2", f"Cookie: {fingerprint('sid=1; other=2')}"),
        ("access_token=abc&page=2", f"access_token={fingerprint('abc')}&page=2"),
        ('{"password": "hunter2", "page": 2}', f'{{"password": "{fingerprint("hunter2")}", "page": 2}}'),
        ("{'app_secret': 'abc'}", f"{{'app_secret': '{fingerprint('abc')}'}}"),
        (
            "/callback/tgt9fK2dkeLsow93kDDls93kdlWWWls93",
            f"/callback/{fingerprint('tgt9fK2dkeLsow93kDDls93kdlWWWls93')}",
        ),
        ("passport_no=E12345678", "passport_no=E******78"),
        ("real_name=%E5%BC%A0%E4%B8%89", "real_name=张*"),
        ("%31%33%38%30%30138000", "138****8000"),
        ("%2531%2533%2538%2530%2530138000", "138****8000"),
        (r"\u0031380013\u00380\x30\u0030", "138****8000"),
        (r"caf\xe913800138000", "café138****8000"),
        ("a-readable-name-with-a-phone-13800138000-in-it", "a-readable-name-with-a-phone-138****8000-in-it"),
    ],
)
def test_what_is_personal_or_secret_is_masked(text, masked):
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "/medical/settlements/2026-000123",
        "/guides/%E5%8C%BB%E4%BF%9D",
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "13800138000abcdef0138001380001ab",
        "11440100696927671X3442011817001",
        "91350100M000100Y43",
        "2026-11-22T23:14:15.076+08:00",
        "at 1700000000.123 and 1700000000123",
        "bearer token missing",
        "token: expired",
        "code: item-unknown",
        "basic authentication is off",
        "province-jwt:remembered, assurance:allow",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
        "5f2b6d3e-8a51-4c1b-9f0e-3a7d2c9b1e44",
        "",
    ],
)
def test_what_is_neither_stays_as_it_is(text):
    assert mask_text(text) == text


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014", "11010519491231002x"])
def test_citizen_numbers_with_a_good_check_digit_are_known(number):
    assert is_citizen_number(number)


@pytest.mark.parametrize(
    "number", ["110105194912310021", "110105194913310021", "010105194912310021", "1101051949123100", ""]
)
def test_other_numbers_are_not(number):
    assert not is_citizen_number(number)


def test_a_name_tells_what_a_pattern_cannot():
    assert mask_named("token", "short") == fingerprint("short")
    assert mask_named("id_card", "E12345678") == "E******78"
    assert mask_named("phone", "12") == "1*"
    assert mask_named("real_name", "欧阳修") == "欧**"
    assert mask_named("page", "7") == "7"
    assert mask_named("token", "") == ""


def test_a_query_is_dropped_but_for_what_is_allowed_and_that_is_masked():
    query = "page=2&phone=13800138000&id=11010519491231002X&page=3&flag"
    assert mask_query(query, frozenset({"page", "phone", "flag"})) == "page=2&phone=138****8000&page=3&flag="
    assert mask_query(query, frozenset()) == ""


def test_text_encoded_over_and_over_hides_nothing():
    text = "13800138000"
    for _ in range(40):
        text = quote(text.replace("1", "%31"), safe="")
    assert "138" not in mask_text(text)
    assert len(mask_text(text)) < 30


_SEPARATORS = st.text("/ .,:;?&=#(){}[]\"'<>|\\\n\t张é-_", max_size=4)


@st.composite
def citizens(draw: st.DrawFn) -> str:
    body = (
        draw(st.sampled_from(["110105", "440524", "820000", "910000"]))
        + f"{draw(st.integers(1900, 2026))}{draw(st.integers(1, 12)):02d}{draw(st.integers(1, 28)):02d}"
        + f"{draw(st.integers(0, 999)):03d}"
    )
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


phones = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
tokens = st.binary(min_size=12, max_size=60).map(
    lambda data: "eyJ" + base64.urlsafe_b64encode(data).rstrip(b"=").decode()
)
seeds = st.one_of(citizens(), phones, tokens, st.just(JWT))
encodings = st.sampled_from(
    [
        lambda text: text,
        quote,
        lambda text: quote(text, safe=""),
        lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
        lambda text: quote("".join(f"%{byte:02x}" for byte in text.encode())),
        json.dumps,
        lambda text: json.dumps({"detail": text}),
        lambda text: quote(json.dumps({"detail": [text]})),
    ]
)


@given(before=_SEPARATORS, seed=seeds, after=_SEPARATORS, encode=encodings)
def test_no_seeded_number_or_token_survives_in_any_encoding(before, seed, after, encode):
    text = encode(f"x{before}{seed}{after}")
    masked = mask_text(text)
    assert seed not in masked
    assert encode(seed).strip('"') not in masked


@given(st.text(max_size=200) | st.lists(seeds | _SEPARATORS, max_size=6).map("".join))
def test_masking_twice_is_masking_once(text):
    masked = mask_text(text)
    assert mask_text(masked) == masked


@given(st.text())
def test_masking_never_raises(text):
    mask_text(text)
    mask_named("token", text)
    mask_named("real_name", text)
    mask_query(text, frozenset({"a"}))


@pytest.mark.parametrize(
    "text",
    [
        "1" * 8192, "a-" * 4096 + "=", "eyJ" * 2700, "e" * 8192 + "yJ", "[email " * 1000 + "@", "%25" * 2700,
        "138 0013 " * 900, "authorization" * 600 + ":", "%" + "25" * 4000, "a." * 4000 + "@" + "a." * 4000,
        "bearer " * 1000, "token" * 1600,
    ],
)  # fmt: skip
def test_hostile_text_costs_linear_time(text):
    """Eight KiB, the longest text that is ever masked for a record; a quadratic pattern would take seconds."""
    began = time.process_time()
    mask_text(text)
    assert time.process_time() - began < 0.5


def test_a_pseudonym_is_stable_and_keyed_and_bound_to_its_issuer():
    one, other = Pseudonyms(b"k" * 16), Pseudonyms(b"l" * 16)
    assert one.of("a", CITIZEN) == one.of("a", CITIZEN)
    assert len({one.of("a", CITIZEN), one.of("b", CITIZEN), other.of("a", CITIZEN), one.of("a", "x")}) == 4
    assert CITIZEN not in one.of("a", CITIZEN)


def test_issuer_and_subject_do_not_run_into_each_other():
    pseudonyms = Pseudonyms(b"k" * 16)
    assert pseudonyms.of("a", "bc") != pseudonyms.of("ab", "c")


def test_pseudonyms_are_remembered_up_to_a_bound():
    pseudonyms = Pseudonyms(b"k" * 16, remembered=8)
    for number in range(100):
        pseudonyms.of("a", str(number))
    assert pseudonyms.of.cache_info().currsize == 8


def test_a_short_key_is_refused_and_not_shown():
    with pytest.raises(ValueError, match="16 bytes") as raised:
        Pseudonyms(b"fifteen-bytes-k")
    assert "fifteen" not in str(raised.value)
    assert "kkkk" not in repr(Pseudonyms(b"k" * 16))

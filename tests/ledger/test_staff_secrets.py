"""Passwords and codes by themselves: what is kept, what is refused, how many may be checked at once."""

import asyncio

import pyotp
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Overloaded
from gateway.ledger.passwords import Passwords
from gateway.ledger.second_factors import enrolment_of, matching_step, new_secret
from tests.ledger.staff_world import CHEAP
from tests.plugin_world import NOW

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""Of RFC 6238, appendix B: 12345678901234567890."""


@pytest.fixture
def passwords():
    made = Passwords(12, CHEAP)
    yield made
    made.close()


async def test_a_password_is_kept_as_argon2id_and_known_again(passwords):
    kept = await passwords.hash("mountain.river.38")
    assert kept.startswith("$argon2id$")
    assert await passwords.matches(kept, "mountain.river.38")
    assert not await passwords.matches(kept, "mountain.river.39")
    assert not passwords.outdated(kept)


async def test_one_text_is_one_password_whatever_keyboard_wrote_it(passwords):
    """An accent may be a character of its own (NFD) or not (NFC)."""
    assert await passwords.matches(await passwords.hash("cafe\u0301 au lait 3"), "caf\u00e9 au lait 3")


async def test_nobodys_password_is_never_right(passwords):
    for kept in (None, "-", ""):
        for entered in ("", "-", "\ud800", "x" * 100_000):
            assert not await passwords.matches(kept, entered)


async def test_a_one_time_password_is_right_once_entered_and_asks_to_be_hashed_anew(passwords):
    password, kept = passwords.one_time()
    assert await passwords.matches(kept, password)
    assert passwords.outdated(kept)
    assert passwords.one_time()[0] != password


async def test_a_flood_of_sign_ins_is_turned_away_and_not_queued():
    """Two are checked at once, few wait, the rest is told to come back."""
    passwords = Passwords(12, PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
    told = await asyncio.gather(*(passwords.matches(None, "x") for _ in range(100)), return_exceptions=True)
    assert {type(one) for one in told} == {bool, Overloaded}
    assert await passwords.matches(None, "x") is False
    passwords.close()


@pytest.mark.parametrize(
    "password",
    [
        "short.77",
        "i-am-Ann-of-the-office",
        "我是样例甲，来自某某办公室吧",
        "Password123456",
        "1QAZ2wsx1qaz2wsx",
        "aaaaaaaaaaab",
        "valley.stream." * 10,
    ],
)
def test_a_password_that_others_would_guess_is_refused(passwords, password):
    problem = passwords.problem(password, "ann", "样例甲")
    assert problem is not None
    assert problem.field == "new"


@pytest.mark.parametrize("password", ["valley.stream.77", "山谷溪流，七月七日长生殿夜", "correct horse battery"])
def test_long_passwords_need_no_special_characters(passwords, password):
    assert passwords.problem(password, "ann", "样例甲") is None


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_codes_are_those_of_rfc_6238(at, code):
    """Appendix B, the last six digits."""
    assert matching_step(SECRET, code, at, 0) == at // 30


@pytest.mark.parametrize(("late", "right"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_phone_may_be_half_a_minute_wrong(late, right):
    code = pyotp.TOTP(SECRET).at(int(NOW) + late)
    found = matching_step(SECRET, f" {code[:3]} {code[3:]} ", NOW, 0)
    assert found == (int(NOW) + late) // 30 if right else found is None


@given(st.integers(60, 2**31), st.integers(-1, 1))
def test_a_code_is_good_once_and_an_older_one_never_again(at, drift):
    code = pyotp.TOTP(SECRET).generate_otp(at // 30 + drift)
    found = matching_step(SECRET, code, at, 0)
    assert found is not None
    again = matching_step(SECRET, code, at, found)
    assert again is None or again > found


def test_what_is_no_code_fits_nothing():
    code = pyotp.TOTP(SECRET).at(int(NOW))
    for entered in ("", code[:5], f"{code}0", f"{code[:5]}x", f"-{code}", f"{code}\0"):
        assert matching_step(SECRET, entered, NOW, 0) is None


def test_full_width_digits_are_digits():
    """As Chinese input methods write them."""
    code = pyotp.TOTP(SECRET).at(int(NOW))
    assert matching_step(SECRET, code.translate({ord("0") + n: ord("０") + n for n in range(10)}), NOW, 0) is not None


def test_an_app_gets_the_secret_and_says_whose_it_is():
    secret = new_secret()
    enrolment = enrolment_of(secret, "ann", "某某局 Tongguan")
    app = pyotp.parse_uri(enrolment.uri)
    assert (app.secret, app.name, app.issuer) == (secret, "ann", "某某局 Tongguan")
    assert secret not in repr(enrolment)

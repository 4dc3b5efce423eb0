"""The sample people and units: their codes hold, and a unit has several logins of which one acts."""

import pytest

from sandbox.accounts import SAMPLE_ACCOUNTS, Register

UNITS = [account for account in SAMPLE_ACCOUNTS.values() if account.subject_type == "legal"]
USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@pytest.fixture
def register():
    return Register()


def test_the_first_two_units_are_as_they_always_were():
    """Stories and documentation name them."""
    told = [(unit.user, unit.sub, unit.operator, unit.profile["legal_representative"]) for unit in UNITS[:2]]
    assert told == [
        ("unit-1", "91350100M000100Y43", "operator-1", "样例丁"),
        ("unit-2", "91350100M00020002M", "operator-2", "样例戊"),
    ]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.user)
def test_a_units_code_holds_and_names_its_region(unit):
    """GB 32100-2015: check digit and region; the profile says the same code."""
    total = sum(USCC.index(character) * 3**place for place, character in enumerate(unit.sub[:17]))
    assert USCC[-total % 31] == unit.sub[17]
    assert unit.region in ("350100", "350200")
    assert unit.profile["unified_social_credit_code"] == unit.sub


def test_both_regions_have_units_and_a_person_has_no_region():
    """Staff of one region must have something in the other that they may not touch."""
    assert {unit.user for unit in UNITS if unit.region == "350200"} == {"unit-4", "unit-6"}
    assert SAMPLE_ACCOUNTS["citizen-1"].region is None


def test_every_citizen_number_holds_and_is_there_once():
    """GB 11643-1999, of persons and operators alike."""
    numbers = [str(account.profile["id_number"]) for account in SAMPLE_ACCOUNTS.values() if not account.logins]
    numbers += [login.id_number for unit in UNITS for login in unit.logins if login.role == "operator"]
    assert len(numbers) == len(set(numbers)) == 3 + 12
    for number in numbers:
        total = sum(int(digit) * weight for digit, weight in zip(number, CITIZEN_WEIGHTS, strict=False))
        assert number[17] == "10X98765432"[total % 11], number


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.user)
def test_a_unit_has_operators_and_a_main_account(unit):
    """The main account is the legal representative's, and comes last."""
    *operators, main = unit.logins
    number = unit.user.removeprefix("unit-")
    assert [login.id for login in operators] == [f"operator-{number}", f"operator-{number}b"]
    assert (main.id, main.role, main.name) == (f"{unit.user}-main", "main", unit.profile["legal_representative"])
    assert main.profile() == {"name": main.name}


@pytest.mark.parametrize(
    ("user", "operator", "acts"),
    [
        ("unit-1", None, "operator-1"),
        ("unit-1", "operator-1", "operator-1"),
        ("unit-1", "operator-1b", "operator-1b"),
        ("operator-1b", None, "operator-1b"),
        ("operator-1b", "operator-1", "operator-1"),
        ("unit-1-main", None, "unit-1-main"),
    ],
)
def test_who_acts_can_be_chosen_by_the_unit_or_by_the_login(register, user, operator, acts):
    """Either way it is the same unit."""
    account = register.find(user, operator)
    assert (account.user, account.operator, account.acting.id) == ("unit-1", acts, acts)
    assert register.profile(account) == register.profile(SAMPLE_ACCOUNTS["unit-1"])


@pytest.mark.parametrize(
    ("user", "operator"), [("unit-1", "operator-2"), ("citizen-1", "operator-1"), ("nobody", None)]
)
def test_nobody_acts_for_a_unit_of_others(register, user, operator):
    """No such login."""
    assert register.find(user, operator) is None


def test_a_login_page_offers_each_login_of_a_unit_once(register):
    """By a name that finds this very one; a person has one, and nobody who acts."""
    offered = register.choices("legal")
    assert len(offered) == sum(len(unit.logins) for unit in UNITS)
    everybody = register.choices()
    assert [register.find(choice.login) for choice in everybody] == everybody
    assert [choice.acting for choice in register.choices("natural")] == [None] * 3

"""How the staff sign in, as a dialogue: what each step asks for, what wrong answers cost, and what is written down."""

import asyncio

import pytest
from sqlalchemy import select

from gateway.errors import (
    CannotDecide,
    Conflict,
    Forbidden,
    InputRefused,
    SignInRefused,
    TokenMissing,
)
from gateway.identity.sealing import Sealing
from gateway.ledger.inputs.staff import AppointmentInput, StaffInput
from gateway.ledger.office_tables import STAFF, STAFF_SESSIONS
from gateway.ledger.powers import Role
from gateway.ledger.staff_sign_in import StaffSignIn
from gateway.ledger.tables import CHANGES
from tests.ledger.office_world import seed_staff
from tests.ledger.staff_world import CLIENT, OWN, SETTINGS, Person, staff_world

ANN = StaffInput(login="ann", name="样例甲")
WRONG = "not-the-password"


@pytest.fixture
def staff(ledger, clock):
    with staff_world(ledger, clock, lock_after=3) as world:
        yield world


@pytest.fixture
async def security(staff):
    return await seed_staff(staff.office, Role.SECURITY, "")


@pytest.fixture
async def issued(staff, security):
    """A clerk's new account."""
    made = await staff.register.create(await seed_staff(staff.office, Role.SYSTEM, ""), ANN)
    post = AppointmentInput(role="clerk", region="350100", version=made.staff.version)
    await staff.register.appoint(security, made.staff.id, post)
    return made


@pytest.fixture
async def ann(staff, issued):
    """A clerk who has signed in."""
    return await staff.first_time(issued)


async def actions(staff, entry):
    async with staff.database.reading() as connection:
        rows = await connection.execute(select(CHANGES).where(CHANGES.c.entry == entry).order_by(CHANGES.c.id))
        return [row.action for row in rows]


async def failures(staff):
    async with staff.database.reading() as connection:
        return await connection.scalar(select(STAFF.c.failures).where(STAFF.c.login == "ann"))


async def refusals(steps) -> list[str]:
    told = []
    for step in steps:
        with pytest.raises((SignInRefused, Forbidden)) as caught:
            await step
        told.append(caught.value.code)
    return told


async def test_the_first_sign_in_asks_for_a_password_and_a_second_factor_of_ones_own(staff, issued):
    person = Person("ann", issued.password)

    assert await staff.begin(person) == "password-change"
    assert (await staff.session(person)).officer is None
    assert await staff.change(person, OWN) == "second-factor-enrolment"
    assert (await staff.session(person)).officer is None
    assert await staff.enrol(person) is None
    officer = (await staff.session(person)).officer
    assert (officer.login, officer.role, officer.scope) == ("ann", Role.CLERK, "3501")
    assert (await actions(staff, issued.staff.id))[-3:] == [
        "staff.password-changed",
        "staff.second-factor-enrolled",
        "staff.signed-in",
    ]


async def test_later_sign_ins_ask_for_a_code(staff, ann):
    await staff.again(ann)
    assert (await staff.session(ann)).officer.login == "ann"


async def test_each_step_gives_the_session_another_token(staff, ann):
    """Whoever planted or saw the one before has nothing of it."""
    staff.clock.advance(30)
    await staff.begin(ann)
    before = ann.token
    step = await staff.sign_in.second_factor(await staff.session(ann), staff.code(ann), CLIENT)
    assert step.token != before
    assert await staff.sessions.find(before) is None


async def test_a_login_is_read_as_people_write_it(staff, ann):
    assert (await staff.sign_in.password(" Ann ", OWN, CLIENT)).missing == "second-factor"


async def test_a_wrong_password_a_wrong_login_and_a_disabled_account_get_the_same_answer(staff, ann):
    system = await seed_staff(staff.office, Role.SYSTEM, "")
    told = []
    for login, password in (("ann", WRONG), ("nobody", WRONG), ("no body\0", WRONG), ("ann", OWN)):
        if password == OWN:
            record = (await staff.register.everybody())[0]
            await staff.register.disable(system, record.id, record.version)
        with pytest.raises(SignInRefused) as caught:
            await staff.sign_in.password(login, password, CLIENT)
        told.append((caught.value.code, caught.value.title))
    assert len(set(told)) == 1


async def test_too_many_failures_lock_a_login_whether_somebody_has_it_or_not(staff, ann):
    for _ in range(2):
        for login in ("ann", "nobody", "ann' OR 1=1 --"):
            wrong = [staff.sign_in.password(login, WRONG, CLIENT) for _ in range(4)]
            assert await refusals(wrong) == ["sign-in-refused"] * 3 + ["account-locked"]
            assert await refusals([staff.sign_in.password(login, OWN, CLIENT)]) == ["account-locked"]
        staff.clock.advance(SETTINGS.lock_for)


async def test_a_locked_account_says_when_it_opens_and_opens_then(staff, ann):
    await refusals([staff.sign_in.password("ann", WRONG, CLIENT) for _ in range(3)])
    staff.clock.advance(100)
    with pytest.raises(Forbidden) as caught:
        await staff.begin(ann)
    assert caught.value.retry_after == SETTINGS.lock_for - 100
    assert "14 分钟" in caught.value.title[0]
    staff.clock.advance(caught.value.retry_after)
    assert await staff.begin(ann) == "second-factor"


async def test_security_unlocks_an_account_at_once(staff, ann, issued, security):
    await refusals([staff.sign_in.password("ann", WRONG, CLIENT) for _ in range(3)])
    await staff.register.unlock(security, issued.staff.id, 2)
    assert await staff.begin(ann) == "second-factor"
    assert "staff.locked" in await actions(staff, issued.staff.id)


async def test_whoever_is_signed_in_works_on_while_somebody_guesses(staff, ann):
    await refusals([staff.sign_in.password("ann", WRONG, CLIENT) for _ in range(4)])
    assert (await staff.session(ann)).officer is not None


async def test_many_guesses_at_once_are_counted_each(staff, ann, issued):
    """Of twelve at once three are checked before the account is locked, also when the right one is among the last."""
    guesses = [staff.sign_in.password("ann", WRONG, CLIENT) for _ in range(11)]
    guesses.append(staff.sign_in.password("ann", OWN, CLIENT))
    told = await asyncio.gather(*guesses, return_exceptions=True)
    assert {one.code for one in told[:-1]} <= {"sign-in-refused", "account-locked"}
    assert (await actions(staff, issued.staff.id)).count("staff.sign-in-failed") == 3


async def test_failures_are_forgiven_by_a_whole_sign_in_and_not_by_a_password_alone(staff, ann):
    """Else whoever has the password could guess codes for ever."""
    await refusals([staff.sign_in.password("ann", WRONG, CLIENT)])
    staff.clock.advance(30)
    await staff.begin(ann)
    assert await failures(staff) == 1
    await staff.again(ann)
    assert await failures(staff) == 0


async def test_wrong_codes_lock_the_account_as_wrong_passwords_do(staff, ann):
    staff.clock.advance(30)
    await staff.begin(ann)
    session, right = await staff.session(ann), staff.code(ann)
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    steps = [staff.sign_in.second_factor(session, code, CLIENT) for code in (wrong, "", "１２", right[:5])]
    assert await refusals(steps) == ["sign-in-refused"] * 3 + ["account-locked"]
    assert await refusals([staff.sign_in.second_factor(session, right, CLIENT)]) == ["account-locked"]


async def test_a_code_is_good_once(staff, ann):
    await staff.again(ann)
    await staff.begin(ann)
    assert await refusals([staff.sign_in.second_factor(await staff.session(ann), staff.code(ann), CLIENT)]) == [
        "sign-in-refused"
    ]


async def test_one_code_that_comes_twice_at_once_signs_in_once(staff, ann):
    staff.clock.advance(30)
    await staff.begin(ann)
    one = await staff.session(ann)
    await staff.begin(ann)
    other = await staff.session(ann)
    steps = [staff.sign_in.second_factor(session, staff.code(ann), CLIENT) for session in (one, other)]
    told = await asyncio.gather(*steps, return_exceptions=True)
    assert sum(isinstance(step, Exception) for step in told) == 1


async def test_an_enrolment_that_was_not_confirmed_shows_the_same_secret_again(staff, issued):
    person = Person("ann", issued.password)
    await staff.begin(person)
    await staff.change(person, OWN)
    session = await staff.session(person)
    first = await staff.sign_in.begin_second_factor(session)
    assert (await staff.sign_in.begin_second_factor(session)).secret == first.secret
    with pytest.raises(InputRefused):
        await staff.sign_in.confirm_second_factor(session, "000", CLIENT)
    assert await staff.enrol(person) is None
    assert first.secret not in repr(first)


async def test_the_secret_is_kept_sealed_for_its_account_alone(staff, ann, ledger):
    async with staff.database.reading() as connection:
        kept = await connection.scalar(select(STAFF.c.second_factor).where(STAFF.c.login == "ann"))
    assert ann.app.secret.encode() not in kept
    other_key = Sealing([type(SETTINGS.keys[0])("another key, which is long enough, too")], "second-factor")
    sign_in = StaffSignIn(ledger.office, staff.sessions, staff.passwords, SETTINGS, other_key)
    staff.clock.advance(30)
    await staff.begin(ann)
    with pytest.raises(CannotDecide):
        await sign_in.second_factor(await staff.session(ann), staff.code(ann), CLIENT)


async def test_steps_come_in_their_order(staff, ann, issued):
    session = await staff.session(ann)
    for step in (
        staff.sign_in.second_factor(session, staff.code(ann), CLIENT),
        staff.sign_in.begin_second_factor(session),
        staff.sign_in.confirm_second_factor(session, staff.code(ann), CLIENT),
    ):
        with pytest.raises(Conflict):
            await step
    staff.clock.advance(30)
    await staff.begin(ann)
    with pytest.raises(Conflict):
        await staff.sign_in.change_password(await staff.session(ann), OWN, "another.river.39", CLIENT)


async def test_an_old_password_has_to_be_changed_and_the_second_factor_comes_first(staff, ann):
    staff.clock.advance(SETTINGS.password_age)
    assert await staff.begin(ann) == "second-factor"
    step = await staff.sign_in.second_factor(await staff.session(ann), staff.code(ann), CLIENT)
    assert await staff.take(ann, step) == "password-change"
    assert (await staff.session(ann)).officer is None
    assert await staff.change(ann, "valley.stream.77") is None
    assert (await staff.session(ann)).officer is not None


async def test_a_new_password_ends_every_other_session(staff, ann):
    elsewhere = ann.token
    await staff.again(ann)
    await staff.change(ann, "valley.stream.77")
    assert await staff.sessions.find(elsewhere) is None
    assert (await staff.session(ann)).officer is not None
    assert await refusals([staff.sign_in.password("ann", OWN, CLIENT)]) == ["sign-in-refused"]


async def test_a_password_that_cannot_be_taken_is_told_beside_its_field(staff, ann):
    """And everything stays as it was."""
    fields = []
    for old, new in ((WRONG, "valley.stream.77"), (OWN, OWN), (OWN, "short.77")):
        with pytest.raises(InputRefused) as caught:
            await staff.sign_in.change_password(await staff.session(ann), old, new, CLIENT)
        fields += [problem.field for problem in caught.value.problems]
    assert fields == ["old", "new", "new"]
    assert (await staff.session(ann)).officer is not None


async def test_a_reset_account_begins_anew(staff, ann, issued, security):
    """Its sessions end; the new password is good for a sign-in that asks for everything again."""
    again = await staff.register.reset(security, issued.staff.id, 2)
    assert await staff.sessions.find(ann.token) is None
    assert await refusals([staff.sign_in.password("ann", OWN, CLIENT)]) == ["sign-in-refused"]
    staff.clock.advance(30)
    assert (await staff.session(await staff.first_time(again))).officer is not None


async def test_a_session_of_a_disabled_account_goes_no_further(staff, ann, issued):
    await staff.begin(ann)
    session = await staff.session(ann)
    record = await staff.register.disable(await seed_staff(staff.office, Role.SYSTEM, ""), issued.staff.id, 2)
    assert record.disabled
    assert await staff.sessions.find(ann.token) is None
    with pytest.raises(TokenMissing):
        await staff.sign_in.second_factor(session, staff.code(ann), CLIENT)


async def test_passwords_of_another_cost_are_hashed_anew_at_the_next_sign_in(staff, issued):
    """One-time passwords are such: random as they are, they need no cost, and thousands are made at once."""
    assert staff.passwords.outdated(await kept_password(staff))
    await staff.begin(Person("ann", issued.password))
    assert not staff.passwords.outdated(await kept_password(staff))


async def kept_password(staff):
    async with staff.database.reading() as connection:
        return await connection.scalar(select(STAFF.c.password).where(STAFF.c.login == "ann"))


async def test_no_token_and_no_password_is_in_the_database(staff, ann, issued):
    async with staff.database.reading() as connection:
        rows = [*await connection.execute(select(STAFF_SESSIONS)), *await connection.execute(select(STAFF))]
        rows += [*await connection.execute(select(CHANGES))]
    told = repr([tuple(row) for row in rows])
    for secret in (ann.token, OWN, issued.password, WRONG):
        assert secret not in told


async def test_who_signs_in_and_with_what_stays_out_of_every_repr(staff, ann):
    session = await staff.session(ann)
    step = await staff.sign_in.password("ann", OWN, CLIENT)
    told = repr((session, step))
    assert "样例甲" not in told
    assert step.token not in told

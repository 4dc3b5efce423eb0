"""Accounts and posts: who makes them, who fills them, whom nobody may touch, and what the history says of it."""

import pytest
from sqlalchemy import select, update

from gateway.errors import Conflict, Forbidden, InputRefused, SignInRefused
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.searching import SearchInput
from gateway.ledger.inputs.staff import AppointmentInput, StaffInput
from gateway.ledger.office_tables import POSTS, STAFF
from gateway.ledger.powers import Role
from gateway.ledger.tables import CHANGES
from tests.ledger.office_world import seed_staff
from tests.ledger.staff_world import CLIENT, staff_world

ANN = StaffInput(login="ann", name="样例甲")
BEN = StaffInput(login="ben", name="样例乙")


@pytest.fixture
def staff(ledger, clock):
    with staff_world(ledger, clock) as world:
        yield world


@pytest.fixture
async def system(staff):
    return await seed_staff(staff.office, Role.SYSTEM, "35")


@pytest.fixture
async def security(staff):
    return await seed_staff(staff.office, Role.SECURITY, "35")


async def history(staff, entry):
    async with staff.database.reading() as connection:
        rows = await connection.execute(select(CHANGES).where(CHANGES.c.entry == entry).order_by(CHANGES.c.id))
        return [(row.action, row.subject, row.detail) for row in rows]


async def refusal(step) -> str:
    with pytest.raises((Forbidden, Conflict)) as caught:
        await step
    return caught.value.code


def post(role, region, version=1) -> AppointmentInput:
    return AppointmentInput(role=role, region=region, version=version)


async def test_a_new_account_has_a_readable_password_and_no_post(staff, system):
    issued = await staff.register.create(system, ANN)

    assert (issued.staff.login, issued.staff.role, issued.staff.region) == ("ann", None, None)
    assert issued.staff.password_changed_at is None
    assert len(issued.password.replace("-", "")) == 20
    assert await history(staff, issued.staff.id) == [("staff.created", system.staff, None)]
    assert issued.password not in repr(issued)
    assert "样例甲" not in repr(issued)


async def test_a_login_is_one_persons(staff, system):
    """However it is written."""
    await staff.register.create(system, ANN)
    with pytest.raises(InputRefused) as caught:
        await staff.register.create(system, StaffInput(login=" Ann ", name="样例乙"))
    assert [problem.field for problem in caught.value.problems] == ["login"]


@pytest.mark.parametrize(
    ("entered", "field"),
    [
        ({"login": "a", "name": "样例甲"}, "login"),
        ({"login": "ann\0", "name": "样例甲"}, "login"),
        ({"login": "安妮", "name": "样例甲"}, "login"),
        ({"login": "ann", "name": " "}, "name"),
        ({"login": "ann", "name": "样例\n甲"}, "name"),
        ({"login": "ann"}, "name"),
    ],
)
def test_an_account_that_cannot_be_is_refused_beside_its_field(entered, field):
    with pytest.raises(InputRefused) as caught:
        check_input(StaffInput, entered)
    assert [problem.field for problem in caught.value.problems] == [field]


async def test_a_post_ends_the_one_before_in_the_same_act(staff, system, security):
    ann = (await staff.register.create(system, ANN)).staff
    first = await staff.register.appoint(security, ann.id, post("clerk", "350100", ann.version))
    second = await staff.register.appoint(security, ann.id, post("reviewer", "350102", first.version))

    assert (first.role, first.region) == (Role.CLERK, "350100")
    assert (second.role, second.region) == (Role.REVIEWER, "350102")
    async with staff.database.reading() as connection:
        rows = (await connection.execute(select(POSTS).where(POSTS.c.staff_id == ann.id))).all()
    assert sorted((row.scope, row.ended_at is None, row.begun_by) for row in rows) == [
        ("3501", False, security.staff),
        ("350102", True, security.staff),
    ]
    assert [action for action, *_ in await history(staff, ann.id)] == ["staff.created"] + ["staff.appointed"] * 2


async def test_nobody_gives_powers_beyond_her_own_region(staff, system, security):
    ann = (await staff.register.create(system, ANN)).staff
    for region in ("000000", "360000", "360100"):
        code = await refusal(staff.register.appoint(security, ann.id, post("clerk", region, ann.version)))
        assert code == "not-your-region"
    assert (await staff.register.everybody())[0].role is None


async def test_nobody_does_anything_to_her_own_account(staff, system, security):
    """Neither the one who makes accounts nor the one who fills posts."""
    me, register = security.staff, staff.register
    assert await refusal(register.appoint(security, me, post("system", "350000"))) == "own-account"
    assert await refusal(register.dismiss(security, me, 1)) == "own-account"
    assert await refusal(register.unlock(security, me, 1)) == "own-account"
    assert await refusal(register.reset(security, me, 1)) == "own-account"
    assert await refusal(register.disable(system, system.staff, 1)) == "own-account"
    assert await refusal(register.enable(system, system.staff, 1)) == "own-account"


async def test_an_account_of_another_region_is_as_one_that_is_not_there(staff, system, security):
    """Its post says where it belongs; without one the last post, and before the first the post that made it."""
    register = staff.register
    elsewhere = await seed_staff(staff.office, Role.CLERK, "3601")
    made_here = (await register.create(system, ANN)).staff
    other = await seed_staff(staff.office, Role.SECURITY, "36")
    dismissed = await register.dismiss(other, elsewhere.staff, 1)

    for target in (dismissed.id, "none-such"):
        assert await refusal(register.unlock(security, target, 1)) == "not-your-region"
        assert await refusal(register.reset(security, target, 1)) == "not-your-region"
        assert await refusal(register.disable(system, target, 1)) == "not-your-region"
    assert await refusal(register.unlock(other, made_here.id, 1)) == "not-your-region"
    assert [one.login for one in (await register.listing(other, SearchInput())).found] == sorted(
        [other.login, dismissed.login]
    )


async def test_each_operation_is_for_one_role_and_looking_for_the_administrators(staff):
    """Every cell of role and operation, for posts that cover everything."""
    register, target = staff.register, (await seed_staff(staff.office, Role.CLERK, "3501")).staff
    for role in set(Role):
        by = await seed_staff(staff.office, role, "")
        steps = {
            "create": (Role.SYSTEM, register.create(by, StaffInput(login=f"by-{role}", name="样例甲"))),
            "disable": (Role.SYSTEM, register.disable(by, target, 0)),
            "enable": (Role.SYSTEM, register.enable(by, target, 0)),
            "appoint": (Role.SECURITY, register.appoint(by, target, post("clerk", "350100", 1))),
            "unlock": (Role.SECURITY, register.unlock(by, target, 2)),
            "reset": (Role.SECURITY, register.reset(by, target, 3)),
            "dismiss": (Role.SECURITY, register.dismiss(by, target, 4)),
        }
        for name, (allowed, step) in steps.items():
            assert await is_allowed(step) is (role is allowed), (role, name)
        looking = is_allowed(register.listing(by, SearchInput()))
        assert await looking is (role in {Role.SYSTEM, Role.SECURITY, Role.AUDIT})


async def is_allowed(step) -> bool:
    """False when the role is refused; what else is refused comes later."""
    try:
        await step
    except (Forbidden, Conflict) as refusal:
        return refusal.code != "not-your-role"
    return True


async def test_a_post_that_has_ended_gives_no_power(staff, system, security):
    other = await seed_staff(staff.office, Role.SECURITY, "35")
    await staff.register.dismiss(other, security.staff, 1)
    ann = (await staff.register.create(system, ANN)).staff
    assert await refusal(staff.register.unlock(security, ann.id, ann.version)) == "not-your-role"
    assert await refusal(staff.register.dismiss(other, security.staff, 2)) == "state-not-reachable"


async def test_a_disabled_account_keeps_its_post_and_gets_no_other(staff, system, security):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    disabled = await staff.register.disable(system, clerk.staff, 1)

    assert (disabled.disabled, disabled.role, disabled.version) == (True, Role.CLERK, 2)
    appointing = staff.register.appoint(security, clerk.staff, post("reviewer", "350100", disabled.version))
    assert await refusal(appointing) == "state-not-reachable"
    enabled = await staff.register.enable(system, clerk.staff, 2)
    assert (enabled.disabled, enabled.role) == (False, Role.CLERK)
    assert [action for action, *_ in await history(staff, clerk.staff)] == ["staff.disabled", "staff.enabled"]


async def test_accounts_are_found_by_login_or_name_in_pages(staff, system):
    for number in range(25):
        await staff.register.create(system, StaffInput(login=f"clerk-{number:02}", name=f"样例{number}号"))

    first = await staff.register.listing(system, SearchInput(text="clerk"))
    second = await staff.register.listing(system, SearchInput(text="clerk", page=2))
    assert [one.login for one in first.found + second.found] == [f"clerk-{number:02}" for number in range(25)]
    assert (first.more, second.more, first.total) == (True, False, 25)
    assert [one.login for one in (await staff.register.listing(system, SearchInput(text="样例7号"))).found] == [
        "clerk-07"
    ]
    for text in ("%", "_", "'"):
        assert (await staff.register.listing(system, SearchInput(text=text))).found == []


async def test_an_account_is_found_by_its_id_where_it_belongs(staff, system):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    elsewhere = await seed_staff(staff.office, Role.CLERK, "36")
    assert (await staff.register.find(system, clerk.staff)).login == clerk.login
    for target in (elsewhere.staff, "none-such", "\0", "密"):
        assert await refusal(staff.register.find(system, target)) == "not-your-region"
        assert await refusal(staff.register.disable(system, target, 1)) == "not-your-region"


async def test_the_first_administrators_are_made_once(staff):
    founders = {
        Role.SYSTEM: ANN,
        Role.SECURITY: BEN,
        Role.AUDIT: StaffInput(login="cat", name="样例丙"),
    }
    issued = await staff.register.first_administrators(founders)

    assert [(one.staff.login, one.staff.role, one.staff.region) for one in issued] == [
        ("ann", Role.SYSTEM, "000000"),
        ("ben", Role.SECURITY, "000000"),
        ("cat", Role.AUDIT, "000000"),
    ]
    assert await refusal(staff.register.first_administrators(founders)) == "staff-exist"
    assert [subject for _, subject, _ in await history(staff, issued[0].staff.id)] == ["gateway"] * 2


async def test_three_administrators_are_three_people(staff):
    """And nothing is saved of the two that were."""
    founders = {Role.SYSTEM: ANN, Role.SECURITY: BEN, Role.AUDIT: ANN}
    with pytest.raises(InputRefused):
        await staff.register.first_administrators(founders)
    assert await staff.register.everybody() == []


async def test_the_machines_operator_helps_whom_nobody_else_can(staff):
    ann = (await staff.register.first_administrators({Role.SECURITY: ANN}))[0]
    issued = await staff.register.reset_by_itself("ann")

    assert issued.staff.id == ann.staff.id
    assert issued.password != ann.password
    assert (await history(staff, ann.staff.id))[-1] == ("staff.reset", "gateway", None)
    assert await staff.register.reset_by_itself("nobody") is None


async def test_unlocking_is_for_security(staff, security):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    async with staff.database.writing() as connection:
        locking = update(STAFF).where(STAFF.c.id == clerk.staff)
        await connection.execute(locking.values(failures=3, locked_until=staff.clock.wall + 60))
    assert (await staff.register.unlock(security, clerk.staff, 1)).locked_until == 0.0


async def test_of_two_administrators_at_once_the_slower_one_changes_nothing(staff, system, security):
    """Whatever the one has done to an account, nothing that the other was about to do is done to it as it is now."""
    register, other = staff.register, await seed_staff(staff.office, Role.SECURITY, "35")

    def steps(by, account, version):
        return {
            "appoint": (register.appoint(by, account, post("reviewer", "350102", version))),
            "dismiss": (register.dismiss(by, account, version)),
            "unlock": (register.unlock(by, account, version)),
            "reset": (register.reset(by, account, version)),
            "disable": (register.disable(system, account, version)),
            "enable": (register.enable(system, account, version)),
        }

    for faster in steps(security, "", 1):
        account = (await seed_staff(staff.office, Role.CLERK, "3501")).staff
        await take(steps(security, account, 1), faster)
        before = await register.find(system, account), await history(staff, account)
        for name, slower in steps(other, account, 1).items():
            assert await refusal(slower) == "changed-meanwhile", (faster, name)
        assert (await register.find(system, account), await history(staff, account)) == before


async def take(steps, name):
    """Take one of several steps, and none of the others."""
    for other, step in steps.items():
        if other == name:
            await step
        else:
            step.close()


async def test_what_an_accounts_holder_does_keeps_no_administrator_from_acting(staff, system, security):
    """Nor does who guesses at her password: neither makes another version."""
    ann = await staff.register.create(system, ANN)
    appointed = await staff.register.appoint(security, ann.staff.id, post("clerk", "350100", ann.staff.version))
    person = await staff.first_time(ann)
    with pytest.raises(SignInRefused):
        await staff.sign_in.password(person.login, "guessed", CLIENT)
    await staff.change(person, "valley.stream.77")

    disabled = await staff.register.disable(system, ann.staff.id, appointed.version)
    assert (disabled.disabled, disabled.version) == (True, appointed.version + 1)

"""Sessions of the staff: when they end, and whose post they carry at every moment."""

import pytest
from sqlalchemy import func, select

from gateway.ledger.inputs.staff import AppointmentInput, StaffInput
from gateway.ledger.office_tables import STAFF_SESSIONS
from gateway.ledger.powers import Role
from tests.ledger.office_world import seed_staff
from tests.ledger.staff_world import SETTINGS, staff_world


@pytest.fixture
def staff(ledger, clock):
    with staff_world(ledger, clock) as world:
        yield world


@pytest.fixture
async def security(staff):
    return await seed_staff(staff.office, Role.SECURITY, "")


@pytest.fixture
async def ann(staff, security):
    """A reviewer who has signed in."""
    system = await seed_staff(staff.office, Role.SYSTEM, "")
    issued = await staff.register.create(system, StaffInput(login="ann", name="样例甲"))
    post = AppointmentInput(role="reviewer", region="350100", version=issued.staff.version)
    await staff.register.appoint(security, issued.staff.id, post)
    return await staff.first_time(issued)


async def test_a_session_that_nobody_uses_ends(staff, ann):
    staff.clock.advance(SETTINGS.idle - 1)
    assert await staff.sessions.find(ann.token) is not None
    staff.clock.advance(SETTINGS.idle)
    assert await staff.sessions.find(ann.token) is None


async def test_a_session_ends_in_the_end_however_much_it_is_used(ledger, clock):
    with staff_world(ledger, clock, idle=600.0, absolute=3000.0) as world:
        member = await seed_staff(world.office, Role.CLERK, "")
        token = await begun(world, member.staff)
        uses = 0
        while await world.sessions.find(token) is not None:
            clock.advance(500)
            uses += 1
    assert uses == 6


async def begun(world, staff: str) -> str:
    async with world.database.writing() as connection:
        return await world.sessions.begin_in(connection, staff)


async def test_use_is_noted_to_the_minute(staff, ann):
    begun = (await staff.session(ann)).used_at
    staff.clock.advance(59)
    await staff.session(ann)
    assert (await staff.session(ann)).used_at == begun
    staff.clock.advance(1)
    await staff.session(ann)
    assert (await staff.session(ann)).used_at == begun + 60


async def test_a_short_idle_time_is_kept_to_as_well(ledger, clock):
    """A session that is used all the time does not end because its use was noted too seldom."""
    with staff_world(ledger, clock, idle=60.0) as world:
        member = await seed_staff(world.office, Role.CLERK, "")
        token = await begun(world, member.staff)
        for _ in range(10):
            clock.advance(30)
            assert await world.sessions.find(token) is not None


async def test_the_post_of_a_session_is_the_one_that_holds_now(staff, ann, security):
    session = await staff.session(ann)
    post = AppointmentInput(role="clerk", region="350200", version=2)
    appointed = await staff.register.appoint(security, session.staff, post)
    officer = (await staff.session(ann)).officer
    assert (officer.role, officer.scope) == (Role.CLERK, "3502")
    assert officer.post != session.officer.post
    await staff.register.dismiss(security, session.staff, appointed.version)
    assert (await staff.session(ann)).officer is None


async def test_signing_out_ends_one_session_and_disabling_all(staff, ann):
    system, elsewhere = await seed_staff(staff.office, Role.SYSTEM, ""), ann.token
    await staff.again(ann)
    member = (await staff.session(ann)).staff
    assert await staff.sessions.end(ann.token)
    assert not await staff.sessions.end(ann.token)
    assert await staff.sessions.find(elsewhere) is not None
    await staff.register.disable(system, member, (await staff.register.find(system, member)).version)
    assert await staff.sessions.find(elsewhere) is None


async def test_sessions_that_have_ended_are_swept_out(staff, ann):
    staff.clock.advance(SETTINGS.absolute)
    await staff.begin(ann)
    async with staff.database.reading() as connection:
        assert await connection.scalar(select(func.count()).select_from(STAFF_SESSIONS)) == 1


async def test_other_tokens_open_nothing(staff, ann):
    for token in ("", ann.token[:-1], ann.token + "A", "\0", "密"):
        assert await staff.sessions.find(token) is None

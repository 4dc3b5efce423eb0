"""Records of persons and units: made at the first login, kept in step with the province, seen and moved by region."""

import asyncio

import pytest
from sqlalchemy import update

from gateway.errors import Conflict, Forbidden
from gateway.ledger.inputs.units import PartySearchInput, RegionInput
from gateway.ledger.office_tables import APPLICATIONS, BINDINGS, DESIGNATED, GRANTS, POSTS
from gateway.model import Kind
from gateway.signin import SignIn
from tests.ledger.office_world import seed_unit
from tests.ledger.units_world import (
    applied_for,
    owner_of,
    shared,
    shared_url,
    sign_in,
    uscc_of,
    verdict,
    why,
    world,
)

__all__ = ["shared", "shared_url", "world"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


# ── arriving ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_login_makes_the_record_and_takes_the_registration_over(world):
    """Without numbers of papers and telephones, whatever the province tells."""
    subject = uscc_of(world.region)
    told = {"name": "样例一有限公司", "legal_representative": "样例甲", "registered_on": "20200101", "id_number": "x"}
    record = await world.parties.arrive(sign_in(subject, version=3, mobile="13800138000", **told))
    assert (record.kind, record.uscc, record.name, record.region) == ("legal", subject, "样例一有限公司", world.region)
    assert record.state == "new"
    detail = await world.parties.find(await world.staff(), record.id)
    assert detail.registration == {"legal_representative": "样例甲", "registered_on": "20200101"}
    assert detail.registered_version == 3
    assert await world.changes(record.id) == ["party.created", "party.registered"]


async def test_a_login_that_tells_nothing_new_writes_nothing(world):
    arriving = sign_in(uscc_of(world.region), version=1, name="样例一有限公司", business_scope="销售")
    first = await world.parties.arrive(arriving)
    silent = SignIn(arriving.principal)
    for again in (arriving, silent):
        assert await world.parties.arrive(again) == first
    assert len(await world.changes(first.id)) == 2


async def test_what_has_changed_at_the_province_is_taken_over_and_noted_by_name_alone(world):
    subject = uscc_of(world.region)
    await world.parties.arrive(sign_in(subject, version=1, name="旧名", business_scope="销售"))
    record = await world.parties.arrive(sign_in(subject, version=2, name="新名"))
    assert record.name == "新名"
    officer = await world.staff()
    assert (await world.parties.find(officer, record.id)).registration == {"business_scope": "销售"}
    [latest, *_] = (await world.history.of_party(officer, record.id)).found
    assert latest.detail == {"fields": ["name", "registered_version"], "registered_version": 2}
    assert latest.by == "gateway"


async def test_an_older_version_and_another_kind_change_nothing(world):
    subject = uscc_of(world.region)
    record = await world.parties.arrive(sign_in(subject, version=5, name="新名"))
    assert await world.parties.arrive(sign_in(subject, version=4, name="旧名")) == record
    assert await world.parties.arrive(sign_in(subject, Kind.NATURAL, version=9, name="样例甲")) == record


SUBJECTS = {
    "a subject of the province's own": ("unit-{}", "", None),
    "a code whose check digit is wrong": ("91350100M000100Y4{}", "", None),
}


@pytest.mark.parametrize(("subject", "region", "uscc"), SUBJECTS.values(), ids=SUBJECTS.keys())
async def test_the_region_is_that_of_a_valid_code_and_else_unknown(world, subject, region, uscc):
    record = await world.parties.arrive(sign_in(subject.format(f"{world.scope}")))
    assert (record.region, record.uscc) == (region, uscc)


async def test_a_code_that_the_profile_brings_later_brings_the_region(world):
    subject, code = f"unit-{world.scope}", uscc_of(world.region)
    await world.parties.arrive(sign_in(subject))
    record = await world.parties.arrive(sign_in(subject, uscc=code))
    assert (record.uscc, record.region) == (code, world.region)


async def test_the_region_that_grants_rest_on_does_not_come_by_itself(world):
    """Staff for the whole country have opened items for a unit without a code; then the province tells one."""
    subject, code = f"unit-{world.scope}", uscc_of(world.region)
    party = await seed_unit(world.office, subject, "", "reviewed")
    await world.entries(await world.staff(scope=""), party, state="proposed")
    record = await world.parties.arrive(sign_in(subject, uscc=code))
    assert (record.uscc, record.region) == (code, "")


async def test_a_person_has_no_code_and_no_region(world):
    record = await world.parties.arrive(sign_in(uscc_of(world.region), Kind.NATURAL, name="样例甲"))
    assert (record.kind, record.uscc, record.region, record.name) == ("natural", None, "", "样例甲")


async def test_texts_that_no_database_keeps_are_no_reason_to_fail(world):
    """NUL, a half of a surrogate pair, and more characters than a column has."""
    record = await world.parties.arrive(
        sign_in(uscc_of(world.region), name="a\0b\ud800" + "长" * 300, business_scope="x" * 9999)
    )
    assert record.name == "a b " + "长" * 196


async def test_two_first_visits_at_once_make_one_record(world):
    arriving = sign_in(uscc_of(world.region), name="样例一有限公司")
    first, second, record = await asyncio.gather(
        world.parties.register(arriving.principal),
        world.parties.register(arriving.principal),
        world.parties.arrive(arriving),
    )
    assert first == second == record.id
    assert await world.changes(record.id) == ["party.created", "party.registered"]
    assert await world.parties.register(arriving.principal) == record.id


async def test_an_owner_finds_her_own_record_and_not_that_of_another_kind(world):
    party, subject = await world.unit()
    assert (await world.parties.of(owner_of(subject))).id == party
    assert await world.parties.of(owner_of(subject, kind="natural")) is None
    assert await world.parties.of(owner_of("nobody")) is None


async def test_names_stay_out_of_what_is_logged(world):
    arriving = sign_in(uscc_of(world.region), name="样例一有限公司", legal_representative="样例甲")
    record = await world.parties.arrive(arriving)
    detail = await world.parties.find(await world.staff(), record.id)
    assert "样例" not in repr((record, detail))
    assert record.subject not in repr((record, detail))


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_sees_or_moves_what_is_outside_her_region_and_cannot_tell_it_from_nothing(world):
    party, _ = await world.unit("reviewed")
    elsewhere = await world.staff(scope="99")
    where = RegionInput(region="990000", version=1)
    refusals = []
    for target in (party, "no-such-id", "no\0id"):
        for asking in (
            world.parties.find(elsewhere, target),
            world.parties.suspend(elsewhere, target, why()),
            world.parties.resume(elsewhere, target, why()),
            world.parties.revoke(elsewhere, target, why()),
            world.parties.relocate(elsewhere, target, where),
        ):
            with pytest.raises(Forbidden) as caught:
                await asking
            refusals.append((caught.value.code, caught.value.detail))
    assert len(set(refusals)) == 1
    assert refusals[0][0] == "not-your-region"


@pytest.mark.parametrize("role", ["system", "security", "audit", "clerk"])
async def test_only_the_roles_of_the_table_suspend_and_move(world, role):
    party, _ = await world.unit("reviewed")
    by = await world.staff(role)
    where = RegionInput(region=world.region, version=1)
    for asking in (
        world.parties.suspend(by, party, why()),
        world.parties.revoke(by, party, why()),
        world.parties.relocate(by, party, where),
    ):
        with pytest.raises(Forbidden) as caught:
            await asking
        assert caught.value.code == "not-your-role"


async def found_by(world, officer, **search) -> list[str]:
    return [record.id for record in (await world.parties.search(officer, PartySearchInput(**search))).found]


async def test_a_search_stays_in_the_region_and_finds_by_name_code_and_subject(world):
    officer = await world.staff()
    inside = await world.parties.arrive(sign_in(uscc_of(world.region), name=f"Sample 样例{world.scope}厂"))
    other = await world.unit(region="990000")
    assert await found_by(world, officer) == [inside.id]
    for text in (f"样例{world.scope}", "sample", inside.uscc, inside.uscc.lower(), f" {inside.subject} "):
        assert await found_by(world, officer, text=text) == [inside.id]
    for missing in ({"text": "%"}, {"text": "_"}, {"text": other[1]}, {"state": "bound"}, {"kind": "natural"}):
        assert await found_by(world, officer, **missing) == []
    assert other[0] in await found_by(world, await world.staff(scope=""), text=other[1])


async def test_whoever_has_lost_her_post_sees_nothing_from_then_on(world):
    party, _ = await world.unit()
    officer = await world.staff()
    async with world.office.by_itself() as act:
        await act.connection.execute(update(POSTS).where(POSTS.c.id == officer.post).values(ended_at=act.now))
    for asking in (world.parties.search(officer, PartySearchInput()), world.parties.find(officer, party)):
        with pytest.raises(Forbidden) as caught:
            await asking
        assert caught.value.code == "not-your-role"


async def test_a_wildcard_in_a_search_is_a_character(world):
    record = await world.parties.arrive(sign_in(uscc_of(world.region), name="100%_样例"))
    assert await found_by(world, await world.staff(), text="100%_") == [record.id]


async def test_a_long_list_has_pages_and_says_how_long_it_is(world):
    await world.units(21)
    officer = await world.staff()
    first = await world.parties.search(officer, PartySearchInput())
    second = await world.parties.search(officer, PartySearchInput(page=2))
    assert (len(first.found), first.total, first.more) == (20, 21, True)
    assert (len(second.found), second.total, second.more) == (1, 21, False)
    assert len({record.id for record in first.found + second.found}) == 21


# ── moving ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_suspended_unit_comes_back_to_where_its_bindings_are(world):
    officer = await world.staff()
    bound, _ = await world.unit("reviewed")
    await world.entries(officer, bound)
    bare, _ = await world.unit("bound")
    for party, state in ((bound, "bound"), (bare, "reviewed")):
        assert (await world.parties.suspend(officer, party, why())).state == "suspended"
        assert (await world.parties.resume(officer, party, why(2))).state == state
        assert (await world.changes(party))[-2:] == ["party.suspended", "party.resumed"]


REFUSED = {
    "suspend a new unit": ("suspend", "new"),
    "suspend an applicant": ("suspend", "applied"),
    "suspend twice": ("suspend", "suspended"),
    "resume what is not suspended": ("resume", "bound"),
    "revoke twice": ("revoke", "revoked"),
}


@pytest.mark.parametrize(("step", "state"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_step_that_does_not_fit_the_state_is_refused(world, step, state):
    party, _ = await world.unit(state)
    with pytest.raises(Conflict) as caught:
        await getattr(world.parties, step)(await world.staff(), party, why())
    assert caught.value.code == "state-not-reachable"


async def test_whoever_saw_an_older_version_changes_nothing(world):
    party, _ = await world.unit("reviewed")
    officer = await world.staff()
    await world.parties.suspend(officer, party, why())
    for step in (world.parties.resume, world.parties.revoke):
        with pytest.raises(Conflict) as caught:
            await step(officer, party, why(1))
        assert caught.value.code == "changed-meanwhile"


async def test_revoking_ends_everything_of_the_unit_and_notes_each(world):
    officer, clerk = await world.staff(), await world.staff("clerk")
    party, _ = await world.unit("reviewed")
    entries = await world.entries(officer, party)
    application = await world.applications.record(clerk, party, applied_for())
    record = await world.parties.revoke(officer, party, why())
    assert record.state == "revoked"
    for table, kind in ((GRANTS, "grant"), (BINDINGS, "binding"), (DESIGNATED, "device")):
        assert await world.state_of(table, entries[kind]) == "ended"
        assert (await world.changes(entries[kind]))[-1] == f"{kind}.ended"
    assert await world.state_of(APPLICATIONS, application.id) == "rejected"
    assert (await world.changes(application.id))[-1] == "application.rejected"
    again = await world.applications.record(clerk, party, applied_for())
    await world.applications.review(officer, again.id, verdict())
    assert (await world.parties.find(officer, party)).record.state == "reviewed"


async def test_a_persons_record_is_not_revoked(world):
    party = await seed_unit(world.office, f"person-{world.scope}", world.region, kind="natural")
    with pytest.raises(Conflict):
        await world.parties.revoke(await world.staff(), party, why())


async def test_a_unit_moves_only_between_regions_of_the_post(world):
    party, _ = await world.unit()
    officer = await world.staff()
    with pytest.raises(Forbidden) as caught:
        await world.parties.relocate(officer, party, RegionInput(region="990000", version=1))
    assert caught.value.code == "not-your-region"
    moved = await world.parties.relocate(officer, party, RegionInput(region=f"{world.scope}02", version=1))
    assert (moved.region, moved.version) == (f"{world.scope}02", 2)
    [latest, *_] = (await world.history.of_party(officer, party)).found
    assert (latest.action, latest.detail) == ("party.moved", {"old_region": world.region, "region": f"{world.scope}02"})


async def test_a_unit_does_not_move_while_something_is_open(world):
    party, _ = await world.unit("reviewed")
    officer = await world.staff()
    await world.entries(officer, party, state="proposed")
    with pytest.raises(Conflict) as caught:
        await world.parties.relocate(officer, party, RegionInput(region=f"{world.scope}02", version=1))
    assert caught.value.code == "state-not-reachable"

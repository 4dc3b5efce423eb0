"""Operator's grant: what lets somebody act for her unit, what keeps her from it, and what no other grant can change."""

from datetime import datetime
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import ALLOW, Deny, Designated, Grant, PartContext
from plugins.reauthorizers.operator_grant import OperatorGrant, OperatorGrantConfig
from tests.plugin_world import NOW, principal
from tests.plugins.ledger_view import (
    DEVICES,
    GRANTS,
    MINE,
    OTHERS,
    PERSON,
    UNIT,
    HeldLedger,
    changed,
    coming,
    mostly,
    operator,
    part_on,
)

CONTEXT = PartContext(name="part", fetch=None, once=None)
OFFICE = Designated("device-1", "network", "192.0.2.0/24")
"""06:13:20 in Shanghai is when everybody comes."""


def mine(**limits: object) -> Grant:
    return msgspec.structs.replace(MINE, **limits)


def others(**limits: object) -> Grant:
    return msgspec.structs.replace(OTHERS, **limits)


async def decide(*grants, who="op-1", facts=UNIT, latest=0.0, at=NOW, shown=None, config=None):
    held = None if facts is None else changed(facts, grants=grants)
    part = part_on(OperatorGrant, CONTEXT, HeldLedger(held, latest=latest), **(config or {}))
    return await part.decide(operator(who), coming(at, **(shown or {"client": "192.0.2.1"})))


@pytest.mark.parametrize(
    "grant",
    [
        mine(),
        mine(exclusive=True),
        mine(scope=""),
        mine(scope="350102"),
        mine(valid_from=NOW),
        mine(valid_until=NOW + 0.001),
        mine(networks=("10.0.0.0/8", "192.0.2.0/24")),
        mine(hours=("00:00-01:00", "06:13-06:14")),
        mine(devices=("device-9", "device-1")),
    ],
)
async def test_a_grant_that_holds_here_and_now_is_enough(grant):
    assert await decide(grant, facts=changed(UNIT, devices=(OFFICE,))) is ALLOW


@pytest.mark.parametrize(
    ("grants", "reason"),
    [
        ([], "none"),
        ([others()], "none"),
        ([mine(item="item-2")], "none"),
        ([mine(valid_until=NOW)], "expired"),
        ([mine(valid_until=NOW, exclusive=True)], "expired"),
        ([mine(valid_from=NOW + 1)], "not yet"),
        ([mine(scope="3502")], "region"),
        ([mine(scope="350102001")], "region"),
        ([mine(networks=("10.0.0.0/8",))], "network"),
        ([mine(hours=("06:14-24:00",))], "hours"),
        ([mine(hours=("00:00-06:13",))], "hours"),
        ([mine(devices=("device-2",))], "device"),
        ([mine(devices=("device-9",))], "device"),  # it has ended, or never was
        ([mine(), others(exclusive=True)], "exclusive"),
        ([mine(), others(exclusive=True, valid_until=NOW - 50)], "exclusive"),
        ([mine(), others(exclusive=True, valid_from=NOW + 50)], "exclusive"),
        ([mine(exclusive=True), others(exclusive=True)], "exclusive"),  # the ledger lets nobody write that
    ],
)
async def test_what_keeps_an_operator_out_stands_in_the_record(grants, reason):
    designated = (OFFICE, Designated("device-2", "network", "192.0.2.0/24", ("item-2",)))
    decision = await decide(*grants, facts=changed(UNIT, devices=designated))
    assert isinstance(decision, Deny)
    assert (decision.code, decision.conflict, decision.detail) == ("operator-not-authorized", False, reason)
    assert "单位管理员向所属经办机构申请" in decision.title[0]
    assert "administrator can ask the agency" in decision.title[1]


async def test_each_reason_is_told_in_words_of_its_own():
    told = {
        (await decide(*grants)).title
        for grants in ([], [mine(valid_until=NOW)], [mine(valid_from=NOW + 1)], [others(exclusive=True)])
    }
    assert len(told) == 4


async def test_a_unit_without_a_record_has_granted_nothing():
    assert (await decide(facts=None)).detail == "none"


async def test_a_login_of_the_unit_without_an_operator_is_nobody_who_could_have_a_grant():
    assert (await decide(mine(), who=None)).detail == "no operator"


async def test_a_natural_person_acts_for_herself():
    part = part_on(OperatorGrant, CONTEXT, HeldLedger(PERSON))
    assert await part.decide(principal(), coming()) is ALLOW


async def test_a_clock_that_goes_back_revives_no_grant():
    """The latest time that the ledger has seen counts."""
    assert (await decide(mine(), latest=NOW + 100, at=NOW)).detail == "expired"
    assert (await decide(mine(hours=("06:13-06:14",)), latest=NOW + 60, at=NOW)).detail == "hours"


async def test_a_clock_that_was_ahead_begins_no_grant_and_stops_no_hours():
    """What was seen is past by the clock as it is now: nothing may hold by it alone."""
    assert (await decide(mine(valid_from=NOW + 1), latest=NOW + 50, at=NOW)).detail == "not yet"
    assert (await decide(mine(hours=("06:14-06:15",)), latest=NOW + 60, at=NOW)).detail == "hours"


@pytest.mark.parametrize(
    ("unit", "business", "scope", "passes"),
    [
        ("350102", None, "3501", True),
        ("370102", None, "3501", False),
        ("", None, "35", False),
        ("", None, "", True),
        ("370102", "350100", "3501", True),
        ("350102", "370100", "3501", False),
        ("350102", "350000", "3501", False),  # the whole province is more than one city of it
    ],
)
async def test_a_grant_covers_the_region_of_the_business_or_else_the_units_own(unit, business, scope, passes):
    config = {} if business is None else {"region": business}
    facts = changed(UNIT, region=unit)
    assert (await decide(mine(scope=scope), facts=facts, config=config) is ALLOW) is passes


@pytest.mark.parametrize(
    ("said", "grants", "passes"),
    [
        (None, [], True),
        ("open", [others()], True),
        ("left", [], False),
        ("left", [mine()], True),
        ("open", [others(exclusive=True)], False),
        (None, [mine(exclusive=True)], True),
        (None, [mine(exclusive=True, valid_until=NOW)], False),
    ],
)
async def test_where_a_unit_leaves_nothing_any_operator_may(said, grants, passes):
    facts = changed(UNIT, switches={} if said is None else {"item-1": said})
    assert (await decide(*grants, facts=facts, config={"when": "left"}) is ALLOW) is passes


async def test_limits_that_cannot_be_read_let_nobody_pass():
    """The ledger lets nobody write them; an exception is a 500."""
    for grant in (mine(networks=("office",)), mine(hours=("always",))):
        with pytest.raises(ValueError, match=r"office|always"):
            await decide(grant)


@pytest.mark.parametrize("config", [{"when": "never"}, {"region": "Fuzhou"}, {"region": "350002"}, {"scope": "35"}])
def test_settings_that_cannot_be_right_are_refused(config):
    with pytest.raises(ValidationError):
        OperatorGrantConfig.model_validate(config)


# ── what holds whatever stands in the ledger ──────────────────────────────────────────────────────────────────────

ALL_GRANTS = st.lists(GRANTS, max_size=4).map(tuple)
UNITS = st.builds(
    lambda region, grants, devices, switch: changed(
        UNIT, region=region, grants=grants, devices=tuple(devices), switches={"item-1": switch}
    ),
    mostly("350102", "", "350200", "370102"),
    ALL_GRANTS,
    st.lists(DEVICES, max_size=2),
    st.sampled_from(["open", "left"]),
)
CLIENTS = mostly("192.0.2.1", "10.1.2.3", "2001:db8::1", "198.51.100.1", "unix")
WHEN = st.sampled_from(["always", "left"])


def is_allowed(facts, when="always", client="192.0.2.1", at=NOW, device=None) -> bool:
    """Whether op-1 may; decided without waiting, as everything is in memory."""
    part = part_on(OperatorGrant, CONTEXT, HeldLedger(facts), when=when)
    return part.weigh(facts, operator(device=device), coming(at, client=client, certificate="10.0.0.0/8")) is ALLOW


def holds(grant: Grant, facts, client: str, at: float) -> bool:
    """Whether a grant of op-1 covers window, region, network and hour, said once more in other words."""
    there = datetime.fromtimestamp(at, ZoneInfo("Asia/Shanghai")).strftime("%H:%M")
    return (
        (grant.item, grant.operator) == ("item-1", "op-1")
        and grant.valid_from <= at < grant.valid_until
        and (grant.scope == "" or facts.region[: len(grant.scope)] == grant.scope)
        and (
            not grant.networks
            or (client != "unix" and any(ip_address(client) in ip_network(network) for network in grant.networks))
        )
        and (not grant.hours or any(span.split("-")[0] <= there < span.split("-")[1] for span in grant.hours))
    )


@settings(max_examples=100)
@given(UNITS, CLIENTS, mostly(NOW, NOW - 60, NOW - 20, NOW + 60), st.sampled_from([None, "device-1"]))
def test_nobody_passes_outside_window_scope_networks_and_hours_of_a_grant_of_her_own(facts, client, at, device):
    if is_allowed(facts, client=client, at=at, device=device):
        assert any(holds(grant, facts, client, at) for grant in facts.grants)


@settings(max_examples=100)
@given(UNITS, CLIENTS)
def test_who_has_a_grant_that_holds_passes_unless_somebody_else_has_the_item_alone(facts, client):
    free = [grant for grant in facts.grants if not grant.devices and holds(grant, facts, client, NOW)]
    alone = any(one.exclusive and one.item == "item-1" and one.operator != "op-1" for one in facts.grants)
    if free and not alone:
        assert is_allowed(facts, client=client)


@settings(max_examples=100)
@given(UNITS, GRANTS.filter(lambda grant: grant.operator != "op-1"), WHEN, CLIENTS)
def test_a_grant_of_somebody_else_never_widens_mine(facts, another, when, client):
    before = is_allowed(facts, when, client)
    after = is_allowed(changed(facts, grants=(*facts.grants, another)), when, client)
    assert before or not after
    if not another.exclusive or another.item != "item-1":
        assert before is after


@settings(max_examples=100)
@given(UNITS, GRANTS, WHEN, st.integers(0, 4))
def test_an_exclusive_grant_of_somebody_else_always_denies_me(facts, another, when, place):
    alone = msgspec.structs.replace(another, operator="op-2", item="item-1", exclusive=True)
    grants = (*facts.grants[:place], alone, *facts.grants[place:])
    assert not is_allowed(changed(facts, grants=grants), when)


@given(UNITS, st.permutations([0, 1, 2, 3]))
def test_the_order_of_grants_means_nothing(facts, order):
    shuffled = tuple(facts.grants[place] for place in order if place < len(facts.grants))
    assert is_allowed(facts) is is_allowed(changed(facts, grants=shuffled))


class Counted(tuple):
    """Grants that count how often somebody looks through all of them."""

    looked = 0

    def __iter__(self):
        Counted.looked += 1
        return super().__iter__()


async def test_grants_by_the_thousand_are_not_looked_through_for_each_request():
    """A unit may have thousands, for example one that lends out its workers."""
    grants = Counted(msgspec.structs.replace(MINE, operator=f"op-{n}") for n in range(2000))
    part = part_on(OperatorGrant, CONTEXT, HeldLedger(changed(UNIT, grants=grants)))
    Counted.looked = 0
    assert [await part.decide(operator(f"op-{n}"), coming()) for n in range(20)] == [ALLOW] * 20
    assert Counted.looked <= 2

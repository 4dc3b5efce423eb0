"""Designated devices: who proves one that counts for the item passes; the others are told which would do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import ALLOW, Deny, Designated, PartContext
from plugins.reauthorizers.designated_device import DesignatedDevice, DesignatedDeviceConfig
from tests.plugins.ledger_view import DEVICES, UNIT, HeldLedger, changed, coming, operator, part_on

CERTIFICATE = Designated("d-1", "certificate", "ab" * 32)
PASSKEY = Designated("d-2", "passkey", "credential")
NETWORK = Designated("d-3", "network", "192.0.2.0/24")
ELSEWHERE = {"client": "198.51.100.1"}


async def decide(context, devices, device=None, shown=ELSEWHERE, **config):
    facts = None if devices is None else changed(UNIT, devices=tuple(devices))
    part = part_on(DesignatedDevice, context, HeldLedger(facts), **config)
    return await part.decide(operator(device=device), coming(**shown))


@pytest.mark.parametrize(
    ("device", "shown", "passes"),
    [
        (None, ELSEWHERE | {"certificate": "ab" * 32}, True),
        ("d-2", ELSEWHERE, True),
        (None, {"client": "192.0.2.9"}, True),
        (None, ELSEWHERE, False),
        ("d-1", ELSEWHERE | {"certificate": "cd" * 32}, False),
    ],
)
async def test_one_of_the_designated_computers_is_enough(context, device, shown, passes):
    assert (await decide(context, [CERTIFICATE, PASSKEY, NETWORK], device, shown) is ALLOW) is passes


@pytest.mark.parametrize("kinds", [["certificate"], ["passkey"], ["certificate", "passkey"]])
async def test_a_proof_of_a_kind_that_does_not_count_is_none(context, kinds):
    decision = await decide(context, [NETWORK], shown={"client": "192.0.2.9"}, kinds=kinds)
    assert (decision.code, decision.detail) == ("device-not-allowed", "no computer of a kind that counts")


async def test_who_has_computers_but_none_that_counts_is_not_let_off(context):
    shown = {"client": "192.0.2.9"}
    decision = await decide(context, [NETWORK], shown=shown, kinds=["certificate"], when="registered")
    assert isinstance(decision, Deny)


@pytest.mark.parametrize("devices", [None, [], [Designated("d-9", "network", "0.0.0.0/0", ("item-2",))]])
async def test_without_a_computer_for_the_item_it_depends_on_when_one_is_needed(context, devices):
    assert await decide(context, devices, when="registered") is ALLOW
    decision = await decide(context, devices, when="always")
    assert decision.code == "device-not-allowed"
    assert "登记" in decision.title[0]
    assert "register" in decision.title[1]


async def test_a_computer_counts_for_the_items_it_is_designated_for(context):
    mine = Designated("d-4", "network", "192.0.2.0/24", ("item-0", "item-1"))
    assert await decide(context, [mine], shown={"client": "192.0.2.9"}) is ALLOW


async def test_whoever_could_show_a_passkey_is_told_where(context):
    decision = await decide(context, [CERTIFICATE, PASSKEY])
    assert all("/sso/my/computer" in text for text in decision.title)
    assert decision.detail == "none of 2 is proven"
    for kinds in (["certificate"], ["certificate", "network"]):
        hidden = await decide(context, [CERTIFICATE, PASSKEY], kinds=kinds)
        assert not any("/sso/my/computer" in text for text in hidden.title)


@settings(max_examples=60)
@given(
    st.lists(DEVICES, max_size=3),
    DEVICES,
    st.sampled_from(["always", "registered"]),
    st.sampled_from([None, "device-1"]),
    st.sampled_from(["192.0.2.9", "198.51.100.1"]),
)
async def test_another_computer_never_takes_away_what_one_of_them_proved(devices, another, when, device, client):
    context = PartContext(name="part", fetch=None, once=None)
    before = await decide(context, devices, device, {"client": client}, when=when)
    after = await decide(context, [*devices, another], device, {"client": client}, when=when)
    needed = when == "always" or any(not one.items or "item-1" in one.items for one in devices)
    assert not (needed and before is ALLOW and after is not ALLOW)


@pytest.mark.parametrize("config", [{"kinds": []}, {"kinds": ["cookie"]}, {"when": "never"}])
def test_settings_that_cannot_be_right_are_refused(config):
    with pytest.raises(ValidationError):
        DesignatedDeviceConfig.model_validate(config)

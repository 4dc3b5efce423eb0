"""Assurance: who logged in well enough passes; the others are told which login would do, if any."""

import msgspec
import pytest
from pydantic import ValidationError

from gateway import ALLOW, Deny, StepUp
from plugins.reauthorizers.assurance import Assurance, AssuranceConfig
from tests.plugin_world import ITEM, NOW, principal, visit


async def decide(context, level=3, at=None, item=ITEM, **config):
    part = Assurance(AssuranceConfig.model_validate(config), context)
    return await part.decide(principal(assurance=level, authenticated_at=at), visit(item=item))


@pytest.mark.parametrize("level", [3, 4])
async def test_enough_is_allowed(context, level):
    assert await decide(context, level, minimum=3) is ALLOW


@pytest.mark.parametrize("level", [0, 1, 2])
async def test_too_little_is_told_the_least_login_that_would_do(context, level):
    decision = await decide(context, level, minimum=3)
    assert isinstance(decision, StepUp)
    assert (decision.acr_values, decision.max_age) == ("3", None)


async def test_without_a_minimum_the_items_own_level_counts(context):
    assert await decide(context, 3) is ALLOW
    assert isinstance(await decide(context, 2), StepUp)
    assert await decide(context, 0, item=msgspec.structs.replace(ITEM, assurance=0)) is ALLOW


async def test_the_login_has_the_platforms_own_name(context):
    decision = await decide(context, 1, minimum=2, acr_values={1: "L1", 3: "urn:gov:L3", 4: "L4"})
    assert decision.acr_values == "urn:gov:L3"


async def test_where_no_login_would_do_the_answer_is_no(context):
    decision = await decide(context, 1, minimum=3, acr_values={1: "1", 2: "2"})
    assert isinstance(decision, Deny)
    assert (decision.code, decision.conflict) == ("assurance-too-low", False)


@pytest.mark.parametrize(
    ("at", "passes"),
    [(NOW, True), (NOW - 300, True), (NOW - 301, False), (NOW + 60, True), (NOW + 61, False), (None, False)],
)
async def test_a_login_must_be_fresh_where_configured(context, at, passes):
    decision = await decide(context, at=at, minimum=3, max_age="5m")
    assert (decision == ALLOW) is passes
    if not passes:
        assert (decision.acr_values, decision.max_age, decision.detail) == ("3", 300, "login too long ago")
        assert "too long ago" in decision.title[1]


@pytest.mark.parametrize(
    "config",
    [
        {"minimum": 5},
        {"minimum": -1},
        {"acr_values": {"9": "x"}},
        {"acr_values": {3: 'x"y'}},
        {"acr_values": {3: "a b"}},
        {"acr_values": {3: "a\n"}},
        {"max_age": 300},
        {"least": 3},
    ],
)
def test_settings_that_cannot_be_right_are_refused(config):
    with pytest.raises(ValidationError):
        AssuranceConfig.model_validate(config)

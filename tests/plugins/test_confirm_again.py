"""Confirming again: what changes something needs a login that is minutes old; reading does not."""

import msgspec
import pytest
from pydantic import ValidationError

from gateway import ALLOW, Deny, StepUp
from plugins.reauthorizers.confirm_again import ConfirmAgain, ConfirmAgainConfig
from tests.plugin_world import ITEM, NOW, principal
from tests.plugins.ledger_view import coming


async def decide(context, at, method="POST", item=ITEM, **config):
    part = ConfirmAgain(ConfirmAgainConfig.model_validate(config), context)
    visit = msgspec.structs.replace(coming(method=method), item=item)
    return await part.decide(principal(authenticated_at=at), visit)


@pytest.mark.parametrize(
    ("at", "within", "passes"),
    [
        (NOW, "5m", True),
        (NOW - 300, "5m", True),
        (NOW - 301, "5m", False),
        (NOW - 301, "10m", True),
        (None, "1d", False),
        (NOW + 60, "5m", True),  # the platform's clock is ahead
        (NOW + 61, "5m", False),
    ],
)
async def test_a_login_has_to_be_fresh(context, at, within, passes):
    assert (await decide(context, at, within=within) is ALLOW) is passes


async def test_whoever_signed_in_too_long_ago_is_told_which_login_would_do(context):
    decision = await decide(context, NOW - 3600)
    assert isinstance(decision, StepUp)
    assert (decision.acr_values, decision.max_age) == ("3", 300)
    assert "确认身份" in decision.title[0]
    assert "sign in again" in decision.title[1]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_what_changes_something_is_confirmed(context, method):
    assert isinstance(await decide(context, NOW - 3600, method), StepUp)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_only_reads_is_not(context, method):
    assert await decide(context, None, method) is ALLOW


async def test_other_methods_can_be_configured(context):
    assert isinstance(await decide(context, None, "GET", methods=["GET"]), StepUp)
    assert await decide(context, None, "POST", methods=["GET"]) is ALLOW


async def test_the_login_has_the_platforms_own_name_and_reaches_what_the_item_asks_for(context):
    names = {1: "L1", 2: "L2", 4: "L4"}
    assert (await decide(context, None, acr_values=names)).acr_values == "L4"
    easy = msgspec.structs.replace(ITEM, assurance=0)
    assert (await decide(context, None, item=easy, acr_values=names)).acr_values == "L1"


async def test_where_no_login_reaches_the_item_the_answer_is_no(context):
    decision = await decide(context, None, acr_values={1: "1"})
    assert isinstance(decision, Deny)
    assert decision.code == "assurance-too-low"


@pytest.mark.parametrize(
    "config",
    [
        {"within": "0s"},
        {"within": 300},
        {"within": "2d"},
        {"methods": []},
        {"methods": ["post"]},
        {"acr_values": {5: "x"}},
    ],
)
def test_settings_that_cannot_be_right_are_refused(config):
    with pytest.raises(ValidationError):
        ConfirmAgainConfig.model_validate(config)

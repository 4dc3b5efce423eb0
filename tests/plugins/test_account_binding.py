"""Account binding: the id of the item's system goes inward, or the answer is 409 and says where to bind."""

import pytest
from pydantic import ValidationError

from gateway import Allow, Deny
from plugins.reauthorizers.account_binding import AccountBinding, AccountBindingConfig
from tests.plugins.ledger_view import UNIT, HeldLedger, changed, coming, operator, part_on

BOUND = changed(UNIT, bindings={"medical-insurance": "3" * 20, "tax": "T" * 40})


async def decide(context, facts, **config):
    return await part_on(AccountBinding, context, HeldLedger(facts), **config).decide(operator(), coming())


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, (b"tongguan-local-id", b"3" * 20)),
        ({"system": "tax"}, (b"tongguan-local-id", b"T" * 40)),
        ({"field": "x-unit-id"}, (b"x-unit-id", b"3" * 20)),
    ],
)
async def test_the_bound_id_goes_inward(context, config, field):
    assert await decide(context, BOUND, **config) == Allow((field,))


@pytest.mark.parametrize("facts", [None, UNIT, changed(UNIT, bindings={"tax": "T" * 40})])
async def test_whoever_is_not_bound_there_is_told_to_bind_first(context, facts):
    decision = await decide(context, facts)
    assert isinstance(decision, Deny)
    assert (decision.code, decision.conflict) == ("binding-missing", True)
    assert "窗口" in decision.title[0]
    assert "counter" in decision.title[1]
    assert decision.detail == "not bound to medical-insurance"


async def test_a_binding_to_one_system_is_none_to_another(context):
    assert isinstance(await decide(context, changed(UNIT, bindings={"tax": "1"}), system="pension"), Deny)


@pytest.mark.parametrize("local_id", ["", "1\r\nx-admin: 1", "12 34", "一二三", "１２"])
async def test_what_is_no_plain_id_never_becomes_a_header_field(context, local_id):
    """The ledger lets nobody write such a thing; were it there, it would be a defect (500)."""
    with pytest.raises(ValueError, match="letters and digits"):
        await decide(context, changed(UNIT, bindings={"medical-insurance": local_id}))


@pytest.mark.parametrize("field", ["Tongguan-Local-Id", "local_id", "", "a b", "tongguan-identity", "x\n", "-x"])
def test_a_field_that_cannot_hold_it_is_refused(field):
    with pytest.raises(ValidationError):
        AccountBindingConfig(field=field)

"""gateway.facts: what a unit's many grants are looked up by, made once, and nothing of what is written down."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway import Facts
from tests.plugins.ledger_view import GRANTS


@given(st.lists(GRANTS, max_size=8).map(tuple))
def test_grants_are_found_by_item_and_operator_and_none_is_lost(grants):
    facts = Facts("party-1", "legal", "bound", grants=grants)
    for (item, operator), found in facts.grants_of.items():
        assert list(found) == [grant for grant in grants if (grant.item, grant.operator) == (item, operator)]
    assert sum(map(len, facts.grants_of.values())) == len(grants)


@given(st.lists(GRANTS, max_size=8).map(tuple))
def test_who_alone_may_do_an_item_is_every_operator_with_an_exclusive_grant(grants):
    facts = Facts("party-1", "legal", "bound", grants=grants)
    alone = {(item, operator) for item, operators in facts.exclusive.items() for operator in operators}
    assert alone == {(grant.item, grant.operator) for grant in grants if grant.exclusive}


@given(st.lists(GRANTS, max_size=3).map(tuple))
def test_what_was_looked_up_is_not_written(grants):
    facts = Facts("party-1", "legal", "bound", grants=grants)
    before = msgspec.msgpack.encode(facts)
    assert facts.grants_of is facts.grants_of
    assert facts.exclusive is facts.exclusive
    assert msgspec.msgpack.encode(facts) == before
    assert msgspec.msgpack.decode(before, type=Facts) == facts

"""A member of a JSON object as it was written: what several platforms sign."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tokens.jose import member_source, read_json


def test_a_member_is_taken_out_as_it_is_written():
    text = ' {"a" : {"b": [1, "}"]}, "b":\n {"x" :1 , "y":"\\u4e2d"} ,"c":0}'
    assert member_source(text, "b") == '{"x" :1 , "y":"\\u4e2d"}'
    assert member_source(text, "c") == "0"
    for wrong in ("{}", '{"a":1}'):
        with pytest.raises(ValueError, match="no b"):
            member_source(wrong, "b")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('{"a":{"b":1},"sign":"x"}', '{"b":1}'),
        ('{ "sign" : "x" ,\n "a" : { "b" : 1 } }', '{ "b" : 1 }'),
        (r'{"sign":"\"a\":2","a":{"c":"}\u5f20,\"a\":1"}}', r'{"c":"}\u5f20,\"a\":1"}'),
        (r'{"\u0061":[1, 2]}', "[1, 2]"),
    ],
)
def test_the_characters_of_a_member_are_those_that_came(text, source):
    assert member_source(text, "a") == source


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(st.text(), JSON, min_size=1), st.sampled_from([None, 0, 2]))
def test_the_characters_of_every_member_are_its_value(value, indent):
    text = json.dumps(value, indent=indent)
    assert {name: read_json(member_source(text, name).encode()) for name in value} == value

"""gateway.templates: one grammar of paths, for both units. What the units refuse is told in their own tests."""

import re

import pytest

from gateway.errors import TargetRefused
from gateway.inbound import InboundReader
from gateway.settings import LimitSettings
from gateway.templates import check_template, literals, parameters, shape

TEMPLATE = "/medical/{person}/settlements/{settlement_id}"


def test_a_template_is_taken_apart_and_put_together_again():
    assert parameters(TEMPLATE) == ["person", "settlement_id"]
    assert literals(TEMPLATE) == ["/medical/", "/settlements/", ""]
    assert literals("/a") == ["/a"]


def test_templates_that_differ_in_names_only_have_one_shape():
    assert shape("/a/{b}/c") == shape("/a/{d}/c") != shape("/a/{b}/d")
    assert shape("/a") == "/a"


def test_a_parameter_is_named_once():
    with pytest.raises(ValueError, match="twice"):
        check_template("/{a}/{a}")


@pytest.mark.parametrize("octet", range(256))
def test_what_a_template_may_escape_is_what_a_request_may_escape(octet: int) -> None:
    """Beyond ASCII, octets are judged as UTF-8 in a request; a template's stand for themselves."""
    path = f"/a%{octet:02X}b"
    if octet >= 0x80:
        check_template(path)
        return
    reader = InboundReader(["a.example"], "https", [], LimitSettings())
    try:
        reader._read_target(path, b"a.example")
    except TargetRefused:
        with pytest.raises(ValueError, match=re.escape(repr(path))):
            check_template(path)
    else:
        check_template(path)

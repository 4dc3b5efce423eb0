"""Forms, XML and base64 are read in one way only, and whatever is sent is read or refused."""

import base64
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.signatures.forms import MOST_PARAMETERS, WireFormError, check_split, decode_base64, read_form, read_xml

FORMS = {
    b"": {},
    b"a=1&b=2": {"a": b"1", "b": b"2"},
    b"a=": {"a": b""},
    b"a=b=c": {"a": b"b=c"},
    b"a=1+2%2B3": {"a": b"1 2+3"},
    b"%61=%E5%BC%A0": {"a": "张".encode()},
    b"a=%2525": {"a": b"%25"},
}


@pytest.mark.parametrize(("data", "values"), FORMS.items())
def test_a_form_is_decoded_once(data, values):
    assert read_form(data) == values


@pytest.mark.parametrize(
    "data",
    [b"a", b"&", b"a=1&", b"=1", b"a=1&a=1", b"a=&a=", b"a=1&%61=2", b"a=%", b"a=%2", b"a=%zz", b"a=\xff", b"a b=1",
     b"\xe9=1"],
)  # fmt: skip
def test_a_form_that_can_be_read_in_two_ways_is_refused(data):
    with pytest.raises(WireFormError):
        read_form(data)


def test_a_form_of_too_many_parameters_is_refused():
    pieces = [b"a%d=1" % number for number in range(MOST_PARAMETERS + 1)]
    assert len(read_form(b"&".join(pieces[:-1]))) == MOST_PARAMETERS
    with pytest.raises(WireFormError):
        read_form(b"&".join(pieces))


def test_a_form_may_be_in_another_charset():
    assert read_form(b"a=%D5%C5", "gbk") == {"a": "张".encode("gbk")}
    with pytest.raises(WireFormError):
        read_form(b"a=%D5%C5")


@given(st.dictionaries(st.text("abcXYZ019._-", min_size=1), st.text(), max_size=8))
def test_every_form_comes_back_as_it_was_written(values):
    written = urlencode(values, errors="ignore").encode()
    assert read_form(written) == {name: value.encode(errors="ignore") for name, value in values.items()}


@given(st.binary(max_size=60))
def test_any_bytes_are_a_form_or_refused(data):
    try:
        read_form(data)
    except WireFormError:
        return


XMLS = {
    b"<xml/>": {},
    b"<xml><a>1</a><b/></xml>": {"a": "1", "b": ""},
    b"<xml><a><![CDATA[<b>]]></a></xml>": {"a": "<b>"},
    b"<xml><a>1&amp;&#50;</a></xml>": {"a": "1&2"},
    b'<?xml version="1.0" encoding="UTF-8"?>\n<xml> <a>1<!-- x -->2</a> </xml>': {"a": "12"},
    b"<xml><a>1<b>2</b>3</a></xml>": {"a": "13"},
    b"<xml><l><i>1</i><i>2</i></l></xml>": {"l": ""},
}


@pytest.mark.parametrize(("data", "values"), XMLS.items())
def test_xml_is_the_text_right_under_the_root(data, values):
    assert read_xml(data) == values


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<xml>",
        b"<xml/><xml/>",
        b"<xml></yml>",
        b"<xml><a/><a/></xml>",
        b"<xml><a>1</a><a>1</a></xml>",
        b"<xml><a b='1'/></xml>",
        b"<!DOCTYPE xml><xml/>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><x><y>&a;</y></x>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<xml><a>&b;</a></xml>",
        b"<?php x ?><xml/>",
        b"<xml>\xff</xml>",
        b"<xml>\0</xml>",
        b'<?xml version="1.0" encoding="gbk"?><xml/>',
        '<?xml version="1.0" encoding="UTF-16"?><xml/>'.encode("utf-16"),
        b"<a>" * 9 + b"</a>" * 9,
    ],
)
def test_xml_that_can_be_read_in_two_ways_or_does_something_is_refused(data):
    with pytest.raises(WireFormError):
        read_xml(data)


@given(
    st.lists(st.sampled_from(["<a>", "</a>", "<b/>", "&lt;", "&x;", "<![CDATA[", "]]>", "<!DOCTYPE a>", "<?x?>", "1"]))
)
def test_any_text_is_xml_or_refused(pieces):
    try:
        read_xml("".join(["<r>", *pieces, "</r>"]).encode())
    except WireFormError:
        return


@given(st.binary(max_size=60))
def test_base64_comes_back_as_it_was_written(data):
    assert decode_base64(base64.b64encode(data)) == data
    assert decode_base64(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["a", "YQ", "YQ=", "YR==", "Y Q==", "YQ==\n", "_w==", "YQ==YQ==", "é", "=YQ="])
def test_base64_has_one_spelling(text):
    with pytest.raises(WireFormError):
        decode_base64(text)


@pytest.mark.parametrize("value", [b"", b"a&b", b"a=b", b"Q & A = x", b"&=", "张&=".encode()])
def test_a_value_in_which_no_parameter_can_hide_passes(value):
    check_split([value])


@pytest.mark.parametrize("value", [b"a&b=", b"&b=c", b"https://a.example/?b=1&c=2"])
def test_a_value_in_which_a_parameter_could_hide_is_refused(value):
    with pytest.raises(WireFormError):
        check_split([b"1", value])

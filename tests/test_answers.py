"""How an error becomes fields and a body."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_world import ID

from gateway import errors
from gateway.answers import preferred_language, render, status_of
from gateway.errors import Forbidden, GatewayError, MethodNotAllowed, RateLimited, TokenMissing


def every_error(kind=GatewayError):
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_error(child)


def made(kind):
    if kind is errors.StepUpRequired:
        return kind(acr_values="3")
    if kind is errors.InputRefused:
        return kind(errors.FieldProblem("field", ("有误", "Wrong.")))
    return kind("secret detail")


@pytest.mark.parametrize("kind", dict.fromkeys(every_error()))
@pytest.mark.parametrize("accept", [b"", b"text/html"])
def test_no_error_shows_its_detail(kind, accept):
    error = made(kind)
    fields, body = render(error, ID, accept, b"en")
    assert b"secret" not in body + repr(fields).encode()
    assert error.code.encode() in body
    assert ID.encode() in body
    assert all(re.fullmatch(rb"[a-z-]+", name) and re.fullmatch(rb"[ -~]*", value) for name, value in fields)


@pytest.mark.parametrize("kind", dict.fromkeys(every_error()))
def test_every_error_has_a_status_a_code_and_two_sentences(kind):
    assert 400 <= kind.status <= 504
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    chinese, english = kind.title
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert english.isascii()


def test_a_problem_is_json_with_both_languages_at_hand():
    fields, body = render(Forbidden(code="x-y", title=("不行", "No.")), ID, b"application/json", b"")
    assert dict(fields)[b"content-type"] == b"application/problem+json"
    assert json.loads(body) == {
        "type": "urn:tongguan:problem:x-y", "title": "No.", "status": 403, "detail": "不行",
        "code": "x-y", "request_id": ID,
    }  # fmt: skip


@given(st.text(), st.sampled_from([b"text/html", b"TEXT/HTML;q=0.9,*/*"]))
def test_a_page_escapes_every_word(text, accept):
    _, body = render(Forbidden(title=(text, text)), ID, accept, b"")
    inner = re.search(r"<p>(.*?)</p>", body.decode("utf-8", "replace"), re.DOTALL)[1]
    assert not re.search(r"[<>\"']", inner)


@pytest.mark.parametrize(("seconds", "said"), [(0.0, b"1"), (0.4, b"1"), (1.6, b"2"), (59.5, b"60")])
def test_retry_after_is_at_least_one_whole_second(seconds, said):
    fields, _ = render(RateLimited(retry_after=seconds), ID, b"", b"")
    assert dict(fields)[b"retry-after"] == said


def test_a_browser_is_sent_to_where_it_can_sign_in():
    error = TokenMissing("x")
    error.see_other = "/sso/login?return_to=%2Fmine"
    fields = dict(render(error, "id", b"text/html", b"")[0])
    assert (status_of(error), fields[b"location"]) == (303, b"/sso/login?return_to=%2Fmine")
    assert status_of(TokenMissing("x")) == 401


def test_allow_lists_the_methods():
    fields, _ = render(MethodNotAllowed(allow=("GET", "HEAD")), ID, b"", b"")
    assert dict(fields)[b"allow"] == b"GET, HEAD"


@pytest.mark.parametrize(("asked", "language"), [
    (b"", "zh-CN"), (b"en", "en"), (b"EN-us", "en"), (b"zh", "zh-CN"), (b"zh-TW,en;q=0.9", "zh-CN"),
    (b"zh;q=0.1,en;q=0.2", "en"), (b"en;q=0.5,zh;q=0.5", "en"), (b"de,fr", "zh-CN"), (b"en;q=0", "zh-CN"),
    (b"english", "zh-CN"),
    (b"en;level=1;q=0.1", "en"), (b",,;;=,", "zh-CN"),
])  # fmt: skip
def test_the_language_is_the_one_the_caller_puts_first(asked, language):
    assert preferred_language(asked) == language


@given(st.binary(max_size=100))
def test_any_bytes_give_a_language(asked):
    assert preferred_language(asked) in {"zh-CN", "en"}

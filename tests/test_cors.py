"""Cross-origin calls: exact origins only."""

import pytest
from path_world import inbound

from gateway.cors import Cors, asked_method
from gateway.settings import CorsSettings

PAGE = "https://www.example.gov.cn"
CORS = Cors(CorsSettings(origins=(PAGE,), fields=("content-type",), max_age="10m"))


def test_a_page_of_the_list_may_read_the_answer():
    assert CORS.answer(inbound(fields={"origin": PAGE})) == [
        (b"access-control-allow-origin", PAGE.encode()),
        (b"vary", b"Origin"),
        (b"access-control-expose-headers", b"x-request-id"),
    ]


@pytest.mark.parametrize("origin", [
    "null", "*", "", PAGE.upper(), PAGE + "/", PAGE + ".evil.example", "http://www.example.gov.cn", f"{PAGE}, {PAGE}",
    "https://evil.example/?" + PAGE, None,
])  # fmt: skip
def test_any_other_page_is_only_told_that_it_depends(origin):
    asked = inbound(fields={} if origin is None else {"origin": origin})
    assert CORS.answer(asked) == [(b"vary", b"Origin")]
    assert CORS.preflight(asked, ["GET"]) is None


def test_a_preflight_lists_what_a_page_may_do():
    assert CORS.preflight(inbound(fields={"origin": PAGE}), ["POST", "GET"]) == [
        (b"access-control-allow-origin", PAGE.encode()),
        (b"vary", b"Origin"),
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"content-type"),
        (b"access-control-max-age", b"600"),
    ]


def test_cookies_come_along_only_where_that_is_said():
    cors = Cors(CorsSettings(origins=(PAGE,), credentials=True))
    asked = inbound(fields={"origin": PAGE})
    assert (b"access-control-allow-credentials", b"true") in cors.answer(asked)
    assert (b"access-control-allow-credentials", b"true") in cors.preflight(asked, ["GET"])
    assert b"access-control-allow-credentials" not in dict(CORS.answer(asked))


@pytest.mark.parametrize(("fields", "asked"), [
    ({"origin": PAGE, "access-control-request-method": "PUT"}, "PUT"),
    ({"origin": PAGE}, None),
    ({"access-control-request-method": "PUT"}, None),
])  # fmt: skip
def test_a_preflight_says_whence_and_what_it_asks(fields, asked):
    assert asked_method(inbound("OPTIONS", fields=fields)) == asked

"""Error answers: fixed words, no echo, a form and a language that the caller can read."""

import pytest
from edge_world import PAGE, post, request
from path_world import ID, FakeReply

from gateway.errors import (
    CannotDecide,
    ChannelRejected,
    GatekeeperTimeout,
    RateLimited,
    StepUpRequired,
    Undelivered,
    UpstreamUnavailable,
)
from gateway.model import Deny, StepUp

GOOD = "Authorization: Bearer good"
MARK = "zq7mark"


@pytest.mark.parametrize("raw", [
    f"{MARK} / HTTP/1.1\r\n\r\n".encode(),
    request(f"GET /{MARK}"),
    request(f"GET /{MARK}#{MARK}"),
    request(f"GET /guides/1?{MARK}=<script>"),
    request("GET /nowhere", f"Accept: text/html, {MARK}", f"Accept-Language: {MARK}"),
    request(host=f"{MARK}.example"),
    request(host=f"<script>{MARK}"),
    request("GET /guides/1", f"{MARK}_x: {MARK}"),
    request("GET /guides/1", f"{MARK}: \x01{MARK}"),
    request("GET /mine", f"Authorization: Bearer {MARK}"),
    request("GET /guides/1", f"X-Request-Id: {MARK}", "Expect: x"),
    request("GET /guides/1", f"Origin: https://{MARK}.example", "Expect: x"),
    post("/nowhere", MARK.encode()),
])  # fmt: skip
async def test_an_error_answer_echoes_nothing(edge, raw):
    edge.verifier.verdicts[MARK] = None
    edge.system.answers(Undelivered(f"because of {MARK}"))
    answer = await edge.ask(raw)
    assert answer.status >= 400
    assert MARK.encode() not in answer.raw + answer.body
    assert b"<script" not in answer.body
    assert answer.values("server") == []
    assert b"aiohttp" not in answer.raw + answer.body
    assert b"Python" not in answer.raw + answer.body


async def test_a_problem_says_what_rfc_9457_asks_for(edge):
    answer = await edge.ask(request("GET /nowhere"))
    assert answer.problem == {
        "type": "urn:tongguan:problem:item-unknown",
        "title": "There is no such service item.",
        "status": 404,
        "detail": "没有找到该服务事项。",
        "code": "item-unknown",
        "request_id": edge.records[0].id,
    }
    assert answer.value("x-request-id") == edge.records[0].id
    assert answer.value("content-language") == "zh-CN"
    assert answer.value("cache-control") == "no-store"
    assert answer.value("x-content-type-options") == "nosniff"
    assert answer.value("date")


@pytest.mark.parametrize(("asked", "language"), [
    ("en", "en"), ("en-GB, zh;q=0.5", "en"), ("zh-CN, en;q=0.9", "zh-CN"), ("fr", "zh-CN"), ("*", "zh-CN"),
    ("en;q=0", "zh-CN"), ("en;q=nonsense", "zh-CN"), ("", "zh-CN"),
])  # fmt: skip
async def test_the_sentence_comes_in_the_callers_language(edge, asked, language):
    answer = await edge.ask(request("GET /nowhere", f"Accept-Language: {asked}"))
    assert answer.value("content-language") == language
    assert (answer.problem["detail"] == "There is no such service item.") == (language == "en")


async def test_a_browser_gets_a_page_without_active_content(edge):
    edge.reauthorizer.decision = Deny("item-closed-by-owner", ("<b>已关闭</b> & 其他", "closed"))
    answer = await edge.ask(request("GET /mine", GOOD, "Accept: text/html,*/*;q=0.8"))
    assert answer.status == 403
    assert answer.value("content-type") == "text/html; charset=utf-8"
    assert answer.value("content-security-policy") == "default-src 'none'; frame-ancestors 'none'"
    page = answer.body.decode()
    assert "&lt;b&gt;已关闭&lt;/b&gt; &amp; 其他" in page
    assert "<b>" not in page
    assert edge.records[0].id in page


@pytest.mark.parametrize(("error", "status", "name", "value"), [
    (RateLimited(retry_after=7.2), 429, "retry-after", "7"),
    (CannotDecide(), 503, "retry-after", "5"),
    (ChannelRejected(), 401, "www-authenticate", "Tongguan-Channel"),
    (UpstreamUnavailable(retry_after=0.2), 503, "retry-after", "1"),
    (UpstreamUnavailable(), 503, "proxy-status", "tongguan; error=destination_unavailable"),
    (GatekeeperTimeout(), 504, "proxy-status", "tongguan; error=http_response_timeout"),
    (Undelivered(), 502, "proxy-status", "tongguan; error=http_protocol_error"),
    (StepUpRequired(acr_values="3", max_age=60), 401, "www-authenticate",
     'Bearer error="insufficient_user_authentication", acr_values="3", max_age=60'),
])  # fmt: skip
async def test_an_error_says_what_helps(edge, error, status, name, value):
    edge.system.answers(error)
    answer = await edge.ask(request())
    assert answer.status == status
    assert answer.value(name) == value


@pytest.mark.parametrize(("fields", "code", "challenge"), [
    ([], "token-missing", "Bearer"),
    (["Authorization: Bearer other"], "issuer-unknown", 'Bearer error="invalid_token"'),
])  # fmt: skip
async def test_a_missing_or_bad_token_is_challenged(edge, fields, code, challenge):
    answer = await edge.ask(request("GET /mine", *fields))
    assert (answer.status, answer.problem["code"]) == (401, code)
    assert answer.value("www-authenticate") == challenge


async def test_a_stronger_login_is_asked_for_by_rfc_9470(edge):
    edge.reauthorizer.decision = StepUp("3")
    answer = await edge.ask(request("GET /mine", GOOD))
    assert answer.value("www-authenticate") == 'Bearer error="insufficient_user_authentication", acr_values="3"'


async def test_a_method_that_is_not_offered_is_answered_with_those_that_are(edge):
    answer = await edge.ask(request("DELETE /guides/1"))
    assert (answer.status, answer.value("allow")) == (405, "GET, HEAD")
    assert not answer.closes


@pytest.mark.parametrize("target", ["/nowhere", "/mine", "/guides/1", "//"])
async def test_an_answer_to_head_has_no_body(edge, target):
    wire = await (await edge.wire()).send(request(f"HEAD {target}", "Connection: close"))
    answer = await wire.answer("HEAD")
    assert int(answer.value("content-length")) > 0
    assert await wire.rest() == b""


@pytest.mark.parametrize("target", ["/mine", "/elsewhere", "/guides/1"])
async def test_a_page_of_the_list_can_read_errors(edge, target):
    edge.system.answers(Undelivered("x"))
    answer = await edge.ask(request(f"GET {target}", f"Origin: {PAGE}"))
    assert answer.status in {401, 403, 502}
    assert answer.value("access-control-allow-origin") == PAGE
    assert "Origin" in answer.values("vary")


async def test_another_page_is_told_nothing(edge):
    answer = await edge.ask(request("GET /mine", "Origin: https://evil.example"))
    assert answer.values("access-control-allow-origin") == []


async def test_a_preflight_is_answered_for_pages_of_the_list_only(edge):
    asked = ["Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type"]
    answer = await edge.ask(request("OPTIONS /forms", f"Origin: {PAGE}", *asked))
    assert (answer.status, answer.value("access-control-allow-methods")) == (204, "POST")
    assert answer.values("content-length") == []
    answer = await edge.ask(request("OPTIONS /forms", "Origin: https://evil.example", *asked))
    assert answer.values("access-control-allow-origin") == []
    assert edge.system.begun == 0


async def test_a_systems_own_cors_fields_do_not_join_ours(edge):
    edge.system.answers(FakeReply(200, [(b"access-control-allow-origin", b"*")], b"x"))
    answer = await edge.ask(request("GET /guides/1", f"Origin: {PAGE}"))
    assert answer.values("access-control-allow-origin") == [PAGE]


async def test_a_system_cannot_replace_the_request_id(edge):
    edge.system.answers(FakeReply(200, [(b"x-request-id", ID.encode())], b"x"))
    answer = await edge.ask(request())
    assert answer.value("x-request-id") == edge.records[0].id


async def test_a_plugin_that_breaks_lets_nothing_pass(edge):
    edge.reauthorizer.decision = RuntimeError(f"broken {MARK}")
    answer = await edge.ask(request("GET /mine", GOOD))
    assert (answer.status, answer.problem["code"]) == (500, "internal-error")
    assert MARK.encode() not in answer.body
    assert edge.records[0].code == "internal-error"
    assert edge.system.begun == 0


async def test_a_channel_that_breaks_lets_nothing_pass(edge):
    edge.channel.error = RuntimeError("broken")
    assert (await edge.ask(request())).status == 500
    assert edge.system.begun == 0

"""What the raw request may not be: each row is refused, closes the connection, leaves one record, reaches no system."""

import pytest
from edge_world import HOST, chunked, post, request

BAD = (400, "request-malformed")
GUIDE = "GET /guides/1"
CHUNKED = "Transfer-Encoding: chunked"


def refusals(*rows):
    return pytest.mark.parametrize(("raw", "answer"), [pytest.param(r, a, id=i) for i, r, a in rows])


def post_with(*fields, body=b"hello"):
    return request("POST /forms", *fields, body=body)


def upgrade_with(key, version):
    names = ("Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {key}")
    return request(GUIDE, *names, f"Sec-WebSocket-Version: {version}")


@refusals(
    ("transfer-encoding and content-length", post_with(CHUNKED, "Content-Length: 5", body=b"0\r\n\r\n"), BAD),
    ("content-length and transfer-encoding", post_with("Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), BAD),
    ("a coding before chunked", post_with("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), BAD),
    ("a coding after chunked", post_with("Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), BAD),
    ("chunked said twice in one field", post_with("Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), BAD),
    ("chunked in two fields", post_with(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), BAD),
    ("identity coding", post_with("Transfer-Encoding: identity", "Content-Length: 5"), BAD),
    ("an empty coding with a length", post_with("Transfer-Encoding:", "Content-Length: 5"), BAD),
    ("an empty coding", post_with("Transfer-Encoding: "), BAD),
    ("a coding nobody knows", post_with("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), BAD),
    ("a coding behind a vertical tab", post_with(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), BAD),
    ("a quoted coding", post_with('Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), BAD),
    ("chunked with a parameter", post_with("Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), BAD),
    ("chunked in HTTP/1.0", request("POST /forms HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), BAD),
    ("a plus before the length", post_with("Content-Length: +5"), BAD),
    ("a negative length", post_with("Content-Length: -5"), BAD),
    ("a length in hexadecimal", post_with("Content-Length: 0x5"), BAD),
    ("a length with a fraction", post_with("Content-Length: 5.0"), BAD),
    ("a length with an underscore", post_with("Content-Length: 1_0"), BAD),
    ("an empty length", post_with("Content-Length:"), BAD),
    ("a length of words", post_with("Content-Length: five"), BAD),
    ("a length with a space inside", post_with("Content-Length: 1 0"), BAD),
    ("a length in full-width digits", post_with("Content-Length: ５"), BAD),
    ("a length in Arabic digits", post_with("Content-Length: ٥"), BAD),
    ("two equal lengths", post_with("Content-Length: 5", "Content-Length: 5"), BAD),
    ("two different lengths", post_with("Content-Length: 5", "Content-Length: 6"), BAD),
    ("two lengths in one field", post_with("Content-Length: 5, 5"), BAD),
    ("a length beyond 64 bits", post_with("Content-Length: 18446744073709551621"), BAD),
    ("a length of nineteen digits", post_with("Content-Length: 9223372036854775807"), BAD),
    ("a length beyond any body", post_with("Content-Length: 999999999999999999"), (413, "body-too-large")),
    ("a length one beyond the item's limit", post("/small", b"12345678901"), (413, "body-too-large")),
)  # fmt: skip
async def test_framing_that_can_be_read_in_two_ways_is_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


@refusals(
    ("a size that is no number", chunked("/forms", end=b"zz\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a negative size", chunked("/forms", end=b"-5\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a size with a plus", chunked("/forms", end=b"+5\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a size with 0x", chunked("/forms", end=b"0x5\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a size with an underscore", chunked("/forms", end=b"0_5\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a size beyond 64 bits", chunked("/forms", end=b"10000000000000005\r\nhello\r\n0\r\n\r\n"), BAD),
    ("no size at all", chunked("/forms", end=b"\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a space before the size", chunked("/forms", end=b" 5\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a space after the size", chunked("/forms", end=b"5 \r\nhello\r\n0\r\n\r\n"), BAD),
    ("a size that ends with LF only", chunked("/forms", end=b"5\nhello\r\n0\r\n\r\n"), BAD),
    ("data that is longer than its size", chunked("/forms", end=b"5\r\nhelloX\r\n0\r\n\r\n"), BAD),
    ("data that ends with LF only", chunked("/forms", end=b"5\r\nhello\n0\r\n\r\n"), BAD),
    ("an extension with NUL", chunked("/forms", end=b"5;a=\x00\r\nhello\r\n0\r\n\r\n"), BAD),
    ("an extension with CR", chunked("/forms", end=b"5;a=\rb\r\nhello\r\n0\r\n\r\n"), BAD),
    ("an extension with LF", chunked("/forms", end=b"5;a\nb\r\nhello\r\n0\r\n\r\n"), BAD),
    ("a trailer that is no field", chunked("/forms", b"hello", end=b"0\r\nno field\r\n\r\n"), BAD),
    ("a trailer with NUL in its value", chunked("/forms", b"hello", end=b"0\r\na: \x00\r\n\r\n"), BAD),
    ("a last chunk that ends with LF only", chunked("/forms", b"hello", end=b"0\n\n"), BAD),
)  # fmt: skip
async def test_a_chunked_body_that_breaks_the_grammar_is_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


async def test_a_body_that_breaks_after_its_head_was_read_is_refused_at_once(edge):
    """The system asks for the body first, then the broken chunk arrives: the one who waits is told, not timed out."""
    wire = await (await edge.wire()).send(chunked("/forms", b"hello", end=b""))
    await edge.system.until(1)
    await wire.send(b"zz\r\n")
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"]) == BAD
    assert await wire.ended()
    assert [record.code for record in edge.records] == ["request-malformed"]
    assert edge.system.seen == []


@refusals(
    ("HTTP/0.9", b"GET /guides/1\r\n\r\n", BAD),
    ("HTTP/0.9 in words", request(f"{GUIDE} HTTP/0.9"), BAD),
    ("HTTP/1.2", request(f"{GUIDE} HTTP/1.2"), BAD),
    ("HTTP/2.0", request(f"{GUIDE} HTTP/2.0"), BAD),
    ("HTTP/3.0", request(f"{GUIDE} HTTP/3.0"), BAD),
    ("HTTP/1.10", request(f"{GUIDE} HTTP/1.10"), BAD),
    ("HTTP/01.1", request(f"{GUIDE} HTTP/01.1"), BAD),
    ("HTTP/1", request(f"{GUIDE} HTTP/1"), BAD),
    ("http/1.1", b"GET /guides/1 http/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("HTTP/１.1", request(f"{GUIDE} HTTP/１.1"), BAD),
    ("another protocol", b"GET /guides/1 RTSP/1.0\r\nHost: gw.example\r\n\r\n", BAD),
    ("ICY", b"SOURCE /guides/1 ICY/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)), BAD),
    ("an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", BAD),
    ("a PROXY header", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + request(), BAD),
    ("an answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BAD),
    ("no version after the space", b"GET /guides/1 \r\nHost: gw.example\r\n\r\n", BAD),
    ("two spaces before the target", b"GET  /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("two spaces, and a good one behind it", b"GET  /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n" + request(), BAD),
    ("two spaces after the target", b"GET /guides/1  HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("a tab after the method", b"GET\t/guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("a space after the version", b"GET /guides/1 HTTP/1.1 \r\nHost: gw.example\r\n\r\n", BAD),
    ("a request line that ends with LF only", b"GET /guides/1 HTTP/1.1\nHost: gw.example\r\n\r\n", BAD),
    ("a request line that ends with CR only", b"GET /guides/1 HTTP/1.1\rHost: gw.example\r\n\r\n", BAD),
    ("a space before the method", b" GET /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
)  # fmt: skip
async def test_only_http_1_0_and_1_1_are_spoken(edge, raw, answer):
    await edge.refuses(raw, *answer)


@refusals(
    *((f"{name} is not offered", request(f"{name} /guides/1"), (405, "method-not-allowed")) for name in (
        "TRACE", "PROPFIND", "MKCOL", "COPY", "SEARCH", "REPORT", "PURGE", "LINK", "QUERY",
    )),
    ("CONNECT to an authority", request("CONNECT gw.example:443"), (405, "method-not-allowed")),
    ("CONNECT with a request behind it", request("CONNECT gw.example:443") + request(), (405, "method-not-allowed")),
    ("lower case is another method", request("get /guides/1"), BAD),
    ("a method nobody has heard of", request("FROBNICATE /guides/1"), BAD),
    ("a method with a control character", b"G\x00T /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
    ("a method with a Chinese character", request("取 /guides/1"), BAD),
    ("no method", b" /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\r\n", BAD),
)  # fmt: skip
async def test_methods_outside_the_list_are_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


async def test_a_request_behind_connect_is_never_executed(edge):
    wire = await (await edge.wire()).send(request("CONNECT gw.example:80") + request() * 3)
    answer = await wire.answer()
    assert answer.value("allow") == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert await wire.ended()
    assert (edge.system.begun, len(edge.records)) == (0, 1)


@refusals(
    ("none", b"GET /guides/1 HTTP/1.1\r\n\r\n", BAD),
    ("none in HTTP/1.0", b"GET /guides/1 HTTP/1.0\r\n\r\n", BAD),
    ("an empty one", request(host=""), BAD),
    ("two", request(GUIDE, f"Host: {HOST}"), BAD),
    ("two different ones", request(GUIDE, "Host: evil.example"), BAD),
    ("two in one field", request(host=f"{HOST}, {HOST}"), BAD),
    ("with userinfo", request(host=f"admin@{HOST}"), BAD),
    ("with a path", request(host=f"{HOST}/x"), BAD),
    ("with a query", request(host=f"{HOST}?x"), BAD),
    ("with a fragment", request(host=f"{HOST}#x"), BAD),
    ("with a scheme", request(host=f"http://{HOST}"), BAD),
    ("with a tab inside", request(host="gw\t.example"), BAD),
    ("with a space inside", request(host="gw .example"), BAD),
    ("with an empty port", request(host=f"{HOST}:"), BAD),
    ("with a port that is a word", request(host=f"{HOST}:http"), BAD),
    ("with a port beyond 65535", request(host=f"{HOST}:99999"), BAD),
    ("with a port of six digits", request(host=f"{HOST}:008443"), BAD),
    ("with a full-width port", request(host=f"{HOST}:８０"), BAD),
    ("with a negative port", request(host=f"{HOST}:-1"), BAD),
    ("with two ports", request(host=f"{HOST}:80:80"), BAD),
    ("with markup", request(host='"><script>alert(1)</script>'), BAD),
    ("with a percent escape", request(host="gw%2eexample"), BAD),
    ("with an underscore", request(host="gw_example"), BAD),
    ("that begins with a hyphen", request(host="-gw.example"), BAD),
    ("an IPv6 address without brackets", request(host="::1"), BAD),
    ("a broken IPv6 address", request(host="[::1"), BAD),
    ("an IPv6 address with a zone", request(host="[fe80::1%25eth0]"), BAD),
    ("in Chinese", request(host="网关.example"), BAD),
    ("of somebody else", request(host="evil.example"), (421, "host-unknown")),
    ("an IPv6 address", request(host="[::1]"), (421, "host-unknown")),
    ("an IPv6 address with a port", request(host="[::1]:8443"), (421, "host-unknown")),
    ("with a port that is not served", request(host=f"{HOST}:81"), (421, "host-unknown")),
    ("with a dot at its end", request(host=f"{HOST}.x"), (421, "host-unknown")),
)  # fmt: skip
async def test_a_host_that_is_not_one_of_ours_is_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


@refusals(
    ("an underscore in a name", request(GUIDE, "X_Forwarded_For: 10.0.0.1"), BAD),
    ("an underscore in an identity name", request(GUIDE, "Tongguan_Identity: x"), BAD),
    ("a space before the colon", request(GUIDE, "Accept : */*"), BAD),
    ("a tab before the colon", request(GUIDE, "Accept\t: */*"), BAD),
    ("a space inside a name", request(GUIDE, "Acc ept: */*"), BAD),
    ("an empty name", request(GUIDE, ": value"), BAD),
    ("no colon", request(GUIDE, "Accept"), BAD),
    ("a name with NUL", request(GUIDE, "Acc\x00ept: */*"), BAD),
    ("a name with a control character", request(GUIDE, "Acc\x07ept: */*"), BAD),
    ("a name with a Chinese character", request(GUIDE, "接受: */*"), BAD),
    ("a name in parentheses", request(GUIDE, "(Accept): */*"), BAD),
    ("a name with a slash", request(GUIDE, "Acc/ept: */*"), BAD),
    ("a name with DEL", request(GUIDE, "Acc\x7fept: */*"), BAD),
    ("a value with NUL", request(GUIDE, "Accept: \x00"), BAD),
    ("a value with a bell", request(GUIDE, "Accept: \x07"), BAD),
    ("a value with ESC", request(GUIDE, "Accept: \x1b[31m"), BAD),
    ("a value with DEL", request(GUIDE, "Accept: \x7f"), BAD),
    ("a value with a bare CR", request(GUIDE, "Accept: a\rb"), BAD),
    ("a value with a bare LF", request(GUIDE, "Accept: a\nb"), BAD),
    ("a folded value", request(GUIDE, "Accept: a\r\n b"), BAD),
    ("a value folded with a tab", request(GUIDE, "Accept: a\r\n\tb"), BAD),
    ("a fold before the first field", b"GET /guides/1 HTTP/1.1\r\n Host: gw.example\r\n\r\n", BAD),
    ("fields that end with LF only", b"GET /guides/1 HTTP/1.1\r\nHost: gw.example\nAccept: */*\r\n\r\n", BAD),
    ("a block that ends with LF only", b"GET /guides/1 HTTP/1.1\r\nHost: gw.example\r\n\n", BAD),
    ("everything with LF only", b"GET /guides/1 HTTP/1.1\nHost: gw.example\n\n", BAD),
    ("a WebSocket key that is none", upgrade_with("x", "13"), BAD),
    ("a WebSocket key of other bytes", upgrade_with("\xff\xfeabc", "13"), BAD),
    ("an old WebSocket version", upgrade_with("dGhlIHNhbXBsZSBub25jZQ==", "8"), BAD),
    ("the oldest WebSocket key", request(GUIDE, "Sec-WebSocket-Key1: x"), BAD),
)  # fmt: skip
async def test_a_header_field_that_breaks_the_grammar_is_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


@pytest.mark.parametrize("name", [
    "Authorization", "Content-Type", "Content-Encoding", "Content-Length", "Cookie", "Expect", "From", "Host",
    "Idempotency-Key", "If-Modified-Since", "If-Range", "If-Unmodified-Since", "Last-Event-Id", "Max-Forwards",
    "Origin", "Range", "Referer", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Transfer-Encoding", "User-Agent",
    "Traceparent", "X-Request-Id", "Tongguan-Access-Key", "X-Anything",
])  # fmt: skip
async def test_a_field_that_means_one_thing_may_not_come_twice(edge, name):
    await edge.refuses(request(GUIDE, f"{name}: 5", f"{name.lower()}: 5"), *BAD)


@refusals(
    ("something else", (request("POST /forms", "Expect: 200-ok", "Content-Length: 5")), (417, "expectation-unknown")),
    ("nothing", (request("POST /forms", "Expect:", "Content-Length: 5")), (417, "expectation-unknown")),
    ("more than that", (request("POST /forms", "Expect: 100-continue, x", "Content-Length: 5")),
     (417, "expectation-unknown")),
)  # fmt: skip
async def test_an_expectation_other_than_to_continue_is_refused(edge, raw, answer):
    await edge.refuses(raw, *answer)


@refusals(
    ("a target beyond the line", request("GET /guides/" + "a" * 8200), (414, "target-too-long")),
    ("a target far beyond the line", request("GET /guides/" + "a" * 100_000), (414, "target-too-long")),
    ("one field beyond the line", request(GUIDE, "Accept: " + "a" * 8200), (431, "headers-too-large")),
    ("a name beyond the line", request(GUIDE, "A" * 8200 + ": a"), (431, "headers-too-large")),
    ("a block beyond the limit", request(GUIDE, *(f"X-{number}: {'a' * 4000}" for number in range(9))),
     (431, "headers-too-large")),
    ("more fields than the limit", request(GUIDE, *(f"X-{number}: a" for number in range(101))),
     (431, "headers-too-large")),
    ("a bomb of fields", request(GUIDE, *(f"X-{number}: {'a' * 4000}" for number in range(300))),
     (431, "headers-too-large")),
)  # fmt: skip
async def test_what_is_too_large_is_refused_with_its_own_status(edge, raw, answer):
    await edge.refuses(raw, *answer)


async def test_a_header_block_at_the_limits_is_carried(edge):
    fields = [f"X-{number}: a" for number in range(99)]
    assert (await edge.ask(request(GUIDE, *fields))).status == 200
    assert (await edge.ask(request("GET /guides/" + "a" * 8100))).status == 200


async def test_a_large_body_is_refused_before_it_is_read(edge):
    """The head alone is enough for the answer."""
    answer = await edge.refuses(request("POST /forms", "Content-Length: 9999999"), 413, "body-too-large")
    assert answer.problem["status"] == 413


async def test_a_chunked_body_is_refused_where_it_passes_the_limit(edge):
    wire = await (await edge.wire()).send(chunked("/small", b"12345678901", end=b""))
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"]) == (413, "body-too-large")
    assert await wire.ended()
    assert edge.system.seen == []
    assert [record.code for record in edge.records] == ["body-too-large"]

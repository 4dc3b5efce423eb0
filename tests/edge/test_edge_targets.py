"""Targets: what could mean one path here and another one behind us is refused; the rest arrives byte for byte."""

import pytest
from edge_world import request

REFUSED = {
    "a fragment": "/guides/1#x",
    "a fragment after a query": "/guides/1?a=b#x",
    "a raw backslash": "/guides\\1",
    "an escaped backslash": "/guides/a%5cb",
    "an escaped backslash in capitals": "/guides/a%5Cb",
    "an escaped slash": "/guides/a%2fb",
    "an escaped slash in capitals": "/guides/a%2Fb",
    "an escaped semicolon": "/guides/a%3bb",
    "a raw semicolon": "/guides/1;x=y",
    "an escaped percent sign": "/guides/a%25b",
    "a slash escaped twice": "/guides/a%252fb",
    "a dot segment": "/guides/./1",
    "a parent segment": "/guides/../mine",
    "a dot segment at the end": "/guides/.",
    "a parent segment at the end": "/guides/..",
    "a parent segment at the start": "/../guides/1",
    "a dot segment escaped": "/guides/%2e/1",
    "a parent segment escaped": "/guides/%2e%2e/mine",
    "a parent segment half escaped": "/guides/.%2E/mine",
    "a parent segment with a parameter": "/guides/..;/mine",
    "an empty segment": "/guides//1",
    "an empty segment at the start": "//guides/1",
    "an empty segment at the end": "/guides/1//",
    "only slashes": "//",
    "an escaped letter": "/%67uides/1",
    "an escaped digit": "/guides/%31",
    "an escaped hyphen": "/guides/a%2Db",
    "an escaped tilde": "/guides/%7e1",
    "an escaped underscore": "/guides/a%5Fb",
    "NUL": "/guides/%00",
    "an escaped line feed": "/guides/a%0ab",
    "an escaped carriage return": "/guides/a%0D%0Ab",
    "an escaped tab": "/guides/a%09b",
    "an escaped ESC": "/guides/%1b",
    "an escaped DEL": "/guides/%7f",
    "a percent sign alone": "/guides/%",
    "a percent sign at the end": "/guides/100%",
    "one hexadecimal digit": "/guides/%4",
    "no hexadecimal digits": "/guides/%zz",
    "an escape in the other way": "/guides/%u0041",
    "full-width hexadecimal digits": "/guides/%４１",
    "an overlong slash": "/guides/%c0%af",
    "an overlong dot": "/guides/%c0%ae",
    "an overlong slash in three bytes": "/guides/%e0%80%af",
    "a surrogate": "/guides/%ed%a0%80",
    "beyond Unicode": "/guides/%f5%80%80%80",
    "half of a character": "/guides/%e4%b8",
    "a lone continuation byte": "/guides/%80",
    "Latin-1": "/guides/caf%e9",
    "raw Chinese": "/guides/指南",
    "a raw quote": '/guides/"1"',
    "raw angle brackets": "/guides/<1>",
    "raw braces": "/guides/{id}",
    "a raw pipe": "/guides/a|b",
    "a raw caret": "/guides/a^b",
    "a raw backtick": "/guides/a`b",
    "raw brackets": "/guides/[1]",
    "a query with NUL": "/guides/1?a=%00",
    "a query with a line feed": "/guides/1?a=%0d%0aX:1",
    "a query with an overlong slash": "/guides/1?a=%c0%af",
    "a query with a bad escape": "/guides/1?a=%zz",
    "a query with a raw quote": '/guides/1?a="b"',
    "a query with a raw backslash": "/guides/1?a=\\b",
    "a query with raw Chinese": "/guides/1?名=值",
    "another host": "http://evil.example/guides/1",
    "our host with userinfo": "http://admin@gw.example/guides/1",
    "our host with another port": "http://gw.example:81/guides/1",
    "another scheme": "ftp://gw.example/guides/1",
    "a file": "file:///etc/passwd",
    "a host without a scheme": "gw.example/guides/1",
    "a relative path": "guides/1",
    "an asterisk": "*",
    "a query alone": "?a=b",
    "our host with a fragment": "http://gw.example/guides/1#x",
    "our host with a parent segment": "http://gw.example/guides/../mine",
    "our host with an empty segment": "http://gw.example//guides/1",
    "an authority": "gw.example:443",
    "two URLs": "http://gw.example/http://evil.example/",
    "a broken IPv6 authority": "http://[::1/guides/1",
    "a port beyond 65535": "http://h:99999/guides/1",
}


@pytest.mark.parametrize("target", REFUSED.values(), ids=REFUSED)
async def test_a_target_that_is_not_plain_is_refused(edge, target):
    await edge.refuses(request(f"GET {target}"), 400, "target-refused")


@pytest.mark.parametrize(
    "raw", [b"/guides/\x01", b"/guides/\x7f", b"/guides/\x00", b"/guides/\xff", b"/guides/\xc0\xaf"]
)
async def test_a_target_with_raw_bytes_outside_ascii_text_is_refused(edge, raw):
    wire = await (await edge.wire()).send(request(b"GET " + raw))
    answer = await wire.answer()
    assert (answer.status, answer.problem["code"]) in {(400, "target-refused"), (400, "request-malformed")}
    assert await wire.ended()
    assert edge.system.begun == 0


async def test_options_with_an_asterisk_is_refused(edge):
    await edge.refuses(request("OPTIONS *"), 400, "target-refused")


CARRIED = {
    "a plain one": "/guides/1",
    "unreserved characters": "/guides/A-Z.a_z~0",
    "sub-delimiters": "/guides/!$&'()*+,=:@",
    "an escaped space": "/guides/a%20b",
    "Chinese, escaped": "/guides/%E6%8C%87%E5%8D%97",
    "an escape in small letters": "/guides/%e6%8c%87",
    "an escaped question mark": "/guides/what%3F",
    "an escaped fragment sign": "/guides/a%23b",
    "three dots": "/guides/...",
    "a name with dots": "/guides/a..b",
    "a query": "/guides/1?a=b&c=d",
    "an empty query": "/guides/1?",
    "a query with a question mark": "/guides/1?a=?",
    "a query with slashes": "/guides/1?u=/a//../b",
    "a query with escapes": "/guides/1?u=%2F%25%3b",
    "a query with a semicolon": "/guides/1?a;b",
}


@pytest.mark.parametrize("target", CARRIED.values(), ids=CARRIED)
async def test_a_plain_target_arrives_as_it_was_sent(edge, target):
    answer = await edge.ask(request(f"GET {target}"))
    assert answer.status == 200
    path, _, query = target.partition("?")
    assert [(seen.path, seen.query) for seen in edge.system.seen] == [(path, query)]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://gw.example/guides/1", "/guides/1", ""),
        ("https://gw.example/guides/1?a=b", "/guides/1", "a=b"),
        ("http://GW.example/guides/1", "/guides/1", ""),
        ("http://gw.example", "/", ""),
    ],
)
async def test_an_absolute_target_of_our_own_host_is_carried_as_its_path(edge, target, path, query):
    assert (await edge.ask(request(f"GET {target}"))).status == 200
    assert [(seen.path, seen.query) for seen in edge.system.seen] == [(path, query)]


async def test_the_scheme_of_an_absolute_target_is_not_believed(edge):
    await edge.ask(request("GET http://gw.example/guides/1"))
    assert edge.system.seen[0].values(b"x-forwarded-proto") == [b"https"]


async def test_an_escaped_path_is_not_matched_as_its_decoded_form(edge):
    """`%3F` stays three characters: no rule sees a question mark."""
    assert (await edge.ask(request("GET /guides%3F1"))).status == 404

"""Whatever bytes come: no 500, no hang, no complaint of the loop, nothing forwarded that a strict reader would refuse.

The strict reader below is written from RFC 9112 and docs/security.md alone; it shares nothing with the edge.
"""

import asyncio
import re

import uvloop
from edge_world import Edge, chunked, post, request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_LINE = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) ([!-~]+) HTTP/1\.([01])\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)\r\n")
_PATH = re.compile(rb"(/([A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*)+")
_QUERY = re.compile(rb"([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t -~\x80-\xff]*)?)\r\n")
_HOSTS = {b"gw.example", b"gw.example:8443"}


def read_strictly(raw: bytes) -> list[tuple[str, str, str, bytes]]:
    """Every request, up to the first one that is not plain."""
    requests = []
    while True:
        raw = raw.lstrip(b"\r\n")
        found = _LINE.match(raw)
        if found is None:
            return requests
        method, target, minor = found.groups()
        fields, raw = _read_fields(raw[found.end() :])
        if fields is None or not _is_target(target, fields) or _repeats(fields):
            return requests
        body, raw = _read_body(fields, raw, minor)
        if body is None:
            return requests
        target = re.sub(rb"^https?://[^/]+", b"", target) or b"/"
        path, _, query = target.partition(b"?")
        requests.append((method.decode(), path.decode(), query.decode(), body))


def _read_fields(raw):
    fields = []
    while not raw.startswith(b"\r\n"):
        found = _FIELD.match(raw)
        if found is None:
            return None, raw
        fields.append((found[1].lower(), found[2].strip(b" \t")))
        raw = raw[found.end() :]
    return fields, raw[2:]


def _one(fields, name):
    values = [value for held, value in fields if held == name]
    return values[0] if len(values) == 1 else None


def _repeats(fields):
    once = {b"host", b"content-length", b"transfer-encoding", b"content-type", b"expect"}
    return any(sum(held == name for held, _ in fields) > 1 for name in once)


def _is_target(target, fields):
    host = (_one(fields, b"host") or b"").lower()
    if host not in _HOSTS:
        return False
    absolute = re.fullmatch(rb"https?://([^/?#]*)(/.*)?", target)
    if absolute is not None:
        if absolute[1].lower() != host:
            return False
        target = absolute[2] or b"/"
    path, mark, query = target.partition(b"?")
    if not _PATH.fullmatch(path) or (mark and not _QUERY.fullmatch(query)):
        return False
    if b"//" in path or {b".", b".."} & set(path.split(b"/")):
        return False
    if re.search(rb"%(2[fF]|5[cC]|3[bB]|25|2[eE])", path):
        return False
    octets = re.sub(rb"%(..)", lambda one: bytes([int(one[1], 16)]), target)
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not re.search(r"[\x00-\x1f\x7f]", text)


def _read_body(fields, raw, minor):
    names = [name for name, _ in fields]
    if b"transfer-encoding" in names:
        if (
            (_one(fields, b"transfer-encoding") or b"").lower() != b"chunked"
            or minor == b"0"
            or b"content-length" in names
        ):
            return None, raw
        return _read_chunks(raw)
    if b"content-length" not in names:
        return b"", raw
    length = _one(fields, b"content-length") or b""
    if not re.fullmatch(rb"[0-9]+", length) or len(raw) < int(length):
        return None, raw
    return raw[: int(length)], raw[int(length) :]


def _read_chunks(raw):
    body = b""
    while True:
        found = _CHUNK.match(raw)
        if found is None:
            return None, raw
        size, raw = int(found[1], 16), raw[found.end() :]
        if size == 0:
            trailers, raw = _read_fields(raw)
            return (body, raw) if trailers is not None else (None, raw)
        if raw[size : size + 2] != b"\r\n":
            return None, raw
        body, raw = body + raw[:size], raw[size + 2 :]


_PLAIN = [
    request(), request("HEAD /guides/2?a=b"), request("GET /"), request("GET http://gw.example/guides/3"),
    post("/forms", b"hello"), post("/forms", b""), post("/forms", b"x", "Expect: 100-continue"),
    chunked("/forms", b"hello", b"world"), chunked("/forms", b"a", end=b"0\r\nX-Trailer: 1\r\n\r\n"),
    request("GET /guides/%E6%8C%87", "Accept: a", "Accept: b"), request("GET /guides/1 HTTP/1.0"),
    request("GET /chat", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13"), request("CONNECT a:1"),
]  # fmt: skip
_SPICE = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\x80", b"\xff", b"\xc0\xaf",
    b":", b";", b",", b"/", b"//", b"/..", b"/.", b"#", b"?", b"%", b"%00", b"%2e", b"%2F", b"%5c", b"\\", b"@",
    b"_", b"-", b"+", b"0", b"1", b"5", b"F", b"HTTP/1.1", b"HTTP/2.0", b"RTSP/1.0", b"Host: gw.example\r\n",
    b"Host: x\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n", b"0\r\n\r\n", b"Trailer: a\r\n",
    b"GET /guides/9 HTTP/1.1\r\nHost: gw.example\r\n\r\n", b"Expect: 100-continue\r\n",
]  # fmt: skip


@st.composite
def conversations(draw) -> tuple[bytes, list[int]]:
    """Good requests with a few things wrong, cut into packets anywhere."""
    raw = bytearray(b"".join(draw(st.lists(st.sampled_from(_PLAIN), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(_SPICE))
    cuts = draw(st.lists(st.integers(0, len(raw)), max_size=3))
    return bytes(raw), sorted(cuts)


@st.composite
def good_conversations(draw) -> tuple[list[bytes], list[int]]:
    """Good requests, as many as the parser queues and more, cut into packets anywhere."""
    body = st.sampled_from([b"", b"hello", _PLAIN[0], b"x" * 70_000])
    one = st.one_of(
        st.sampled_from([_PLAIN[0], _PLAIN[2], _PLAIN[3], b"\r\n" + _PLAIN[0]]),
        body.map(lambda content: post("/forms", content)),
    )
    requests = draw(st.lists(one, min_size=1, max_size=40))
    return requests, sorted(draw(st.lists(st.integers(0, sum(map(len, requests))), max_size=4)))


async def _is_answered(edge: Edge, requests: list[bytes], cuts: list[int]) -> None:
    edge.system.seen.clear()
    raw = b"".join(requests)
    wire = await edge.wire()
    for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        await wire.send(raw[begin:end])
        await asyncio.sleep(0)
    assert [(await wire.answer()).status for _ in requests] == [200] * len(requests)
    wire.close()
    assert [(seen.method, seen.path, seen.query, seen.body) for seen in edge.system.seen] == read_strictly(raw)


async def _converse(edge: Edge, raw: bytes, cuts: list[int]) -> None:
    edge.system.seen.clear()
    edge.records.clear()
    edge.system.begun = 0
    wire = await edge.wire()
    try:
        for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            await wire.send(raw[begin:end])
            await asyncio.sleep(0)
        wire.finish()
        said = await wire.rest()
    except (ConnectionError, OSError):
        said = b""
    finally:
        wire.close()
    assert b"HTTP/1.1 5" not in said
    assert edge.errors == []
    assert all(record.status < 500 for record in edge.records)
    plain = iter(read_strictly(raw))
    for seen in edge.system.seen:
        assert (seen.method, seen.path, seen.query, seen.body) in plain, "forwarded, and no strict reader would"
    assert all(seen.path.encode() in raw for seen in edge.system.seen if seen.path != "/")


def _fuzz(strategy, examples: int, one=_converse) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        edge = Edge(header_timeout=1.0, body_timeout=1.0)
        runner.run(edge.__aenter__())

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(strategy)
        def converse(conversation):
            runner.run(one(edge, *conversation))

        try:
            converse()
        finally:
            runner.run(edge.__aexit__())


def test_nearly_good_requests_are_read_strictly_or_not_at_all():
    _fuzz(conversations(), 400)


def test_good_requests_are_all_answered_in_order_however_they_are_cut():
    _fuzz(good_conversations(), 100, _is_answered)


def test_arbitrary_bytes_do_no_harm():
    _fuzz(st.tuples(st.binary(max_size=300), st.just([])), 100)


def test_the_strict_reader_reads_what_is_good():
    """Otherwise the fuzzing above could not find anything."""
    raw = b"".join(_PLAIN[:10])
    assert [path for _, path, _, _ in read_strictly(raw)][:4] == ["/guides/1", "/guides/2", "/", "/guides/3"]
    assert len(read_strictly(raw)) == 10

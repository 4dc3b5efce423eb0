"""What nginx makes of a request before the edge sees it: fields, target, framing. A recorder stands behind it."""

import asyncio
import re

import pytest
from nginx_world import NAME, SHIPPED, Answer, Recorder

from gateway.fields import OWN_PREFIXES

pytestmark = pytest.mark.needs("nginx")

SPOOFED = "203.0.113.9"
CLAIMS = [
    "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-Forwarded-Port", "X-Tif-Uid", "X-Tongguan-Identity", "X-Forwarded-Uri", "X-Forwarded-Method",
    "X-Forwarded-User", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Envoy-Original-Path",
    "Tongguan-Identity", "X-Remote-User", "X-Request-Id", "Proxy", "Client-Cert", "Client-Cert-Chain",
    "X-SSL-Client-Verify", "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "X-Forwarded-Client-Cert",
]  # fmt: skip
"""Fields by which a client could claim what only a gateway, or nobody, may say."""


async def test_the_client_s_address_is_set_and_not_appended(front, recorder):
    """Two fields of the client, and two addresses in one, leave nothing behind: one value, the real peer."""
    head = f"GET /guides/1 HTTP/1.1\r\nX-Forwarded-For: {SPOOFED}, 10.0.0.1\r\nx-forwarded-for: {SPOOFED}"
    await front.ask(head.encode(), source="127.0.0.7")
    assert [value for name, value in recorder.fields if name == "x-forwarded-for"] == ["127.0.0.7"]


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_claim_of_the_client_does_not_pass(front, recorder, name):
    """In any case, and also when the client calls it hop-by-hop."""
    head = f"GET /guides/1 HTTP/1.1\r\n{name}: {SPOOFED}\r\n{name.upper()}: {SPOOFED}\r\nX-Plain: {name}"
    await front.ask(head.encode())
    assert SPOOFED not in [value for _, value in recorder.fields]
    assert ("x-plain", name) in recorder.fields


@pytest.mark.needs("curl")
async def test_the_same_holds_in_http_2(front, recorder):
    """There names are lower case on the wire."""
    claims = [option for name in CLAIMS if name != "Proxy" for option in ("-H", f"{name}: {SPOOFED}")]
    claims += ["-H", f"X-Forwarded-For: {SPOOFED}", "-H", "X-Plain: yes"]
    await asyncio.to_thread(front.curl, "/guides/1", "--http2", *claims)
    assert SPOOFED not in str(recorder.fields)
    assert ("x-plain", "yes") in recorder.fields
    assert ("x-forwarded-for", "127.0.0.1") in recorder.fields


async def test_nginx_adds_nothing_else(front, recorder):
    """The edge sees what the client sent, `X-Forwarded-For` and the framing."""
    await front.ask(
        b"GET /guides/1 HTTP/1.1\r\nAccept: a/b\r\nAccept: c/d\r\nCookie: x=1\r\nTE: trailers\r\nKeep-Alive: 5"
    )
    assert sorted(recorder.fields) == [
        ("accept", "a/b"),
        ("accept", "c/d"),
        ("cookie", "x=1"),
        ("host", NAME),
        ("x-forwarded-for", "127.0.0.1"),
    ]


def test_every_prefix_that_is_ours_has_names_here():
    """nginx cannot clear a prefix; the well-known names of each are listed, and the edge does the rest."""
    text = (SHIPPED / "snippets" / "forward.conf").read_text().lower()
    cleared = re.findall(r'^proxy_set_header (\S+) "";', text, re.MULTILINE)
    for prefix in OWN_PREFIXES:
        assert [name for name in cleared if name.startswith(prefix.decode())], prefix


@pytest.mark.parametrize(
    "target",
    [
        "/a//b", "//a", "/a/./b", "/a/../b", "/a/%2e%2e/b", "/a/%2E/b", "/a%2fb", "/a%5cb", "/a\\b", "/a;b=1/c", "/%61",
        "/a%20b", "/a?b=//../%2f", "/a?b=c?d", "/a+b", "/%E4%BA%8B", "/a?", "/a/",
    ],
)  # fmt: skip
async def test_a_target_arrives_byte_for_byte(front, recorder, target):
    """Neither decoded nor merged nor shortened: whether it can be read in two ways is for the edge to say."""
    await front.ask(f"GET {target} HTTP/1.1".encode())
    assert recorder.line == f"GET {target} HTTP/1.1".encode()


@pytest.mark.parametrize("field", [b"X_User: 1", b"Tongguan_Identity: 1", b"X-Plain: 1\r\nX-Plain: 2", b"X@y: 1"])
async def test_a_field_that_the_edge_refuses_is_not_dropped_in_silence(front, recorder, field):
    """It arrives, so that the edge can answer 400 and record it."""
    await front.ask(b"GET /guides/1 HTTP/1.1\r\n" + field)
    assert field in recorder.heads[0]


async def test_only_a_websocket_upgrade_passes(front, recorder):
    """h2c is not offered to the edge, and a connection for plain requests stays open."""
    await front.ask(b"GET /chat HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ")
    assert not {"upgrade", "connection", "http2-settings"} & {name for name, _ in recorder.fields}
    recorder.heads.clear()
    await front.ask(b"GET /chat HTTP/1.1\r\nUpgrade: WebSocket")
    assert {("upgrade", "websocket"), ("connection", "upgrade")} <= set(recorder.fields)


async def test_connections_to_the_edge_are_kept(front):
    """Ten requests on ten connections of clients take one of ours; the recorder answers each with what it counts."""
    accepted = set()

    class Counting(Recorder):
        async def _take(self, reader, writer):
            accepted.add(id(writer))
            await super()._take(reader, writer)

    async with Counting().at(front.edge):
        for _ in range(10):
            assert (await front.ask(b"GET /guides/1 HTTP/1.1")).status == 204
    assert len(accepted) == 1


async def test_a_body_streams_while_it_is_being_sent(front, recorder):
    """The edge has the first block before the client has sent the second: nothing is collected on disk."""
    reader, writer = await front.connect()
    writer.write(f"POST /uploads HTTP/1.1\r\nHost: {NAME}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n".encode())
    assert await recorder.bodies.get() == b"one"
    writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
    assert Answer(await reader.readuntil(b"\r\n\r\n")).status == 204
    assert await recorder.bodies.get() == b"two"
    writer.close()


async def test_a_system_cannot_steer_nginx_by_its_answer(front):
    """X-Accel-Redirect of a business system is no redirect to an internal location."""
    answer = b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /-/problem\r\nX-Powered-By: PHP\r\nContent-Length: 2\r\n\r\nok"
    async with Recorder(answer).at(front.edge):
        answered = await front.ask(b"GET /guides/1 HTTP/1.1")
    assert (answered.status, answered.body) == (200, b"ok")
    assert not {"x-accel-redirect", "x-powered-by"} & answered.fields.keys()

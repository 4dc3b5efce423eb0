"""What reaches a system: allow-listed fields, then ours; whose address; never what a client claims to be."""

import pytest
from edge_world import request
from path_world import principal

from gateway.model import Allow
from gateway.units import parse_network

GOOD = "Authorization: Bearer good"
OWN = {b"x-request-id", b"traceparent", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}


async def forwarded(edge, *fields, line="GET /guides/1"):
    assert (await edge.ask(request(line, *fields))).status == 200
    return edge.system.seen[-1]


@pytest.mark.parametrize("name", [
    "Tongguan-Identity", "TONGGUAN-Subject", "X-Tongguan-Identity", "X-Tif-Uid", "X-Original-Url", "X-Original-Uri",
    "X-Rewrite-Url", "X-Envoy-Original-Path", "X-Forwarded-Uri", "X-Forwarded-User", "X-Forwarded-Email",
    "X-Forwarded-Prefix", "X-Real-Ip", "X-Auth-Request-User", "X-User", "Remote-User", "Forwarded", "Via",
    "Authorization", "Cookie", "X-Http-Method-Override", "Tracestate", "X-Anything",
])  # fmt: skip
async def test_what_is_not_on_the_list_never_reaches_the_system(edge, name):
    seen = await forwarded(edge, f"{name}: forged")
    assert {held for held, _ in seen.fields} == OWN
    assert all(b"forged" not in value for _, value in seen.fields)


@pytest.mark.parametrize("name", ["Host", "Keep-Alive", "TE", "Trailer", "Proxy-Authorization", "Proxy-Connection"])
async def test_what_is_meant_for_one_hop_ends_here(edge, name):
    fields = [] if name == "Host" else [f"{name}: trailers"]
    seen = await forwarded(edge, *fields)
    assert seen.values(name.lower().encode()) == []


@pytest.mark.parametrize("name", ["X-Request-Id", "Traceparent", "X-Forwarded-For", "X-Forwarded-Host"])
async def test_our_own_fields_replace_a_clients(edge, name):
    seen = await forwarded(edge, f"{name}: forged")
    values = seen.values(name.lower().encode())
    assert len(values) == 1
    assert b"forged" not in values[0]


@pytest.mark.parametrize("connection", [
    "X-Request-Id, Traceparent, X-Forwarded-For", "close, x-forwarded-proto", "tongguan-account, x-request-id",
])  # fmt: skip
async def test_connection_cannot_delete_what_we_add(edge, connection):
    edge.reauthorizer.decision = Allow(inject=((b"tongguan-account", b"42"),))
    seen = await forwarded(edge, GOOD, f"Connection: {connection}", line="GET /mine")
    assert {name for name, _ in seen.fields} == OWN | {b"tongguan-account"}


async def test_connection_takes_out_what_the_client_meant_for_us_alone(edge):
    seen = await forwarded(edge, "Accept: a/b", "If-Match: x", "Connection: if-match")
    assert seen.values(b"accept") == [b"a/b"]
    assert seen.values(b"if-match") == []


async def test_an_injected_field_stands_alone(edge):
    edge.reauthorizer.decision = Allow(inject=((b"tongguan-account", b"42"),))
    seen = await forwarded(edge, GOOD, "Tongguan-Account: 7", line="GET /mine")
    assert seen.values(b"tongguan-account") == [b"42"]
    assert seen.principal == principal()


@pytest.mark.parametrize("name", [
    b"accept", b"x-request-id", b"x-forwarded-for", b"content-length", b"host", b"connection", b"Tongguan-Account",
    b"bad name", b"",
])  # fmt: skip
async def test_an_injected_field_that_could_be_mistaken_ends_the_request(edge, name):
    edge.reauthorizer.decision = Allow(inject=((name, b"42"),))
    assert (await edge.ask(request("GET /mine", GOOD))).status == 500
    assert edge.system.begun == 0


async def test_repeated_list_fields_arrive_as_one(edge):
    seen = await forwarded(edge, "Accept: a/b", "Accept: c/d")
    assert seen.values(b"accept") == [b"a/b, c/d"]


async def test_obscure_bytes_of_a_value_arrive_unchanged(edge):
    seen = await forwarded(edge, b'If-Match: "\xe6\x8c\x87\xff"')
    assert seen.values(b"if-match") == [b'"\xe6\x8c\x87\xff"']


@pytest.mark.parametrize("fields", [
    ["X-Forwarded-For: 203.0.113.9"], ["X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9"],
    ["X-Forwarded-For: x"],
])  # fmt: skip
async def test_nobody_may_say_who_the_client_is_by_default(edge, fields):
    seen = await forwarded(edge, *fields)
    assert seen.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert edge.records[0].client == "127.0.0.1"


@pytest.mark.parametrize(("lines", "client"), [
    (["203.0.113.9"], "203.0.113.9"),
    (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
    (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
    (["198.51.100.1, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
    (["203.0.113.9,10.0.0.7 ,\t127.0.0.1"], "203.0.113.9"),
    (["2001:db8::1"], "2001:db8::1"),
    (["203.0.113.9, ::ffff:10.0.0.7"], "203.0.113.9"),
    (["10.0.0.7, 10.0.0.8"], "127.0.0.1"),
    ([], "127.0.0.1"),
])  # fmt: skip
async def test_a_trusted_proxy_says_who_the_client_is(make_edge, lines, client):
    edge = await make_edge(trusted=(parse_network("127.0.0.0/8"), parse_network("10.0.0.0/8")))
    seen = await forwarded(edge, *(f"X-Forwarded-For: {line}" for line in lines))
    assert seen.values(b"x-forwarded-for") == [client.encode()]
    assert edge.records[0].client == client


@pytest.mark.parametrize("value", [
    "", ",", "unknown", "203.0.113.9:80", "203.0.113.256", "１.2.3.4", "203.0.113.9, x", "203.0.113.9;",
    "[2001:db8::1]",
    "0x7f.1", "203.0.113.9\t10",
])  # fmt: skip
async def test_garbage_from_a_trusted_proxy_is_refused(make_edge, value):
    edge = await make_edge(trusted=(parse_network("127.0.0.1"),))
    await edge.refuses(request("GET /guides/1", f"X-Forwarded-For: {value}"), 400, "request-malformed")


@pytest.mark.parametrize(("trusted", "client"), [((), "unix"), (("unix",), "203.0.113.9")])
async def test_the_peer_on_a_unix_socket_is_trusted_by_name(make_edge, tmp_path, trusted, client):
    edge = await make_edge(path=tmp_path / "edge.sock", trusted=trusted)
    seen = await forwarded(edge, "X-Forwarded-For: 203.0.113.9")
    assert seen.values(b"x-forwarded-for") == [client.encode()]

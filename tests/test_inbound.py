"""The raw-request check without a socket: what depends on its own settings. tests/edge sends the rest as raw bytes."""

import pytest
from aiohttp.http_parser import RawRequestMessage
from aiohttp.http_writer import HttpVersion, HttpVersion11
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from path_world import ID
from yarl import URL

from gateway.errors import HostUnknown, RequestMalformed
from gateway.inbound import InboundReader
from gateway.settings import LimitSettings
from gateway.units import parse_network


def message(path="/guides/1", *fields, method="GET", version=HttpVersion11):
    raw = ((b"Host", b"gw.example"), *fields)
    named = CIMultiDictProxy(CIMultiDict())
    return RawRequestMessage(method, path, version, named, raw, False, None, False, False, URL("/"))


def reader(*trusted, hosts=("GW.example", "gw.example:8443", "[::1]:80")):
    return InboundReader(hosts, "https", [parse_network(one) for one in trusted], LimitSettings())


def read(given, reading=None, peer="192.0.2.1", trusted=False):
    return (reading or reader()).read(given, ID, peer, trusted)


def test_names_are_in_lower_case_and_values_as_they_were():
    inbound = read(message("/guides/1?a=B", (b"X-ThInG", b"VaLue")))
    assert inbound.fields == {b"host": b"gw.example", b"x-thing": b"VaLue"}
    assert (inbound.path, inbound.query, inbound.host, inbound.scheme) == ("/guides/1", "a=B", "gw.example", "https")


HANDSHAKE = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}


@pytest.mark.parametrize("host", [b"gw.example", b"GW.EXAMPLE", b"gw.example:8443", b"[::1]:80"])
def test_a_configured_host_is_served_whatever_its_case(host):
    given = message()
    given = given._replace(raw_headers=((b"Host", host),))
    assert read(given).host == host.decode().lower()


def test_the_list_of_hosts_is_exact():
    with pytest.raises(HostUnknown):
        read(message(), reader(hosts=("gw.example:8443",)))


@pytest.mark.parametrize("version", [HttpVersion(0, 9), HttpVersion(1, 2), HttpVersion(2, 0), HttpVersion(9, 9)])
def test_other_versions_are_refused(version):
    with pytest.raises(RequestMalformed):
        read(message(version=version))


@pytest.mark.parametrize(("trusted", "peer", "believed"), [
    ((), "10.0.0.1", False), ((), "", False), (("unix",), "", True), (("unix",), "10.0.0.1", False),
    (("10.0.0.0/8",), "10.0.0.1", True), (("10.0.0.0/8",), "11.0.0.1", False), (("10.0.0.0/8",), "", False),
    (("10.0.0.0/8",), "::ffff:10.0.0.1", True), (("fd00::/8",), "fd00::1", True), (("fd00::/8",), "10.0.0.1", False),
    (("fe80::/10",), "fe80::1%eth0", True),
])  # fmt: skip
def test_only_configured_peers_are_believed(trusted, peer, believed):
    assert reader(*trusted).trusts(peer) is believed


def test_a_chain_of_proxies_alone_means_the_peer_and_is_not_remembered_for_another_one():
    reading = reader("10.0.0.0/8")
    given = message("/", (b"X-Forwarded-For", b"10.0.0.9"))
    assert read(given, reading, "10.0.0.1", trusted=True).client == "10.0.0.1"
    assert read(given, reading, "10.0.0.2", trusted=True).client == "10.0.0.2"


def test_what_is_remembered_is_bounded():
    reading = reader("10.0.0.0/8")
    for number in range(5000):
        forwarded = b"203.0.%d.%d" % divmod(number % 65536, 256)
        read(message("/", (b"X-%d" % number, b"x"), (b"X-Forwarded-For", forwarded)), reading, "10.0.0.1", trusted=True)
    assert len(reading._names) <= 2048
    assert len(reading._addresses) <= 2048
    read(message("/", (b"A" * 5000, b"x")), reading)
    assert max(map(len, reading._names)) <= 64


@pytest.mark.parametrize(("fields", "asked"), [
    ({"Connection": "Upgrade", "Upgrade": "WebSocket", **HANDSHAKE}, "websocket"),
    ({"Connection": "keep-alive, upgrade", "Upgrade": "websocket", **HANDSHAKE}, "websocket"),
    ({"Connection": "close", "Upgrade": "websocket", **HANDSHAKE}, None),
    ({"Upgrade": "websocket", **HANDSHAKE}, None),
    ({"Connection": "Upgrade", "Upgrade": "websocket"}, None),
    ({"Connection": "Upgrade", "Upgrade": "websocket, h2c", **HANDSHAKE}, None),
    ({"Connection": "Upgrade", "Upgrade": "h2c", **HANDSHAKE}, None),
])  # fmt: skip
def test_only_a_whole_websocket_handshake_asks_for_a_switch(fields, asked):
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    assert read(message("/chat", *raw)).upgrade == asked


def test_a_websocket_is_asked_for_with_get():
    raw = [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"Sec-WebSocket-Version", b"13"),
    ]
    assert read(message("/chat", *raw, method="POST")).upgrade is None


@given(st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: "/" + text))
def test_a_path_is_kept_as_it_is_or_refused(target):
    try:
        inbound = read(message(target))
    except RequestMalformed:
        return
    assert target in {inbound.path, f"{inbound.path}?{inbound.query}"}
    assert target.isascii()
    assert not set(inbound.path) & set('\\;#?"<>^`{|} ')
    assert "//" not in inbound.path
    assert not {".", ".."} & set(inbound.path.split("/"))

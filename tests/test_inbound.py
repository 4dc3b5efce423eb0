"""The raw-request check without a socket: what depends on its own settings. tests/edge sends the rest as raw bytes."""

import contextlib
import hashlib
from base64 import b64encode
from urllib.parse import quote

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


DER = b"\x30\x81\x85" + bytes(range(0x85))
"""One whole element, which is all that this gateway looks at; tests/nginx has a real certificate."""
FINGERPRINT = hashlib.sha256(DER).hexdigest()
BASE64 = b64encode(DER).decode()
PEM = "\n".join(["-----BEGIN CERTIFICATE-----", BASE64[:64], BASE64[64:], "-----END CERTIFICATE-----", ""])
STANDARD = {"Client-Cert": f":{BASE64}:"}
OF_NGINX = {"X-SSL-Client-Verify": "SUCCESS", "X-SSL-Client-Cert": quote(PEM, safe="")}


def shown(fields, reading=None, trusted=True):
    """The certificate that a request with these fields has."""
    raw = [(name.encode(), value.encode()) for name, value in fields.items()]
    return read(message("/", *raw), reading, trusted=trusted).certificate


@pytest.mark.parametrize("fields", [
    STANDARD, OF_NGINX,
    OF_NGINX | {"X-SSL-Client-Cert": quote(PEM.replace("\n", "\r\n"), safe="")},
    OF_NGINX | {"X-SSL-Client-Cert": quote(PEM.strip(), safe="+/=")},
])  # fmt: skip
def test_a_trusted_proxy_says_which_certificate_the_client_has_shown(fields):
    assert shown(fields) == FINGERPRINT


@pytest.mark.parametrize("fields", [
    STANDARD, OF_NGINX, STANDARD | OF_NGINX, {"Client-Cert": "junk"}, OF_NGINX | {"X-SSL-Client-Cert": "junk"},
])  # fmt: skip
def test_what_anybody_else_says_of_a_certificate_is_ignored(fields):
    assert shown(fields, trusted=False) is None


@pytest.mark.parametrize("verdict", ["NONE", "FAILED:certificate has expired", "success", "SUCCESS2", "", "0"])
def test_a_certificate_that_nginx_has_not_accepted_is_none(verdict):
    assert shown(OF_NGINX | {"X-SSL-Client-Verify": verdict}) is None


def test_a_certificate_without_a_verdict_is_none():
    assert shown({"X-SSL-Client-Cert": OF_NGINX["X-SSL-Client-Cert"]}) is None


@pytest.mark.parametrize("value", [
    "", "::", BASE64, f":{BASE64}", f":{BASE64}:;a=1", f": {BASE64}:", ":MAMCAQ==:", ":MAMCAQEA:", ":MQMCAQE=:",
    ":MAM=A:", f":{BASE64[:-1]}:", quote(PEM, safe=""),
])  # fmt: skip
def test_a_client_cert_that_cannot_be_read_is_refused(value):
    with pytest.raises(RequestMalformed, match="cannot be read"):
        shown({"Client-Cert": value})


@pytest.mark.parametrize("value", [
    None, "", BASE64, STANDARD["Client-Cert"], PEM.replace("\n", " "), quote(PEM * 2), quote(PEM)[:-30],
    quote(PEM.replace("CERTIFICATE", "PUBLIC KEY")), "%2",
    "-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----",
])  # fmt: skip
def test_an_accepted_certificate_of_nginx_that_cannot_be_read_is_refused(value):
    with pytest.raises(RequestMalformed, match="cannot be read"):
        shown({"X-SSL-Client-Verify": "SUCCESS"} | ({} if value is None else {"X-SSL-Client-Cert": value}))


@pytest.mark.parametrize("verdict", ["SUCCESS", "NONE"])
def test_a_certificate_in_two_spellings_is_refused(verdict):
    """The proxy wrote one of them, and let the other one through."""
    with pytest.raises(RequestMalformed, match="two spellings"):
        shown(STANDARD | OF_NGINX | {"X-SSL-Client-Verify": verdict})


def test_certificates_are_remembered_and_their_number_is_bounded():
    reading = reader()
    for number in [*range(600), 599]:
        der = b"\x30\x02" + number.to_bytes(2)
        assert shown({"Client-Cert": f":{b64encode(der).decode()}:"}, reading) == hashlib.sha256(der).hexdigest()
    remembered = reading._fingerprint.cache_info()
    assert (remembered.hits, remembered.currsize) == (1, 512)


@given(st.binary(max_size=40))
def test_any_value_of_a_trusted_proxy_is_a_fingerprint_or_a_refusal(value):
    for fields in ((b"Client-Cert", value),), ((b"X-SSL-Client-Verify", b"SUCCESS"), (b"X-SSL-Client-Cert", value)):
        with contextlib.suppress(RequestMalformed):
            assert len(read(message("/", *fields), trusted=True).certificate) == 64


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

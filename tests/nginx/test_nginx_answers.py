"""What nginx answers by itself: TLS, foreign names, malformed requests, and the edge being away."""

import asyncio
import json
import re
import ssl

import pytest
from nginx_world import DEADLINE, NAME, SHIPPED, Answer, Nginx, Recorder, wait_until
from record_files import records_in

import gateway.errors

pytestmark = pytest.mark.needs("nginx")

PLAIN = b"GET /guides/1 HTTP/1.1"


def problem_of(answer):
    assert answer.fields["content-type"] == "application/problem+json"
    assert b"nginx" not in answer.body.lower()
    return json.loads(answer.body)


async def test_an_edge_that_is_away_is_a_503_to_try_again(front):
    """Nothing was handed over, so trying again is safe; the answer looks like the edge's own."""
    answer = await front.ask(PLAIN)
    problem = problem_of(answer)
    assert (answer.status, problem["status"], problem["code"]) == (503, 503, "cannot-decide")
    assert answer.fields["retry-after"] == "5"
    assert answer.fields["x-request-id"] == problem["request_id"]
    assert answer.fields["strict-transport-security"] == "max-age=31536000"


async def test_an_edge_that_breaks_off_is_a_502(front):
    """The request was handed over: what became of it is unknown, and it is not sent a second time."""
    async with Recorder(b"").at(front.edge) as recorder:
        reader, writer = await front.connect()
        writer.write(PLAIN + f"\r\nHost: {NAME}\r\n\r\n".encode())
        wait_for_one = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
        await until(lambda: recorder.heads)
        recorder.cut()
        head = await asyncio.wait_for(wait_for_one, DEADLINE)
        answer = Answer(head + await reader.readexactly(int(Answer(head).fields["content-length"])))
        writer.close()
    assert (answer.status, problem_of(answer)["code"]) == (502, "upstream-invalid")
    assert len(recorder.heads) == 1


async def until(holds):
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - nginx, another process, has no event to wait for
            await asyncio.sleep(0.01)


async def test_one_address_has_only_so_many_requests_under_way(tmp_path):
    """Beyond it 429 with Retry-After; another address is not touched by that."""
    with Nginx(tmp_path, limit_conn="clients 1").running() as nginx:
        async with Recorder(b"").at(nginx.edge) as recorder:
            _, held = await nginx.connect()
            held.write(PLAIN + f"\r\nHost: {NAME}\r\n\r\n".encode())
            await until(lambda: recorder.heads)
            refused = await nginx.ask(PLAIN)
            _, other = await nginx.connect(source="127.0.0.2")
            other.write(PLAIN + f"\r\nHost: {NAME}\r\n\r\n".encode())
            await until(lambda: len(recorder.heads) == 2)
            recorder.cut()
            held.close()
            other.close()
    assert (refused.status, problem_of(refused)["code"]) == (429, "rate-limited")
    assert refused.fields["retry-after"] == "1"


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET /a b HTTP/1.1", 400, "request-malformed"),
        (b"GET /%00 HTTP/1.1", 400, "request-malformed"),
        (b"GET /%zz HTTP/1.1", 400, "request-malformed"),
        (b"GET /../a HTTP/1.1", 400, "request-malformed"),
        (b"GET /a HTTP/1.1\r\nBad Name: 1", 400, "request-malformed"),
        (b"GET /a HTTP/1.1\r\nHost: " + NAME.encode() + b"\r\nHost: other", 400, "request-malformed"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", 400, "request-malformed"),
        (b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400, "request-malformed"),
        (b"TRACE /a HTTP/1.1", 405, "method-not-allowed"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414, "target-too-long"),
        (b"GET /a HTTP/1.1\r\nCookie: " + b"a" * 9000, 431, "headers-too-large"),
        (b"GET /a HTTP/1.1" + b"\r\nCookie: " * 5 + b"\r\nX: ".join([b"a" * 7000] * 6), 431, "headers-too-large"),
        (b"GET /a HTTP/1.1\r\nHost: other.example", 421, "host-unknown"),
    ],
)
async def test_what_nginx_refuses_looks_like_a_refusal_of_the_edge(front, recorder, head, status, code):
    """Same body, same codes, no product; nothing reaches the edge."""
    answer = await front.ask(head, b"0\r\n\r\n" if head.startswith(b"POST") else b"")
    problem = problem_of(answer)
    assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
    assert recorder.heads == []


@pytest.mark.parametrize("target", ["/a", "a:443"])
async def test_connect_is_refused_in_one_of_two_ways(front, recorder, target):
    """Which target of CONNECT is malformed, and which is well formed and not allowed, depends on nginx's version."""
    problem = problem_of(await front.ask(f"CONNECT {target} HTTP/1.1".encode()))
    assert (problem["status"], problem["code"]) in ((400, "request-malformed"), (405, "method-not-allowed"))
    assert recorder.heads == []


async def test_what_nginx_refuses_is_recorded_by_nginx_and_nothing_else_is(front, recorder):
    """Who, when, status and the id of the answer; no target, no field, no body."""
    refused = problem_of(await front.ask(b"GET /secret%00?token=hidden HTTP/1.1"))
    carried = await front.ask(PLAIN)
    id_ = refused["request_id"]
    wait_until(lambda: id_ in {one["trace.id"] for one in records_in(front.unrecorded)}, "the record")
    records = records_in(front.unrecorded)
    [record] = [one for one in records if one["trace.id"] == id_]
    assert (record["client.address"], record["http.response.status_code"]) == ("127.0.0.1", 400)
    assert "secret" not in str(records)
    assert carried.status == 204
    assert 204 not in [one["http.response.status_code"] for one in records]


def test_its_texts_are_those_of_the_edge():
    """Code, title and sentence of each problem stand in gateway/errors.py, with a status that fits."""
    text = (SHIPPED / "snippets" / "problem-texts.conf").read_text()
    codes = dict(re.findall(r"^    (\d{3}) ([a-z-]+);", text, re.MULTILINE))
    texts = re.findall(r'^    ([a-z-]+) "(.+)";', text, re.MULTILINE)
    known = {kind.code: kind for kind in classes_of(gateway.errors.GatewayError)}
    for status, code in codes.items():
        assert known[code].status == int(status)
        assert set(known[code].title) == {line for name, line in texts if name == code}


def classes_of(error):
    yield error
    for kind in error.__subclasses__():
        yield from classes_of(kind)


async def test_a_name_that_is_not_ours_is_not_shown_a_certificate(front):
    """The handshake ends before the certificate."""
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized name"):
        await front.connect(name="other.example")


@pytest.mark.parametrize(("offered", "chosen"), [(("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1")])
async def test_http_2_is_agreed_on_in_the_handshake(front, offered, chosen):
    """By ALPN (RFC 7301), HTTP/1.1 for who does not know it."""
    _, writer = await asyncio.open_connection("127.0.0.1", front.port, ssl=front.tls(*offered), server_hostname=NAME)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(front, version):
    """Also when the client would take any cipher for it."""
    context = front.tls()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", front.port, ssl=context, server_hostname=NAME)


async def test_tls_1_2_without_forward_secrecy_is_refused(front):
    """RSA key exchange and CBC are not offered."""
    context = front.tls()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
        await asyncio.open_connection("127.0.0.1", front.port, ssl=context, server_hostname=NAME)


async def test_plain_http_only_says_where_to_go(front, recorder):
    """The method is kept, the name is ours and not the caller's, and nothing is carried."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.plain_port)
    writer.write(b"POST /a//b?c HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n")
    answer = Answer(await reader.read())
    writer.close()
    assert (answer.status, answer.fields["location"]) == (308, f"https://{NAME}/a//b?c")
    assert "strict-transport-security" not in answer.fields
    assert recorder.heads == []

"""nginx and a real edge of the sandbox together: whole requests as the public would send them."""

import asyncio
import hashlib
import json
import re
import time

import aiohttp
import pytest
from nginx_world import DEADLINE, NAME, SHIPPED, Answer, wait_until
from record_files import records_in

from sandbox.story import CONTRIBUTIONS, GUIDE
from sandbox.visitor import Visitor

pytestmark = pytest.mark.needs("nginx")

SPOOFED = "203.0.113.9"


@pytest.fixture
async def session(gate):
    """A client that knows the certificate."""
    resolver = aiohttp.TCPConnector(resolver=_Here(), ssl=gate.tls("http/1.1"))
    async with aiohttp.ClientSession(f"https://{NAME}:{gate.port}", connector=resolver) as made:
        yield made


class _Here(aiohttp.abc.AbstractResolver):
    """Every name is this machine."""

    async def resolve(self, host, port=0, family=0):
        found = {"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}
        return [found]

    async def close(self):
        """Nothing to close."""


def record_of(gate, request_id):
    """The edge's record of a request, once it is there."""
    found = []

    def there():
        found[:] = [record for record in records_in(gate.records) if record.get("trace.id") == request_id]
        return found

    wait_until(there, "the record")
    [record] = found
    return record


@pytest.mark.needs("curl")
@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_request_reaches_the_edge_and_its_system(gate, version):
    """In both versions; curl says which one it spoke."""
    *body, spoken = gate.curl(GUIDE, version, "-w", "\n%{http_version}").splitlines()
    assert json.loads("".join(body))["id"] == "social-insurance"
    assert spoken == {"--http1.1": "1.1", "--http2": "2"}[version]


async def test_the_record_has_the_real_peer_and_not_what_the_client_says(gate):
    """Clients have different addresses here; a forged field changes nothing."""
    for source in ("127.0.0.1", "127.0.0.5"):
        answer = await gate.ask(f"GET {GUIDE} HTTP/1.1\r\nX-Forwarded-For: {SPOOFED}".encode(), source=source)
        assert answer.status == 200
        assert record_of(gate, answer.fields["x-request-id"])["client.address"] == source


async def test_no_claim_of_the_client_reaches_a_business_system(gate, sandbox, session):
    """The system across the gatekeeper answers with all that it received: the signed identity is the edge's."""
    async with aiohttp.ClientSession() as outside:
        token = await Visitor(sandbox.places, outside).token("citizen-1")
    claims = dict.fromkeys(["Tongguan-Identity", "Tongguan-Anything", "X-Original-URL", "X-Forwarded-User"], SPOOFED)
    async with session.get(CONTRIBUTIONS, headers={"Authorization": f"Bearer {token}", **claims}) as answer:
        assert answer.status == 200
        received = await answer.json()
    assert SPOOFED not in json.dumps(received)
    assert received["headers"]["tongguan-identity"].count(".") == 2


@pytest.mark.parametrize(
    "target",
    [
        "/guides//1", "//guides/1", "/guides/%2e%2e/guides", "/guides/../guides/1", "/guides%2f1", "/guides/%5c1",
        "/guides\\1", "/guides/1;a=1", "/guides/1#a",
    ],
)  # fmt: skip
async def test_a_target_that_could_be_read_in_two_ways_is_refused_by_the_edge(gate, target):
    """400 with the edge's code, and a record of it."""
    answer = await gate.ask(f"GET {target} HTTP/1.1".encode())
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "target-refused")
    assert record_of(gate, answer.fields["x-request-id"])["code"] == "target-refused"


async def test_the_record_of_a_refused_request_has_the_real_peer_too(gate):
    """Refused requests are the attacks: their records are the ones in which somebody looks for an address."""
    answer = await gate.ask(b"GET /guides//1 HTTP/1.1", source="127.0.0.6")
    assert record_of(gate, answer.fields["x-request-id"])["client.address"] == "127.0.0.6"


@pytest.mark.parametrize("field", ["X_Forwarded_For: 1", "Tongguan_Identity: 1", "X-Ak: 1\r\nX-Ak: 2"])
async def test_a_field_name_with_an_underscore_or_a_second_value_is_refused(gate, field):
    """By the edge, with a record."""
    answer = await gate.ask(f"GET {GUIDE} HTTP/1.1\r\n{field}".encode())
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "request-malformed")
    assert record_of(gate, answer.fields["x-request-id"])["decision"] == "refused"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/status", "/metrics", "/reload", "/revocations", "/-/problem"])
async def test_nothing_of_the_management_listener_or_of_nginx_is_offered(gate, path):
    """404 like every other path that is no item's."""
    answer = await gate.ask(f"GET {path} HTTP/1.1".encode())
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "item-unknown")


def test_the_shipped_files_know_no_address_of_a_management_listener():
    """What nginx does not know it cannot show."""
    text = "".join(path.read_text() for path in SHIPPED.rglob("*.conf"))
    assert "8081" not in text
    assert "management" not in text
    assert set(re.findall(r"proxy_pass (\S+);", text)) == {"http://console", "http://edge"}


async def test_a_websocket_passes(session):
    """Greeting, echo, farewell."""
    async with session.ws_connect("/assistant/chat") as chat:
        await chat.receive_str(timeout=DEADLINE)
        await chat.send_str("ping")
        assert await chat.receive_str(timeout=DEADLINE) == "assistant: ping"
        await chat.send_str("bye")
        await chat.receive_str(timeout=DEADLINE)
        assert (await chat.receive(timeout=DEADLINE)).type is aiohttp.WSMsgType.CLOSE


async def test_events_arrive_one_by_one(session):
    """The first is here while the system still works on the others."""
    began = time.monotonic()
    async with session.get("/assistant/answers", params={"question": "pension"}) as answer:
        arrived = [time.monotonic() - began async for line in answer.content if line.startswith(b"event:")]
    assert answer.content_type == "text/event-stream"
    assert len(arrived) == 6
    assert arrived[-1] - arrived[0] > 0.5


async def test_a_large_body_streams_through(session, gate):
    """24 MiB in blocks of unknown total length; the system measures what arrives."""
    block, count = bytes(range(256)) * 256, 384
    async with session.post("/uploads", data=_blocks(block, count)) as answer:
        measured = await answer.json()
    assert measured == {"length": len(block) * count, "sha256": hashlib.sha256(block * count).hexdigest()}
    assert not [path for path in (gate.folder / "client_body").rglob("*") if path.is_file()]


async def _blocks(block, count):
    for _ in range(count):
        yield block


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_beyond_the_item_s_limit_is_refused_by_the_edge(gate, declared):
    """413 with the edge's code, whether the length was declared or found out on the way."""
    size, block = 40 << 20, b"x" * 65536
    framing = f"Content-Length: {size}" if declared else "Transfer-Encoding: chunked"
    reader, writer = await gate.connect()
    writer.write(f"POST /uploads HTTP/1.1\r\nHost: {NAME}\r\n{framing}\r\n\r\n".encode())
    sending = asyncio.create_task(_send(writer, block if declared else b"10000\r\n" + block + b"\r\n", size // 65536))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)
    answer = Answer(head + await reader.readexactly(int(Answer(head).fields["content-length"])))
    sending.cancel()
    writer.close()
    assert (answer.status, json.loads(answer.body)["code"]) == (413, "body-too-large")


async def _send(writer, block, count):
    for _ in range(count):
        writer.write(block)
        await writer.drain()


async def test_an_oversized_header_block_is_refused(gate):
    """One line by nginx, many fields by the edge: 431 both times."""
    one = await gate.ask(b"GET /guides/1 HTTP/1.1\r\nCookie: " + b"a" * 9000)
    many = await gate.ask(b"GET /guides/1 HTTP/1.1" + b"".join(b"\r\nX-%d: 1" % number for number in range(101)))
    assert [one.status, many.status] == [431, 431]
    assert json.loads(one.body)["code"] == json.loads(many.body)["code"] == "headers-too-large"


async def test_a_problem_of_the_edge_passes_untouched(gate):
    """Its own body, id and language, also for a status that nginx has a page for."""
    answer = await gate.ask(f"GET {CONTRIBUTIONS} HTTP/1.1\r\nAccept-Language: en".encode())
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], problem["detail"][:6]) == (401, "token-missing", "Please")
    assert answer.fields["x-request-id"] == problem["request_id"]
    assert answer.fields["strict-transport-security"] == "max-age=31536000"

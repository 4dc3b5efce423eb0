"""Fetching over real sockets: every trap of the HTTP client is closed, every failure is an OSError."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable

import pytest

from gateway.contracts import HttpAnswer
from gateway.fetch import HttpFetch, check_platform_address


class Origin:
    """A server that records what arrives and answers with bytes as told; None closes without an answer."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            self.requests.append(head + await reader.readexactly(length))
            await self.hold.wait()
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        writer.close()

    def url(self, path: str = "/jwks", host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    origin = Origin()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    yield origin
    origin.hold.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def fetch() -> AsyncIterator[HttpFetch]:
    fetch = HttpFetch()
    yield fetch
    await fetch.close()


def http(body: bytes, status: str = "200 OK", *fields: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields))
    return head.encode() + b"\r\n\r\n" + body


async def outcome(call: Awaitable[HttpAnswer]) -> HttpAnswer | OSError:
    """The answer, or the one kind of error that the contract names; any other error passes and fails the test."""
    try:
        return await call
    except OSError as error:
        return error


async def test_an_answer_is_its_status_its_media_type_and_its_body(fetch, origin):
    origin.answers = [http(b"{}", "200 OK", "Content-Type: Application/JSON; charset=utf-8")]
    answer = await fetch("GET", origin.url())
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", b"{}")


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("Tue, 09 Nov 2021 08:49:20 GMT", 1636447760.0),
        ("Tue, 09 Nov 2021 08:49:20 -0000", 1636447760.0),
        ("Tuesday, 09-Nov-21 08:49:20 GMT", 1636447760.0),
        ("Tue, 99 Nov 2021 08:49:20 GMT", None),
        ("1636447760", None),
        ("", None),
    ],
)
async def test_the_other_sides_clock_is_read_from_its_date(fetch, origin, date, told):
    origin.answers = [http(b"{}", "200 OK", f"Date: {date}")]
    assert (await fetch("GET", origin.url())).date == told


async def test_without_a_date_the_other_sides_clock_is_not_known(fetch, origin):
    origin.answers = [http(b"{}")]
    assert (await fetch("GET", origin.url())).date is None


async def test_method_fields_and_body_go_out_as_given(fetch, origin):
    origin.answers = [http(b"{}")]
    await fetch("POST", origin.url("/a%2Fb?x=%7e"), fields={"X-Own": "1"}, body=b"token=t")
    assert origin.requests[0].startswith(b"POST /a%2Fb?x=%7e HTTP/1.1\r\n")
    assert b"X-Own: 1\r\n" in origin.requests[0]
    assert origin.requests[0].endswith(b"\r\n\r\ntoken=t")


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "500 Oops"])
async def test_any_status_is_an_answer_and_no_redirect_is_followed(fetch, origin, status):
    origin.answers = [http(b"", status, f"Location: {origin.url('/elsewhere')}")]
    answer = await fetch("GET", origin.url())
    assert int(status[:3]) == answer.status
    assert len(origin.requests) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_request_whose_connection_drops_is_not_sent_again(fetch, origin, method):
    origin.answers = [None]
    assert isinstance(await outcome(fetch(method, origin.url())), OSError)
    assert len(origin.requests) == 1


async def test_a_cookie_is_not_kept_for_the_next_request(fetch, origin):
    origin.answers = [http(b"", "200 OK", "Set-Cookie: sid=secret; Path=/")]
    await fetch("GET", origin.url())
    await fetch("GET", origin.url())
    assert b"cookie" not in origin.requests[1].lower()


async def test_a_proxy_of_the_environment_is_not_used(fetch, origin, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    origin.answers = [http(b"{}")]
    assert (await fetch("GET", origin.url())).status == 200


async def test_the_largest_answer_is_the_limit_itself(fetch, origin):
    origin.answers = [http(b"x" * 1000)]
    assert len((await fetch("GET", origin.url(), limit=1000)).body) == 1000
    with pytest.raises(OSError, match="larger than 999"):
        await fetch("GET", origin.url(), limit=999)


async def test_an_answer_that_never_ends_is_given_up_in_time(fetch, origin):
    origin.hold.clear()
    origin.answers = [http(b"{}")]
    with pytest.raises(TimeoutError):
        await fetch("GET", origin.url(), timeout=0.05)


UNUSABLE = {
    "compressed": http(gzip.compress(b"x" * 100_000), "200 OK", "Content-Encoding: gzip"),
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "cut short": http(b"x" * 100)[:-50],
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
    "status 999": http(b"", "999 Odd"),
    "status 000": http(b"", "000 Odd"),
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "an endless field": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_what_is_not_usable_is_an_oserror(fetch, origin, answer):
    origin.answers = [answer]
    assert isinstance(await outcome(fetch("GET", origin.url(), timeout=2.0)), OSError)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://no-such-host.invalid/", "nonsense", "http://[::1", "ftp://127.0.0.1/", ""]
)
async def test_what_cannot_be_reached_is_an_oserror(fetch, url):
    assert isinstance(await outcome(fetch("GET", url, timeout=2.0)), OSError)


async def test_a_field_that_would_break_the_request_is_an_oserror(fetch, origin):
    origin.answers = [http(b"{}")]
    assert isinstance(await outcome(fetch("GET", origin.url(), fields={"X-Own": "1\r\nX-Other: 2"})), OSError)
    assert origin.requests == []


async def test_a_closed_fetch_is_an_oserror(origin):
    fetch = HttpFetch()
    await fetch.close()
    assert isinstance(await outcome(fetch("GET", origin.url())), OSError)


@pytest.mark.parametrize("url", ["https://id.example/jwks", "http://127.0.0.1:8100/jwks", "http://localhost/jwks"])
def test_an_https_or_loopback_address_of_a_platform_is_taken(url):
    check_platform_address(url)


@pytest.mark.parametrize("url", ["http://id.example/jwks", "id.example", "https:///jwks", "file:///etc/passwd", ""])
def test_another_address_of_a_platform_is_refused(url):
    with pytest.raises(ValueError, match="must be an https address"):
        check_platform_address(url)


def test_http_to_another_machine_can_be_allowed():
    check_platform_address("http://id.example/jwks", allow_http=True)

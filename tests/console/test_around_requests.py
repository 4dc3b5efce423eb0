"""What every request of the back office is held to, whatever page or call it asks for."""

import asyncio
from io import BytesIO

import pytest

from gateway.console.forms import LARGEST, SMALL
from tests.console.console_world import HOST, ORIGIN
from tests.ferry.ferry_world import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def world(shared_world):
    return shared_world


async def raw(world, request: bytes) -> bytes:
    """Send bytes as they are; gives the whole answer."""
    host, port = world.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()
    return answer


@pytest.mark.parametrize("host", ["evil.example", f"{HOST}:8443", f"www.{HOST}"])
async def test_another_host_is_misdirected(world, host):
    answer = await world.visitor().get("/sign-in", headers={"Host": host})
    assert answer.status == 421


async def test_two_session_cookies_are_refused(world):
    visitor = await world.sit("clerk")
    both = f"__Host-console={visitor.token}; __Host-console={'A' * 43}"
    answer = await world.visitor().get("/units", headers={"Cookie": both})
    assert answer.status == 400


async def test_two_cookie_fields_are_refused(world):
    visitor = await world.sit("clerk")
    field = f"Cookie: __Host-console={visitor.token}\r\n"
    answer = await raw(
        world, f"GET /units HTTP/1.1\r\nHost: {HOST}\r\n{field}{field}Connection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": None, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"},
        {"Origin": None},
    ],
)
async def test_a_form_of_another_site_changes_nothing(world, headers):
    visitor = await world.sit("clerk")
    token = visitor.token
    answer = await visitor.post("/sign-out", headers=headers)
    assert answer.status == 403
    assert (await world.visitor(token).call("GET", "/session")).status == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "é", "\udcff"])
async def test_a_form_without_the_sessions_token_changes_nothing(world, token):
    visitor = await world.sit("clerk")
    held = visitor.token
    answer = await visitor.post("/sign-out", {"csrf_token": token.encode("utf-8", "surrogateescape").decode("latin-1")})
    assert answer.status == 403
    assert (await world.visitor(held).call("GET", "/session")).status == 200


async def test_another_sessions_token_is_none(world):
    one, other = await world.sit("clerk"), await world.sit("clerk")
    assert (await one.post("/sign-out", {"csrf_token": other.csrf_token})).status == 403


async def test_a_foreign_page_cannot_sign_somebody_in(world):
    account = await world.hire()
    fields = {"login": account.login, "password": "x"}
    answer = await world.visitor().post("/sign-in", fields, headers={"Origin": "https://evil.example"})
    assert answer.status == 403


async def test_every_page_carries_the_headers_that_protect_it(world):
    answer = await world.visitor().get("/sign-in")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_an_error_is_a_page_for_people_and_a_problem_for_programs(world):
    visitor = await world.sit("clerk")
    page, problem = await visitor.get("/nowhere"), await visitor.get("/nowhere", headers={"Accept": "*/*"})
    assert (page.status, page.content_type) == (404, "text/html")
    assert (problem.status, problem.content_type) == (404, "application/problem+json")
    assert (await problem.json())["request_id"] == problem.headers["X-Request-Id"]


async def test_a_method_that_is_not_offered_is_405_with_those_that_are(world):
    answer = await world.visitor().send("DELETE", "/sign-in")
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [
        ("/sign-in", "application/x-www-form-urlencoded", SMALL),
        ("/api/session", "application/json", SMALL),
        ("/api/units/x/applications", "application/json", LARGEST),
    ],
)
async def test_a_body_that_is_too_large_is_refused(world, path, kind, size):
    visitor = world.visitor() if size == SMALL else await world.sit("clerk")
    answer = await visitor.send("POST", path, data=BytesIO(bytes(size + 1)), headers={"Content-Type": kind})
    assert answer.status == 413


async def test_more_than_whoever_has_not_signed_in_may_send_is_not_kept(world):
    """Also when nothing says beforehand how much it will be."""

    async def pieces():
        for _ in range(3):
            yield b"a" * SMALL

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await world.visitor().send("POST", "/sign-in", data=pieces(), headers=kind)).status == 413


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ("Content-Type: application/json", b'{"login": "\xff"}'),
        ("Content-Type: application/json", b"[" * 50_000),
        ("Content-Type: application/json\r\nContent-Encoding: gzip", b"not gzip"),
        ("Content-Type: application/json\r\nContent-Encoding: deflate", b"not deflate"),
    ],
)
async def test_a_body_that_cannot_be_read_is_malformed(world, fields, body):
    head = f"POST /api/session HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\nContent-Length: {len(body)}\r\n"
    answer = await raw(world, head.encode() + b"Connection: close\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "part",
    [
        b'Content-Disposition: form-data; name="kind"\r\nContent-Transfer-Encoding: none\r\n\r\ngrants',
        b'Content-Disposition: form-data; name="kind"\r\nContent-Type: text/plain; charset=none\r\n\r\ngrants',
        b'Content-Disposition: form-data; name="kind"\r\n\r\n\xff',
        b'Content-Disposition: form-data; name="_charset_"\r\n\r\nnone-that-there-could-be-by-this-name',
        b'Content-Disposition: form-data; name="file"; filename="\xff\x00"\r\n\r\na',
        b"no field\r\n\r\na",
        b"X-Long: " + b"a" * 10_000 + b"\r\n\r\na",
    ],
)
async def test_a_form_with_a_file_that_cannot_be_read_is_malformed(world, part):
    clerk = await world.sit("clerk")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await clerk.send("POST", "/import", data=b"--x\r\n" + part + b"\r\n--x--\r\n", headers=kind)
    assert answer.status == 400


async def test_a_client_that_leaves_in_the_middle_breaks_nothing(world):
    host, port = world.address.removeprefix("http://").split(":")
    kind = "Content-Type: application/json\r\nContent-Length: 9"
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST /api/session HTTP/1.1\r\nHost: {HOST}\r\n{kind}\r\n\r\n{{".encode())
    await writer.drain()
    before = len(world.log.calls)
    writer.close()
    await until(lambda: len(world.log.calls) > before)
    assert {call.method_name for call in world.log.calls[before:]} == {"info"}


async def test_head_is_get_without_a_body(world):
    clerk = await world.sit("clerk")
    assert (await clerk.send("HEAD", "/api/units")).status == 200


async def test_the_log_has_one_line_for_each_request_with_who_it_was(world):
    visitor = await world.sit("clerk")
    world.log.calls.clear()
    await visitor.call("GET", "/session")
    [line] = [call for call in world.log.calls if call.args == ("console",)]
    assert (line.kwargs["route"], line.kwargs["status"], line.kwargs["client"]) == ("/api/session", 200, visitor.client)
    assert line.kwargs["staff"]

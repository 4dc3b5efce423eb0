"""The business systems: they believe only an identity signed for this very request, show what arrived, and can fail."""

import asyncio
import hashlib
import io
import json

import jwt
import pytest
import yarl
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from sandbox.business import create_business, read_identity_keys, verify_identity

PENSION = {"aud": "pension", "route": "pension-declare", "method": "POST", "sub": "91350100M000100Y43"}


@pytest.fixture
async def medical(aiohttp_client, signer):
    return await aiohttp_client(create_business("medical-insurance", signer.keys()))


@pytest.fixture
async def pension(aiohttp_client, signer):
    return await aiohttp_client(create_business("pension", signer.keys()))


async def test_an_answer_shows_what_arrived(medical, signer):
    """Method, path, query, every header, the body's digest, the verified identity and some data."""
    headers = signer.header() | {"X-Seen": "yes"}
    url = yarl.URL(f"http://{medical.host}:{medical.port}/settlements/S%201?full=1&x=%2F", encoded=True)
    async with medical.session.get(url, headers=headers) as answer:
        assert answer.status == 200
        seen = await answer.json()
    assert (seen["system"], seen["method"]) == ("medical-insurance", "GET")
    assert (seen["path"], seen["query"]) == ("/settlements/S%201", "full=1&x=%2F")
    assert seen["headers"]["x-seen"] == "yes"
    assert seen["body"]["length"] == 0
    assert seen["body"]["sha256"] == hashlib.sha256(b"").hexdigest()
    assert seen["identity"]["assurance"] == 3
    assert seen["result"]["settlement_id"] == "S 1"


async def test_social_insurance_answers_with_contributions(aiohttp_client, signer):
    """`GET /contributions` for the person in the identity."""
    system = await aiohttp_client(create_business("social-insurance", signer.keys()))
    headers = signer.header(aud="social-insurance", route="social-insurance-contributions", sub="u-1")
    async with system.get("/contributions", headers=headers) as answer:
        result = (await answer.json())["result"]
    assert result["insured"] == "u-1"
    assert len(result["contributions"]) == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"aud": "pension"}, "Audience"),
        ({"iss": "another-dept"}, "issuer"),
        ({"exp": 1}, "expired"),
        ({"method": "POST"}, "another method"),
        ({"route": "pension-declare"}, "another route"),
        ({"body_sha256": hashlib.sha256(b"x").hexdigest()}, "another body_sha256"),
        ({"headers": {"kid": "unknown"}}, "key of the gateway"),
        ({"headers": {"typ": "JWT"}}, "key of the gateway"),
    ],
)
async def test_an_identity_that_was_signed_for_something_else_is_403(medical, signer, wrong, why):
    """Each check has its sentence, and nothing is delivered."""
    async with medical.get("/settlements/S1", headers=signer.header(**wrong)) as answer:
        assert answer.status == 403
        assert why in (await answer.json())["identity"]["error"]
    async with medical.get("/sandbox/received") as answer:
        assert (await answer.json())["deliveries"] == {}


async def test_a_request_without_an_identity_or_with_two_is_403(medical, signer):
    """There must be exactly one."""
    two = [*signer.header().items(), *signer.header().items()]
    for headers in ([], two):
        async with medical.get("/settlements/S1", headers=headers) as answer:
            assert answer.status == 403
            assert "where there must be one" in (await answer.json())["identity"]["error"]


async def test_an_identity_under_another_key_is_403(medical, signer):
    """The same kid does not help a forger."""
    forger = type(signer)()
    async with medical.get("/settlements/S1", headers=forger.header()) as answer:
        assert answer.status == 403
        assert "Signature" in (await answer.json())["identity"]["error"]


def test_an_identity_may_be_signed_with_es256():
    """The other of the two algorithms."""
    private = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.PyJWK(ECAlgorithm.to_jwk(private.public_key(), as_dict=True) | {"kid": "e", "alg": "ES256"})
    claims = {
        "iss": "dept-hrss",
        "aud": "pension",
        "iat": 1,
        "exp": 1 << 33,
        "jti": "j",
        "route": "r",
        "method": "GET",
        "body_sha256": hashlib.sha256(b"").hexdigest(),
        "sub": "s",
    }
    token = jwt.encode(claims, private, algorithm="ES256", headers={"typ": "tongguan-identity+jwt", "kid": "e"})
    asked = {"system": "pension", "issuer": "dept-hrss", "route": "r", "method": "GET"}
    assert verify_identity(token, {"e": jwk}, **asked, body=b"")["sub"] == "s"
    with pytest.raises(jwt.InvalidTokenError):
        verify_identity(token, {"e": jwk}, **asked, body=b"changed")


@given(st.text(max_size=200))
def test_no_text_at_all_makes_the_check_fail_otherwise_than_by_refusing(text):
    """Whatever arrives in the header, the answer is a refusal."""
    with pytest.raises(jwt.InvalidTokenError):
        verify_identity(text, {}, system="s", issuer="i", route="r", method="GET", body=b"")


async def test_a_routes_name_may_be_the_configurations(aiohttp_client, signer):
    """The operation then expects that name and no longer its usual one."""
    routes = {"medical-insurance-settlement": "settlement-query"}
    system = await aiohttp_client(create_business("medical-insurance", signer.keys(), routes=routes))
    async with system.get("/settlements/S1", headers=signer.header(route="settlement-query")) as answer:
        assert answer.status == 200
    async with system.get("/settlements/S1", headers=signer.header()) as answer:
        assert answer.status == 403


async def test_a_declaration_in_json_is_accepted_and_can_be_followed(pension, signer):
    """201 with a Location that the same unit may read, and another may not."""
    body = json.dumps({"person": "样例"}).encode()
    headers = signer.header(body=body, **PENSION, act={"sub": "operator-1"}) | {"Content-Type": "application/json"}
    async with pension.post("/declarations", data=body, headers=headers) as answer:
        assert answer.status == 201
        seen, location = await answer.json(), answer.headers["Location"]
    assert json.loads(seen["body"]["text"]) == {"person": "样例"}
    assert seen["result"]["operator"] == "operator-1"
    follow = PENSION | {"route": "pension-progress", "method": "GET"}
    async with pension.get(location, headers=signer.header(**follow)) as answer:
        assert (await answer.json())["result"]["status"] == "accepted"
    async with pension.get(location, headers=signer.header(**follow | {"sub": "91350100M00020002M"})) as answer:
        assert answer.status == 404


def form_bytes():
    pdf = b"%PDF-1.7\r\n\x00\xff\r\n--not-the-boundary\r\n"
    body = (
        b'--B\r\nContent-Disposition: form-data; name="form"\r\n\r\n{"person": 1}\r\n'
        b'--B\r\nContent-Disposition: form-data; name="paper"; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n" + pdf + b"\r\n--B--\r\n"
    )
    return body, pdf


async def test_a_declaration_with_attachments_shows_each_part(pension, signer):
    """Name, file name, type, length and digest, to the byte."""
    body, pdf = form_bytes()
    headers = signer.header(body=body, **PENSION) | {"Content-Type": "multipart/form-data; boundary=B"}
    async with pension.post("/declarations", data=body, headers=headers) as answer:
        assert answer.status == 201
        form, paper = (await answer.json())["body"]["parts"]
    assert (form["name"], form["length"]) == ("form", 13)
    assert paper == {
        "name": "paper",
        "filename": "a.pdf",
        "content_type": "application/pdf",
        "length": len(pdf),
        "sha256": hashlib.sha256(pdf).hexdigest(),
    }


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "application/json; charset=no-such", 201),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"", "multipart/form-data", 400),
        (b"no boundary here", "multipart/form-data; boundary=B", 400),
        (b"--B--\r\n", "multipart/form-data; boundary=B", 400),
        (b"--B\r\nContent-Disposition: form-data", "multipart/form-data; boundary=B", 400),
        (
            b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C--\r\n--B--",
            "multipart/form-data; boundary=B",
            400,
        ),
    ],
)
async def test_what_is_no_declaration_is_refused_by_status(pension, signer, body, content_type, status):
    """Never with 500."""
    headers = signer.header(body=body, **PENSION) | {"Content-Type": content_type}
    async with pension.post("/declarations", data=body, headers=headers) as answer:
        assert answer.status == status, await answer.text()


async def test_deliveries_are_counted_by_request_id(pension, signer):
    """A request id that arrives twice is seen to have arrived twice."""
    headers = signer.header(body=b"{}", **PENSION, jti="r-1") | {"Content-Type": "application/json"}
    for _ in range(2):
        async with pension.post("/declarations", data=b"{}", headers=headers) as answer:
            assert answer.status == 201
    async with pension.get("/sandbox/received") as answer:
        assert await answer.json() == {"declarations": 2, "deliveries": {"r-1": 2}}


async def raw_answer(client, signer, limit=1 << 20, wait=5.0):
    """What the medical system sends, to the last byte, over a plain socket."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    [(name, token)] = signer.header(jti="raw").items()
    writer.write(f"GET /settlements/S1 HTTP/1.1\r\nHost: m\r\n{name}: {token}\r\n\r\n".encode())
    received = b""
    try:
        async with asyncio.timeout(wait):
            while len(received) < limit and (block := await reader.read(65536)):
                received += block
    finally:
        writer.close()
    return received


async def switch(client, name, seconds=0.0):
    async with client.post("/sandbox/faults", json={"fault": name, "seconds": seconds}) as answer:
        assert answer.status == 200, await answer.text()


async def test_truncate_announces_more_than_it_sends(medical, signer):
    """The connection ends cleanly in the middle of the body."""
    await switch(medical, "truncate")
    head, _, body = (await raw_answer(medical, signer)).partition(b"\r\n\r\n")
    announced = int(head.split(b"Content-Length: ")[1])
    assert 0 < len(body) < announced


async def test_garbage_is_not_http(medical, signer):
    """Not even the status line."""
    await switch(medical, "garbage")
    assert not (await raw_answer(medical, signer)).startswith(b"HTTP/")


async def test_status_000_and_switching_are_statuses_nobody_asked_for(medical, signer):
    """Well formed otherwise."""
    await switch(medical, "status-000")
    assert (await raw_answer(medical, signer)).startswith(b"HTTP/1.1 000 ")
    await switch(medical, "switching")
    assert (await raw_answer(medical, signer)).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")


async def test_reset_resets_the_connection(medical, signer):
    """A TCP reset, not an end of file."""
    await switch(medical, "reset")
    with pytest.raises(ConnectionResetError):
        await raw_answer(medical, signer)


async def test_drip_sends_the_whole_answer_byte_by_byte(medical, signer):
    """Slow, but right."""
    await switch(medical, "drip")
    head, _, body = (await raw_answer(medical, signer)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)["result"]["settlement_id"] == "S1"


async def test_hang_delivers_and_never_answers(medical, signer):
    """The worst case: done, and the caller cannot know."""
    await switch(medical, "hang")
    with pytest.raises(TimeoutError):
        await raw_answer(medical, signer, wait=0.3)
    async with medical.get("/sandbox/received") as answer:
        assert (await answer.json())["deliveries"] == {"raw": 1}


async def test_huge_answers_more_than_anyone_wants(medical, signer):
    """Without saying so in advance."""
    await switch(medical, "huge")
    received = await raw_answer(medical, signer, limit=2 << 20)
    assert len(received) >= 2 << 20
    assert b"Transfer-Encoding: chunked" in received[:500]


async def test_error_is_500_and_none_is_the_end_of_faults(medical, signer):
    """Switches stay where they are until switched again."""
    await switch(medical, "error")
    async with medical.get("/settlements/S1", headers=signer.header()) as answer:
        assert answer.status == 500
    await switch(medical, "none")
    async with medical.get("/settlements/S1", headers=signer.header()) as answer:
        assert answer.status == 200


async def test_a_province_fault_is_unknown_here(medical):
    """Each system has its own selection."""
    async with medical.post("/sandbox/faults", json={"fault": "flap"}) as answer:
        assert answer.status == 400
        assert "fault must be one of none, hang" in (await answer.json())["error"]


def test_keys_are_read_from_a_file(identity_jwks, signer, tmp_path):
    """By kid; a file without usable keys is an error, not an empty set."""
    assert set(read_identity_keys(identity_jwks)) == {signer.kid}
    empty = tmp_path / "empty.json"
    empty.write_text('{"keys": []}')
    with pytest.raises(jwt.PyJWTError):
        read_identity_keys(empty)


def test_a_system_that_does_not_exist_cannot_be_built(signer):
    """A wrong name is an error at once."""
    with pytest.raises(KeyError):
        create_business("tax", signer.keys())


async def test_large_bodies_arrive_whole(pension, signer):
    """Eight MiB with its digest, not echoed as text."""
    body = b'{"x": "' + b"a" * (8 << 20) + b'"}'
    headers = signer.header(body=body, **PENSION) | {"Content-Type": "application/json"}
    async with pension.post("/declarations", data=io.BytesIO(body), headers=headers) as answer:
        seen = (await answer.json())["body"]
    assert seen["length"] == len(body)
    assert "text" not in seen

"""The second department's business system: who may use it, and what it does."""

import json
import time
import uuid

import jwt
import pytest

from sandbox.outpatient import Outpatient, verify_assertion

CLAIMS = {"iss": "dept-medical", "aud": "outpatient", "sub": "u-1", "sub_type": "natural", "assurance": 3}


def assertion(signer, *, typ="tongguan-assertion+jwt", kid=None, age=0, **claims):
    now = int(time.time()) - age
    said = CLAIMS | {"iat": now, "exp": now + 60, "jti": uuid.uuid4().hex} | claims
    headers = {"typ": typ, "kid": kid or signer.kid}
    return {"Tongguan-Identity": jwt.encode(said, signer.private, algorithm="EdDSA", headers=headers)}


@pytest.fixture
async def outpatient(aiohttp_client, signer):
    return await aiohttp_client(Outpatient(signer.keys()).application())


async def test_a_person_sees_her_visits(outpatient, signer):
    """With the identity and the header fields that arrived."""
    async with outpatient.get("/outpatient/visits", headers=assertion(signer)) as answer:
        told = await answer.json()
    assert (answer.status, told["identity"]["sub"]) == (200, "u-1")
    assert "tongguan-identity" in told["headers"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "dept-hrss"},
        {"aud": "pension"},
        {"age": 120},
        {"typ": "tongguan-identity+jwt"},
        {"kid": "another"},
    ],
)
async def test_an_assertion_for_somebody_else_or_too_old_is_refused(outpatient, signer, wrong):
    """Issuer, audience, time, type and key."""
    async with outpatient.get("/outpatient/visits", headers=assertion(signer, **wrong)) as answer:
        assert answer.status == 403


async def test_nobody_gets_in_without_one(outpatient, signer):
    """Missing, or two of them."""
    one, other = assertion(signer), assertion(signer)
    both = [*one.items(), *other.items()]
    for fields in ({}, both):
        async with outpatient.get("/outpatient/booking", headers=fields) as answer:
            assert answer.status == 403


async def test_an_appointment_is_made_once_per_form(outpatient, signer):
    """As data for programs, as a page for people."""
    for accept, start in (("application/json", "{"), ("text/html", "<!doctype")):
        fields = assertion(signer) | {"Accept": accept}
        async with outpatient.post("/outpatient/appointments", data={"day": "2026-12-01"}, headers=fields) as answer:
            text = await answer.text()
        assert answer.status == 201
        assert text.startswith(start)
        assert "2026-12-01" in text


async def test_the_form_asks_the_gateway_for_its_token(outpatient, signer):
    """The page's script may ask this very host and nobody else."""
    async with outpatient.get("/outpatient/booking", headers=assertion(signer)) as answer:
        text = await answer.text()
    assert "/sso/session" in text
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]


def test_the_example_to_copy_says_what_does_not_hold(signer):
    """For whoever copies it."""
    with pytest.raises(jwt.InvalidTokenError, match="not an assertion"):
        verify_assertion(assertion(signer, kid="x")["Tongguan-Identity"], signer.keys())
    assert json.dumps(verify_assertion(assertion(signer)["Tongguan-Identity"], signer.keys()))

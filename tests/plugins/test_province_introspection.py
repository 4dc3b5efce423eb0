"""Asking the province: yes, no, and cannot tell, which is neither; and never more questions than it can bear."""

import asyncio
from base64 import b64decode
from urllib.parse import parse_qs

import msgspec
import pytest
from pydantic import ValidationError

from gateway import SESSION_MARK, Credential, CredentialRejected, HttpAnswer, Kind, VerifierUnavailable
from plugins.verifiers.province_introspection import ProvinceIntrospection, ProvinceIntrospectionConfig
from tests.plugin_world import AUDIENCE, ISSUER, NOW, Signer, answer

CONFIG = {
    "issuer": ISSUER,
    "endpoint": f"{ISSUER}/introspect",
    "client_id": "dept-hrss",
    "client_secret": "s3cret & more",
    "audience": AUDIENCE,
    "assurance": {"3": 3},
}
YES = {"active": True, "iss": ISSUER, "aud": AUDIENCE, "sub": "u-1", "exp": NOW + 600, "subject_type": "natural"}
TOKEN = Credential("web", "AQIC5w.*AAJ*@node1")


def make(context, **config) -> ProvinceIntrospection:
    return ProvinceIntrospection(ProvinceIntrospectionConfig.model_validate(CONFIG | config), context)


@pytest.fixture
def verifier(context) -> ProvinceIntrospection:
    return make(context)


async def test_yes_says_who_it_is(verifier, platform):
    platform.answers = [answer(YES | {"acr": "3", "sid": "s-1"})]
    principal = await verifier.verify(TOKEN)
    assert (principal.issuer, principal.subject, principal.kind) == (ISSUER, "u-1", Kind.NATURAL)
    assert (principal.assurance, principal.session, principal.expires_at) == (3, "s-1", NOW + 30), (
        "until it is asked again"
    )
    platform.answers = [answer(YES | {"exp": NOW + 10})]
    assert (await verifier.verify(TOKEN)).expires_at == NOW + 10


async def test_the_question_is_the_one_of_rfc_7662(verifier, platform):
    platform.answers = [answer(YES)]
    await verifier.verify(TOKEN)
    [call] = platform.calls
    assert (call["method"], call["url"]) == ("POST", f"{ISSUER}/introspect")
    assert parse_qs(call["body"].decode()) == {"token": [TOKEN.token], "token_type_hint": ["access_token"]}
    assert call["fields"]["Content-Type"] == "application/x-www-form-urlencoded"
    scheme, _, pair = call["fields"]["Authorization"].partition(" ")
    assert (scheme, b64decode(pair)) == ("Basic", b"dept-hrss:s3cret+%26+more")


async def test_no_is_a_rejection(verifier, platform):
    platform.answers = [answer({"active": False})]
    with pytest.raises(CredentialRejected) as caught:
        await verifier.verify(TOKEN)
    assert (caught.value.status, caught.value.code) == (401, "token-invalid")


@pytest.mark.parametrize(
    "changed",
    [{"iss": "https://id.other.example"}, {"aud": "dept-tax"}, {"aud": []}, {"exp": NOW}, {"nbf": NOW + 61}],
)
async def test_a_yes_for_somebody_else_or_another_time_is_a_rejection(verifier, platform, changed):
    platform.answers = [answer(YES | changed)]
    with pytest.raises(CredentialRejected):
        await verifier.verify(TOKEN)


CANNOT_TELL = {
    "not reachable": OSError("refused"),
    "too slow": TimeoutError(),
    "400": answer(YES, 400),
    "401 for ourselves": answer({"error": "invalid_client"}, 401),
    "404": answer({"active": False}, 404),
    "500": answer({"active": False}, 500),
    "204": answer(b"", 204),
    "a redirect": answer(b"", 302),
    "a page": HttpAnswer(200, "text/html", b"<html>busy</html>"),
    "nothing": answer(b""),
    "a list": answer([YES]),
    "null": answer(None),
    "active is missing": answer({"sub": "u-1"}),
    "active is null": answer(YES | {"active": None}),
    "active is a text": answer(YES | {"active": "true"}),
    "active is a number": answer(YES | {"active": 1}),
    "active twice": answer(b'{"active":false,"active":true}'),
    "not UTF-8": answer(b'{"active":true,"sub":"\xff"}'),
    "cut short": answer(b'{"active":tr'),
    "yes to whom": answer(YES | {"sub": None}),
    "yes to a number": answer(YES | {"sub": 1}),
    "yes to an unknown kind": answer(YES | {"subject_type": "robot"}),
    "yes until NaN": answer(b'{"active":true,"exp":NaN}'),
    "yes until a text": answer(YES | {"exp": "tomorrow"}),
}


@pytest.mark.parametrize("said", CANNOT_TELL.values(), ids=CANNOT_TELL.keys())
async def test_what_is_neither_yes_nor_no_is_no_verdict(verifier, platform, said):
    platform.answers = [said]
    with pytest.raises(VerifierUnavailable) as caught:
        await verifier.verify(TOKEN)
    assert caught.value.status == 503
    assert caught.value.retry_after


async def test_members_that_are_null_count_as_missing(verifier, platform):
    platform.answers = [answer(YES | {"sid": None, "nbf": None, "act": None, "exp": None, "iss": None})]
    principal = await verifier.verify(TOKEN)
    assert (principal.issuer, principal.session) == (ISSUER, None)
    assert principal.expires_at == NOW + 30, "a yes without end holds as long as it may be remembered"


async def test_no_audience_is_checked_where_none_is_configured(context, platform):
    platform.answers = [answer(YES | {"aud": None})]
    assert await make(context, audience=None).verify(TOKEN)
    with pytest.raises(VerifierUnavailable):
        await make(context).verify(TOKEN)


@pytest.mark.parametrize("token", [None, "", SESSION_MARK + "AbCdEfGhIjKlMnOp", "a b", "a\r\nb", "样例", "x" * 8193])
async def test_what_is_no_bearer_token_never_leaves_the_gateway(verifier, platform, token):
    assert await verifier.verify(Credential("web", token)) is None
    assert platform.calls == []


async def test_a_jwt_is_asked_about_only_where_configured(context, platform):
    platform.answers = [answer(YES)]
    jwt = Credential("web", Signer("ES256", "k").token())
    assert await make(context).verify(jwt) is None
    assert platform.calls == []
    assert await make(context, jwt=True).verify(jwt)


async def test_after_some_failures_nobody_is_asked_for_a_while(context, platform, clock):
    verifier = make(context, failures=3, pause="10s")
    platform.answers = [OSError("down")]
    for _ in range(10):
        with pytest.raises(VerifierUnavailable):
            await verifier.verify(TOKEN)
    assert (len(platform.calls), verifier.calls.breaker.state) == (3, "open")
    clock.advance(10)
    platform.answers = [answer(YES)]
    assert await verifier.verify(TOKEN)
    assert verifier.calls.breaker.state == "closed"


async def test_a_no_is_no_failure(context, platform):
    verifier = make(context, failures=1)
    platform.answers = [answer({"active": False})]
    for _ in range(3):
        with pytest.raises(CredentialRejected):
            await verifier.verify(TOKEN)
    assert len(platform.calls) == 3


async def test_no_more_than_so_many_are_asked_at_once(context, platform):
    verifier = make(context, concurrency=2)
    platform.answers, platform.gate = [answer(YES)], asyncio.Event()
    asking = [asyncio.create_task(verifier.verify(TOKEN)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(VerifierUnavailable):
        await verifier.verify(TOKEN)
    platform.gate.set()
    assert all(await asyncio.gather(*asking))
    assert await verifier.verify(TOKEN), "a place that was taken is free again"


async def test_one_who_leaves_frees_the_place_and_the_probe(context, platform, clock):
    verifier = make(context, concurrency=1, failures=1, pause="1s")
    platform.answers = [OSError("down"), answer(YES)]
    with pytest.raises(VerifierUnavailable):
        await verifier.verify(TOKEN)
    clock.advance(1)
    platform.gate = asyncio.Event()
    probe = asyncio.create_task(verifier.verify(TOKEN))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    platform.gate.set()
    assert await verifier.verify(TOKEN)


async def test_how_long_a_yes_and_a_no_are_remembered_comes_from_the_configuration(context, platform):
    platform.answers = [answer(YES)]
    verifier = make(context, remember="20s", remember_rejected="2s")
    assert (await verifier.verify(TOKEN)).expires_at == NOW + 20
    assert (verifier.remember_rejected, verifier.issuers) == (2, ())


@pytest.mark.parametrize("end", [None, NOW + 600])
async def test_a_yes_that_is_not_remembered_is_a_yes(end, context, platform):
    platform.answers = [answer(YES | {"exp": end})]
    assert (await make(context, remember="0s").verify(TOKEN)).expires_at == NOW


async def test_odd_accounts_close_the_door_to_nobody_else(context, platform):
    verifier = make(context, failures=1)
    for odd in ({"subject_type": "robot"}, {"sub": None}, {"exp": "tomorrow"}):
        platform.answers = [answer(YES | odd)]
        with pytest.raises(VerifierUnavailable):
            await verifier.verify(TOKEN)
    platform.answers = [answer(YES)]
    assert await verifier.verify(TOKEN)


async def test_the_platforms_clock_is_told_to_operators(verifier, platform):
    assert verifier.status() == {"breaker": "closed"}
    platform.answers = [msgspec.structs.replace(answer(YES), date=NOW + 42), answer({}, 500)]
    await verifier.verify(TOKEN)
    assert verifier.status() == {"breaker": "closed", "clock_offsets": {"id.province.example": 42}}
    with pytest.raises(VerifierUnavailable, match=r"\+42 s from ours"):
        await verifier.verify(TOKEN)


@pytest.mark.parametrize(
    "changed",
    [
        {"endpoint": "http://id.province.example/introspect"},
        {"client_secret": ""},
        {"client_id": ""},
        {"remember": "2m"},
        {"timeout": "1m"},
        {"concurrency": 0},
        {"client_sekret": "x"},
    ],
)
def test_settings_that_cannot_be_right_are_refused(changed):
    with pytest.raises(ValidationError):
        ProvinceIntrospectionConfig.model_validate(CONFIG | changed)


def test_the_secret_is_in_no_repr(verifier):
    assert "s3cret" not in repr(verifier.config)
    assert "s3cret" not in repr(verifier)

"""Behind a TIF gateway: the signature first, then its word about the person, which no client can forge."""

import base64
import json

import pytest

from gateway import (
    ChannelRejected,
    ClockSkew,
    Credential,
    CredentialRejected,
    Kind,
    Replayed,
    is_bearer_token,
)
from plugins.platforms.tif import TIF_MARK, Tif, TifChannel, TifChannelConfig, TifConfig, sign_caller, sign_vouched
from tests.plugin_world import NOW, inbound

PAAS_TOKEN = "paas-token-of-the-test"
PERSON = {"usertype": "1", "creditable_level_of_account": "L2", "uversion": "3"}
UNIT = {"usertype": "2", "creditable_level_of_account": "L3", "link_person_code": "350100190001010012"}


def channel(context, **config) -> TifChannel:
    return TifChannel(TifChannelConfig.model_validate({"token": PAAS_TOKEN} | config), context)


def verifier(context, **config) -> Tif:
    return Tif(TifConfig.model_validate({"issuer": "gd"} | config), context)


def handed_on(uid="u-1", uinfo="", ext="", *, at=NOW, nonce="n-1", token=PAAS_TOKEN, **changed) -> dict[str, str]:
    """The fields that the gateway in front sends."""
    time = str(int(at))
    vouched = (uid.encode(), uinfo.encode("latin-1"), ext.encode())
    fields = {
        "x-tif-timestamp": time,
        "x-tif-nonce": nonce,
        "x-tif-uid": uid,
        "x-tif-uinfo": uinfo,
        "x-tif-ext": ext,
        "x-tif-signature": sign_vouched(time.encode(), token.encode(), nonce.encode(), vouched),
    }
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in (fields | named).items() if value is not None}


async def identify(context, fields: dict[str, str], **config) -> Credential | None:
    return await channel(context, **config).identify(inbound(fields=fields))


def test_the_signatures_are_those_of_the_vectors():
    signed = sign_vouched(b"1636447760", b"tok", b"n-1", (b"u1", b"info", b"ext"))
    assert signed == "B91D8828E88938117BE406330F2D32A1A2917BE4CB4FD25CD06188079403CA85"
    called = sign_caller("1636447760", b"tok", "n-1")
    assert called == "5E46DC6F170EB03304692DA62EE5508C4266D066BEDD9BF10E65FB2ABF0511CC"


@pytest.mark.parametrize(
    ("about", "person"),
    [
        ({}, (Kind.NATURAL, 0, None, None, 0)),
        (PERSON, (Kind.NATURAL, 3, "L2", None, 3)),
        (PERSON | {"creditable_level_of_account": "L7"}, (Kind.NATURAL, 0, "L7", None, 3)),
        (UNIT, (Kind.LEGAL, 4, "L3", "350100190001010012", 0)),
    ],
)
async def test_whom_the_gateway_vouches_for_is_taken_over(about, person, context):
    credential = await identify(context, handed_on(uinfo=json.dumps(about) if about else ""))
    assert "u-1" not in repr(credential)
    principal = await verifier(context).verify(credential)
    assert (principal.issuer, principal.subject, principal.verifier) == ("gd", "u-1", "part")
    assert (principal.kind, principal.assurance, principal.level, principal.operator, principal.version) == person
    assert (principal.issued_at, principal.expires_at) == (NOW, NOW + 120)


@pytest.mark.parametrize(
    ("way", "uinfo"),
    [
        ("base64", base64.b64encode(json.dumps(PERSON).encode()).decode()),
        ("percent", "%7B%22usertype%22%3A%221%22%2C%22name%22%3A%22%E6%A0%B7%22%7D"),
        ("json", '{"usertype":"1","name":"\u00e6\u00a0\u00b7"}'),
    ],
)
async def test_what_is_said_of_the_person_may_be_written_in_several_ways(way, uinfo, context):
    credential = await identify(context, handed_on(uinfo=uinfo))
    assert (await verifier(context, uinfo=way).verify(credential)).kind is Kind.NATURAL


async def test_a_request_of_nobody_carries_no_token(context):
    credential = await identify(context, handed_on(uid=""), paas_id="hrss")
    assert (credential.token, credential.client) == (None, "hrss")


async def test_a_request_without_the_signature_is_another_channels(context):
    assert await identify(context, handed_on(x_tif_signature=None)) is None


WRONG = {
    "another key": handed_on(token="another key of somebody"),
    "another person": handed_on() | {"x-tif-uid": "u-2"},
    "another nonce": handed_on() | {"x-tif-nonce": "n-2"},
    "a person added": handed_on(uid="") | {"x-tif-uid": "u-1"},
    "more said of the person": handed_on(uinfo="{}") | {"x-tif-uinfo": '{"usertype":"2"}'},
    "what was said moved over the comma": handed_on(uinfo="a,b") | {"x-tif-uid": "u-1,a", "x-tif-uinfo": "b"},
    "a comma in ext": handed_on(uinfo="a", ext="b,c"),
    "a lower-case signature": handed_on(x_tif_signature=handed_on()["x-tif-signature"].lower()),
    "a short signature": handed_on(x_tif_signature="AB"),
    "a signature that is no ASCII": handed_on(x_tif_signature="\xe9" * 64),
    "no time": handed_on(x_tif_timestamp=None),
    "a time with a sign": handed_on(x_tif_timestamp=f"+{NOW:.0f}"),
    "no nonce": handed_on(x_tif_nonce=None),
    "an empty nonce": handed_on(nonce=""),
    "a digit moved from the nonce to the time": handed_on(x_tif_timestamp=f"{NOW:.0f}1"),
    "a person of 129 characters": handed_on(uid="x" * 129),
    "a person with a space": handed_on(uid="u 1"),
    "too much said": handed_on(uinfo="x" * 8193),
    "another application": handed_on(x_tif_paasid="tax"),
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG.keys())
async def test_a_signature_that_does_not_hold_is_refused(fields, context):
    with pytest.raises(ChannelRejected) as caught:
        await identify(context, fields, paas_id="hrss")
    assert caught.value.status == 401


@pytest.mark.parametrize("off", [-91, 91, -3600, 86400])
async def test_a_time_outside_the_window_is_refused(off, context):
    with pytest.raises(ClockSkew):
        await identify(context, handed_on(at=NOW + off))


async def test_what_was_signed_before_it_is_known_what_was_used_is_refused(context):
    with pytest.raises(ClockSkew):
        await identify(context, handed_on(at=NOW - 1))


async def test_a_request_comes_once(context):
    front = channel(context)
    assert await front.identify(inbound(fields=handed_on()))
    with pytest.raises(Replayed):
        await front.identify(inbound(path="/other", fields=handed_on()))
    assert await front.identify(inbound(fields=handed_on(nonce="n-2")))


async def test_a_wrong_signature_uses_nothing_up(context):
    front = channel(context)
    with pytest.raises(ChannelRejected):
        await front.identify(inbound(fields=WRONG["another person"]))
    assert await front.identify(inbound(fields=handed_on()))


async def test_the_clock_of_the_gateway_is_told_to_operators(context):
    front = channel(context)
    assert front.status() == {}
    await front.identify(inbound(fields=handed_on(at=NOW + 42)))
    assert front.status() == {"clock_offsets": {"part": 42.0}}


async def test_no_client_can_send_a_vouched_identity_as_a_bearer_token(context):
    credential = await identify(context, handed_on())
    assert credential.token.startswith(TIF_MARK)
    assert not is_bearer_token(credential.token)


@pytest.mark.parametrize("token", [None, "", "a.b.c", "token", "session:abc"])
async def test_every_other_token_is_another_verifiers(token, context):
    assert await verifier(context).verify(Credential("web", token)) is None


BAD = {
    "no base64": "tif:%%%",
    "no JSON": "tif:" + base64.urlsafe_b64encode(b"xyz").decode().rstrip("="),
    "nothing": "tif:",
    "no person": "tif:" + base64.urlsafe_b64encode(b'{"uid":"","uinfo":"","ts":1700000000}').decode().rstrip("="),
    "a time that is none": "tif:" + base64.urlsafe_b64encode(b'{"uid":"u","uinfo":"","ts":"x"}').decode().rstrip("="),
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
async def test_a_mark_without_an_identity_is_rejected(token, context):
    with pytest.raises(CredentialRejected):
        await verifier(context).verify(Credential("tif", token))


@pytest.mark.parametrize(
    "uinfo",
    ["{", "[]", '"x"', '{"usertype":"3"}', '{"usertype":"2"}', '{"usertype":"2","link_person_code":"35***12"}', "\xff"],
)
async def test_a_word_that_cannot_be_understood_is_rejected(uinfo, context):
    credential = await identify(context, handed_on(uinfo=uinfo))
    with pytest.raises(CredentialRejected):
        await verifier(context).verify(credential)


async def test_a_silent_gateway_is_refused_where_the_kind_must_be_said(context):
    credential = await identify(context, handed_on())
    with pytest.raises(CredentialRejected):
        await verifier(context, default_kind=None).verify(credential)


async def test_an_identity_holds_for_a_while_only(context, clock):
    credential = await identify(context, handed_on())
    clock.advance(120)
    with pytest.raises(CredentialRejected):
        await verifier(context).verify(credential)

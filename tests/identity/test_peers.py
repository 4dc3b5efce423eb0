"""identity/peers.py: a peer is who it proves to be, once per request, and nobody else."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_world import Clock

from gateway.contracts import PartContext
from gateway.crypto import chosen_provider
from gateway.errors import ChannelRejected, ClockSkew, Replayed
from gateway.identity.peers import PeerKey, PeerRequest, Peers
from gateway.signatures.keys import sign_message
from gateway.state import MemoryStore
from gateway.tokens.signed_requests import canonical_answer, canonical_request, sort_query

PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
PUBLIC = (
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
"""The key pair of GB/T 32918.5, annex A."""
KEYS = (
    PeerKey("province", "basic", "a secret of sixteen"),
    PeerKey("signer", "hmac-sha256", "another secret of sixteen"),
    PeerKey("signer-sm3", "hmac-sm3", "a third secret of sixteen"),
    PeerKey("signer-sm2", "sm2", PUBLIC),
)


def peers(clock=None, once=None, page="introspect"):
    clock = clock or Clock()
    store = MemoryStore(clock=lambda: clock() - 3600) if once is None else once
    return Peers(KEYS, PartContext(page, None, store, clock))


def basic(name="province", password="a secret of sixteen", **changed):
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return request(fields={"authorization": f"Basic {encoded}"}, **changed)


def request(**changed):
    given = {"method": "POST", "path": "/sso/introspect", "query": "", "fields": {}, "body": b"token=x"}
    return PeerRequest(**(given | changed))


def signed(key="signer", at=None, nonce="7f9c2b1e", body=b"token=x", sent=None, **changed):
    at = int(Clock()()) if at is None else at
    query = sort_query(changed.get("query", ""))
    message = canonical_request("POST", "/sso/introspect", query, key.encode(), nonce.encode(), b"%d" % at, body)
    if key.endswith("sm2"):
        signature = chosen_provider().sm2_sign(PRIVATE, message).hex()
    else:
        known = next(one for one in KEYS if one.id == key)
        signature = sign_message(known.method, known.secret, message, chosen_provider()).hex()
    fields = {"x-ak": key, "x-nonce": nonce, "x-timestamp": str(at), "x-signature": signature}
    return request(fields=fields | changed.pop("fields", {}), body=body if sent is None else sent, **changed)


@pytest.mark.parametrize(
    "asked", [basic(), signed(), signed("signer-sm3"), signed("signer-sm2"), signed(query="b=2&a=1")]
)
async def test_whoever_proves_it_is_recognised(asked):
    expected = asked.fields.get("x-ak", "province")
    assert (await peers().recognise(asked)).id == expected


@pytest.mark.parametrize("asked", [
    request(),
    request(fields={"authorization": "Bearer x"}),
    request(fields={"authorization": "Basic"}),
    request(fields={"authorization": "Basic !!"}),
    request(fields={"authorization": "Basic /w=="}),
    basic(password="another"),
    basic(password=""),
    basic(name="nobody"),
    basic(name="signer", password="another secret of sixteen"),
    basic(name="signer-sm2", password=PUBLIC),
    signed(sent=b"token=y"),
    signed(path="/sso/notices/signed"),
    signed(method="PUT"),
    signed(fields={"x-signature": "0" * 64}),
    signed(fields={"x-signature": "0" * 128}),
    signed(fields={"x-signature": ""}),
    signed(fields={"x-ak": "signer-sm3"}),
    signed(fields={"x-ak": "province"}),
    signed(fields={"x-ak": "nobody"}),
    signed(fields={"x-nonce": "other"}),
    signed(fields={"x-nonce": ""}),
    signed(fields={"x-timestamp": "１８00000000"}),
    signed(fields={"x-timestamp": "+170000000"}),
    signed("signer-sm2", fields={"x-signature": "f" * 128}),
])  # fmt: skip
async def test_whoever_does_not_prove_it_is_nobody(asked):
    with pytest.raises(ChannelRejected):
        await peers().recognise(asked)


async def test_a_query_parameter_that_is_there_twice_is_refused():
    with pytest.raises(ChannelRejected, match="twice"):
        await peers().recognise(request(fields=signed().fields, query="a=1&a=1"))


@pytest.mark.parametrize("away", [-301, 301])
async def test_a_signature_of_another_time_is_refused(away):
    with pytest.raises(ClockSkew):
        await peers().recognise(signed(at=int(Clock()()) + away))


async def test_a_signature_counts_once_and_for_one_page():
    once = MemoryStore(clock=lambda: Clock()() - 3600)
    known = peers(once=once)
    await known.recognise(signed())
    with pytest.raises(Replayed):
        await known.recognise(signed())
    await peers(once=once, page="notice").recognise(signed())


async def test_how_far_a_peers_clock_is_ahead_is_known():
    known = peers()
    await known.recognise(signed(at=int(Clock()()) + 17))
    assert known.clock_offsets == {"signer": 17.0}


async def test_the_answer_to_a_signed_request_proves_who_answers():
    known, asked = peers(), signed()
    peer = await known.recognise(asked)
    fields = known.sign_answer(peer, asked, b"{}")
    message = canonical_answer(b"7f9c2b1e", asked.fields["x-timestamp"].encode(), b"{}")
    expected = sign_message("hmac-sha256", "another secret of sixteen", message, chosen_provider())
    assert fields == {"x-signature": expected.hex()}


async def test_other_answers_are_not_signed():
    known = peers()
    for asked in (basic(), signed("signer-sm2")):
        assert known.sign_answer(await known.recognise(asked), asked, b"{}") == {}


@given(st.dictionaries(st.sampled_from(["authorization", "x-ak", "x-nonce", "x-timestamp", "x-signature"]), st.text()))
async def test_any_fields_are_read_or_refused(fields):
    with contextlib.suppress(ChannelRejected):
        await peers().recognise(request(fields=fields))


async def test_what_was_signed_before_the_memory_of_signatures_began_is_refused():
    """Whether it was used is not known, so it may have been."""
    once = MemoryStore(clock=lambda: Clock()() + 10)
    with pytest.raises(ClockSkew):
        await peers(once=once).recognise(signed())

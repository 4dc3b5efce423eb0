"""The channel by configuration, with texts made of parts: every algorithm, every attack its code, nothing twice."""

import hashlib
from base64 import b64encode, urlsafe_b64encode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import (
    CannotDecide,
    ChannelRejected,
    ClockSkew,
    Credential,
    CredentialRejected,
    CryptoError,
    PartContext,
    Replayed,
)
from gateway.crypto import chosen_provider
from gateway.errors import GatewayError
from gateway.state import MemoryStore
from plugins.channels.signed import Signed, SignedConfig
from tests.plugin_world import NOW, Clock, Platform, inbound
from tests.plugins.signing import ALGORITHMS, SECRET, SIGNERS, as_der, other_half, outcome

BODY = b'{"itemCode":"11440100696927671X3442011817001"}'
CALLERS = [{"id": one, "algorithm": one, "key": SIGNERS[one].public} for one in ALGORITHMS] + [
    {"id": "off", "algorithm": "hmac-sha256", "key": SECRET, "enabled": False},
    {"id": "early", "algorithm": "hmac-sha256", "key": SECRET, "not_before": "2023-11-14T22:14:00Z"},
    {"id": "late", "algorithm": "hmac-sha256", "key": SECRET, "not_after": "2023-11-14T22:13:20Z"},
    {"id": "near", "algorithm": "hmac-sha256", "key": SECRET, "networks": ["192.0.2.0/24", "2001:db8::/32"]},
    {"id": "far", "algorithm": "hmac-sha256", "key": SECRET, "networks": ["198.51.100.7", "unix"]},
    {"id": "der-ecdsa", "algorithm": "ecdsa-p256", "key": SIGNERS["ecdsa-p256"].public, "der": True},
    {"id": "der-sm2", "algorithm": "sm2", "key": SIGNERS["sm2"].public, "der": True},
    {"id": "other-id-sm2", "algorithm": "sm2", "key": SIGNERS["sm2"].public, "user_id": "bank@example"},
]
each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def make(context, callers=CALLERS, window="300s", **scheme) -> Signed:
    said = {"scheme": {"kind": "template"} | scheme, "callers": callers, "window": window}
    return Signed(SignedConfig.model_validate(said), context)


@pytest.fixture
def channel(context) -> Signed:
    return make(context)


def text_of(method="POST", path="/guides/1", query="", body=BODY, at=NOW, nonce="n-1", key="hmac-sha256"):
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join([method, path, query, digest, f"{at:.0f}", nonce, key]).encode()


def request(signature: str, method="POST", path="/guides/1", query="", body=BODY, **said):
    """A request as it is sent; header fields by their names with underscores."""
    fields = {"x-key-id": "hmac-sha256", "x-timestamp": f"{NOW:.0f}", "x-nonce": "n-1", "x-signature": signature}
    changed = {name.replace("_", "-"): value for name, value in said.items()}
    return inbound(method, path, query, {k: v for k, v in (fields | changed).items() if v is not None}, body)


def signed(key="hmac-sha256", signer=None, at=NOW, nonce="n-1", **said):
    signature = SIGNERS[signer or key].sign(text_of(key=key, at=at, nonce=nonce, **said)).hex()
    return request(signature, x_key_id=key, x_timestamp=f"{at:.0f}", x_nonce=nonce, **said)


@each_algorithm
async def test_a_caller_signs_with_the_algorithm_of_its_key(channel, algorithm):
    assert await channel.identify(signed(algorithm)) == Credential("part", None, algorithm)
    assert channel.status() == {"clock_offsets": {algorithm: 0.0}}


async def test_a_request_without_a_key_id_is_another_channels(channel):
    assert await channel.identify(request("0" * 64, x_key_id=None)) is None


async def test_no_person_comes_with_a_signature_only_with_a_token(channel):
    request = signed()
    fields = {name.decode(): value.decode() for name, value in request.fields.items()}
    request = inbound("POST", "/guides/1", "", fields | {"authorization": "Bearer abc", "x-user": "u-1"}, BODY)
    assert await channel.identify(request) == Credential("part", "abc", "hmac-sha256")


@pytest.mark.parametrize(("caller", "signer"), [("der-ecdsa", "ecdsa-p256"), ("der-sm2", "sm2")])
async def test_a_caller_whose_signatures_come_as_der_says_so(channel, caller, signer):
    signature = SIGNERS[signer].sign(text_of(key=caller))
    with pytest.raises(ChannelRejected):
        await channel.identify(request(signature.hex(), x_key_id=caller))
    assert await channel.identify(request(as_der(signature).hex(), x_key_id=caller)) is not None


async def test_the_signers_identity_is_part_of_an_sm2_signature(channel):
    with pytest.raises(ChannelRejected):
        await channel.identify(signed("other-id-sm2", signer="sm2"))


async def test_the_app_channels_canonical_string_can_be_written_as_a_template(context):
    """The published vector of docs/channels.md, with a longer secret's HMAC in place of its own."""
    parts = ["{method}", "{path}", "{query}", "x-ak:{key-id}", "x-nonce:{nonce}", "x-timestamp:{timestamp}"]
    channel = make(context, parts=[*parts, "{body-sha256}"], fields={"key_id": "x-ak"})
    text = (
        b"POST\n/api/v1/items/query\n\nx-ak:hmac-sha256\nx-nonce:7f9c2b1e\nx-timestamp:1700000000\n"
        b"871a9cd0e2449c869ad195fa33f7a889f616a84e83f24d3cd163e1c1c2506fee"
    )
    signature = SIGNERS["hmac-sha256"].sign(text).hex()
    said = {"x_key_id": None, "x_ak": "hmac-sha256", "x_nonce": "7f9c2b1e"}
    assert await channel.identify(request(signature, path="/api/v1/items/query", **said)) is not None


AGREED = {
    "milliseconds": (
        {"timestamp": "milliseconds"},
        "POST|/p|a=1|D|1700000000123|n-1|hmac-sha256",
        {"x_timestamp": "1700000000123"},
    ),
    "SM3 and another order": (
        {"parts": ["{path}", "{raw-query}", "{method}", "{body-sm3}", "{timestamp}", "{nonce}"]},
        "/p|a=1|POST|M|1700000000|n-1",
        {},
    ),
    "labels": (
        {"parts": ["m={method}", "p={path}", "{query}", "{body-sha256-base64}", "t={timestamp}&", "{nonce}"]},
        "m=POST|p=/p|a=1|B|t=1700000000&|n-1",
        {},
    ),
    "a constant, the host and a field": (
        {"parts": ["v1", "{host}", "{method}", "{path}", "{query}", "{body-sha256}", "{timestamp}", "{nonce}"]},
        "v1|gw.example.gov.cn|POST|/p|a=1|D|1700000000|n-1",
        {},
    ),
    "a field": (
        {"parts": ["{method}", "{path}", "{query}", "{body-sha256}", "{timestamp}", "{nonce}", "{field:x-branch}"]},
        "POST|/p|a=1|D|1700000000|n-1|0755",
        {"x_branch": "0755"},
    ),
}


@pytest.mark.parametrize(("scheme", "text", "fields"), AGREED.values(), ids=AGREED.keys())
async def test_what_is_signed_is_what_is_agreed(context, scheme, text, fields):
    digests = {
        "D": hashlib.sha256(BODY).hexdigest(),
        "M": chosen_provider().sm3(BODY).hex(),
        "B": b64encode(hashlib.sha256(BODY).digest()).decode(),
    }
    lines = [digests.get(part, part) for part in text.split("|")]
    signature = SIGNERS["hmac-sha256"].sign("\n".join(lines).encode()).hex()
    asked = request(signature, path="/p", query="a=1", **fields)
    assert await make(context, **scheme).identify(asked) is not None


async def test_a_field_that_is_covered_has_to_be_there(context):
    scheme, text, _ = AGREED["a field"]
    signature = SIGNERS["hmac-sha256"].sign(text.replace("|", "\n").encode()).hex()
    with pytest.raises(ChannelRejected) as caught:
        await make(context, **scheme).identify(request(signature, path="/p", query="a=1"))
    assert "x-branch" in caught.value.detail


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
@each_algorithm
async def test_a_signature_comes_in_the_encoding_that_is_agreed_and_in_no_other(context, encoding, algorithm):
    raw = SIGNERS[algorithm].sign(text_of(key=algorithm))
    written = {
        "hex": raw.hex(),
        "base64": b64encode(raw).decode(),
        "base64url": urlsafe_b64encode(raw).rstrip(b"=").decode(),
    }
    right = written.pop(encoding)
    channel = make(context, encoding=encoding)
    for wrong in {one for one in written.values() if one != right}:
        with pytest.raises(ChannelRejected):
            await channel.identify(request(wrong, x_key_id=algorithm))
    assert await channel.identify(request(right, x_key_id=algorithm)) is not None


SHAPES = {
    "empty key id": {"x_key_id": ""},
    "key id with a space": {"x_key_id": "a b"},
    "two key ids": {"x_key_id": "hmac-sha256, off"},
    "key id that is not ASCII": {"x_key_id": "d\xe9mo"},
    "no timestamp": {"x_timestamp": None},
    "timestamp with a plus": {"x_timestamp": "+170000000"},
    "timestamp with an underscore": {"x_timestamp": "1_70000000"},
    "timestamp with a line feed": {"x_timestamp": "1700000000\n"},
    "timestamp with white space": {"x_timestamp": " 1700000000"},
    "timestamp in the other unit": {"x_timestamp": "1700000000000"},
    "timestamp in superscript": {"x_timestamp": "170000000\xb2"},
    "no nonce": {"x_nonce": None},
    "empty nonce": {"x_nonce": ""},
    "nonce with a line feed": {"x_nonce": "n\n1"},
    "nonce too long": {"x_nonce": "n" * 129},
    "no signature": {"x_signature": None},
    "empty signature": {"x_signature": ""},
    "signature of an odd length": {"x_signature": "0" * 63},
    "signature in two cases": {"x_signature": "aA" * 32},
    "signature that is not ASCII": {"x_signature": "\xe9" * 64},
    "two signatures": {"x_signature": "0" * 64 + ", " + "0" * 64},
}


@pytest.mark.parametrize("changed", SHAPES.values(), ids=SHAPES.keys())
async def test_a_request_of_another_shape_is_rejected_before_its_body_is_read(channel, changed):
    asked = request(**({"signature": "0" * 64} | changed))
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(asked)
    assert (caught.value.status, caught.value.code) == (401, "channel-signature")
    assert asked.body.read == 0


CHANGES = {
    "method": {"method": "PUT"},
    "path": {"path": "/guides/2"},
    "a query": {"query": "a=1"},
    "body": {"body": BODY + b" "},
    "no body": {"body": b""},
    "nonce": {"x_nonce": "n-2"},
    "timestamp": {"x_timestamp": f"{NOW + 1:.0f}"},
}


@each_algorithm
@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
async def test_whatever_is_changed_the_signature_covers_it(channel, algorithm, changed):
    signature = SIGNERS[algorithm].sign(text_of(key=algorithm)).hex()
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(request(signature, **({"x_key_id": algorithm} | changed)))
    assert type(caught.value) is ChannelRejected
    assert caught.value.client == algorithm
    assert channel.status() == {}


@pytest.mark.parametrize("claimed", ALGORITHMS)
@each_algorithm
async def test_no_algorithm_stands_in_for_another(channel, algorithm, claimed):
    """A public key is no shared secret, and a signature by one key is none by another."""
    if claimed == algorithm:
        return
    with pytest.raises(ChannelRejected):
        await channel.identify(signed(algorithm, signer=claimed))


@pytest.mark.parametrize("caller", ["nobody", "off", "early", "late", "far"])
async def test_a_caller_that_may_not_call_now_is_rejected_before_its_body_is_read(channel, caller):
    asked = signed(caller, signer="hmac-sha256")
    with pytest.raises(ChannelRejected):
        await channel.identify(asked)
    assert asked.body.read == 0


async def test_a_key_holds_from_its_first_to_its_last_moment(channel, clock):
    assert await channel.identify(signed("near", signer="hmac-sha256")) is not None
    clock.advance(-1)
    assert await channel.identify(signed("late", signer="hmac-sha256", at=NOW)) is not None
    clock.advance(41)
    assert await channel.identify(signed("early", signer="hmac-sha256", at=clock.wall)) is not None


@pytest.mark.parametrize(
    ("client", "passes"),
    [
        ("198.51.100.7", True),
        ("::ffff:198.51.100.7", True),
        ("198.51.100.8", False),
        ("::ffff:198.51.100.8", False),
        ("unix", True),
        ("", False),
        ("2001:db8::1", False),
    ],
)
async def test_a_caller_with_networks_calls_from_them_only(channel, client, passes):
    asked = msgspec.structs.replace(signed("far", signer="hmac-sha256"), client=client)
    if passes:
        assert await channel.identify(asked) is not None
    else:
        with pytest.raises(ChannelRejected):
            await channel.identify(asked)


@pytest.mark.parametrize("offset", [-301, 301, -1_600_000_000, 8_299_999_999])
async def test_a_request_signed_outside_the_window_is_skewed(channel, offset):
    asked = signed(at=NOW + offset)
    asked = request("0" * 64, x_timestamp=f"{int(NOW + offset):010d}")
    with pytest.raises(ClockSkew):
        await channel.identify(asked)
    assert asked.body.read == 0


async def test_what_was_signed_before_anything_is_remembered_is_refused(channel):
    with pytest.raises(ClockSkew):
        await channel.identify(signed(at=NOW - 1))


@pytest.mark.parametrize("offset", [0, 300])
async def test_the_clock_of_a_caller_is_told(channel, offset):
    await channel.identify(signed(at=NOW + offset))
    assert channel.status() == {"clock_offsets": {"hmac-sha256": offset}}


@each_algorithm
async def test_the_same_request_twice_is_a_replay(channel, algorithm):
    again = signed(algorithm)
    await channel.identify(again)
    with pytest.raises(Replayed):
        await channel.identify(again)


async def test_a_nonce_is_a_callers_own(channel):
    await channel.identify(signed())
    with pytest.raises(Replayed):
        await channel.identify(signed(path="/guides/2"))
    assert await channel.identify(signed("near", signer="hmac-sha256")) is not None


@pytest.mark.parametrize("caller", ["ecdsa-p256", "der-ecdsa"])
async def test_the_other_half_of_an_ecdsa_signature_is_the_same_request_even_without_a_nonce(context, caller):
    channel = make(
        context,
        parts=["{method}", "{path}", "{query}", "{body-sha256}", "{timestamp}"],
        fields={"nonce": None},
        unsafe_uncovered=["nonce"],
    )
    text = "\n".join(["POST", "/guides/1", "", hashlib.sha256(BODY).hexdigest(), f"{NOW:.0f}"])
    one = SIGNERS["ecdsa-p256"].sign(text.encode())
    write = as_der if caller == "der-ecdsa" else bytes
    await channel.identify(request(write(one).hex(), x_key_id=caller, x_nonce=None))
    with pytest.raises(Replayed):
        await channel.identify(request(write(other_half(one)).hex(), x_key_id=caller, x_nonce="other"))


async def test_the_same_signature_in_another_spelling_is_a_replay(context):
    channel = make(context)
    signature = SIGNERS["hmac-sha256"].sign(text_of()).hex()
    await channel.identify(request(signature))
    with pytest.raises(Replayed):
        await channel.identify(request(signature.upper()))


async def test_a_request_with_a_bad_signature_uses_nothing_up(channel, context):
    with pytest.raises(ChannelRejected):
        await channel.identify(request("0" * 64))
    assert len(context.once) == 0
    assert await channel.identify(signed()) is not None


@pytest.mark.parametrize("query", ["a=1&a=2", "a=1&%61=2", "a+b=1&a%20b=2"])
@pytest.mark.parametrize("part", ["{query}", "{raw-query}"])
async def test_a_parameter_that_is_there_twice_is_rejected(context, query, part):
    parts = ["{method}", "{path}", part, "{body-sha256}", "{timestamp}", "{nonce}", "{key-id}"]
    with pytest.raises(ChannelRejected) as caught:
        await make(context, parts=parts).identify(signed(query=query))
    assert "twice" in caught.value.detail


@pytest.mark.parametrize(("query", "body"), [("a=1", b""), ("", BODY)])
async def test_what_the_template_does_not_cover_must_not_be_there(context, query, body):
    channel = make(context, parts=["{method}", "{path}", "{timestamp}", "{nonce}"])
    signature = SIGNERS["hmac-sha256"].sign(b"\n".join([b"POST", b"/p", b"1700000000", b"n-1"])).hex()
    with pytest.raises(ChannelRejected):
        await channel.identify(request(signature, path="/p", query=query, body=body))
    assert await channel.identify(request(signature, path="/p", body=b"")) is not None


async def test_an_authorization_that_is_no_bearer_token_is_rejected(channel):
    signature = SIGNERS["hmac-sha256"].sign(text_of()).hex()
    with pytest.raises(CredentialRejected):
        await channel.identify(request(signature, authorization="Basic abc"))


async def test_a_store_that_cannot_tell_lets_nobody_pass(context, clock):
    full = MemoryStore(capacity=0, monotonic=lambda: clock.mono, clock=lambda: clock.wall)
    with pytest.raises(CannotDecide):
        await make(msgspec.structs.replace(context, once=full)).identify(signed())


class Broken:
    """A cipher machine that is down."""

    name = "broken"
    quick = True

    def __getattr__(self, _):
        def fail(*_):
            raise CryptoError("no answer from the machine")

        return fail


@pytest.mark.parametrize("algorithm", ["hmac-sm3", "sm2"])
async def test_a_cipher_machine_that_is_down_is_no_verdict_on_the_caller(context, algorithm):
    channel = make(msgspec.structs.replace(context, crypto=Broken()))
    with pytest.raises(CannotDecide):
        await channel.identify(signed(algorithm))


ODD = {
    "no timestamp": {"parts": ["{method}", "{path}", "{query}", "{body-sha256}", "{nonce}"]},
    "no method": {"parts": ["{path}", "{query}", "{body-sha256}", "{timestamp}", "{nonce}"]},
    "no path": {"parts": ["{method}", "{query}", "{body-sha256}", "{timestamp}", "{nonce}"]},
    "no nonce": {"parts": ["{method}", "{path}", "{query}", "{body-sha256}", "{timestamp}"]},
    "timestamp may never be left out": {"parts": ["{path}", "{method}", "{nonce}"], "unsafe_uncovered": ["timestamp"]},
    "an excuse that is not needed": {"unsafe_uncovered": ["path"]},
    "a nonce that nobody sends": {"fields": {"nonce": None}},
    "an unknown part": {"parts": ["{method}", "{path}", "{timestamp}", "{nonce}", "{cookie}"]},
    "two names in a part": {"parts": ["{method}{path}", "{timestamp}", "{nonce}"]},
    "an open brace": {"parts": ["{method}", "{path}", "{timestamp}", "{nonce}", "{"]},
    "a line feed in a part": {"parts": ["{method}", "{path}", "{timestamp}", "{nonce}", "a\nb"]},
    "a separator that can stand in a path": {"separator": "&"},
    "no separator": {"separator": ""},
    "a field in upper case": {"fields": {"key_id": "X-Key"}},
    "an unknown key": {"algorithm": "hmac-md5"},
}


@pytest.mark.parametrize("scheme", ODD.values(), ids=ODD.keys())
def test_a_scheme_that_is_not_safe_is_refused_at_configuration_time(context, scheme):
    with pytest.raises(ValidationError):
        make(context, **scheme)


async def test_what_is_unsafe_can_be_had_by_saying_so(context):
    channel = make(context, separator="&", unsafe_separator=True, parts=["{timestamp}", "{body-sha256}"],
                   fields={"nonce": None}, unsafe_uncovered=["method", "path", "nonce"])  # fmt: skip
    text = f"{NOW:.0f}&{hashlib.sha256(BODY).hexdigest()}".encode()
    assert await channel.identify(request(SIGNERS["hmac-sha256"].sign(text).hex(), x_nonce=None)) is not None


BAD_CALLERS = {
    "none": [],
    "no key": [{"id": "a", "algorithm": "hmac-sha256"}],
    "an empty secret": [{"id": "a", "algorithm": "hmac-sha256", "key": ""}],
    "a blank secret": [{"id": "a", "algorithm": "hmac-sm3", "key": " " * 32}],
    "a short secret": [{"id": "a", "algorithm": "hmac-sha256", "key": "short"}],
    "no algorithm": [{"id": "a", "key": SECRET}],
    "an unknown algorithm": [{"id": "a", "algorithm": "none", "key": SECRET}],
    "a secret in place of a public key": [{"id": "a", "algorithm": "ed25519", "key": SECRET}],
    "a key of another algorithm": [{"id": "a", "algorithm": "ecdsa-p256", "key": SIGNERS["ed25519"].public}],
    "a key of another curve": [{"id": "a", "algorithm": "sm2", "key": SIGNERS["ecdsa-p256"].public}],
    "an id twice": [CALLERS[0], CALLERS[0]],
    "an id with a line feed": [{"id": "a\n", "algorithm": "hmac-sha256", "key": SECRET}],
    "a date without zone": [{"id": "a", "algorithm": "hmac-sha256", "key": SECRET, "not_after": "2030-01-01T00:00:00"}],
    "no network": [{"id": "a", "algorithm": "hmac-sha256", "key": SECRET, "networks": ["everywhere"]}],
}


@pytest.mark.parametrize("callers", BAD_CALLERS.values(), ids=BAD_CALLERS.keys())
def test_callers_that_cannot_be_right_are_refused_at_configuration_time(context, callers):
    with pytest.raises(ValidationError) as caught:
        make(context, callers=callers)
    assert SECRET not in str(caught.value)


ANY = st.text(st.characters(max_codepoint=255), max_size=80)
MUTATIONS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        "path": st.text("/abc%2", min_size=1, max_size=10).map(lambda path: "/" + path),
        "query": st.text("ab=&%61+", max_size=12),
        "body": st.binary(max_size=20),
        "x_key_id": ANY | st.sampled_from([one["id"] for one in CALLERS]),
        "x_timestamp": ANY | st.integers(0, 10**11).map(str),
        "x_nonce": ANY,
        "x_signature": ANY | st.binary(min_size=16, max_size=80).map(bytes.hex),
        "authorization": ANY,
    },
)
GOOD = {algorithm: signed(algorithm) for algorithm in ALGORITHMS}


def as_said(asked) -> dict:
    fields = {name.decode().replace("-", "_"): value.decode("latin-1") for name, value in asked.fields.items()}
    return {"method": asked.method, "path": asked.path, "query": asked.query, "body": asked.body.data} | fields


@each_algorithm
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutation=MUTATIONS)
async def test_a_mutated_request_never_passes_and_never_breaks_anything(algorithm, mutation):
    """Whatever is changed of a signed request: the refusal has a stable code; only what is not covered may change."""
    clock = Clock()
    once = MemoryStore(monotonic=lambda: clock.mono, clock=lambda: clock.wall)
    channel = make(PartContext("part", Platform(), once, lambda: clock.wall, lambda: clock.mono))
    good = as_said(GOOD[algorithm])
    sent = good | mutation
    said = await outcome(channel.identify(request(sent.pop("x_signature"), **sent)))
    if isinstance(said, GatewayError):
        codes = {"channel-signature", "clock-skew", "token-invalid"}
        assert (said.status, said.code in codes) == (401, True)
        return
    covered = {name: value for name, value in sent.items() if name != "authorization"}
    assert isinstance(said, Credential)
    assert covered == {name: value for name, value in good.items() if name != "x_signature"}

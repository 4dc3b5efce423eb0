"""HTTP Message Signatures: the vectors of RFC 9421 and RFC 9530, and the signed channel with its scheme rfc9421."""

import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import (
    ChannelRejected,
    ClockSkew,
    Credential,
    PartContext,
    Replayed,
    check_content_digest,
    read_message_signature,
    read_signature_key,
    signature_base,
)
from gateway.crypto import chosen_provider
from gateway.errors import GatewayError
from gateway.model import Inbound
from gateway.state import MemoryStore
from plugins.channels.signed import Signed, SignedConfig
from tests.plugin_world import NOW, Clock, Platform, inbound
from tests.plugins.signing import ALGORITHMS, SIGNERS, content_digest, other_half, outcome

BODY = b'{"itemCode":"11440100696927671X3442011817001"}'
REGISTERED = {
    "hmac-sha256": "hmac-sha256", "rsa-sha256": "rsa-v1_5-sha256",
    "ecdsa-p256": "ecdsa-p256-sha256", "ed25519": "ed25519",
}  # fmt: skip
CALLERS = [{"id": one, "algorithm": one, "key": SIGNERS[one].public} for one in ALGORITHMS]
each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)

# RFC 9421 appendix B.1.4 and B.1.5, the keys; B.2, the request.
ED25519 = (
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----"
)
SHARED = b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
TEST_REQUEST = {
    b"date": b"Tue, 20 Apr 2021 02:07:55 GMT",
    b"content-type": b"application/json",
    b"content-length": b"18",
    b"content-digest": b"sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX"
    b"+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
}


def test_request(label: str, written: str, signature: str) -> Inbound:
    fields = TEST_REQUEST | {
        b"signature-input": f"{label}={written}".encode(),
        b"signature": f"{label}=:{signature}:".encode(),
    }
    return Inbound("0" * 32, "POST", "/foo", "param=Value&Pet=dog", fields, "192.0.2.1", "example.com", "https")


test_request.__test__ = False


def test_the_hmac_vector_of_the_rfc_holds():
    """RFC 9421 B.2.5."""
    request = test_request(
        "sig-b25",
        '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    )
    message = read_message_signature(request)
    assert hmac.digest(SHARED, signature_base(request, message), "sha256") == message.signature


def test_the_ed25519_vector_of_the_rfc_holds():
    """RFC 9421 B.2.6."""
    request = test_request(
        "sig-b26",
        '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
        ';keyid="test-key-ed25519"',
        "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    )
    message = read_message_signature(request)
    key = read_signature_key("ed25519", ED25519, chosen_provider())
    assert key.verified(signature_base(request, message), message.signature) is not None


def test_the_vector_of_the_field_reference_holds():
    written = (
        '("@method" "@authority" "@path" "content-digest");created=1700000000;keyid="demo-ak"'
        ';alg="hmac-sha256";nonce="7f9c2b1e"'
    )
    fields = {
        "content-digest": "sha-256=:hxqc0OJEnIaa0ZX6M/eoifYWqE6D8k080WPhwcJQb+4=:",
        "signature-input": f"sig={written}",
        "signature": "sig=:p4WfF/NAWxsS8nTZSxv4TdZV8BGEKWCKXEv/oAjjtFQ=:",
    }
    request = inbound("POST", "/api/v1/items/query", "", fields, BODY)
    message = read_message_signature(request)
    key = read_signature_key("hmac-sha256", "demo-sk", chosen_provider())
    assert key.verified(signature_base(request, message), message.signature) is not None
    check_content_digest(request.fields[b"content-digest"], BODY)


@pytest.mark.parametrize(
    "field",
    [
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        TEST_REQUEST[b"content-digest"].decode(),
        "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, " + TEST_REQUEST[b"content-digest"].decode(),
        "md5=:AAAA:, sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
    ],
)
def test_the_digests_of_rfc_9530_hold(field):
    check_content_digest(field.encode(), b'{"hello": "world"}')


@pytest.mark.parametrize(
    "field",
    [
        None,
        b"",
        b"md5=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        b"sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=",
        b"SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
        b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:",
        b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:",
        b"sha-256=:AAAA:",
        b"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:, sha-512=:AAAA:",
        b"\xff",
    ],
)
def test_a_digest_that_is_missing_malformed_or_of_another_body_is_rejected(field):
    with pytest.raises(ChannelRejected):
        check_content_digest(field, b'{"hello": "world"}')


def make(context, **scheme) -> Signed:
    said = {"scheme": {"kind": "rfc9421"} | scheme, "callers": CALLERS}
    return Signed(SignedConfig.model_validate(said), context)


@pytest.fixture
def channel(context) -> Signed:
    return make(context)


COVERED = ("@method", "@authority", "@path", "@query", "content-digest")


def signed(key="hmac-sha256", covered=COVERED, body=BODY, path="/guides/1", query="a=1", signer=None, **said):
    """A request signed as RFC 9421 says, by other code than the channel's."""
    fields = {"content-digest": content_digest(body), "x-branch": "0755"}
    components = {
        "@method": "POST", "@authority": "gw.example.gov.cn", "@path": path, "@query": f"?{query}", "@scheme": "https",
        "@request-target": f"{path}?{query}" if query else path,
        "@target-uri": f"https://gw.example.gov.cn{path}" + (f"?{query}" if query else ""),
    } | fields  # fmt: skip
    parameters = {"created": int(NOW), "keyid": key, "nonce": "n-1"} | said
    names = " ".join(f'"{name}"' for name in covered)
    written = f"({names})" + "".join(
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"' for name, value in parameters.items()
    )
    lines = [f'"{name}": {components[name]}' for name in covered] + [f'"@signature-params": {written}']
    signature = b64encode(SIGNERS[signer or key].sign("\n".join(lines).encode())).decode()
    fields |= {"signature-input": f"sig1={written}", "signature": f"sig1=:{signature}:"}
    return inbound("POST", path, query, fields, body)


def changed(asked: Inbound, fields=None, **values) -> Inbound:
    held = {name.decode(): value.decode("latin-1") for name, value in asked.fields.items()} | (fields or {})
    held = {name: value for name, value in held.items() if value is not None}
    said = {"method": asked.method, "path": asked.path, "query": asked.query, "body": asked.body.data} | values
    return inbound(said["method"], said["path"], said["query"], held, said["body"])


@each_algorithm
async def test_a_caller_signs_with_the_algorithm_of_its_key(channel, algorithm):
    assert await channel.identify(signed(algorithm)) == Credential("part", None, algorithm)
    assert channel.status() == {"clock_offsets": {algorithm: 0.0}}


@each_algorithm
async def test_the_algorithm_may_be_named_and_has_to_be_the_keys(channel, algorithm):
    registered = REGISTERED.get(algorithm)
    if registered is not None:
        assert await channel.identify(signed(algorithm, alg=registered)) is not None
    for other in {*REGISTERED.values(), "rsa-pss-sha512", "none", ""} - {registered}:
        with pytest.raises(ChannelRejected):
            await channel.identify(signed(algorithm, alg=other, nonce="n-2"))


async def test_a_request_without_signature_input_is_another_channels(channel):
    assert await channel.identify(changed(signed(), {"signature-input": None})) is None


ENOUGH = {
    "the target's address": (("@method", "@authority", "@target-uri", "content-digest"), {}),
    "the request's target": (("@method", "@authority", "@request-target", "content-digest"), {}),
    "without a query": (("@method", "@authority", "@path", "content-digest"), {"query": ""}),
    "without a body": (("@method", "@authority", "@path", "@query"), {"body": b""}),
    "another field": ((*COVERED, "x-branch", "@scheme"), {}),
}
TOO_LITTLE = {
    "nothing": ((), {}),
    "no method": (("@authority", "@path", "@query", "content-digest"), {}),
    "no authority": (("@method", "@path", "@query", "content-digest"), {}),
    "no path": (("@method", "@authority", "@query", "content-digest"), {}),
    "no query": (("@method", "@authority", "@path", "content-digest"), {}),
    "no body": (("@method", "@authority", "@path", "@query"), {}),
}


@pytest.mark.parametrize(("covered", "said"), ENOUGH.values(), ids=ENOUGH.keys())
async def test_what_the_request_has_is_covered(channel, covered, said):
    assert await channel.identify(signed(covered=covered, **said)) is not None


@pytest.mark.parametrize(("covered", "said"), TOO_LITTLE.values(), ids=TOO_LITTLE.keys())
async def test_a_signature_that_covers_too_little_is_rejected_although_it_holds(channel, covered, said):
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(signed(covered=covered, **said))
    assert "not covered" in caught.value.detail


async def test_what_the_configuration_wants_covered_has_to_be(context):
    channel = make(context, components=["@authority", "x-branch"])
    with pytest.raises(ChannelRejected):
        await channel.identify(signed())
    assert await channel.identify(signed(covered=(*COVERED, "x-branch"))) is not None


CHANGES = {
    "method": {"method": "PUT"},
    "path": {"path": "/guides/2"},
    "query": {"query": "a=2"},
    "a query more": {"query": "a=1&b=2"},
    "body": {"body": BODY + b" "},
    "no body": {"body": b""},
    "body and digest": {"body": b"x", "fields": {"content-digest": content_digest(b"x")}},
    "no digest": {"fields": {"content-digest": None}},
    "digest of nothing": {"fields": {"content-digest": "md5=:AAAA:"}},
}


@each_algorithm
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_whatever_is_changed_the_signature_covers_it(channel, algorithm, change):
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(changed(signed(algorithm), **change))
    assert type(caught.value) is ChannelRejected
    assert caught.value.client == algorithm


GOOD_INPUT = (
    '("@method" "@authority" "@path" "@query" "content-digest");created=1700000000;keyid="hmac-sha256";nonce="n-1"'
)


def altered(old: str, new: str) -> str:
    """A good input with one thing different."""
    assert old in GOOD_INPUT
    return f"sig1={GOOD_INPUT}".replace(old, new)


INPUTS = {
    "empty": "",
    "no label": GOOD_INPUT,
    "another label": f"sig2={GOOD_INPUT}",
    "two signatures": f"sig1={GOOD_INPUT}, sig2={GOOD_INPUT}",
    "white space": f"sig1= {GOOD_INPUT}",
    "two spaces": altered('" "', '"  "'),
    "a component twice": altered("(", '("@method" '),
    "two components in one": altered('" "', " "),
    "an unknown derived component": altered("@query", "@status"),
    "a parameter of a component": altered('"@path"', '"@path";req'),
    "a component in upper case": altered("content-digest", "Content-Digest"),
    "created twice": f"sig1={GOOD_INPUT};created=1700000001",
    "keyid twice": f'sig1={GOOD_INPUT};keyid="ed25519"',
    "an unknown parameter": f'sig1={GOOD_INPUT};level="1"',
    "created as text": altered("=1700000000", '="1700000000"'),
    "created with a plus": altered("=17", "=+17"),
    "created negative": altered("=17", "=-17"),
    "created with a fraction": altered("000;", "000.5;"),
    "no created": altered(";created=1700000000", ""),
    "no keyid": altered(';keyid="hmac-sha256"', ""),
    "no nonce": altered(';nonce="n-1"', ""),
    "empty nonce": altered("n-1", ""),
    "an escape": altered("n-1", 'n\\"1'),
    "not ASCII": altered("n-1", "n\xe9"),
    "a line feed": f"sig1={GOOD_INPUT}\n",
    "very long": f'sig1={GOOD_INPUT};tag="' + "x" * 8000,
    "very deep": "sig1=" + "(" * 8000,
}


@pytest.mark.parametrize("written", INPUTS.values(), ids=INPUTS.keys())
async def test_an_input_that_is_not_written_in_the_one_way_is_rejected_before_the_body_is_read(channel, written):
    asked = changed(signed(), {"signature-input": written})
    with pytest.raises(ChannelRejected) as caught:
        await channel.identify(asked)
    assert caught.value.code == "channel-signature"
    assert asked.body.read == 0


@pytest.mark.parametrize(
    "written",
    [None, "", "sig1=::", "sig1=:AAAA", "sig2=:AAAA:", "sig1=:AAB=:", "sig1=:A:", "sig1=:AAAA:, sig2=:AAAA:", "\xff"],
)
async def test_a_signature_that_is_not_written_in_the_one_way_is_rejected(channel, written):
    with pytest.raises(ChannelRejected):
        await channel.identify(changed(signed(), {"signature": written}))


@pytest.mark.parametrize(
    "said", [{"created": int(NOW) - 301}, {"created": int(NOW) + 301}, {"created": 0}, {"created": 10**14}]
)
async def test_a_signature_of_another_time_is_skewed(channel, said):
    with pytest.raises(ClockSkew):
        await channel.identify(signed(**said))


async def test_a_signature_holds_until_it_expires(channel):
    assert await channel.identify(signed(expires=int(NOW))) is not None
    with pytest.raises(ClockSkew):
        await channel.identify(signed(expires=int(NOW) - 1, nonce="n-2"))


@each_algorithm
async def test_the_same_request_twice_is_a_replay(channel, algorithm):
    await channel.identify(signed(algorithm))
    with pytest.raises(Replayed):
        await channel.identify(signed(algorithm))


async def test_the_other_half_of_an_ecdsa_signature_is_the_same_request(channel):
    asked = signed("ecdsa-p256")
    await channel.identify(asked)
    raw = b64decode(asked.fields[b"signature"][len(b"sig1=:") : -1])
    with pytest.raises(Replayed):
        await channel.identify(changed(asked, {"signature": f"sig1=:{b64encode(other_half(raw)).decode()}:"}))


@pytest.mark.parametrize("components", [["@nothing"], ["X-Branch"], ["a b"]])
def test_components_that_cannot_be_covered_are_refused_at_configuration_time(context, components):
    with pytest.raises(ValidationError):
        make(context, components=components)


WRITTEN = st.text(st.characters(max_codepoint=255), max_size=60)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(["signature-input", "signature", "content-digest"]), cut=st.integers(0, 200), more=WRITTEN)
async def test_a_mutated_field_never_passes_and_never_breaks_anything(name, cut, more):
    clock = Clock()
    once = MemoryStore(monotonic=lambda: clock.mono, clock=lambda: clock.wall)
    channel = make(PartContext("part", Platform(), once, lambda: clock.wall, lambda: clock.mono))
    asked = signed("ed25519")
    right = asked.fields[name.encode()].decode()
    wrong = right[:cut] + more + right[cut + len(more) :]
    assume(wrong == wrong.strip(" \t"))  # the parser takes spaces around a value off before anybody reads it
    said = await outcome(channel.identify(changed(asked, {name: wrong})))
    if wrong == right:
        assert said == Credential("part", None, "ed25519")
    else:
        assert isinstance(said, GatewayError)
        assert (said.status, said.code) in {(401, "channel-signature"), (401, "clock-skew")}

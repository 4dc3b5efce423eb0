"""The app channel: the published vectors, each check alone and in its order, and nothing twice."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway import CannotDecide, ChannelRejected, ClockSkew, CredentialRejected, Replayed
from gateway.state import MemoryStore
from gateway.tokens.signed_requests import RepeatedParameterError, sort_query
from plugins.channels.app import App, AppConfig
from tests.plugin_world import NOW, inbound

BODY = b'{"itemCode":"11440100696927671X3442011817001"}'
VECTOR = {"x-ak": "demo-ak", "x-nonce": "7f9c2b1e", "x-timestamp": "1700000000"}
SHA256 = "0d10db5be135a3b7683bce021c27a17fc1190bf32888bfdac0e5d9ccef01449f"
SM3 = "ccac58dd25a888644d517d6591bf50a3c89136913ca13093fc9360739c7cb5dc"
KEYS = [
    {"id": "demo-ak", "secret": "demo-sk"},
    {"id": "sm3-ak", "secret": "demo-sk", "algorithm": "hmac-sm3"},
    {"id": "off-ak", "secret": "demo-sk", "enabled": False},
    {"id": "later-ak", "secret": "demo-sk", "not_before": "2023-11-14T22:14:00Z"},  # 40 s after NOW
]


def make(context, **config) -> App:
    config = {"refuse_before_start": False} | config
    return App(AppConfig.model_validate({"keys": KEYS} | config), context)


@pytest.fixture
def app(context) -> App:
    return make(context)


def signed(
    method="GET", path="/guides/1", query="", body=b"", key="demo-ak", at=NOW, nonce="n-0001", secret="demo-sk",
    digest="sha256", sent_query=None, **fields,
):  # fmt: skip
    """A request signed as docs/channels.md says, by other code than the channel's."""
    lines = [
        method,
        path,
        "&".join(sorted(query.split("&"))),
        f"x-ak:{key}",
        f"x-nonce:{nonce}",
        f"x-timestamp:{at:.0f}",
    ]
    text = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    signature = hmac.new(secret.encode(), text.encode(), digest).hexdigest()
    held = {"x-ak": key, "x-nonce": nonce, "x-timestamp": f"{at:.0f}", "x-signature": signature} | fields
    return inbound(method, path, query if sent_query is None else sent_query, held, body)


@pytest.mark.parametrize(("algorithm", "signature"), [("hmac-sha256", SHA256), ("hmac-sm3", SM3)])
async def test_the_published_vector_holds(context, algorithm, signature):
    app = make(context, keys=[{"id": "demo-ak", "secret": "demo-sk", "algorithm": algorithm}])
    request = inbound("POST", "/api/v1/items/query", "", VECTOR | {"x-signature": signature}, BODY)
    credential = await app.identify(request)
    assert (credential.channel, credential.client, credential.token) == ("part", "demo-ak", None)


async def test_a_request_without_an_access_key_is_another_channels(app):
    assert await app.identify(inbound(fields={"x-nonce": "n", "x-signature": SHA256})) is None


async def test_the_bearer_token_becomes_the_credentials(app):
    assert (await app.identify(signed(authorization="Bearer abc"))).token == "abc"


async def test_an_authorization_that_is_no_bearer_token_is_rejected(app):
    with pytest.raises(CredentialRejected):
        await app.identify(signed(authorization="Basic abc"))


async def test_the_order_of_the_query_does_not_matter(app):
    request = signed(query="b=2&a=1&a-b=%7E", sent_query="a-b=%7E&b=2&a=1")
    assert await app.identify(request) is not None


SHAPES = {
    "no nonce": {"x-nonce": None},
    "no timestamp": {"x-timestamp": None},
    "no signature": {"x-signature": None},
    "empty key": {"x-ak": ""},
    "key with a space": {"x-ak": "a b"},
    "key too long": {"x-ak": "k" * 65},
    "two keys": {"x-ak": "demo-ak, demo-ak"},
    "key that is not ASCII": {"x-ak": "d\xe9mo"},
    "empty nonce": {"x-nonce": ""},
    "nonce too long": {"x-nonce": "n" * 129},
    "nonce with a line feed": {"x-nonce": "n\nx"},
    "timestamp with a plus": {"x-timestamp": "+170000000"},
    "timestamp with an underscore": {"x-timestamp": "1_70000000"},
    "timestamp with white space": {"x-timestamp": "170000000 "},
    "timestamp with a line feed": {"x-timestamp": "1700000000\n"},
    "timestamp in milliseconds": {"x-timestamp": "1700000000000"},
    "timestamp in superscript": {"x-timestamp": "170000000\xb2"},
    "negative timestamp": {"x-timestamp": "-170000000"},
    "signature too short": {"x-signature": "0" * 63},
    "signature too long": {"x-signature": "0" * 65},
    "signature in upper case": {"x-signature": "A" * 64},
    "signature that is not hex": {"x-signature": "g" * 64},
    "signature that is not ASCII": {"x-signature": "\xe9" * 64},
}


@pytest.mark.parametrize("changed", SHAPES.values(), ids=SHAPES.keys())
async def test_a_request_of_another_shape_is_rejected_before_its_body_is_read(app, changed):
    good = VECTOR | {"x-signature": SHA256}
    request = inbound(fields={name: text for name, text in (good | changed).items() if text is not None}, body=BODY)
    with pytest.raises(ChannelRejected) as caught:
        await app.identify(request)
    assert (caught.value.status, caught.value.code) == (401, "channel-signature")
    assert request.body.read == 0


CHANGES = {
    "method": {"method": "DELETE"},
    "path": {"path": "/guides/2"},
    "query": {"sent_query": "a=2"},
    "a parameter more": {"sent_query": "a=1&b=2"},
    "percent-encoding": {"sent_query": "%61=1"},
    "nonce": {"x-nonce": "n-0002"},
    "timestamp": {"x-timestamp": f"{NOW + 1:.0f}"},
    "key": {"x-ak": "sm3-ak"},
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES.keys())
async def test_whatever_is_changed_the_signature_covers_it(app, changed):
    good = signed(query="a=1")
    fields = {name.decode(): text.decode() for name, text in good.fields.items()}
    fields |= {name: text for name, text in changed.items() if name.startswith("x-")}
    request = inbound(
        changed.get("method", "GET"), changed.get("path", good.path), changed.get("sent_query", "a=1"), fields, b""
    )
    with pytest.raises(ChannelRejected) as caught:
        await app.identify(request)
    assert type(caught.value) is ChannelRejected


async def test_a_changed_body_is_rejected(app):
    good = signed("POST", body=BODY)
    fields = {name.decode(): text.decode() for name, text in good.fields.items()}
    with pytest.raises(ChannelRejected):
        await app.identify(inbound("POST", good.path, "", fields, BODY + b" "))


async def test_the_algorithm_is_the_keys_whatever_the_request_says(app):
    with pytest.raises(ChannelRejected):
        await app.identify(signed(key="sm3-ak", digest="sha256", **{"x-algorithm": "hmac-sha256"}))
    assert await app.identify(signed(key="sm3-ak", digest="sm3")) is not None


@pytest.mark.parametrize("key", ["nobody", "unknown", "off-ak", "later-ak"])
async def test_an_unknown_or_idle_key_gets_the_answer_of_a_bad_signature(app, key):
    with pytest.raises(ChannelRejected) as caught:
        await app.identify(signed(key=key))
    assert type(caught.value) is ChannelRejected


async def test_a_key_holds_from_its_first_moment(app, clock):
    clock.advance(40)
    assert await app.identify(signed(key="later-ak", at=clock.wall)) is not None


@pytest.mark.parametrize("offset", [-300, 0, 300])
async def test_a_request_signed_within_the_window_is_believed(app, offset):
    assert await app.identify(signed(at=NOW + offset)) is not None
    assert app.clock_offsets == {"demo-ak": offset}


@pytest.mark.parametrize("offset", [-301, 301, -1_600_000_000, 8_299_999_999])
async def test_a_request_signed_outside_the_window_is_skewed_before_its_body_is_read(app, offset):
    request = signed(at=NOW + offset, body=BODY)
    fields = dict(request.fields) | {b"x-timestamp": b"%010d" % (NOW + offset)}
    request = inbound(fields={name.decode(): text.decode() for name, text in fields.items()}, body=BODY)
    with pytest.raises(ClockSkew):
        await app.identify(request)
    assert request.body.read == 0


@pytest.mark.parametrize("key", ["unknown", "off-ak"])
async def test_nobody_without_a_key_makes_us_hold_a_body(app, key):
    request = signed(key=key, body=BODY)
    with pytest.raises(ChannelRejected):
        await app.identify(request)
    assert request.body.read == 0


async def test_a_bad_signature_says_nothing_about_the_callers_clock(app):
    with pytest.raises(ChannelRejected):
        await app.identify(signed(at=NOW + 100, secret="guessed"))
    assert app.clock_offsets == {}


async def test_the_same_request_twice_is_a_replay(app):
    await app.identify(signed())
    with pytest.raises(Replayed):
        await app.identify(signed())
    assert await app.identify(signed(nonce="n-0002")) is not None


async def test_a_nonce_is_taken_once_whatever_else_is_signed(app):
    await app.identify(signed())
    with pytest.raises(Replayed):
        await app.identify(signed(path="/guides/2", at=NOW + 1))


async def test_a_request_with_a_bad_signature_uses_nothing_up(app, context):
    with pytest.raises(ChannelRejected):
        await app.identify(signed(secret="guessed"))
    assert len(context.once) == 0
    assert await app.identify(signed()) is not None


async def test_a_replay_is_noticed_as_long_as_its_timestamp_is_believed(app, clock):
    """Signed 300 seconds ahead, it is believed for 600 seconds; it is remembered for longer than that."""
    await app.identify(signed(at=NOW + 300))
    clock.advance(600)
    with pytest.raises(Replayed):
        await app.identify(signed(at=NOW + 300))
    clock.advance(1)
    with pytest.raises(ClockSkew):
        await app.identify(signed(at=NOW + 300))


async def test_a_clock_that_is_set_back_brings_no_request_back(app, clock):
    await app.identify(signed())
    clock.advance(3600)
    await app.identify(signed(at=clock.wall))
    clock.wall -= 3600
    with pytest.raises(ClockSkew):
        await app.identify(signed())


async def test_what_was_signed_before_the_start_is_refused(context):
    """What was used is remembered since the store began: nobody can say whether an older request was here before."""
    app = make(context, refuse_before_start=True)
    assert await app.identify(signed()) is not None
    with pytest.raises(ClockSkew):
        await app.identify(signed(at=NOW - 1))


async def test_a_loss_that_is_found_out_while_asking_lets_nothing_pass(context):
    """The store may learn only from `first_use` that it lost what it knew."""

    class Lost:
        unknown_before = 0.0

        async def first_use(self, key, seconds):
            self.unknown_before = NOW + 1
            return True

    with pytest.raises(ClockSkew):
        await make(_with(context, Lost()), refuse_before_start=True).identify(signed())


async def test_a_store_that_cannot_tell_lets_nobody_pass(context, clock):
    full = MemoryStore(capacity=0, monotonic=lambda: clock.mono)
    with pytest.raises(CannotDecide):
        await make(_with(context, full)).identify(signed())


def _with(context, once):
    return type(context)(context.name, context.fetch, once, context.clock, context.monotonic, context.log)


async def test_two_channels_do_not_share_what_was_used(context):
    one = make(context)
    other = make(type(context)("other", context.fetch, context.once, context.clock, context.monotonic, context.log))
    assert await one.identify(signed()) is not None
    assert await other.identify(signed()) is not None


@pytest.mark.parametrize("query", ["a=1&a=2", "a=1&a=1", "a&a=1", "a=1&%61=2", "a+b=1&a%20b=2", "&a=1&"])
async def test_a_parameter_that_is_there_twice_is_rejected(app, query):
    with pytest.raises(ChannelRejected):
        await app.identify(signed(query=query))


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=1&a-b=2", "a-b=2&a=1"),
        ("a=%7E&A=~", "A=~&a=%7E"),
        ("name=%E5%BC%A0&id=1", "id=1&name=%E5%BC%A0"),
        ("a=1&&b=2", "&a=1&b=2"),
        ("q=a=b", "q=a=b"),
    ],
)
def test_the_query_is_sorted_by_the_bytes_of_its_pieces(query, canonical):
    assert sort_query(query) == canonical


@given(st.dictionaries(st.text("abcXYZ%20-._~", min_size=1), st.text("abc=%7E"), max_size=6), st.randoms())
def test_a_query_in_any_order_has_one_canonical_form(pairs, random):
    pieces = [f"{name}={value}" for name, value in pairs.items()]
    shuffled = random.sample(pieces, len(pieces))
    try:
        expected = sort_query("&".join(pieces))
    except RepeatedParameterError:
        return
    assert sort_query("&".join(shuffled)) == expected


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [{"id": "a", "secret": ""}],
        [{"id": "a"}],
        [{"id": "a", "secret": "  "}],
        [{"id": "dev.a", "secret": "x"}],
        [{"id": "a b", "secret": "x"}],
        [{"id": "a\n", "secret": "x"}],
        [{"id": "a", "secret": "x", "algorithm": "hmac-md5"}],
        [{"id": "a", "secret": "x", "not_before": "2023-11-14T22:14:00"}],
        [{"id": "a", "secret": "x"}, {"id": "a", "secret": "y"}],
        [{"id": "a", "secret": "x", "sekret": "y"}],
    ],
)
def test_keys_that_cannot_be_right_are_refused_at_configuration_time(keys):
    with pytest.raises(ValidationError):
        AppConfig.model_validate({"keys": keys})


def test_a_secret_is_not_in_the_repr_of_its_settings():
    assert "demo-sk" not in repr(AppConfig.model_validate({"keys": KEYS}))

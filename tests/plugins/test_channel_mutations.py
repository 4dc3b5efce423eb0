"""Good messages of the three platforms with a few bytes changed: never taken for another message, never a 500."""

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import ChannelRejected, Credential, PartContext, read_form
from gateway.state import MemoryStore
from plugins.channels.alipay import Alipay
from plugins.channels.unionpay import UnionPay
from plugins.channels.wechat import WeChat, WeChatConfig
from tests.plugin_world import Clock, Platform, inbound
from tests.plugins import test_alipay, test_unionpay, test_wechat

WECHAT = WeChatConfig.model_validate(
    {"app_id": test_wechat.APP, "messages": {"paths": [test_wechat.PATH], "keys": test_wechat.KEYS}}
)
GOOD = {
    "wechat": (WeChat, WECHAT, test_wechat.posted()),
    "alipay": (Alipay, test_alipay.settings(), test_alipay.posted()),
    "unionpay 01": (UnionPay, test_unionpay.settings("01"), test_unionpay.posted(test_unionpay.SIGNED)),
    "unionpay 11": (UnionPay, test_unionpay.settings(), test_unionpay.posted(test_unionpay.GOOD)),
}
CHANGE = st.tuples(
    st.integers(0, 5000), st.integers(0, 3), st.binary(max_size=3) | st.sampled_from([b"&", b"%", b"<", b"="])
)
hostile = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def context():
    clock = Clock()
    once = MemoryStore(monotonic=lambda: clock.mono, clock=lambda: 0.0)
    return PartContext("part", Platform(), once, lambda: clock.wall, lambda: clock.mono)


def changed(data, changes):
    for at, dropped, put in changes:
        at %= len(data) + 1
        data = data[:at] + put + data[at + dropped :]
    return data


@pytest.mark.parametrize("kind", GOOD)
@hostile
@given(in_query=st.lists(CHANGE, max_size=2), in_body=st.lists(CHANGE, max_size=3))
async def test_a_changed_message_is_taken_or_rejected_and_nothing_else(kind, in_query, in_body):
    make, config, good = GOOD[kind]
    query = changed(good.query.encode(), in_query).decode("latin-1")
    body = changed(good.body.data, in_body)
    fields = {"content-type": good.field("content-type")}
    said = None
    with suppress(ChannelRejected):
        said = await make(config, context()).identify(inbound("POST", good.path, query, fields, body))
    assert said is None or isinstance(said, Credential)
    if said is not None:
        inward = body if said.body is None else await said.body.whole()
        assert meaning(kind, inward) == meaning(kind, test_wechat.MESSAGE if kind == "wechat" else good.body.data)


def meaning(kind, data):
    """What the business system can make of it: of a form, what has a value and is signed."""
    if kind == "wechat":
        return data
    values = {name: value.strip(bytes(range(33))) for name, value in read_form(data).items()}
    return {name: value for name, value in values.items() if value and name != "sign_type"}


@pytest.mark.parametrize("kind", GOOD)
async def test_the_message_itself_is_good(kind):
    make, config, good = GOOD[kind]
    assert await make(config, context()).identify(good) is not None

"""The inner unit: what it executes, what it refuses, and that it executes nothing twice."""

import asyncio
import hashlib
import secrets

import pytest
from ferry_world import KEY, Reply, System, declaration, inner_settings, request, until, world

from gateway.errors import (
    ContentBlocked,
    GatekeeperBusy,
    Undelivered,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ferry.conversation import Conversation
from gateway.ferry.envelope import Answer, FrameWriter, Refusal, Request, greeting_key
from gateway.ferry.inner import Seen

ROUTE = {"id": "settlement", "system": "medical", "method": "GET", "path": "/settlements/{settlement_id}"}


class Outer:
    """An outer unit that says exactly what a test wants it to."""

    def __init__(self) -> None:
        self.heard: list = []
        self.conversation = Conversation(
            "outer", KEY.encode(), "0" * 32, 16 << 20, lambda _, message: self.heard.append(message)
        )

    async def link(self, made) -> "Outer":
        await made.carrier.connect(self.conversation)
        await self.conversation.met
        return self

    def message(self, **changed) -> Request:
        given = {
            "id": secrets.token_hex(16),
            "boot": self.conversation.met.result().boot,
            "route": "settlement",
            "item": "item",
            "method": "GET",
            "path": "/public",
            "params": {"settlement_id": "S-1"},
            "query": [],
            "fields": [],
            "content_type": "",
            "body": b"",
            "identity": "",
            "channel": "web",
            "deadline_ms": 2000,
            "created_ms": 0,
            "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        } | changed
        return Request(**({"body_sha256": hashlib.sha256(given["body"]).digest()} | given))

    async def say(self, message) -> Answer | Refusal:
        count = len(self.heard)
        self.conversation.say(message)
        await until(lambda: len(self.heard) > count)
        return self.heard[-1]


async def refusal(made, **changed) -> str:
    outer = await Outer().link(made)
    said = await outer.say(outer.message(**changed))
    outer.conversation.end()
    return said.code if isinstance(said, Refusal) else f"status {said.status}"


async def test_the_route_decides_where_it_goes_and_the_message_cannot():
    async with world(inner=inner_settings(ROUTE | {"query": ["year", "a&b"]})) as made:
        outer = await Outer().link(made)
        params, query = {"settlement_id": "S%20%E4%B9%9D"}, [("year", "2026&x=1"), ("a&b", "/../?#")]
        await outer.say(outer.message(params=params, query=query))
        [call] = made.system.received
    assert call.target == b"/settlements/S%20%E4%B9%9D?year=2026%26x%3D1&a%26b=%2F..%2F%3F%23"
    assert call.method == "GET"


@pytest.mark.parametrize(
    "value",
    ["", ".", "..", "%2e%2e", "a%2fb", "a%2Fb", "a%5cb", "a/b", "a\\b", "%00", "%0a", "%c0%af", "%zz", "%", "a b",
     "a;b", "a%3bb", "?x", "#x", "九", "x" * 256],
)  # fmt: skip
async def test_a_parameter_that_is_not_one_plain_segment_is_blocked(value):
    async with world() as made:
        assert await refusal(made, params={"settlement_id": value}) == "content-blocked"
        assert made.system.received == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"params": {}}, "content-blocked"),
        ({"params": {"settlement_id": "1", "more": "2"}}, "content-blocked"),
        ({"query": [("host", "evil")]}, "content-blocked"),
        ({"method": "DELETE"}, "content-blocked"),
        ({"method": "GET\r\nx"}, "content-blocked"),
        ({"route": "http://10.0.0.1/"}, "route-unknown"),
        ({"route": "settlement2"}, "route-unknown"),
        ({"boot": "f" * 32}, "other-boot"),
        ({"deadline_ms": 0}, "expired"),
        ({"body": b"{}", "content_type": "application/json"}, "content-blocked"),
        ({"body_sha256": bytes(32)}, "content-blocked"),
        ({"fields": [(b"accept", b"a\r\nx: y")]}, "content-blocked"),
        ({"fields": [(b"tongguan-A", b"b")]}, "content-blocked"),
        ({"identity": "a.b.c\r\nx: y"}, "content-blocked"),
        ({"traceparent": "x"}, "content-blocked"),
    ],
)
async def test_what_the_route_does_not_allow_is_refused_and_not_executed(changed, code):
    async with world() as made:
        assert await refusal(made, **changed) == code
        assert made.system.received == []
        assert made.records[-1].code == code
        assert made.records[-1].outcome == "refused"


async def test_a_query_parameter_may_be_there_once():
    async with world(inner=inner_settings(ROUTE | {"query": ["year"]})) as made:
        assert await refusal(made, query=[("year", "1"), ("year", "2")]) == "content-blocked"


async def test_the_same_id_is_executed_once():
    async with world() as made:
        outer = await Outer().link(made)
        message = outer.message()
        assert isinstance(await outer.say(message), Answer)
        assert (await outer.say(message)).code == "repeated"
        other = await Outer().link(made)
        assert (await other.say(message)).code == "repeated"
        assert len(made.system.received) == 1


async def test_frames_recorded_on_one_link_say_nothing_on_another():
    """Whoever replays a whole link from its first byte does not get past the greeting's keys."""

    class Recording:
        def __init__(self, link) -> None:
            self.link, self.data = link, []

        def put(self, data: bytes) -> None:
            self.data.append(data)
            self.link.put(data)

        def __getattr__(self, name):
            return getattr(self.link, name)

    class Replay:
        reason = None

        def linked(self, link) -> None:
            for data in recording.data:
                link.put(data)

        def take(self, data: bytes) -> None:
            pass

        def lost(self, reason: str) -> None:
            self.reason = reason

    async with world() as made:
        outer = Outer()
        linked = outer.conversation.linked
        recording = None

        def record(link) -> None:
            nonlocal recording
            recording = Recording(link)
            linked(recording)

        outer.conversation.linked = record
        await outer.link(made)
        await outer.say(outer.message())
        replay = Replay()
        await made.carrier.connect(replay)
        await until(lambda: replay.reason is not None)
        assert len(made.system.received) == 1
        assert len(made.records) == 1


@pytest.mark.parametrize("secret", [KEY.encode(), b"k" * 32], ids=["our key", "another key"])
async def test_what_is_said_before_a_greeting_ends_the_link(secret):
    class Rude:
        reason = None

        def linked(self, link) -> None:
            writer = FrameWriter(greeting_key(secret, "outer"), 4096)
            link.put(writer.frame(Refusal(id="0" * 32, code="busy", detail="")))

        def take(self, data: bytes) -> None:
            pass

        def lost(self, reason: str) -> None:
            self.reason = reason

    async with world() as made:
        rude = Rude()
        await made.carrier.connect(rude)
        await until(lambda: rude.reason is not None)
        assert made.inner.status()["links"] == 1


async def test_an_outer_unit_that_says_what_only_the_inner_may_say_loses_the_link():
    async with world() as made:
        outer = await Outer().link(made)
        outer.conversation.say(Refusal(id="0" * 32, code="busy", detail=""))
        await asyncio.wait_for(outer.conversation.ended, 2)


async def test_only_allow_listed_fields_go_in_and_the_gateways_own_come_last():
    route = ROUTE | {"request": {"fields": ["x-form-version"]}}
    async with world(inner=inner_settings(route)) as made:
        outer = await Outer().link(made)
        fields = [
            (b"accept", b"application/json"),
            (b"x-form-version", b"2"),
            (b"x-other", b"dropped"),
            (b"tongguan-account", b"440100"),
            (b"tongguan-identity", b"forged"),
        ]
        message = outer.message(fields=fields, identity="a.b.c")
        await outer.say(message)
        [call] = made.system.received
    assert call.fields == [
        (b"accept", b"application/json"),
        (b"x-form-version", b"2"),
        (b"tongguan-account", b"440100"),
        (b"tongguan-identity", b"a.b.c"),
        (b"traceparent", message.traceparent.encode()),
        (b"x-request-id", message.id.encode()),
    ]


async def test_only_allow_listed_fields_come_back():
    async def answer(_) -> Reply:
        fields = [(b"content-type", b"application/json"), (b"location", b"/x"), (b"server", b"inner-7")]
        return Reply(fields=fields)

    route = ROUTE | {"answer": {"fields": ["location"], "content_types": ["application/json"]}}
    async with world(system=System(answer), inner=inner_settings(route)) as made:
        outer = await Outer().link(made)
        said = await outer.say(outer.message())
    assert said.fields == [(b"content-type", b"application/json"), (b"location", b"/x")]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(fields=[(b"content-type", b"text/html")], body=b"<p>"),
        Reply(fields=[]),
        Reply(body=b'{"a":1,"a":2}'),
        Reply(body=b'"' + b"x" * 2000 + b'"'),
        Reply(pieces=[b'"', b"x" * 600, b"x" * 600, b'"']),
        Reply(status=101),
        Reply(status=999),
        Reply(fields=[(b"content-type", b"application/json\0")]),
    ],
    ids=["html", "no type", "duplicate key", "too large", "too large in pieces", "101", "999", "control character"],
)
async def test_an_answer_that_may_not_pass_is_withheld(reply):
    """502: it was executed, and its answer stays inside."""

    async def answer(_) -> Reply:
        return reply

    route = ROUTE | {"answer": {"content_types": ["application/json"], "size": "1KiB"}}
    async with world(system=System(answer), inner=inner_settings(route)) as made:
        with pytest.raises(Undelivered) as raised:
            await made.ask(request())
        assert type(raised.value) is Undelivered
        assert (made.records[0].code, made.records[0].outcome) == ("answer-blocked", "withheld")


async def test_an_answer_that_does_not_fit_a_message_is_withheld():
    async def answer(_) -> Reply:
        return Reply(body=b'"' + b"x" * 3000 + b'"')

    async with world(system=System(answer), inner=inner_settings(ROUTE, message="2KiB")) as made:
        with pytest.raises(Undelivered, match="answer-blocked"):
            await made.ask(request())
        assert made.outer.status()["link"] == "up"


async def test_an_answer_in_pieces_is_made_whole():
    async def answer(_) -> Reply:
        return Reply(pieces=[b'{"a":', b"1}"])

    async with world(system=System(answer)) as made:
        assert (await made.ask(request())).whole == b'{"a":1}'


@pytest.mark.parametrize("status", [204, 304, 404, 409, 500, 503])
async def test_the_systems_own_status_passes_unchanged(status):
    async def answer(_) -> Reply:
        return Reply(status=status, body=b"", fields=[])

    async with world(system=System(answer)) as made:
        assert (await made.ask(request())).status == status


async def test_head_goes_where_get_goes_and_its_announced_length_comes_back():
    async def answer(call) -> Reply:
        reply = Reply(body=b"")
        reply.length = 1234
        assert call.method == "HEAD"
        return reply

    async with world(system=System(answer)) as made:
        reply = await made.ask(request(method="HEAD"))
    assert (reply.whole, reply.length) == (b"", 1234)


@pytest.mark.parametrize(
    ("error", "raised", "outcome"),
    [
        (UpstreamUnavailable("down"), UpstreamUnavailable, "refused"),
        (UpstreamTimeout("slow"), UpstreamTimeout, "unknown"),
        (Undelivered("garbage"), Undelivered, "unknown"),
        (TimeoutError(), UpstreamTimeout, "unknown"),
        (RuntimeError("a defect"), Undelivered, "unknown"),
    ],
)
async def test_what_goes_wrong_with_the_system_is_told(error, raised, outcome):
    async def fail(_) -> Reply:
        raise error

    async with world(system=System(fail)) as made:
        with pytest.raises(raised) as found:
            await made.ask(declaration())
        assert type(found.value) is raised
        assert made.records[0].outcome == outcome
        assert made.records[0].attempts == 1


async def test_a_dripping_answer_ends_at_the_deadline():
    class Dripping(Reply):
        async def chunks(self):
            while True:
                yield b" "
                await asyncio.sleep(0.01)

    async def answer(_) -> Reply:
        return Dripping(pieces=[b""])

    async with world(system=System(answer), inner=inner_settings(ROUTE | {"timeout": "100ms"})) as made:
        with pytest.raises(UpstreamTimeout):
            await made.ask(request())


async def test_the_system_gets_what_is_left_of_the_deadline_at_most_the_routes():
    async with world(inner=inner_settings(ROUTE | {"timeout": "1s"})) as made:
        await made.ask(request(timeout=5.0))
        await made.ask(request(timeout=0.5))
        first, second = (call.timeout for call in made.system.received)
    assert 0.9 < first <= 1.0
    assert 0.4 < second <= 0.5


async def test_more_requests_than_it_carries_are_refused():
    async def hang(_) -> Reply:
        await release.wait()
        return Reply()

    release = asyncio.Event()
    async with world(system=System(hang), inner=inner_settings(in_flight=2)) as made:
        tasks = [asyncio.create_task(made.ask(request())) for _ in range(2)]
        await until(lambda: made.inner.status()["in_flight"] == 2)
        with pytest.raises(GatekeeperBusy) as busy:
            await made.ask(request())
        assert busy.value.retry_after == 1.0
        release.set()
        await asyncio.gather(*tasks)


async def test_draining_finishes_what_is_under_way_and_takes_nothing_new():
    async def hang(_) -> Reply:
        await release.wait()
        return Reply()

    release = asyncio.Event()
    async with world(system=System(hang)) as made:
        task = asyncio.create_task(made.ask(declaration()))
        await until(lambda: made.inner.status()["in_flight"] == 1)
        draining = asyncio.create_task(made.inner.drain(5))
        await asyncio.sleep(0)
        with pytest.raises(GatekeeperBusy, match="draining"):
            await made.ask(request())
        release.set()
        await draining
        assert (await task).status == 200


async def test_stopping_records_what_is_under_way_as_unknown():
    async def hang(_) -> Reply:
        await asyncio.Event().wait()
        return Reply()

    async with world(system=System(hang)) as made:
        task = asyncio.create_task(made.ask(declaration()))
        await until(lambda: made.inner.status()["in_flight"] == 1)
        await made.inner.stop()
        with pytest.raises(Undelivered) as caught:
            await task
        assert caught.value.outcome == made.records[0].outcome == "unknown"


async def test_more_links_than_configured_are_not_kept():
    async with world(inner=inner_settings(links=1)) as made:
        outer = Outer()
        await made.carrier.connect(outer.conversation)
        await asyncio.wait_for(outer.conversation.ended, 2)
        assert made.inner.status()["links"] == 1
        assert (await made.ask(request())).status == 200


async def test_one_record_per_message_with_the_same_id():
    async with world() as made:
        asked = [request(), declaration(), request(route="nowhere", params={})]
        for outbound in asked:
            try:
                await made.ask(outbound)
            except Undelivered:
                continue
        assert [record.id for record in made.records] == [outbound.visit.inbound.id for outbound in asked]
        assert [record.outcome for record in made.records] == ["delivered", "delivered", "refused"]
        assert made.records[1].received == len(b'{"name":"retirement"}')


async def test_a_blocked_request_is_a_403_at_the_edge():
    async with world() as made:
        with pytest.raises(ContentBlocked):
            await made.ask(declaration(body=b'{"a":1,"a":2}'))


def test_seen_ids_are_remembered_for_at_least_a_generation_and_bounded():
    seen = Seen(generation=100)
    ids = [f"{n:032x}" for n in range(1000)]
    for index, one in enumerate(ids):
        assert seen.first(one)
        assert not any(seen.first(recent) for recent in ids[max(0, index - 99) : index + 1])
    assert len(seen._young) + len(seen._old) <= 200


def test_a_record_holds_no_body_and_no_identity():
    from gateway.ferry.inner_records import MessageRecord

    assert not {"body", "identity", "fields", "params", "query"} & set(MessageRecord.__struct_fields__)

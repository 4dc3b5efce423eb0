"""The outer unit: what it hands over, what it refuses, and which answers it believes."""

import asyncio
import contextlib
import hashlib
import time

import pytest
from ferry_world import (
    PRINCIPAL,
    Reply,
    System,
    Whole,
    declaration,
    outer_settings,
    request,
    signer,
    until,
    world,
)
from structlog.testing import CapturingLogger

from gateway.errors import (
    BodyTooLarge,
    ConfigurationError,
    ContentBlocked,
    GatekeeperBusy,
    GatekeeperTimeout,
    Undelivered,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.ferry.carriers import MemoryCarrier, SocketCarrier
from gateway.ferry.conversation import Conversation
from gateway.ferry.crossing import query_pairs
from gateway.ferry.envelope import Answer, Refusal, Request
from gateway.forward.ferry import FerryForwarder
from gateway.units import Address
from tests.parsing import parsed

REFUSALS = 5
KEY = outer_settings().key.get_secret_value().encode()


class Scripted:
    """An inner unit that does nothing by itself: a test answers for it."""

    def __init__(self, boot: str = "b" * 32) -> None:
        self.boot = boot
        self.heard: list[Request] = []
        self.conversation: Conversation | None = None

    def meet(self) -> Conversation:
        self.conversation = Conversation(
            "inner", KEY, self.boot, 1 << 20, lambda _, message: self.heard.append(message)
        )
        return self.conversation

    def answer(self, request_id: str, body: bytes = b"{}", **changed) -> None:
        given = {"status": 200, "fields": [], "body": body, "body_sha256": hashlib.sha256(body).digest()}
        given |= {"length": len(body), "ms": 0.1} | changed
        self.conversation.say(Answer(id=request_id, **given))


@contextlib.asynccontextmanager
async def scripted(settings=None, monotonic=time.monotonic):
    inner, carrier = Scripted(), MemoryCarrier()
    await carrier.listen(inner.meet)
    outer = FerryForwarder(settings or outer_settings(), carrier, signer(), monotonic=monotonic)
    await outer.start()
    try:
        await until(lambda: outer.status()["link"] == "up")
        yield outer, inner
    finally:
        await outer.stop()


async def ask(outer, outbound):
    async with outer.send(outbound) as reply:
        return reply


async def handed_over(outer, inner, outbound) -> tuple[asyncio.Task, Request]:
    count = len(inner.heard)
    task = asyncio.create_task(ask(outer, outbound))
    await until(lambda: len(inner.heard) > count)
    return task, inner.heard[-1]


async def test_the_message_says_what_was_matched_and_nothing_of_the_inner_network():
    async with scripted() as (outer, inner):
        asked = request(query="year=2026&month=%E4%B9%9D")
        task, message = await handed_over(outer, inner, asked)
        inner.answer(message.id)
        await task
    inbound = asked.visit.inbound
    assert (message.id, message.boot, message.route) == (inbound.id, inner.boot, "settlement")
    assert (message.method, message.path) == ("GET", inbound.path)
    assert message.params == {"settlement_id": "S-1"}
    assert message.query == [("year", "2026"), ("month", "九")]
    assert message.body_sha256 == hashlib.sha256(b"").digest()
    assert 0 < message.deadline_ms <= 2000
    assert message.traceparent == f"00-{inbound.id}-{inbound.id[16:]}-01"
    assert message.identity.count(".") == 2


async def test_only_allow_listed_fields_cross():
    fields = [
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"x-form-version", b"2"),
        (b"tongguan-account", b"44010000012345678901"),
        (b"tongguan-identity", b"forged"),
        (b"x-other", b"dropped"),
        (b"cookie", b"a=b"),
        (b"authorization", b"Bearer secret"),
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-request-id", b"carried apart"),
        (b"traceparent", b"00-%b-%b-01" % (b"a" * 32, b"b" * 16)),
    ]
    listed = ("X-Form-Version", "cookie", "authorization", "tongguan-identity")
    async with scripted(outer_settings(request_fields=listed)) as (outer, inner):
        task, message = await handed_over(outer, inner, declaration(fields=fields))
        inner.answer(message.id)
        await task
    assert message.fields == [
        (b"accept", b"application/json"),
        (b"x-form-version", b"2"),
        (b"tongguan-account", b"44010000012345678901"),
    ]
    assert message.content_type == "application/json"
    assert message.traceparent == f"00-{'a' * 32}-{'b' * 16}-01"


async def test_only_allow_listed_fields_come_back():
    async with scripted(outer_settings(response_fields=("Location", "connection", "content-length"))) as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        fields = [
            (b"content-type", b"application/json"),
            (b"location", b"/declarations/1"),
            (b"server", b"inner-host-7"),
            (b"connection", b"x"),
            (b"content-length", b"999"),
        ]
        inner.answer(message.id, fields=fields)
        reply = await task
    assert reply.fields == fields[:2]
    assert (reply.status, reply.whole, reply.length, reply.tunnel) == (200, b"{}", 2, None)
    assert [piece async for piece in reply.chunks()] == [b"{}"]


async def test_an_item_for_anyone_carries_no_identity():
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request(principal=None))
        inner.answer(message.id)
        await task
    assert message.identity == ""


@pytest.mark.parametrize(
    "outbound",
    [
        request(upgrade="websocket"),
        request(inbound_fields={b"trailer": b"x-checksum"}),
        declaration(inbound_fields={b"content-encoding": b"gzip"}),
        request(query="a=%zz"),
        request(query="a=%ff"),
        request(query="a=1%0ab"),
        request(query="=1"),
        request(query="a=1&&b=2"),
        request(query="&".join(f"p{n}=1" for n in range(201))),
    ],
    ids=["upgrade", "trailers", "gzip", "escape", "not UTF-8", "line feed", "no name", "empty pair", "201 pairs"],
)
async def test_what_cannot_cross_is_blocked_and_nothing_is_handed_over(outbound):
    async with scripted() as (outer, inner):
        with pytest.raises(ContentBlocked):
            await ask(outer, outbound)
        assert inner.heard == []


def test_a_query_is_read_as_a_form_is():
    assert query_pairs("a=1+2&b=%2B&c&d=x=y") == [("a", "1 2"), ("b", "+"), ("c", ""), ("d", "x=y")]


async def test_a_body_larger_than_a_message_is_too_large():
    async with scripted(outer_settings(message="16KiB")) as (outer, inner):
        with pytest.raises(BodyTooLarge):
            await ask(outer, declaration(body=bytes(20_000)))
        assert inner.heard == []
        assert outer.status()["depth"] == 0


async def test_a_second_answer_is_dropped_and_counted():
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        inner.answer(message.id, b'{"first":1}')
        inner.answer(message.id, b'{"second":2}')
        assert (await task).whole == b'{"first":1}'
        await until(lambda: outer.status()["duplicate"] == 1)
        assert outer.status()["answered"] == 1


async def test_an_answer_to_nothing_is_dropped_and_counted():
    async with scripted() as (outer, inner):
        inner.answer("f" * 32)
        await until(lambda: outer.status()["unknown"] == 1)


async def test_an_answer_goes_to_its_own_request_only():
    async with scripted() as (outer, inner):
        one, first = await handed_over(outer, inner, request())
        two, second = await handed_over(outer, inner, request())
        inner.answer(second.id, b'{"n":2}')
        inner.answer(first.id, b'{"n":1}')
        assert [(await one).whole, (await two).whole] == [b'{"n":1}', b'{"n":2}']


async def test_no_answer_in_time_is_a_timeout_and_a_late_answer_is_dropped():
    async with scripted() as (outer, inner):
        began = time.monotonic()
        with pytest.raises(GatekeeperTimeout):
            await ask(outer, request(timeout=0.1))
        assert time.monotonic() - began < 1.0
        inner.answer(inner.heard[0].id)
        await until(lambda: outer.status()["late"] == 1)
        assert outer.status()["depth"] == 0


async def test_an_answer_after_the_deadline_is_late_even_before_the_sweep_has_come():
    """The sweep may be up to 50 ms behind; an answer in between is still too late."""
    now = [100.0]
    async with scripted(monotonic=lambda: now[0]) as (outer, inner):
        task, message = await handed_over(outer, inner, request(timeout=1.0))
        now[0] += 1.0
        inner.answer(message.id)
        with pytest.raises(GatekeeperTimeout):
            await task
        assert (outer.status()["late"], outer.status()["answered"]) == (1, 0)


async def test_no_time_left_hands_nothing_over():
    async with scripted() as (outer, inner):
        with pytest.raises(GatekeeperTimeout, match="not handed over"):
            await ask(outer, request(timeout=0.0))
        assert inner.heard == []


async def refused(outer):
    """Ask several times; gives the refusal and the least time it took: the machine may have had other things to do."""
    took = []
    for _ in range(REFUSALS):
        began = time.perf_counter()
        with pytest.raises(GatekeeperBusy) as busy:
            await ask(outer, request())
        took.append(time.perf_counter() - began)
    return busy.value, min(took)


async def test_a_full_queue_refuses_at_once():
    """Less than 10 ms, with a hint when to come again."""
    async with scripted(outer_settings(queue=2)) as (outer, inner):
        tasks = [(await handed_over(outer, inner, request()))[0] for _ in range(2)]
        error, took = await refused(outer)
        assert took < 0.01
        assert error.retry_after == 1.0
        for message in inner.heard:
            inner.answer(message.id)
        await asyncio.gather(*tasks)
        assert len(inner.heard) == 2
        assert outer.status()["shed"] == REFUSALS


async def test_without_a_gatekeeper_it_starts_and_refuses_at_once(tmp_path):
    carrier = SocketCarrier(Address(path=str(tmp_path / "nobody.sock")))
    outer = FerryForwarder(outer_settings(), carrier, signer())
    await outer.start()
    _, took = await refused(outer)
    assert took < 0.01
    assert outer.status()["link"] == "down"
    await outer.stop()


async def test_a_link_that_ends_tells_those_who_wait_that_nobody_knows():
    async with scripted() as (outer, inner):
        tasks = [(await handed_over(outer, inner, made))[0] for made in (request(), declaration())]
        inner.conversation.end()
        for task in tasks:
            with pytest.raises(GatekeeperTimeout, match="handed over, and the link ended"):
                await asyncio.wait_for(task, 1)
        await until(lambda: outer.status()["link"] == "up" and outer.status()["links"] == 2)
        assert outer.status()["broken"] == {"lost": 1}


async def test_after_a_restart_the_old_answer_is_not_believed_and_new_requests_name_the_new_boot():
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        inner.boot = "c" * 32
        inner.conversation.end()
        with pytest.raises(GatekeeperTimeout):
            await task
        await until(lambda: outer.status()["boot"] == "c" * 32)
        inner.answer(message.id)
        await until(lambda: outer.status()["late"] == 1)
        task, message = await handed_over(outer, inner, request())
        assert message.boot == "c" * 32
        inner.answer(message.id)
        await task


async def test_a_safe_request_whose_client_left_frees_its_place():
    async with scripted(outer_settings(queue=1)) as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert outer.status()["depth"] == 0
        inner.answer(message.id)
        await until(lambda: outer.status()["abandoned"] == 1)


async def test_another_request_whose_client_left_is_left_to_finish():
    """It keeps its place until its answer is there; the answer is taken, dropped and counted."""
    async with scripted(outer_settings(queue=1)) as (outer, inner):
        task, message = await handed_over(outer, inner, declaration())
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert outer.status()["depth"] == 1
        with pytest.raises(GatekeeperBusy):
            await ask(outer, declaration())
        inner.answer(message.id)
        await until(lambda: outer.status()["depth"] == 0)
        assert (outer.status()["abandoned"], outer.status()["answered"]) == (1, 0)


async def test_a_request_under_way_is_not_handed_over_a_second_time():
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, declaration(request_id="a" * 32))
        with pytest.raises(Undelivered, match="not handed over"):
            await ask(outer, declaration(request_id="a" * 32))
        inner.answer(message.id)
        await task
        assert len(inner.heard) == 1


async def test_the_inner_unit_is_not_believed_blindly():
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        inner.answer(message.id, body_sha256=bytes(32))
        with pytest.raises(Undelivered, match="digest"):
            await task
        task, message = await handed_over(outer, inner, request())
        inner.answer(message.id, fields=[(b"content-type", b"text/html\r\nset-cookie: a=b")])
        with pytest.raises(Undelivered, match="control"):
            await task


@pytest.mark.parametrize("kind", [Request, Refusal], ids=["a request", "a greeting's twin"])
async def test_an_inner_unit_that_says_what_only_the_outer_may_say_loses_the_link(kind):
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        inner.conversation.say(message if kind is Request else inner.conversation._hello)
        with pytest.raises(GatekeeperTimeout):
            await task
        await until(lambda: outer.status()["broken"].get("order") == 1)


@pytest.mark.parametrize(
    ("code", "error", "status", "outcome"),
    [
        ("content-blocked", ContentBlocked, 403, None),
        ("route-unknown", Undelivered, 502, "refused"),
        ("expired", GatekeeperTimeout, 504, "refused"),
        ("busy", GatekeeperBusy, 503, "refused"),
        ("draining", GatekeeperBusy, 503, "refused"),
        ("other-boot", GatekeeperBusy, 503, "refused"),
        ("repeated", Undelivered, 502, "unknown"),
        ("unreachable", UpstreamUnavailable, 503, "refused"),
        ("timed-out", UpstreamTimeout, 504, "unknown"),
        ("broken", Undelivered, 502, "unknown"),
        ("answer-blocked", Undelivered, 502, "delivered"),
    ],
)
async def test_each_refusal_has_its_answer_and_says_whether_it_was_executed(code, error, status, outcome):
    async with scripted() as (outer, inner):
        task, message = await handed_over(outer, inner, request())
        inner.conversation.say(Refusal(id=message.id, code=code, detail="why"))
        with pytest.raises(error) as raised:
            await task
        assert type(raised.value) is error
        assert raised.value.status == status
        assert getattr(raised.value, "outcome", None) == outcome
        assert code in raised.value.detail


async def test_many_requests_of_one_turn_leave_in_one_piece():
    """One system call carries many messages."""

    class Counting(MemoryCarrier):
        puts = 0

        async def connect(self, taker):
            await super().connect(taker)
            link = self._links[-2]
            put = link.put

            def counted(data):
                Counting.puts += 1
                put(data)

            link.put = counted

    async with world(carrier=Counting()) as made:
        Counting.puts = 0
        await asyncio.gather(*(made.ask(request()) for _ in range(100)))
        assert Counting.puts == 1


async def test_the_body_is_read_whole_before_anything_is_handed_over():
    class Slow(Whole):
        async def whole(self) -> bytes:
            await arrived.wait()
            return self.content

    arrived = asyncio.Event()
    async with scripted() as (outer, inner):
        asked = declaration()
        slow = type(asked)(asked.visit, PRINCIPAL, asked.fields, Slow(b'{"a":1}'), 2.0)
        task = asyncio.create_task(ask(outer, slow))
        await asyncio.sleep(0.01)
        assert inner.heard == []
        arrived.set()
        await until(lambda: inner.heard)
        assert inner.heard[0].body == b'{"a":1}'
        inner.answer(inner.heard[0].id)
        await task


async def test_stopping_tells_those_who_wait():
    async with scripted() as (outer, inner):
        task, _ = await handed_over(outer, inner, request())
        await outer.stop()
        with pytest.raises(GatekeeperTimeout):
            await task


def test_a_short_key_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        FerryForwarder(outer_settings(key="short"), MemoryCarrier(), signer())


async def test_a_unit_with_another_key_never_gets_a_link():
    async with world(outer=outer_settings()) as made:
        stranger = FerryForwarder(outer_settings(key="k" * 32), made.carrier, signer())
        await stranger.start()
        await until(lambda: "unreachable" in stranger.status()["broken"] or "mac" in stranger.status()["broken"])
        assert stranger.status()["links"] == 0
        with pytest.raises(GatekeeperBusy):
            await ask(stranger, request())
        await stranger.stop()


async def test_the_dwell_time_outside_the_inner_unit_is_counted():
    inside = 0.3

    async def slow(_):
        await asyncio.sleep(inside)
        return Reply()

    async with world(system=System(slow)) as made:
        await made.ask(request())
        assert 0 <= made.outer.status()["dwell_seconds"] < inside


async def test_nothing_in_the_outer_unit_knows_an_address_but_the_carriers():
    """Walk everything that the outer unit holds: the only address is the gatekeeper's."""
    carrier = SocketCarrier(Address(host="127.0.0.1", port=9500))
    outer = FerryForwarder(outer_settings(), carrier, signer())
    seen, pending, addresses = set(), [outer], []
    while pending:
        held = pending.pop()
        if (
            id(held) in seen
            or isinstance(held, type)
            or type(held).__module__.split(".")[0] not in ("gateway", "builtins")
        ):
            continue
        seen.add(id(held))
        if isinstance(held, Address):
            addresses.append(held)
        elif isinstance(held, dict):
            pending += [*held.keys(), *held.values()]
        elif isinstance(held, list | tuple | set | frozenset):
            pending += held
        elif isinstance(held, str):
            assert "://" not in held
        else:
            pending += [getattr(held, name) for name in _names_of(held)]
    assert addresses == [Address(host="127.0.0.1", port=9500)]


def _names_of(held: object) -> list[str]:
    slots = [name for kind in type(held).__mro__ for name in getattr(kind, "__slots__", ())]
    return [name for name in [*getattr(held, "__dict__", {}), *slots] if hasattr(held, name)]


def test_the_outer_units_code_imports_nothing_that_calls_a_system():
    """Read from the source: neither the HTTP client nor the inner unit is within its reach."""
    import ast
    from pathlib import Path

    import gateway

    root = Path(gateway.__file__).parent.parent
    reached, pending = set(), ["gateway.forward.ferry"]
    while pending:
        name = pending.pop()
        path = root.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if name in reached or not path.is_file():
            continue
        reached.add(name)
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                pending += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                pending += [alias.name for alias in node.names]
    assert "gateway.ferry.envelope" in reached
    calling = {"upstream", "connection", "pool", "target", "direct"}
    assert not {f"gateway.forward.{name}" for name in calling} & reached
    assert not {name for name in reached if name.startswith("gateway.ferry.inner")}


async def test_what_was_never_handed_over_is_known_not_to_be_executed():
    async with scripted() as (outer, inner):
        with pytest.raises(GatekeeperTimeout) as late:
            await ask(outer, request(timeout=0.0))
        task, message = await handed_over(outer, inner, request(request_id="a" * 32))
        with pytest.raises(Undelivered) as twice:
            await ask(outer, request(request_id="a" * 32))
        inner.answer(message.id)
        await task
    assert (late.value.outcome, twice.value.outcome) == ("refused", "refused")
    assert len(inner.heard) == 1


class Breaking(MemoryCarrier):
    """A carrier with a fault of its own in its first attempts."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = 2

    async def connect(self, taker) -> None:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("a bug of the carrier")
        await super().connect(taker)


async def test_a_carrier_that_breaks_in_an_unforeseen_way_does_not_end_the_linking():
    inner, carrier, log = Scripted(), Breaking(), CapturingLogger()
    await carrier.listen(inner.meet)
    outer = FerryForwarder(outer_settings(), carrier, signer(), log=log)
    await outer.start()
    try:
        await until(lambda: outer.status()["link"] == "up")
    finally:
        await outer.stop()
    broke = [call for call in log.calls if call.method_name == "error"]
    assert [str(call.kwargs["exc_info"]) for call in broke] == ["a bug of the carrier"] * 2
    assert outer.status()["broken"]["broken"] == 2

"""The request path with a client that only notes what it is told: every way out ends in one answer and one record."""

import asyncio

import msgspec
import pytest
from path_world import (
    ITEM,
    NOW,
    PUBLIC,
    FakeChannel,
    FakeReauthorizer,
    FakeReply,
    FakeSystem,
    FakeVerifier,
    Records,
    chain,
    eventually,
    exchange,
    inbound,
    principal,
    route,
)
from structlog.testing import CapturingLogger

from gateway.chain import ReauthorizerChain
from gateway.errors import (
    CannotDecide,
    ChannelRejected,
    ClientGone,
    GatekeeperBusy,
    RequestMalformed,
    Undelivered,
    VerifierUnavailable,
)
from gateway.explain.question import GivenBody
from gateway.items import Router
from gateway.model import Deny, Kind, Stage
from gateway.pipeline import Pipeline
from gateway.policy import Entrance, Policy
from gateway.throttle import Rates

TOKEN = {"authorization": "Bearer good"}


class NotingClient:
    """Hands in one request and notes the answer."""

    def __init__(self, request=None, relays=None):
        self.request = request if request is not None else inbound(fields=TOKEN)
        self.relays = relays
        self.refusals, self.replies, self.answers = [], [], []

    def read(self, exchange):
        if isinstance(self.request, Exception):
            raise self.request
        return self.request

    def admit_body(self, limit):
        self.limit = limit

    async def answer(self, exchange, status, fields):
        self.answers.append((status, fields))

    async def relay(self, exchange, reply):
        if self.relays is not None:
            raise self.relays
        self.replies.append(reply)

    def refuse(self, exchange, error):
        exchange.code = error.code
        self.refusals.append(error)


class Path:
    """A pipeline for one item, with everything around it faked."""

    def __init__(self, in_flight=10, channels=None, **changed):
        self.system, self.records = FakeSystem(), Records()
        self.verifier, self.reauthorizer = FakeVerifier(good=principal()), FakeReauthorizer()
        person = {
            "item": ITEM,
            "verifiers": chain(self.verifier),
            "reauthorizers": ReauthorizerChain([self.reauthorizer]),
        }
        self.channels = channels if channels is not None else [FakeChannel()]
        router = Router([route("GET", "/mine", self.system, **(person | changed))])
        self.policy = Policy(7, router, [Entrance(channel) for channel in self.channels])
        self.log = CapturingLogger()
        self.pipeline = Pipeline(self.policy, self.records, Rates(), in_flight, clock=lambda: NOW, log=self.log)

    async def carry(self, request=None, relays=None):
        client = NotingClient(request, relays)
        await self.pipeline.handle(client, exchange())
        return client


class OddChannel(FakeChannel):
    """Answers with something that is no credential."""

    async def identify(self, inbound):
        return ("web", "good")


@pytest.mark.parametrize(("channel", "reason"), [
    (OddChannel(), "web answered tuple, which is no credential"),
    (FakeChannel("hall", error=KeyError("x")), "hall: KeyError('x')"),
])  # fmt: skip
async def test_a_channel_that_breaks_is_named_in_the_reason(channel, reason):
    path = Path(channels=[channel])
    [refusal] = (await path.carry()).refusals
    assert (refusal.code, refusal.detail) == ("internal-error", reason)
    assert path.system.seen == []


async def test_a_client_that_leaves_while_its_channel_reads_is_no_defect():
    path = Path(channels=[FakeChannel(error=ClientGone())])
    with pytest.raises(ClientGone):
        await path.carry()
    [record] = path.records
    assert (record.client_gone, record.code) == (True, None)


async def test_a_verifier_that_hangs_costs_the_items_time_and_no_more():
    path = Path(timeout=0.01)
    path.verifier.gate = asyncio.Event()
    [refusal] = (await path.carry()).refusals
    assert refusal.code == "province-unreachable"
    assert path.pipeline.in_flight == 0


async def test_a_request_passes_every_step_once():
    path = Path()
    client = await path.carry()
    [record] = path.records
    assert len(client.replies) == 1
    assert record.stage is Stage.RELAY
    assert record.verify + record.reauthorize + record.forward + record.relay <= record.total
    assert (record.outcome, record.code, record.generation) == ("delivered", None, 7)
    assert (record.item, record.template, record.principal) == (ITEM, "/mine", principal())
    assert path.pipeline.in_flight == 0


@pytest.mark.parametrize(("request_", "break_", "code", "stage"), [
    (RequestMalformed("x"), None, "request-malformed", Stage.READ),
    (inbound(path="/nowhere"), None, "item-unknown", Stage.MATCH),
    (inbound("POST"), None, "method-not-allowed", Stage.MATCH),
    (None, lambda path: setattr(path.channels[0], "error", ChannelRejected("x")), "channel-signature", Stage.IDENTIFY),
    (None, lambda path: setattr(path.channels[0], "error", CannotDecide("x")), "cannot-decide", Stage.IDENTIFY),
    (None, lambda path: setattr(path.channels[0], "error", KeyError("x")), "internal-error", Stage.IDENTIFY),
    (None, lambda path: setattr(path.channels[0], "mine", False), "channel-unknown", Stage.IDENTIFY),
    (None, lambda path: setattr(path.channels[0], "name", "app"), "channel-not-allowed", Stage.IDENTIFY),
    (inbound(), None, "token-missing", Stage.VERIFY),
    (inbound(fields={"authorization": "Bearer x"}), None, "issuer-unknown", Stage.VERIFY),
    (None, lambda path: path.verifier.verdicts.update(good=VerifierUnavailable("x")), "province-unreachable",
     Stage.VERIFY),
    (None, lambda path: path.verifier.verdicts.update(good=KeyError("x")), "internal-error", Stage.VERIFY),
    (None, lambda path: path.verifier.verdicts.update(good=True), "internal-error", Stage.VERIFY),
    (None, lambda path: path.verifier.verdicts.update(good=principal(kind=Kind.LEGAL)), "audience-not-allowed",
     Stage.REAUTHORIZE),
    (None, lambda path: setattr(path.reauthorizer, "decision", Deny("closed", ("x", "x"))), "closed",
     Stage.REAUTHORIZE),
    (None, lambda path: setattr(path.reauthorizer, "decision", KeyError("x")), "internal-error", Stage.REAUTHORIZE),
    (None, lambda path: setattr(path.reauthorizer, "decision", None), "internal-error", Stage.REAUTHORIZE),
])  # fmt: skip
async def test_every_step_can_be_the_last(request_, break_, code, stage):
    """One answer, one record that says where and why, and nothing at the system."""
    path = Path()
    if break_ is not None:
        break_(path)
    client = await path.carry(request_)
    assert [error.code for error in client.refusals] == [code]
    assert [(record.code, record.stage, record.outcome) for record in path.records] == [(code, stage, None)]
    assert (client.replies, path.system.begun, path.pipeline.in_flight) == ([], 0, 0)


@pytest.mark.parametrize(("error", "outcome"), [(Undelivered("x"), "unknown"), (GatekeeperBusy("x"), "refused")])
async def test_what_became_of_a_request_that_was_handed_over_is_recorded(error, outcome):
    path = Path()
    path.system.answers(error)
    await path.carry()
    assert (path.records[0].outcome, path.records[0].stage) == (outcome, Stage.FORWARD)


async def test_what_a_channel_answers_itself_goes_no_further():
    """A platform that tries our address out wants its own word back, and no system hears of it."""
    path = Path()
    path.channels[0].answers = "echo-7"
    client = await path.carry()
    [reply] = client.replies
    assert (reply.status, reply.whole, path.system.begun, path.verifier.asked) == (200, b"echo-7", 0, 0)
    assert [(record.code, record.outcome) for record in path.records] == [(None, None)]


async def test_a_body_that_the_channel_decrypted_goes_inward_in_its_place():
    path = Path()
    path.channels[0].opened = GivenBody(b"<xml/>")
    await path.carry()
    assert [seen.body for seen in path.system.seen] == [b"<xml/>"]


async def test_the_gateways_own_pages_are_behind_no_channel():
    """They look at what they are sent themselves, so no channel may stumble over it."""
    path = Path(verifiers=None, item=PUBLIC)
    [own] = path.policy.router.routes()
    router = Router([msgspec.structs.replace(own, own="sso", channels=frozenset({"sso"}))])
    path.channels[0].error = ChannelRejected("would stumble")
    path.pipeline.policy = msgspec.structs.replace(
        path.policy, router=router, own={"sso": Entrance(FakeChannel("sso"))}
    )
    client = await path.carry()
    assert (len(client.replies), path.records[0].credential.channel) == (1, "sso")


@pytest.mark.parametrize(
    ("shown", "seen"), [("/sso/login?return_to=%2Fmine", "/sso/login?return_to=%2Fmine"), (None, None)]
)
async def test_whoever_has_to_sign_in_is_shown_where(shown, seen):
    path = Path()
    asked = []

    async def guide(error, exchange):
        asked.append((error.code, exchange.inbound.path))
        return shown

    path.pipeline.policy = msgspec.structs.replace(path.policy, guide=guide)
    client = await path.carry(inbound())
    assert asked == [("token-missing", "/mine")]
    assert [(error.code, error.see_other) for error in client.refusals] == [("token-missing", seen)]


async def test_whoever_a_part_refuses_can_be_told_a_way_and_is_still_refused():
    """A designated computer that has to be shown first (gateway/desk/guidance.py)."""
    path = Path()
    path.reauthorizer.decision = Deny("device-not-allowed", ("请换电脑。", "Another computer."))

    async def guide(error, exchange):
        error.way = "/sso/my/computer"

    path.pipeline.policy = msgspec.structs.replace(path.policy, guide=guide)
    client = await path.carry()
    assert [(error.status, error.see_other, error.way) for error in client.refusals] == [
        (403, None, "/sso/my/computer")
    ]


@pytest.mark.parametrize("broken", [CannotDecide("the store is away"), KeyError("a bug"), None])
async def test_nobody_is_shown_the_way_where_that_does_not_help(broken):
    """A refusal that no login mends, and a guide that cannot keep what it has to, leave the error as it is."""
    path = Path()

    async def guide(error, exchange):
        assert broken is not None, "asked about something that no login mends"
        raise broken

    path.pipeline.policy = msgspec.structs.replace(path.policy, guide=guide)
    client = await path.carry(inbound() if broken else inbound(path="/nowhere"))
    assert [error.see_other for error in client.refusals] == [None]
    assert len(path.records) == 1


@pytest.mark.parametrize("draining", [False, True])
async def test_who_leaves_while_the_way_is_looked_for_is_told_as_anybody_who_leaves(draining):
    path = Path()
    asked = asyncio.Event()

    async def guide(error, exchange):
        asked.set()
        await asyncio.Event().wait()

    path.pipeline.policy = msgspec.structs.replace(path.policy, guide=guide)
    client = NotingClient(inbound())
    carrying = asyncio.create_task(path.pipeline.handle(client, exchange()))
    await asked.wait()
    path.pipeline.draining = draining
    carrying.cancel()
    await asyncio.wait({carrying})
    assert carrying.cancelled()
    assert [error.code for error in client.refusals] == (["draining"] if draining else [])
    assert [record.client_gone for record in path.records] == [not draining]


async def test_a_client_that_left_is_recorded_and_not_answered():
    path = Path()
    client = NotingClient(relays=ClientGone("gone"))
    with pytest.raises(ClientGone):
        await path.pipeline.handle(client, exchange())
    assert (client.refusals, path.records[0].client_gone, path.pipeline.in_flight) == ([], True, 0)


async def test_a_bug_while_relaying_is_answered_by_the_one_who_knows_what_went_out():
    path = Path()
    client = await path.carry(relays=RuntimeError("bug"))
    assert [error.code for error in client.refusals] == ["internal-error"]


@pytest.mark.parametrize("draining", [True, False])
async def test_a_cancelled_request_is_told_when_the_worker_is_the_one_who_leaves(draining):
    path = Path()
    path.system.gate = asyncio.Event()
    client = NotingClient()
    carrying = asyncio.create_task(path.pipeline.handle(client, exchange()))
    await path.system.until(1)
    path.pipeline.draining = draining
    carrying.cancel()
    await asyncio.wait({carrying})
    assert carrying.cancelled()
    assert [error.code for error in client.refusals] == (["draining"] if draining else [])
    assert (path.records[0].client_gone, path.pipeline.in_flight) == (not draining, 0)


async def test_while_draining_nothing_new_begins():
    path = Path()
    path.pipeline.draining = True
    client = await path.carry()
    assert [error.code for error in client.refusals] == ["draining"]


async def test_a_request_keeps_the_policy_it_began_with():
    path, other = Path(), Path()
    path.verifier.gate = asyncio.Event()
    carrying = asyncio.create_task(path.carry())
    await eventually(lambda: path.verifier.asked)
    path.pipeline.policy = Policy(8, other.policy.router, other.policy.entrances)
    assert path.pipeline.carries_up_to(7)
    path.verifier.gate.set()
    await carrying
    assert (path.system.begun, other.system.begun, path.records[0].generation) == (1, 0, 7)
    assert not path.pipeline.carries_up_to(7)
    await path.carry()
    assert (other.system.begun, path.records[1].generation) == (1, 8)


async def test_the_channels_are_asked_in_order_until_one_knows_the_request():
    first, second, third = (
        FakeChannel("app", mine=False),
        FakeChannel("web"),
        FakeChannel("other", KeyError("never asked")),
    )
    path = Path(channels=[first, second, third])
    await path.carry()
    assert path.records[0].credential.channel == "web"


async def test_an_item_for_anyone_asks_nobody():
    path = Path(verifiers=None)
    client = await path.carry(inbound())
    assert len(client.replies) == 1
    assert (path.verifier.asked, path.reauthorizer.asked, path.system.seen[0].principal) == (0, 0, None)


async def test_the_time_already_spent_is_taken_off_the_items_timeout():
    path = Path(timeout=2.0)
    left = []

    async def script(seen, outbound):
        left.append(outbound.timeout)
        return FakeReply(200)

    path.system.script = script
    await path.carry()
    assert 0 < left[0] < 2.0


async def test_what_broke_is_told_in_the_application_log_with_its_part():
    """The client is told nothing; the record names the part; the traceback is in the application log."""
    path = Path()
    path.reauthorizer.decision = KeyError("boom")
    client = await path.carry()
    assert client.refusals[0].detail == f"{path.reauthorizer.name}: KeyError('boom')"
    assert [call.method_name for call in path.log.calls] == ["error"]
    assert isinstance(path.log.calls[0].kwargs["exc_info"], KeyError)


async def test_a_channel_s_refusal_names_the_channel_and_who_the_caller_claims_to_be():
    path = Path()
    rejected = ChannelRejected("signature of key demo-ak")
    rejected.client = "demo-ak"
    path.channels[0].error = rejected
    await path.carry()
    credential = path.records[0].credential
    assert (credential.channel, credential.client) == (path.channels[0].name, "demo-ak")

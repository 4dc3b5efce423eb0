"""Key sets over time: what is fetched when, what serves while the issuer is down, and what a withdrawal does."""

import asyncio

import pytest

from gateway import PartContext, VerifierUnavailable
from gateway.state import MemoryStore
from gateway.tokens.keys import MOST_UNKNOWN, KeyPolicy, KeySet
from tests.plugin_world import Clock, Platform, Signer, answer

URL = "https://id.province.example/jwks"
POLICY = KeyPolicy(frozenset({"ES256"}), soft_ttl=300, hard_ttl=3600, min_refetch=30)


class Pauses:
    """Stands in for sleep: says how long the keeper wants to wait, and ends the wait when told."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue()
        self._over: asyncio.Queue[None] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._over.get()

    def end(self) -> None:
        self._over.put_nowait(None)


class World:
    """A key set with its issuer, its clock and its keeper's pauses in the test's hands."""

    def __init__(self) -> None:
        self.clock, self.issuer, self.pauses, self.withdrawals = Clock(), Platform(), Pauses(), 0
        once = MemoryStore(monotonic=lambda: self.clock.mono)
        context = PartContext("province", self.issuer, once, lambda: self.clock.wall, lambda: self.clock.mono)
        self.keys = KeySet(URL, POLICY, context, self.withdrawn, sleep=self.pauses, jitter=lambda: 0.5)

    def withdrawn(self) -> None:
        self.withdrawals += 1

    def publish(self, *signers: Signer) -> None:
        self.issuer.answers = [answer({"keys": [signer.jwk() for signer in signers]})]

    def fail(self) -> None:
        self.issuer.answers = [OSError("down")]

    async def kept(self) -> float:
        """Let the keeper finish its fetch; the pause it then asks for."""
        return await asyncio.wait_for(self.pauses.asked.get(), 5)

    async def next_round(self, seconds: float) -> float:
        self.clock.advance(seconds)
        self.pauses.end()
        return await self.kept()


@pytest.fixture(scope="module")
def first() -> Signer:
    return Signer("ES256", "first")


@pytest.fixture(scope="module")
def second() -> Signer:
    return Signer("ES256", "second")


@pytest.fixture
async def world(first):
    world = World()
    world.publish(first)
    yield world
    await world.keys.stop()


async def test_the_first_fetch_is_made_at_the_start(world):
    await world.keys.start()
    await world.kept()
    assert (await world.keys.find("first")).kid == "first"
    assert [call["url"] for call in world.issuer.calls] == [URL]
    assert world.keys.age == 0


async def test_a_start_does_not_wait_for_an_issuer_that_is_down(world):
    world.issuer.gate = asyncio.Event()
    await asyncio.wait_for(world.keys.start(), 1)
    assert world.keys.age is None


async def test_a_set_is_fetched_anew_before_its_soft_age(world):
    await world.keys.start()
    pause = await world.kept()
    assert 0.7 * 300 <= pause < 300
    await world.next_round(pause)
    assert len(world.issuer.calls) == 2
    assert world.keys.age == 0


async def test_many_who_ask_at_once_make_one_fetch(world):
    world.issuer.gate = asyncio.Event()
    asking = [asyncio.create_task(world.keys.find("first")) for _ in range(50)]
    await asyncio.sleep(0)
    world.issuer.gate.set()
    assert {key.kid for key in await asyncio.gather(*asking)} == {"first"}
    assert len(world.issuer.calls) == 1


async def test_one_who_leaves_does_not_end_the_fetch_of_the_others(world):
    world.issuer.gate = asyncio.Event()
    leaves, stays = (asyncio.create_task(world.keys.find("first")) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.sleep(0)
    world.issuer.gate.set()
    assert (await stays).kid == "first"
    assert leaves.cancelled()


async def test_a_new_key_is_found_out_of_turn(world, first, second):
    await world.keys.find("first")
    world.publish(first, second)
    assert (await world.keys.find("second")).kid == "second"
    assert len(world.issuer.calls) == 2
    assert world.withdrawals == 0


async def test_unknown_kids_cause_at_most_one_fetch_in_the_configured_time(world):
    await world.keys.find("first")
    for number in range(100):
        assert await world.keys.find(f"unknown-{number}") is None
    assert len(world.issuer.calls) == 2
    world.clock.advance(30)
    assert await world.keys.find("unknown-another") is None
    assert len(world.issuer.calls) == 3


async def test_a_kid_known_to_be_unknown_does_not_use_up_the_fetch_of_a_new_one(world, first, second):
    await world.keys.find("first")
    await world.keys.find("retired")
    world.clock.advance(31)
    assert await world.keys.find("retired") is None
    assert len(world.issuer.calls) == 2
    world.publish(first, second)
    assert (await world.keys.find("second")).kid == "second"


async def test_a_kid_published_after_it_was_unknown_is_found_in_the_next_set(world, first, second):
    await world.keys.start()
    pause = await world.kept()
    assert await world.keys.find("second") is None
    world.publish(first, second)
    await world.next_round(pause)
    assert (await world.keys.find("second")).kid == "second"


async def test_the_memory_of_unknown_kids_is_bounded(world):
    for number in range(MOST_UNKNOWN + 100):
        world.keys._remember_unknown(f"unknown-{number}")
    assert len(world.keys._unknown) == MOST_UNKNOWN


async def test_a_kid_that_could_not_be_asked_about_is_not_remembered_as_unknown(world):
    """Somebody's junk used up the fetch; a key that is new meanwhile is found as soon as the pause is over."""
    await world.keys.find("junk")
    assert await world.keys.find("new") is None
    assert set(world.keys._unknown) == {"junk"}


async def test_an_unknown_kid_while_the_issuer_is_down_is_no_verdict(world):
    await world.keys.find("first")
    world.fail()
    with pytest.raises(VerifierUnavailable):
        await world.keys.find("second")
    assert (await world.keys.find("first")).kid == "first", "known keys go on"


BAD_ANSWERS = {
    "down": OSError("down"),
    "too slow": TimeoutError(),
    "an error": answer({"keys": []}, 500),
    "a redirect": answer(b"", 302),
    "a page": answer(b"<html>"),
    "no keys": answer({"keys": []}),
    "no usable key": answer({"keys": [{"kty": "oct", "k": "AA", "kid": "first"}]}),
    "nothing": answer(b""),
}


@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_a_bad_answer_keeps_the_last_good_set_and_is_tried_again_soon(world, bad):
    await world.keys.start()
    pause = await world.kept()
    world.issuer.answers = [bad]
    assert await world.next_round(pause) <= 5
    assert (await world.keys.find("first")).kid == "first"
    assert world.keys.age == pytest.approx(pause)
    assert world.withdrawals == 0


async def test_without_any_set_nobody_is_judged_and_the_issuer_is_not_flooded(world):
    world.fail()
    for _ in range(20):
        with pytest.raises(VerifierUnavailable):
            await world.keys.find("first")
    assert len(world.issuer.calls) == 1


async def test_an_issuer_that_comes_back_is_noticed_by_the_keeper(world, first):
    world.fail()
    await world.keys.start()
    pause = await world.kept()
    world.publish(first)
    await world.next_round(pause)
    assert (await world.keys.find("first")).kid == "first"


async def test_past_the_hard_age_nobody_is_judged_and_former_verdicts_end(world):
    await world.keys.start()
    pause = await world.kept()
    world.fail()
    elapsed = pause
    pause = await world.next_round(pause)
    await world.next_round(3599 - elapsed)
    assert (await world.keys.find("first")).kid == "first"
    assert world.withdrawals == 0
    await world.next_round(1)
    assert world.withdrawals == 1
    with pytest.raises(VerifierUnavailable):
        await world.keys.find("first")
    await world.next_round(pause)
    assert world.withdrawals == 1, "told once, not at each try"


async def test_a_withdrawn_key_is_unknown_and_former_verdicts_end(world, second):
    await world.keys.start()
    pause = await world.kept()
    world.publish(second)
    await world.next_round(pause)
    assert world.withdrawals == 1
    assert await world.keys.find("first") is None


async def test_a_key_replaced_under_its_own_id_ends_former_verdicts(world):
    await world.keys.start()
    pause = await world.kept()
    world.publish(Signer("ES256", "first"))
    await world.next_round(pause)
    assert world.withdrawals == 1


async def test_stopping_ends_a_fetch_under_way(world):
    world.issuer.gate = asyncio.Event()
    await world.keys.start()
    await asyncio.sleep(0)
    await asyncio.wait_for(world.keys.stop(), 1)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

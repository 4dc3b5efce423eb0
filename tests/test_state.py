"""The once store: never twice within its time, never forgotten early, bounded, cheap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import CannotDecide
from gateway.state import MemoryOnce


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


async def test_a_key_can_be_used_once_within_its_time(seconds):
    once = MemoryOnce(monotonic=seconds)
    assert await once.first_use(b"k", 10)
    assert not await once.first_use(b"k", 10)
    seconds.now += 10
    assert not await once.first_use(b"k", 10)


async def test_a_key_can_be_used_again_when_its_time_is_over(seconds):
    once = MemoryOnce(monotonic=seconds)
    await once.first_use(b"k", 10)
    seconds.now += 10.001
    assert await once.first_use(b"k", 10)


async def test_a_full_store_says_that_it_cannot_tell_and_forgets_nothing(seconds):
    once = MemoryOnce(capacity=2, monotonic=seconds)
    await once.first_use(b"a", 10)
    await once.first_use(b"b", 10)
    with pytest.raises(CannotDecide):
        await once.first_use(b"c", 10)
    assert not await once.first_use(b"a", 10), "a known key is still known while the store is full"


async def test_room_comes_back_when_keys_end(seconds):
    once = MemoryOnce(capacity=2, monotonic=seconds)
    await once.first_use(b"a", 10)
    await once.first_use(b"b", 20)
    seconds.now += 11
    assert await once.first_use(b"c", 10)
    assert len(once) == 2
    assert not await once.first_use(b"b", 20)


async def test_a_long_time_does_not_hold_up_the_end_of_a_short_one(seconds):
    once = MemoryOnce(monotonic=seconds)
    await once.first_use(b"long", 1000)
    await once.first_use(b"short", 1)
    seconds.now += 2
    assert await once.first_use(b"short", 1)
    assert len(once) == 2


STEPS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([5.0, 20.0]), st.floats(0, 8)), max_size=60)


@given(STEPS)
async def test_it_answers_as_a_table_of_ends_would(steps):
    """For any sequence of keys, lengths and pauses the answers are those of the simplest correct store."""
    seconds = Seconds()
    once = MemoryOnce(monotonic=seconds)
    ends: dict[int, float] = {}
    for number, length, pause in steps:
        seconds.now += pause
        expected = ends.get(number, -1.0) < seconds.now
        if expected:
            ends[number] = seconds.now + length
        assert expected == await once.first_use(bytes([number]), length)

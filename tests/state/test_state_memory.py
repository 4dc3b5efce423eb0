"""The store in memory: never forgotten early, bounded, and nothing left behind by what has ended."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StateUnavailable
from gateway.state import MemoryStore


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


async def test_a_use_is_known_to_the_very_end_of_its_time(seconds):
    store = MemoryStore(monotonic=seconds)
    assert await store.first_use(b"k", 10)
    seconds.now += 10
    assert not await store.first_use(b"k", 10)
    seconds.now += 0.001
    assert await store.first_use(b"k", 10)


async def test_what_is_kept_is_bounded_by_its_size_too(seconds):
    """Few large values take as much memory as many small ones; what is there stays, and room comes back."""
    store = MemoryStore(monotonic=seconds, most_bytes=100)
    await store.write(b"a", b"x" * 60, 10)
    with pytest.raises(StateUnavailable):
        await store.write(b"b", b"x" * 60, 10)
    with pytest.raises(StateUnavailable):
        await store.write(b"a", b"x" * 100, 10)
    assert await store.read(b"a") == b"x" * 60
    await store.write(b"a", b"x" * 90, 10)
    await store.drop(b"a")
    await store.write(b"b", b"x" * 99, 10)


async def test_a_full_store_says_that_it_cannot_tell_and_forgets_nothing(seconds):
    store = MemoryStore(capacity=2, values=1, monotonic=seconds)
    await store.first_use(b"a", 10)
    await store.first_use(b"b", 10)
    with pytest.raises(StateUnavailable):
        await store.first_use(b"c", 10)
    assert not await store.first_use(b"a", 10), "a known key is still known while the store is full"
    await store.write(b"a", b"1", 10)
    with pytest.raises(StateUnavailable):
        await store.write(b"b", b"2", 10)
    await store.write(b"a", b"3", 10)
    assert await store.read(b"a") == b"3"


async def test_room_comes_back_when_keys_end(seconds):
    store = MemoryStore(capacity=2, monotonic=seconds)
    await store.first_use(b"a", 10)
    await store.first_use(b"b", 20)
    seconds.now += 11
    assert await store.first_use(b"c", 10)
    assert len(store) == 2
    assert not await store.first_use(b"b", 20)


async def test_a_long_time_does_not_hold_up_the_end_of_a_short_one(seconds):
    store = MemoryStore(monotonic=seconds)
    await store.first_use(b"long", 1000)
    await store.first_use(b"short", 1)
    seconds.now += 2
    assert await store.first_use(b"short", 1)
    assert len(store) == 2


async def test_lists_and_ends_forget_what_has_ended(seconds):
    store = MemoryStore(monotonic=seconds)
    for number in range(100):
        await store.write(b"%d" % number, b"v", number + 1, lists=[b"all", b"list-%d" % number])
        await store.replace(b"%d" % number, b"w", number + 2)
    seconds.now += 200
    await store.write(b"last", b"v", 1)
    values = store._values
    assert (len(values), values._lists, len(values._expiry._seconds)) == (1, {}, 1)


STEPS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from([5.0, 20.0]), st.floats(0, 8)), max_size=60)


@given(STEPS)
async def test_it_answers_as_a_table_of_ends_would(steps):
    """For any sequence of keys, lengths and pauses the answers are those of the simplest correct store."""
    seconds = Seconds()
    store = MemoryStore(monotonic=seconds)
    ends: dict[int, float] = {}
    for number, length, pause in steps:
        seconds.now += pause
        expected = ends.get(number, -1.0) < seconds.now
        if expected:
            ends[number] = seconds.now + length
        assert expected == await store.first_use(bytes([number]), length)

"""What every store promises, asked of the one in memory and of the one in a real Redis."""

import asyncio
import time

import pytest
from state_world import SharedWorker

from gateway.state import MemoryStore

SHORT = 0.2
"""Seconds."""
CASES = ["memory", pytest.param("redis", marks=pytest.mark.needs("redis-server"))]


@pytest.fixture(params=CASES)
async def store(request):
    if request.param == "memory":
        yield MemoryStore()
        return
    worker = SharedWorker(request.getfixturevalue("redis_server").settings())
    yield worker.state.store
    await worker.state.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 - the end of a time announces itself to nobody
            await asyncio.sleep(0.01)


async def test_a_use_is_the_first_one_once(store):
    assert await store.first_use(b"k", 10)
    assert not await store.first_use(b"k", 10)
    assert await store.first_use(b"other", 10)


async def test_of_many_uses_at_once_one_is_the_first(store):
    assert sorted(await asyncio.gather(*(store.first_use(b"k", 10) for _ in range(50)))) == [False] * 49 + [True]


async def test_a_use_is_forgotten_when_its_time_is_over(store):
    assert await store.first_use(b"k", 0.05)
    await until(lambda: store.first_use(b"k", 10))


async def test_what_was_used_before_the_store_began_is_unknown(store):
    await store.first_use(b"k", 10)
    assert time.time() - 10 < store.unknown_before <= time.time()


async def test_a_value_is_read_as_it_was_written_last(store):
    assert await store.read(b"k") is None
    await store.write(b"k", b"\x00one\r\n\xff", 10)
    assert await store.read(b"k") == b"\x00one\r\n\xff"
    await store.write(b"k", b"", 10)
    assert await store.read(b"k") == b""


async def test_a_value_ends_with_its_time(store):
    await store.write(b"k", b"v", 0.05)

    async def over():
        return await store.read(b"k") is None

    await until(over)
    assert await store.take(b"k") is None
    assert not await store.drop(b"k")


async def write_and_replace(store, old, new, **more):
    """Write a value for a short time and replace it before that is over: again where the machine was too slow."""
    async with asyncio.timeout(5):
        while True:
            await store.write(b"k", old, SHORT, **more)
            if await store.replace(b"k", new, 10):
                return


async def test_a_value_is_replaced_only_while_it_is_there(store):
    assert not await store.replace(b"k", b"new", 10)
    assert await store.read(b"k") is None
    await write_and_replace(store, b"old", b"new")
    await asyncio.sleep(SHORT + 0.05)  # the old time is over, the new one counts
    assert await store.read(b"k") == b"new"


async def test_what_was_dropped_stays_so_when_a_late_request_replaces_it(store):
    await store.write(b"k", b"v", 10)
    assert await store.drop(b"k")
    assert not await store.drop(b"k")
    assert not await store.replace(b"k", b"late", 10)
    assert await store.read(b"k") is None


async def test_of_many_that_take_a_value_one_gets_it(store):
    await store.write(b"k", b"v", 10)
    taken = await asyncio.gather(*(store.take(b"k") for _ in range(50)))
    assert sorted(taken, key=repr) == [None] * 49 + [b"v"]


async def test_a_list_names_the_values_that_are_there(store):
    await store.write(b"a", b"1", 10, lists=[b"x", b"y"])
    await store.write(b"b", b"2", 10, lists=[b"x"])
    await store.write(b"c", b"3", 0.05, lists=[b"x"])
    await store.write(b"d", b"4", 10, lists=[b"x"])
    await store.drop(b"d")

    async def ended():
        return await store.read(b"c") is None

    await until(ended)
    assert sorted(await store.listed(b"x")) == [b"a", b"b"]
    assert await store.listed(b"y") == [b"a"]
    assert await store.listed(b"nothing") == []


async def test_a_replaced_value_stays_in_its_lists_for_its_new_time(store):
    await write_and_replace(store, b"v", b"w", lists=[b"x"])
    await asyncio.sleep(SHORT + 0.05)  # the time it was listed with is over
    assert await store.listed(b"x") == [b"k"]


async def test_a_long_list_is_read_whole(store):
    names = [b"%d" % number for number in range(1203)]
    await asyncio.gather(*(store.write(name, b"v", 10, lists=[b"x"]) for name in names[:3]))
    for start in range(3, len(names), 100):
        await asyncio.gather(*(store.write(name, b"v", 10, lists=[b"x"]) for name in names[start : start + 100]))
    assert sorted(await store.listed(b"x")) == sorted(names)


async def test_uses_values_and_lists_of_one_name_are_apart(store):
    await store.write(b"k", b"v", 10, lists=[b"k"])
    assert await store.first_use(b"k", 10)
    assert await store.read(b"k") == b"v"
    assert await store.listed(b"k") == [b"k"]

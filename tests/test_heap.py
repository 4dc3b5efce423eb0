"""gateway/heap.py: when the garbage collector looks, in a process of its own, whose settings are nobody else's."""

import subprocess
import sys

import pytest

CYCLE = """
import gc, weakref
from gateway import heap

class Held: ...

def cycle():
    one = Held()
    one.itself = one
    return weakref.ref(one)

def many():
    return [Held() for _ in range(200_000)]
"""


@pytest.fixture
def run():
    """Runs lines behind those of `CYCLE`, in a fresh interpreter; gives what they print."""

    def told(lines: str) -> str:
        ended = subprocess.run([sys.executable, "-c", CYCLE + lines], capture_output=True, text=True, check=True)
        return ended.stdout.strip()

    return told


def test_nothing_is_looked_for_while_a_process_starts(run):
    assert run("heap.rest(); found = cycle(); many(); print(found() is None)") == "False"


def test_the_collector_looks_again_once_what_stays_is_set_aside(run):
    assert run("heap.rest(); heap.set_aside(); found = cycle(); kept = many(); print(found() is None)") == "True"


def test_what_was_set_aside_is_not_looked_through_again(run):
    assert run("found = cycle(); heap.set_aside(); gc.collect(); print(found() is None)") == "False"


def test_garbage_of_what_was_set_aside_is_found_when_the_heap_settles(run):
    assert (
        run("found = cycle(); heap.set_aside(); heap.settle(); print(found() is None, gc.isenabled())") == "True True"
    )


@pytest.mark.parametrize("before", ["gc.enable()", "gc.disable()"])
def test_a_rest_leaves_the_collector_as_it_found_it(run, before):
    lines = f"{before}; was = gc.isenabled()\nwith heap.at_rest(): within = gc.isenabled()\n"

    assert run(f"{lines}print(within, was == gc.isenabled())") == "False True"

"""bench/trials.py: whose turn it is, and what becomes of a contestant that fails."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.processes import StartError
from bench.results import Column
from bench.statistics import Spread
from bench.trials import FlawError, Variant, interleave
from bench.world import Cores, Issuer, World

RATE = (Column("rate", "requests/s"),)
WORLD = World(Cores(0, 1), Issuer(["token"], Path("jwks.json"), Path("issuer.pem")), 9, "http://127.0.0.1:9/jwks.json")


@dataclass
class Standing:
    """A contestant that is only told when it is stopped."""

    diary: list[str]
    name: str
    port: int = 1
    pids: tuple[int, ...] = ()
    started: float = 0.0

    def stop(self) -> None:
        self.diary.append(f"stop {self.name}")


@pytest.fixture
def diary() -> list[str]:
    return []


@pytest.fixture
def variant(diary):
    def make(name: str) -> Variant:
        def start(world, workdir, port):
            diary.append(f"start {name}")
            return Standing(diary, name)

        return Variant(name, "forwards", "1.0", False, start)

    return make


def test_contestants_take_turns_and_each_is_stopped_before_the_next_starts(variant, diary, tmp_path):
    interleave([variant("a"), variant("b")], 2, WORLD, tmp_path, lambda *_: {"rate": 1.0}, lambda _: None)

    once = ["start a", "stop a", "start b", "stop b"]
    assert once * 2 == diary


def test_a_flaw_makes_the_whole_row_invalid_and_leaves_no_ratio(variant, tmp_path):
    """A figure of a good round must not survive the bad one."""
    turns = {"a": iter([1.0, None]), "b": iter([1.0, 1.0])}

    def take(variant, running, workdir):
        rate = next(turns[variant.name])
        if rate is None:
            raise FlawError("3 answers were not 2xx")
        return {"rate": rate}

    trials = interleave([variant("a"), variant("b")], 2, WORLD, tmp_path, take, lambda _: None)

    flawed, sound = trials.rows(RATE)
    assert (flawed.flaw, flawed.figures) == ("3 answers were not 2xx", {})
    assert (None, {"rate": Spread(1.0, 1.0, 1.0, 2)}) == (sound.flaw, sound.figures)
    assert trials.ratio("a / b", "rate", "a", "b") == []


def test_a_flawed_contestant_is_stopped_and_not_started_again(variant, diary, tmp_path):
    def take(variant, running, workdir):
        raise FlawError("answered 500")

    interleave([variant("a")], 3, WORLD, tmp_path, take, lambda _: None)

    assert diary == ["start a", "stop a"]


def test_a_contestant_that_does_not_start_is_told_with_its_reason(tmp_path):
    def start(world, workdir, port):
        raise StartError("haproxy ended with code 1: Cannot raise FD limit")

    broken = Variant("haproxy", "forwards", "2.6", False, start)
    trials = interleave([broken], 1, WORLD, tmp_path, lambda *_: {"rate": 1.0}, lambda _: None)

    assert trials.rows(RATE)[0].flaw == "haproxy ended with code 1: Cannot raise FD limit"


def test_a_ratio_knows_its_goal_and_its_direction(variant, tmp_path):
    rates = {"a": 30.0, "b": 20.0}
    variants = [variant("a"), variant("b")]
    trials = interleave(variants, 1, WORLD, tmp_path, lambda one, *_: {"rate": rates[one.name]}, lambda _: None)

    (reached,) = trials.ratio("a / b", "rate", "a", "b", at_least=1.5)
    (missed,) = trials.ratio("a / b", "rate", "a", "b", at_most=1.4)
    (free,) = trials.ratio("a / b", "rate", "a", "b")
    assert (reached.reached, missed.reached, free.reached) == (True, False, None)

"""gateway.breaker: failures in a row open it, a pause and one good probe close it."""

import pytest

from gateway.breaker import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker(3, 10.0, clock)


def fail(breaker, times):
    for _ in range(times):
        breaker.failed()


def test_it_opens_after_so_many_failures_in_a_row(breaker):
    fail(breaker, 2)
    assert breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    assert (breaker.state, breaker.retry_after) == ("open", 10.0)


def test_a_success_in_between_starts_the_count_anew(breaker):
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_after_the_pause_one_probe_is_admitted_and_nobody_else(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert breaker.state == "half-open"
    assert [breaker.admits() for _ in range(3)] == [True, False, False]


def test_a_good_probe_closes_it(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert breaker.admits()
    breaker.succeeded()
    assert (breaker.state, breaker.retry_after, breaker.admits()) == ("closed", 0.0, True)


def test_a_bad_probe_opens_it_for_another_pause(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert breaker.admits()
    breaker.failed()
    assert breaker.state == "open"
    assert breaker.retry_after == 10.0


def test_an_abandoned_probe_leaves_its_place_to_the_next(breaker, clock):
    fail(breaker, 3)
    clock.now += 10
    assert breaker.admits()
    breaker.abandoned()
    assert breaker.admits()


def test_failures_of_calls_from_before_it_closed_do_not_open_it_again(breaker, clock):
    """They waited for a system that was down, and say nothing of the one that is up again."""
    began = clock.now
    fail(breaker, 3)
    clock.now += 10
    assert breaker.admits()
    breaker.succeeded()
    for _ in range(5):
        breaker.failed(began)
    assert breaker.state == "closed"

"""Rates and places: how many, of what, and when again."""

import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter

from gateway.errors import Overloaded, RateLimited
from gateway.throttle import MOST_KEYS, Rates, Throttle, client_key
from gateway.windows import Windows


class Clock:
    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


class Counted:
    """Rates on a clock of their own."""

    def __init__(self, most_keys=MOST_KEYS):
        self.clock = Clock()
        self.rates = Rates(self.clock, most_keys)

    def admitted(self, times, rate, *key):
        """How many of so many requests pass."""
        return sum(self.wait(rate, *key) is None for _ in range(times))

    def wait(self, rate, *key):
        """None when a request passes, else the seconds after which the next one would."""
        try:
            self.rates.spend(rate, *key)
        except RateLimited as error:
            return error.retry_after
        return None


def test_a_rate_that_is_used_up_says_when_it_is_not():
    rates = Rates()
    for _ in range(3):
        rates.spend("3/hour", "client", "192.0.2.1")
    with pytest.raises(RateLimited) as caught:
        rates.spend("3/hour", "client", "192.0.2.1")
    assert 1.0 <= caught.value.retry_after <= 3600.0
    assert "192.0.2.1" not in caught.value.detail


def test_rates_are_counted_apart():
    rates = Rates()
    for key in (("client", "192.0.2.1"), ("client", "192.0.2.2"), ("channel", "192.0.2.1"), ("item", "a")):
        rates.spend("1/hour", *key)


def test_two_rates_of_one_key_are_counted_apart():
    """A reload that changes a rate begins a new count; the old one is forgotten when its windows are over."""
    counted = Counted()
    assert counted.admitted(2, "1/minute", "client", "a") == 1
    assert counted.admitted(9, "5/hour", "client", "a") == 5


@pytest.mark.parametrize(("rate", "length"), [("5/second", 1), ("5/minute", 60), ("5/hour", 3600), ("5/day", 86400)])
def test_windows_end_by_our_clock(rate, length):
    counted = Counted()
    assert counted.admitted(9, rate, "client", "a") == 5
    counted.clock.now += length - 0.01
    assert counted.admitted(9, rate, "client", "a") == 0
    counted.clock.now += 2 * length
    assert counted.admitted(9, rate, "client", "a") == 5


def test_around_the_end_of_a_window_hardly_more_than_the_rate_passes():
    """A fixed window would let twenty through within a second; the window before still weighs here."""
    counted = Counted()
    assert counted.admitted(1, "10/minute", "client", "a") == 1
    counted.clock.now += 59.5
    burst = counted.admitted(20, "10/minute", "client", "a")
    counted.clock.now += 1.0
    assert burst + counted.admitted(20, "10/minute", "client", "a") <= 11
    counted.clock.now += 30.0
    assert 4 <= counted.admitted(20, "10/minute", "client", "a") <= 6


def test_requests_that_are_refused_are_not_counted():
    counted = Counted()
    assert counted.admitted(1000, "10/minute", "client", "a") == 10
    counted.clock.now += 60.0 + 30.0
    assert counted.admitted(1000, "10/minute", "client", "a") >= 5


@pytest.mark.parametrize("passed", [0.0, 12.3, 59.9, 75.0, 100.0])
def test_who_comes_back_when_told_passes_and_a_little_before_does_not(passed):
    counted = Counted()
    counted.admitted(7, "7/minute", "client", "a")
    counted.clock.now += passed
    counted.admitted(7, "7/minute", "client", "a")
    wait = counted.wait("7/minute", "client", "a")
    assert wait is not None
    assert 1.0 <= wait <= 60.0
    counted.clock.now += wait - 1.001
    assert counted.wait("7/minute", "client", "a") is not None
    counted.clock.now += 1.001
    assert counted.wait("7/minute", "client", "a") is None


@given(
    limit=st.integers(1, 50),
    steps=st.lists(st.just(0.0) | st.floats(0.0, 90.0), min_size=1, max_size=150),
)
@example(limit=1, steps=[0.6, 0.0])  # 1000.6 + 60 - 1000.6 is less than 60
def test_a_burst_is_never_more_than_one_above_the_rate_and_waiting_always_helps(limit, steps):
    counted, rate = Counted(), f"{limit}/minute"
    admitted = []
    for step in steps:
        counted.clock.now += step
        wait = counted.wait(rate, "client", "a")
        if wait is None:
            admitted.append(counted.clock.now)
            assert sum(when > counted.clock.now - 0.001 for when in admitted) <= limit + 1
            assert sum(when > counted.clock.now - 60.0 for when in admitted) <= 2 * limit
        else:
            counted.clock.now += wait
            assert counted.wait(rate, "client", "a") is None
            admitted.append(counted.clock.now)


def test_counting_starts_no_thread():
    before = threading.active_count()
    counted = Counted()
    for number in range(1000):
        counted.rates.spend("5/minute", "client", str(number))
    assert threading.active_count() == before


def test_keys_whose_windows_are_over_are_forgotten_when_new_ones_come():
    clock = Clock()
    windows = Windows(clock, 10_000)
    for number in range(1000):
        windows.acquire_sliding_window_entry(f"old-{number}", 5, 60)
    clock.now += 120.0
    for number in range(400):
        windows.acquire_sliding_window_entry(f"new-{number}", 5, 60)
    assert len(windows) == 400


def test_a_day_long_window_in_front_does_not_keep_short_ones_behind_it():
    clock = Clock()
    windows = Windows(clock, 10_000)
    for number in range(500):
        windows.acquire_sliding_window_entry(f"day-{number}", 5, 86400)
        windows.acquire_sliding_window_entry(f"second-{number}", 5, 1)
    clock.now += 2.0
    for number in range(500):
        windows.acquire_sliding_window_entry(f"new-{number}", 5, 60)
    assert len(windows) == 1000


def test_a_flood_of_keys_is_bounded_and_frees_nobody_who_is_used_up():
    counted = Counted(most_keys=100)
    assert counted.admitted(9, "5/minute", "client", "persistent") == 5
    for number in range(10_000):
        assert counted.wait("5/minute", "client", f"flood-{number}") is None
    windows, _ = counted.rates._kinds["client"]
    assert len(windows) == 100
    assert counted.admitted(9, "5/minute", "client", "persistent") == 0


def test_when_all_that_is_counted_is_used_up_doubt_closes():
    counted = Counted(most_keys=10)
    for number in range(10):
        assert counted.admitted(2, "1/minute", "client", str(number)) == 1
    with pytest.raises(Overloaded) as caught:
        counted.rates.spend("1/minute", "client", "another")
    assert caught.value.retry_after == 1.0
    counted.clock.now += 120.0
    assert counted.wait("1/minute", "client", "another") is None


def test_a_flood_of_addresses_does_not_displace_persons_and_items():
    counted = Counted(most_keys=10)
    for number in range(10):
        counted.admitted(2, "1/minute", "client", str(number))
    assert counted.wait("1/minute", "subject", "item-1", "province", "u-1") is None
    assert counted.wait("1/minute", "item", "item-1") is None


def test_the_storage_answers_the_strategies_of_the_library():
    clock = Clock()
    windows = Windows(clock, 10)
    rate = RateLimitItemPerMinute(2)
    sliding, fixed = SlidingWindowCounterRateLimiter(windows), FixedWindowRateLimiter(windows)
    assert windows.check()
    assert sliding.test(rate, "a")
    assert [sliding.hit(rate, "a") for _ in range(3)] == [True, True, False]
    assert not sliding.test(rate, "a")
    assert sliding.get_window_stats(rate, "a").remaining == 0
    sliding.clear(rate, "a")
    assert sliding.test(rate, "a")
    assert [fixed.hit(rate, "b") for _ in range(3)] == [True, True, False]
    assert fixed.get_window_stats(rate, "b").reset_time == clock.now + 60.0
    assert (windows.reset(), len(windows)) == (1, 0)


@pytest.mark.parametrize(("address", "key"), [
    ("192.0.2.1", "192.0.2.1"),
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("64:ff9b::c000:201", "192.0.2.1"),
    ("2001:db8::1", "2001:db8::/64"),
    ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
    ("2001:0DB8:0:0:1::", "2001:db8::/64"),
    ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
    ("::1", "::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    ("unix", "unix"),
    ("", ""),
])  # fmt: skip
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address, key):
    assert client_key(address) == key


def test_one_network_of_ipv6_has_one_allowance():
    counted = Counted()
    addresses = [client_key(f"2001:db8::{number:x}") for number in range(1, 21)]
    assert sum(counted.wait("5/minute", "client", address) is None for address in addresses) == 5


def test_one_persons_rate_does_not_touch_another():
    throttle = Throttle(Rates(), "item-1", subject_rate="1/hour")
    throttle.admit_subject("province", "u-1")
    throttle.admit_subject("province", "u-2")
    throttle.admit_subject("national", "u-1")
    with pytest.raises(RateLimited):
        throttle.admit_subject("province", "u-1")


def test_one_items_rate_does_not_touch_another():
    rates = Rates()
    first, second = Throttle(rates, "item-1", rate="1/hour"), Throttle(rates, "item-2", rate="1/hour")
    first.admit()
    second.admit()
    with pytest.raises(RateLimited):
        first.admit()


def test_a_throttle_without_limits_admits_everything():
    throttle = Throttle(Rates(), "item-1")
    for _ in range(100):
        throttle.admit()
        throttle.admit_subject("province", "u-1")
        throttle.__enter__()


def test_a_place_is_given_back_however_the_request_ends():
    throttle = Throttle(Rates(), "item-1", in_flight=1)
    for _ in range(3):
        with pytest.raises(KeyError), throttle:
            raise KeyError
    with throttle, pytest.raises(Overloaded) as caught, throttle:
        pass
    assert caught.value.retry_after == 1.0
    with throttle:
        pass

"""Rates and places: how many, of what, and when again."""

import pytest

from gateway.errors import Overloaded, RateLimited
from gateway.throttle import Rates, Throttle


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

"""What ends when: every key is given once, when its second has passed, and never before."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.expiry import Expiry

STEPS = st.lists(st.tuples(st.floats(0, 50), st.floats(0, 120), st.booleans()), max_size=50)


@given(STEPS)
def test_a_key_is_given_once_after_its_end_and_within_a_second_of_it(steps):
    """Through any sequence of pauses, keys and keys taken out again."""
    expiry, now, ends = Expiry(), 1000.0, {}
    for number, (pause, life, taken_out) in enumerate(steps):
        now += pause
        for key in expiry.over(now):
            assert ends.pop(key) < now
        assert all(end >= now - 1 for end in ends.values())
        ends[number] = now + life
        expiry.add(number, ends[number])
        if taken_out:
            expiry.discard(number, ends.pop(number))
    assert set(expiry.over(now + 200)) == set(ends)
    assert not expiry._seconds


def test_a_long_silence_costs_no_more_than_what_is_noted():
    expiry = Expiry()
    assert not list(expiry.over(0.0))
    expiry.add("k", 10.0)
    assert list(expiry.over(1e15)) == ["k"]

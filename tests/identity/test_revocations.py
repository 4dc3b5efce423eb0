"""The deny set: what it denies, whose, for how long, and when it says that it does not know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import StateUnavailable
from gateway.identity.revocations import Revocations
from gateway.model import Kind, Principal
from gateway.withdrawals import Withdrawal, withdrawals

NOW = 1_800_000_000.0
HERE, ELSEWHERE = "https://id.province.example", "https://id.line.example"


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


class Denying:
    """A deny set on clocks of its own."""

    def __init__(self, **options):
        self.wall, self.mono = Clock(NOW), Clock(50.0)
        self.set = Revocations(clock=self.wall, monotonic=self.mono, **options)

    def withdraw(self, at=NOW, **named):
        for one in withdrawals(at=at, **named):
            self.set.add(one)

    def passes(self, seconds):
        self.wall.now += seconds
        self.mono.now += seconds


def who(**rests_on):
    given = {"issuer": HERE, "subject": "u-1", "issued_at": NOW - 60, "session": "s-1", "token_id": "t-1"} | rests_on
    return Principal(kind=Kind.NATURAL, assurance=3, expires_at=NOW + 600, **given)


@pytest.mark.parametrize(
    ("withdrawn", "principal", "denied"),
    [
        ({"session": "s-1"}, who(), True),
        ({"session": "s-2"}, who(), False),
        ({"session": "s-1", "issuer": HERE}, who(), True),
        ({"session": "s-1", "issuer": HERE}, who(issuer=ELSEWHERE), False),
        ({"token_id": "t-1"}, who(), True),
        ({"token_id": "t-1", "issuer": ELSEWHERE}, who(), False),
        ({"subject": "u-1"}, who(), True),
        ({"subject": "u-1", "issuer": ELSEWHERE}, who(), False),
        ({"subject": "u-1", "issuer": HERE}, who(), True),
        ({"subject": "u-1"}, who(issued_at=NOW + 1), False),
        ({"subject": "u-1"}, who(issued_at=NOW), True),
        ({"subject": "u-1", "at": NOW - 100}, who(), False),
        ({"subject": "u-1"}, who(issued_at=0.0), True),
        ({"subject": "u-9"}, who(subject="unit", operator="u-9"), True),
        ({"subject": "u-9"}, who(subject="unit", operator="u-8"), False),
        ({"session": "nobody's"}, who(session=None, token_id=None), False),
    ],
)
def test_what_is_denied(withdrawn, principal, denied):
    denying = Denying()
    denying.withdraw(**withdrawn)
    assert denying.set.deny(principal) is denied


def test_the_later_withdrawal_of_a_subject_counts_whichever_is_heard_first():
    for first, second in ((NOW - 5, NOW - 100), (NOW - 100, NOW - 5)):
        denying = Denying()
        denying.withdraw(subject="u-1", at=first)
        denying.withdraw(subject="u-1", at=second)
        assert denying.set.deny(who(issued_at=NOW - 6))
        assert len(denying.set) == 1


def test_hearing_the_same_again_changes_nothing():
    denying = Denying()
    one = Withdrawal("sid", "s-1", NOW, NOW + 100)
    assert denying.set.add(one)
    assert not denying.set.add(one)
    assert [*denying.set.entries()] == [one]


def test_what_concerns_nothing_any_more_is_not_noted_and_forgotten():
    denying = Denying()
    assert not denying.set.add(Withdrawal("sid", "s-0", NOW - 200, NOW))
    denying.set.add(Withdrawal("sid", "s-1", NOW, NOW + 100))
    denying.set.add(Withdrawal("sub", "u-1", NOW, NOW + 200))
    denying.passes(150)
    denying.set.add(Withdrawal("jti", "t-1", NOW, NOW + 900))
    assert {one.value for one in denying.set.entries()} == {"u-1", "t-1"}
    assert not denying.set.deny(who(token_id=None, subject="other"))


def test_a_wall_clock_that_jumps_makes_nothing_good_again():
    denying = Denying()
    denying.withdraw(session="s-1")
    denying.wall.now += 10 * 86400
    denying.withdraw(session="s-2")
    denying.wall.now -= 10 * 86400
    assert denying.set.deny(who())


def test_a_full_set_takes_nothing_more_and_forgets_nothing():
    denying = Denying(most=2)
    denying.withdraw(session="s-1", subject="u-1")
    with pytest.raises(StateUnavailable):
        denying.withdraw(session="s-3")
    denying.withdraw(subject="u-1", at=NOW + 5)
    assert denying.set.deny(who(subject="x", token_id="x"))
    assert len(denying.set) == 2


def test_it_is_current_up_to_the_time_that_its_feed_has_heard_of():
    denying = Denying()
    assert denying.set.current(), "nobody else withdraws anything"
    denying.set.complete_until = denying.mono.now + 1.0
    assert denying.set.current()
    denying.passes(1.1)
    assert not denying.set.current()


ADDED = st.lists(
    st.tuples(st.sampled_from(["sid", "jti", "sub"]), st.sampled_from("ab"), st.sampled_from([None, HERE])), max_size=30
)


@given(ADDED, st.lists(st.integers(0, 40), max_size=30))
def test_what_is_counted_is_what_is_there(added, pauses):
    """Through any sequence of withdrawals and pauses the count, the entries and what is due agree."""
    denying = Denying()
    for number, (kind, value, issuer) in enumerate(added):
        denying.set.add(Withdrawal(kind, value, denying.wall.now, denying.wall.now + 30, issuer))
        denying.passes(pauses[number] if number < len(pauses) else 1)
        assert len(denying.set) == len(list(denying.set.entries()))
        due = [key for keys in denying.set._expiry._seconds.values() for key in keys]
        assert len(due) == len(denying.set)

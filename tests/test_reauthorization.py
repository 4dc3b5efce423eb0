"""What re-authorizers on the ledger share: who is barred, and what proves an address, a computer, an hour."""

from datetime import datetime
from ipaddress import ip_address, ip_network
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import (
    ALLOW,
    Deny,
    Designated,
    Kind,
    LedgerReauthorizer,
    PartContext,
    Settings,
    is_during,
    is_from,
    is_proven,
)
from gateway.errors import StateUnavailable
from tests.plugin_world import principal, visit
from tests.plugins.ledger_view import PERSON, UNIT, HeldLedger, changed, coming, part_on

CONTEXT = PartContext(name="part", fetch=None, once=None)


class Anybody(LedgerReauthorizer[Settings]):
    """Allows everybody who is not barred, and keeps what it was told."""

    judged = "nothing"

    def judge(self, facts, principal, visit):
        self.judged = facts
        return ALLOW


def anybody(facts=None, **ledger) -> Anybody:
    return part_on(Anybody, CONTEXT, HeldLedger(facts, **ledger))


async def test_without_a_ledger_a_part_cannot_be_made_and_says_what_to_write():
    with pytest.raises(ValueError, match=r"needs a ledger; write `ledger: sqlite:///ledger.db` in gateway.yaml"):
        part_on(Anybody, CONTEXT, None)


async def test_the_ledger_is_followed_from_the_start():
    part = anybody()
    await part.start()
    assert part.ledger.followed == 1


@pytest.mark.parametrize("state", ["new", "applied", "reviewed", "bound"])
async def test_every_state_that_is_not_barred_is_judged(state):
    part = anybody(changed(PERSON, state=state))
    assert await part.decide(principal(), visit()) is ALLOW
    assert part.judged is part.ledger.held


async def test_whoever_has_no_record_is_judged_too():
    part = anybody(None)
    assert await part.decide(principal(), visit()) is ALLOW
    assert part.judged is None


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (changed(PERSON, state="suspended"), "unit-suspended"),
        (changed(PERSON, state="revoked"), "unit-revoked"),
        (changed(PERSON, state="no such state"), "forbidden"),
        (UNIT, "forbidden"),
    ],
)
async def test_who_is_barred_or_in_doubt_is_not_even_judged(facts, code):
    """The last one is a person by her sign-in and a unit by the record: somebody has mixed up two."""
    part = anybody(facts)
    decision = await part.decide(principal(kind=Kind.NATURAL), visit())
    assert isinstance(decision, Deny)
    assert (decision.code, decision.conflict, part.judged) == (code, False, "nothing")
    assert "经办机构" in decision.title[0]
    assert "agency" in decision.title[1]


async def test_a_ledger_that_was_not_heard_is_no_denial():
    with pytest.raises(StateUnavailable):
        await anybody(silent=True).decide(principal(), visit())


@pytest.mark.parametrize(
    ("client", "networks", "inside"),
    [
        ("192.0.2.1", ("192.0.2.0/24",), True),
        ("192.0.3.1", ("192.0.2.0/24",), False),
        ("192.0.3.1", ("192.0.2.0/24", "192.0.3.1"), True),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), True),
        ("2001:db8::1", ("2001:db8::/32",), True),
        ("2001:db8::1", ("0.0.0.0/0",), False),
        ("192.0.2.1", (), False),
        ("unix", ("0.0.0.0/0", "::/0"), False),
        ("", ("0.0.0.0/0",), False),
    ],
)
def test_an_address_lies_in_a_network_or_not(client, networks, inside):
    assert is_from(client, networks) is inside


@pytest.mark.parametrize("network", ["", "office", "192.0.2.1/24", "300.0.0.0/8"])
def test_a_network_that_cannot_be_read_is_no_answer(network):
    """Neither yes nor no, also where another one would have matched: an exception is a 500, and nothing passes."""
    with pytest.raises(ValueError):  # noqa: PT011 - ipaddress words it
        is_from("192.0.2.1", ("0.0.0.0/0", network))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_an_address_is_judged_as_the_library_judges_it(client, base, length):
    network = str(ip_network((int(base), length), strict=False))
    assert is_from(str(client), (network,)) is (ip_address(str(client)) in ip_network(network))


CERTIFICATE = Designated("d-1", "certificate", "ab" * 32)
PASSKEY = Designated("d-2", "passkey", "credential")
NETWORK = Designated("d-3", "network", "192.0.2.0/24")


@pytest.mark.parametrize(
    ("device", "session", "shown", "proven"),
    [
        (CERTIFICATE, None, {"certificate": "ab" * 32}, True),
        (CERTIFICATE, None, {"certificate": "cd" * 32}, False),
        (CERTIFICATE, "d-1", {}, False),
        (PASSKEY, "d-2", {}, True),
        (PASSKEY, "d-1", {}, False),
        (PASSKEY, "credential", {}, False),
        (PASSKEY, None, {}, False),
        (NETWORK, None, {"client": "192.0.2.77"}, True),
        (NETWORK, "d-3", {"client": "198.51.100.1"}, False),
        (Designated("d-4", "another", "ab"), "d-4", {"certificate": "ab"}, False),
    ],
)
def test_a_computer_is_proven_by_what_its_kind_asks_for_and_by_nothing_else(device, session, shown, proven):
    assert is_proven(device, principal(device=session), coming(**shown).inbound) is proven


@given(st.integers(800_000_000, 4_000_000_000), st.integers(0, 1438), st.integers(1, 1439))
def test_hours_are_those_of_shanghai(at, begins, lasts):
    ends = min(begins + lasts, 1439)
    text = f"{begins // 60:02}:{begins % 60:02}-{ends // 60:02}:{ends % 60:02}"
    there = datetime.fromtimestamp(at, ZoneInfo("Asia/Shanghai"))
    assert is_during((text,), at) is (begins <= there.hour * 60 + there.minute < ends)


def test_one_of_several_spans_is_enough_and_none_is_never():
    midnight = datetime(2026, 11, 23, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
    assert is_during(("09:00-12:00", "00:00-00:01"), midnight)
    assert not is_during(("09:00-12:00", "00:01-24:00"), midnight)
    assert not is_during((), midnight)


def test_hours_that_cannot_be_read_are_no_answer():
    with pytest.raises(ValueError, match="no span of a day"):
        is_during(("00:00-24:00", "at noon"), 0.0)

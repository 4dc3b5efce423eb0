"""records/health.py: from what parts and systems say of themselves to readings."""

from gateway.records import health

SAID = {
    "parts": {
        "province": {"key_age": 12, "breaker": "open", "clock_offsets": {"token": -3.5}},
        "app": {"clock_offsets": {"kiosk": 2, "dev": 0.5}},
        "quiet": {"key_age": None},
    },
    "systems": {
        "guides": {"targets": [{"breaker": "closed"}, {"breaker": "half-open"}]},
        "sso": {"targets": [{"breaker": "closed"}], "clock_offsets": {"partner": 61}},
        "pension": {"depth": 3},
    },
}


def test_the_clock_of_every_peer_is_told_by_the_part_or_the_desk_that_it_asked():
    assert health.clock_offsets(SAID) == {
        ("province", "token"): -3.5,
        ("app", "kiosk"): 2.0,
        ("app", "dev"): 0.5,
        ("sso", "partner"): 61.0,
    }


def test_the_worst_breaker_counts():
    assert health.breakers(SAID) == {("province",): 2.0, ("guides",): 1.0, ("sso",): 0.0}


def test_keys_that_were_never_fetched_have_no_age():
    assert health.key_ages(SAID) == {("province",): 12.0}


def test_the_ferrys_counts_are_those_of_systems_behind_it():
    assert health.ferry(SAID, "depth") == {("pension",): 3.0}

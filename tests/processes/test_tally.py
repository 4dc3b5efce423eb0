"""Counters never fall, whatever becomes of the worker that counted."""

from gateway.processes.tally import Tally


def told(counted):
    return {"tongguan_refusals_total": [(("token-missing",), counted)], "tongguan_connections": [((), counted)]}


def test_what_an_ended_worker_counted_stays_and_its_gauges_go():
    """Two workers, one ends, its successor begins at nothing."""
    tally = Tally()
    assert tally.take({1: told(5), 2: told(7)}, {1, 2}) == told(12)
    after = tally.take({2: told(8), 3: told(1)}, {2, 3})
    assert after == {"tongguan_refusals_total": [(("token-missing",), 14)], "tongguan_connections": [((), 9)]}


def test_a_silent_worker_keeps_its_counters_and_lends_no_gauge():
    """It stalls at one scrape and answers the next; nothing is counted twice."""
    tally = Tally()
    tally.take({1: told(5), 2: told(7)}, {1, 2})
    silent = tally.take({2: told(7)}, {1, 2})
    assert silent == {"tongguan_refusals_total": [(("token-missing",), 12)], "tongguan_connections": [((), 7)]}
    assert tally.take({1: told(6), 2: told(7)}, {1, 2}) == told(13)

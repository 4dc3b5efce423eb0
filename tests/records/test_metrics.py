"""Counting, merging and exposing: sums stay sums, labels stay few, the text is Prometheus'."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from exchanges import Clock, make_exchange
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import Exchange
from gateway.records.metrics import BUCKETS, FAMILIES, NAMES, Metrics, exposition, merge, retire


def observed(*exchanges: Exchange, **given: int) -> Metrics:
    metrics = Metrics(**given)
    metrics.observe(exchanges)
    return metrics


def samples(snapshot: dict) -> dict:
    """Every sample of the exposition by name and sorted labels."""
    text = exposition(snapshot).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(snapshot: dict, name: str, **labels: str) -> float:
    return samples(snapshot)[name, tuple(sorted(labels.items()))]


def test_a_carried_request_is_counted_by_what_it_was():
    snapshot = observed(make_exchange(), make_exchange()).snapshot()
    labels = {"item": "11440100696927671X3442011817001", "method": "GET", "status": "200", "channel": "web"}
    assert value(snapshot, "tongguan_requests_total", **labels, decision="carried") == 2
    assert value(snapshot, "tongguan_response_body_bytes_total", system="medical-insurance") == 2048
    assert value(snapshot, "tongguan_request_body_bytes_total", system="medical-insurance") == 20
    outcome = {"system": "medical-insurance", "outcome": "delivered"}
    assert value(snapshot, "tongguan_forward_outcomes_total", **outcome) == 2
    assert value(snapshot, "tongguan_verify_duration_seconds_count", verifier="province-jwt") == 2


def test_a_request_that_nothing_is_known_of_is_counted_too():
    exchange = Exchange("id", 0.0, "192.0.2.7", Clock())
    exchange.method, exchange.status, exchange.code = "BREW", 400, "request-malformed"
    exchange.close()
    snapshot = observed(exchange).snapshot()
    labels = {"item": "none", "method": "other", "status": "400", "channel": "none", "decision": "refused"}
    assert value(snapshot, "tongguan_requests_total", **labels) == 1
    assert value(snapshot, "tongguan_refusals_total", code="request-malformed") == 1


def test_a_request_that_was_sent_again_is_a_retry():
    snapshot = observed(make_exchange(attempt=2), make_exchange(attempt=1)).snapshot()
    assert value(snapshot, "tongguan_forward_retries_total", system="medical-insurance") == 1


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.0011, 29.9, 30.0, 31.0])
def test_a_time_falls_into_the_buckets_that_include_it(seconds):
    snapshot = observed(make_exchange(step=0.0, forward=seconds)).snapshot()
    for bound in BUCKETS:
        counted = value(snapshot, "tongguan_forward_duration_seconds_bucket", system="medical-insurance", le=str(bound))
        assert counted == (seconds <= bound)
    assert value(snapshot, "tongguan_forward_duration_seconds_sum", system="medical-insurance") == seconds
    assert value(snapshot, "tongguan_forward_duration_seconds_bucket", system="medical-insurance", le="+Inf") == 1


def test_labels_stay_bounded_whatever_comes():
    metrics = observed(*(make_exchange(code=f"made-up-{number}") for number in range(50)), most_series=10)
    refusals = dict(metrics.snapshot()["tongguan_refusals_total"])
    assert len(refusals) == 11
    assert refusals["other",] == 40


def test_a_times_series_stays_bounded_too():
    exchanges = []
    for number in range(50):
        exchanges.append(make_exchange())
        exchanges[-1].item = msgspec.structs.replace(exchanges[-1].item, system=f"system-{number}")
    durations = dict(observed(*exchanges, most_series=10).snapshot()["tongguan_request_duration_seconds"])
    assert len(durations) == 11
    assert sum(durations["other",][:-1]) == 40


@given(st.lists(st.lists(st.tuples(st.sampled_from([200, 403, 503]), st.floats(0, 60)), max_size=8), max_size=4))
def test_merging_is_adding(workers):
    """What several workers counted, merged, is what one worker would have counted."""

    def exchange(status: int, seconds: float) -> Exchange:
        return make_exchange(step=0.0, forward=seconds, status=status, code=None if status == 200 else "x")

    merged = merge([observed(*(exchange(*one) for one in worker)).snapshot() for worker in workers])
    alone = observed(*(exchange(*one) for worker in workers for one in worker)).snapshot()
    assert samples(merged) == pytest.approx(samples(alone))


@pytest.mark.parametrize("codec", [json, msgspec.msgpack, msgspec.json])
def test_a_snapshot_survives_the_way_to_the_supervisor(codec):
    metrics = observed(make_exchange(), make_exchange(status=403, code="forbidden"))
    metrics.feed("tongguan_connections", lambda: 7)
    encode, decode = (codec.dumps, codec.loads) if codec is json else (codec.encode, codec.decode)
    assert samples(merge([decode(encode(metrics.snapshot()))])) == samples(metrics.snapshot())


def test_a_snapshot_does_not_change_afterwards():
    metrics = observed(make_exchange())
    before = metrics.snapshot()
    text = exposition(before)
    metrics.observe([make_exchange()])
    assert exposition(before) == text


def test_gauges_merge_as_they_say():
    one, other = Metrics(), Metrics()
    for metrics, number in ((one, 3.0), (other, 5.0)):
        metrics.feed("tongguan_connections", lambda number=number: number)
        metrics.feed("tongguan_key_age_seconds", lambda number=number: {("province-jwt",): number})
        metrics.feed("tongguan_clock_offset_seconds", lambda number=number: {("app", "kiosk"): 4 - number * 2})
        metrics.feed("tongguan_deny_set_entries", lambda number=number: number)
        metrics.feed("tongguan_deny_set_current", lambda number=number: number - 3.0)
    merged = merge([one.snapshot(), other.snapshot()])
    assert value(merged, "tongguan_connections") == 8
    assert value(merged, "tongguan_key_age_seconds", verifier="province-jwt") == 5
    assert value(merged, "tongguan_clock_offset_seconds", part="app", peer="kiosk") == -6
    assert value(merged, "tongguan_deny_set_entries") == 5
    assert value(merged, "tongguan_deny_set_current") == 0, "one worker that does not know is enough"


def test_several_parts_feed_one_metric():
    metrics = Metrics()
    metrics.feed("tongguan_records_lost_total", lambda: {("access",): 1})
    metrics.feed("tongguan_records_lost_total", lambda: {("application",): 2})
    assert value(metrics.snapshot(), "tongguan_records_lost_total", stream="access") == 1
    assert value(metrics.snapshot(), "tongguan_records_lost_total", stream="application") == 2


@pytest.mark.parametrize("name", ["tongguan_requests_total", "tongguan_nonsense"])
def test_what_is_counted_here_or_unknown_cannot_be_fed(name):
    with pytest.raises(ValueError, match=name):
        Metrics().feed(name, lambda: 1)


def test_a_worker_that_ended_leaves_its_counts_and_takes_its_gauges_along():
    gone = observed(make_exchange())
    gone.feed("tongguan_connections", lambda: 7)
    merged = merge([retire(gone.snapshot()), observed(make_exchange()).snapshot()])
    assert value(merged, "tongguan_response_body_bytes_total", system="medical-insurance") == 2048
    assert "tongguan_connections" not in {name for name, _ in samples(merged)}


def test_nothing_merges_to_nothing():
    assert samples(merge([])) == {}


def test_names_carry_units_and_only_counters_end_in_total():
    for family in FAMILIES:
        assert re.fullmatch(r"tongguan_[a-z]+(_[a-z]+)*", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|kib|kilobytes|percent)\b", family.name)
        if family.kind == "histogram" or re.search(r"duration|age|dwell|lag", family.name):
            assert family.name.removesuffix("_total").endswith("_seconds")
        assert not set(family.labels) & {"path", "client", "subject", "operator", "user", "url"}


def test_every_metric_is_exposed_with_its_kind():
    text = exposition({}).decode()
    for family in FAMILIES:
        assert f"# TYPE {family.name} {family.kind}\n" in text


def test_every_metric_and_its_labels_are_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
    table = text.split("## Metrics of the workers")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(tongguan_\w+)` \| (\w+) \| ([^|]*) \|", table, re.MULTILINE)
    assert [row[0] for row in rows] == list(NAMES)
    assert [(row[1], tuple(re.findall(r"`(\w+)`", row[2]))) for row in rows] == [
        (family.kind, family.labels) for family in FAMILIES
    ]

"""Counts requests per worker in plain dicts, merges the workers' counts, and writes them in Prometheus' text format.

access.py hands in every batch of exchanges; workers send snapshots, the supervisor merges and exposes them. Labels come
from closed sets, never from a path or a person.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.exchange import Exchange
from gateway.records.describing import decision

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds; the last bucket has none."""
MOST_SERIES = 20_000
"""Series of one metric in one worker; beyond it new label values are counted as `other`."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NONE = "none"
_OTHER = "other"

Labels = tuple[str, ...]
Readings = Mapping[Labels, float]
Read = Callable[[], float | Readings]
Snapshot = dict[str, list[tuple[Labels, Any]]]
"""By metric name: label values, and a number, or for histograms the counts per bucket and then the sum."""


class Family(msgspec.Struct, frozen=True):
    """One metric.

    Attributes:
        name: with its unit; counters end in `_total`.
        kind: counter, gauge or histogram.
        help: what it counts, in one sentence.
        labels: names of its labels.
        merge: how the workers' values become one.
        fed: True when another part keeps the value (Metrics.feed).
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    merge: Literal["sum", "max", "min", "widest"] = "sum"
    fed: bool = False


FAMILIES = (
    Family(
        "tongguan_requests_total", "counter", "Requests, by what became of them.",
        ("item", "method", "status", "channel", "decision"),
    ),
    Family("tongguan_refusals_total", "counter", "Requests that ended with an error code.", ("code",)),
    Family("tongguan_request_duration_seconds", "histogram", "From first byte to last.", ("system",)),
    Family("tongguan_verify_duration_seconds", "histogram", "Finding out who asks.", ("verifier",)),
    Family("tongguan_forward_duration_seconds", "histogram", "Until the head of the system's answer.", ("system",)),
    Family("tongguan_forward_outcomes_total", "counter", "What became of what was forwarded.", ("system", "outcome")),
    Family("tongguan_forward_retries_total", "counter", "Requests sent to a system once more.", ("system",)),
    Family("tongguan_request_body_bytes_total", "counter", "Body bytes from clients.", ("system",)),
    Family("tongguan_response_body_bytes_total", "counter", "Body bytes to clients.", ("system",)),
    Family("tongguan_requests_in_flight", "gauge", "Requests being carried now.", fed=True),
    Family("tongguan_connections", "gauge", "Open client connections.", fed=True),
    Family(
        "tongguan_connections_refused_total", "counter", "Connections closed because their client had enough.",
        fed=True,
    ),
    Family("tongguan_records_written_total", "counter", "Lines of a stream that were written.", ("stream",), fed=True),
    Family("tongguan_records_lost_total", "counter", "Lines of a stream that were lost.", ("stream",), fed=True),
    Family(
        "tongguan_key_age_seconds", "gauge", "Time since a verifier's keys were fetched.", ("verifier",),
        merge="max", fed=True,
    ),
    Family(
        "tongguan_breaker_state", "gauge", "0 closed, 1 half open, 2 open; the worst of all workers.", ("part",),
        merge="max", fed=True,
    ),
    Family(
        "tongguan_clock_offset_seconds", "gauge", "How far a peer's clock is ahead of ours; the widest of all workers.",
        ("part", "peer"), merge="widest", fed=True,
    ),
    Family(
        "tongguan_deny_set_entries", "gauge", "Withdrawals in the deny set; the most of all workers.",
        merge="max", fed=True,
    ),
    Family(
        "tongguan_deny_set_current", "gauge", "1 when every worker knows all that was withdrawn; else nobody passes.",
        merge="min", fed=True,
    ),
    Family(
        "tongguan_ledger_view_parties", "gauge", "People and units that a worker's view of the ledger holds.",
        merge="max", fed=True,
    ),
    Family(
        "tongguan_ledger_view_age_seconds", "gauge", "Since the ledger was heard last; the longest of all workers.",
        merge="max", fed=True,
    ),
    Family("tongguan_ferry_depth", "gauge", "Messages that wait for the gatekeeper's answer.", ("system",), fed=True),
    Family(
        "tongguan_ferry_dwell_seconds_total", "counter", "Time that answered messages spent between the units.",
        ("system",), fed=True,
    ),
    Family("tongguan_ferry_late_total", "counter", "Answers that came after their deadline.", ("system",), fed=True),
)  # fmt: skip
"""Every metric of a worker. The supervisor (gateway/processes/) adds its own on configuration and workers."""

NAMES = tuple(family.name for family in FAMILIES)
_FAMILIES = {family.name: family for family in FAMILIES}


class Metrics:
    """What one worker has counted, and what its parts know.

    Args:
        most_series: series per metric; beyond it label values become `other`.
    """

    def __init__(self, most_series: int = MOST_SERIES) -> None:
        self._most = most_series
        self._fed: dict[str, list[Read]] = {}
        self._counted: dict[str, dict[Labels, Any]] = {family.name: {} for family in FAMILIES if not family.fed}
        self._requests: dict[Labels, float] = self._counted["tongguan_requests_total"]
        self._refusals: dict[Labels, float] = self._counted["tongguan_refusals_total"]
        self._durations: dict[Labels, list[float]] = self._counted["tongguan_request_duration_seconds"]
        self._verify: dict[Labels, list[float]] = self._counted["tongguan_verify_duration_seconds"]
        self._forward: dict[Labels, list[float]] = self._counted["tongguan_forward_duration_seconds"]
        self._outcomes: dict[Labels, float] = self._counted["tongguan_forward_outcomes_total"]
        self._retries: dict[Labels, float] = self._counted["tongguan_forward_retries_total"]
        self._received: dict[Labels, float] = self._counted["tongguan_request_body_bytes_total"]
        self._sent: dict[Labels, float] = self._counted["tongguan_response_body_bytes_total"]

    def feed(self, name: str, read: Read) -> None:
        """Have a value read whenever a snapshot is taken: a number, or numbers by label values.

        Raises:
            ValueError: no metric of this name is fed.
        """
        family = _FAMILIES.get(name)
        if family is None or not family.fed:
            raise ValueError(f"{name!r} is no metric that is fed")
        self._fed.setdefault(name, []).append(read)

    def observe(self, exchanges: Iterable[Exchange]) -> None:
        """Count requests that have ended; those that are alike together."""
        alike: defaultdict[_Likeness, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            alike[_likeness(exchange)].append(exchange)
        for likeness, those in alike.items():
            self._observe(likeness, those)

    def snapshot(self) -> Snapshot:
        """Everything as plain data that MessagePack and JSON can carry."""
        taken: Snapshot = {
            name: [(labels, value[:] if isinstance(value, list) else value) for labels, value in series.items()]
            for name, series in self._counted.items()
        }
        for name, reads in self._fed.items():
            taken[name] = [reading for read in reads for reading in _readings(read())]
        return taken

    def _observe(self, likeness: "_Likeness", those: list[Exchange]) -> None:
        code, system, method, status, channel, decided, error, verifier, forwarded, outcome = likeness
        by_system = (system,)
        self._add(self._requests, (code, method, str(status), channel, decided), len(those))
        self._time(self._durations, by_system, [one.total for one in those])
        if received := sum([one.received for one in those]):
            self._add(self._received, by_system, received)
        if sent := sum([one.sent for one in those]):
            self._add(self._sent, by_system, sent)
        if error is not None:
            self._add(self._refusals, (error,), len(those))
        if verifier is not None:
            self._time(self._verify, (verifier,), [one.verify or 0.0 for one in those])
        if forwarded:
            self._time(self._forward, by_system, [one.forward or 0.0 for one in those])
            self._add(self._outcomes, (system, outcome or _NONE), len(those))
            if retries := sum([one.attempt - 1 for one in those if one.attempt > 1]):
                self._add(self._retries, by_system, retries)

    def _add(self, series: dict[Labels, float], labels: Labels, amount: float) -> None:
        try:
            series[labels] += amount
        except KeyError:
            labels = self._bounded(series, labels)
            series[labels] = series.get(labels, 0) + amount

    def _time(self, series: dict[Labels, list[float]], labels: Labels, times: list[float]) -> None:
        try:
            counts = series[labels]
        except KeyError:
            counts = series.setdefault(self._bounded(series, labels), [0] * (len(BUCKETS) + 2))
        for seconds in times:
            counts[bisect_left(BUCKETS, seconds)] += 1
        counts[-1] += sum(times)

    def _bounded(self, series: Mapping[Labels, Any], labels: Labels) -> Labels:
        return labels if len(series) < self._most else (_OTHER,) * len(labels)


_Likeness = tuple[str, str, str, int, str, str, str | None, str | None, bool, str | None]
"""Item, system, method, status, channel, decision, error code, verifier, whether it was forwarded, and its outcome."""


def _likeness(exchange: Exchange) -> _Likeness:
    item, credential, principal = exchange.item, exchange.credential, exchange.principal
    return (
        _NONE if item is None else item.code,
        _NONE if item is None else item.system,
        exchange.method if exchange.method in _METHODS else _OTHER,
        exchange.status,
        _NONE if credential is None else credential.channel,
        decision(exchange),
        exchange.code,
        None if principal is None else principal.verifier,
        exchange.forward is not None,
        exchange.outcome,
    )


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Make one snapshot of several: sums, or for some gauges the greatest or least value."""
    merged: dict[str, dict[Labels, Any]] = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            family, known = _FAMILIES.get(name), merged.setdefault(name, {})
            for labels, value in series:
                key = tuple(labels)
                known[key] = value if key not in known or family is None else _merged(family, known[key], value)
    return {name: list(series.items()) for name, series in merged.items()}


def retire(snapshot: Snapshot) -> Snapshot:
    """What stays true of a worker that has ended: its counters. Merge it in, so that no counter falls."""
    return {name: series for name, series in snapshot.items() if name in _FAMILIES and _FAMILIES[name].kind != "gauge"}


def exposition(merged: Snapshot) -> bytes:
    """Prometheus' text format of a snapshot (prometheus_client.CONTENT_TYPE_LATEST)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(merged))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            yield _metric(family, self._snapshot.get(family.name, []))


def _metric(family: Family, series: Iterable[tuple[Labels, Any]]) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, counts in series:
            histogram.add_metric(labels, buckets=_cumulative(counts), sum_value=counts[-1])
        return histogram
    numbers = (CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily)(
        family.name, family.help, labels=family.labels
    )
    for labels, value in series:
        numbers.add_metric(labels, value)
    return numbers


def _cumulative(counts: list[float]) -> list[tuple[str, float]]:
    total, buckets = 0.0, []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=False):
        total += count
        buckets.append((bound, total))
    return buckets


def _readings(value: float | Readings) -> Iterable[tuple[Labels, float]]:
    return value.items() if isinstance(value, Mapping) else [((), value)]


def _merged(family: Family, one: Any, other: Any) -> Any:
    if family.kind == "histogram":
        return [a + b for a, b in zip(one, other, strict=True)]
    if family.merge == "widest":
        return max(one, other, key=abs)
    if family.merge == "min":
        return min(one, other)
    return max(one, other) if family.merge == "max" else one + other

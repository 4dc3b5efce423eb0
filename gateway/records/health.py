"""From what parts and systems say of themselves (`status`) to readings of gauges; app.py feeds them to metrics.py."""

from collections.abc import Iterator
from typing import Any

from gateway.records.metrics import Readings

_STATES = {"closed": 0.0, "half-open": 1.0, "open": 2.0}


def key_ages(said: dict[str, Any]) -> Readings:
    """Seconds since each verifier's keys were fetched; nothing for one that has none."""
    ages = {name: status.get("key_age") for name, status in said["parts"].items()}
    return {(name,): float(age) for name, age in ages.items() if age is not None}


def breakers(said: dict[str, Any]) -> Readings:
    """The worst breaker of each part and of each system: 0 closed, 1 half open, 2 open."""
    worst: dict[tuple[str, ...], float] = {}
    for name, state in _breakers(said):
        worst[name,] = max(worst.get((name,), 0.0), _STATES[state])
    return worst


def _breakers(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, status in said["parts"].items():
        if "breaker" in status:
            yield name, status["breaker"]
    for name, status in said["systems"].items():
        for target in status.get("targets", ()):
            yield name, target["breaker"]


def clock_offsets(said: dict[str, Any]) -> Readings:
    """Seconds that each peer's clock is ahead of ours, as its last good message or answer told."""
    everybody = [*said["parts"].items(), *said["systems"].items()]  # the desk is asked by peers of its own
    offsets = [(name, status.get("clock_offsets", {})) for name, status in everybody]
    return {(name, peer): float(offset) for name, peers in offsets for peer, offset in peers.items()}


def ferry(said: dict[str, Any], key: str) -> Readings:
    """One count of each system behind a gatekeeper."""
    return {(name,): float(status[key]) for name, status in said["systems"].items() if key in status}

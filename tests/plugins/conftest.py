"""Fixtures of the plugin tests; plugin_world.py has the pieces."""

import pytest
import structlog

from gateway import PartContext
from gateway.state import MemoryStore
from tests.plugin_world import Clock, Platform, Signer


@pytest.fixture(scope="session")
def signers() -> dict[str, Signer]:
    """One key of each usual algorithm, made once."""
    return {name: Signer(name, f"{name.lower()}-1") for name in ("RS256", "ES256", "EdDSA")}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform() -> Platform:
    return Platform()


@pytest.fixture
def log() -> structlog.testing.CapturingLogger:
    return structlog.testing.CapturingLogger()


@pytest.fixture
def context(clock, platform, log) -> PartContext:
    return PartContext(
        name="part",
        fetch=platform,
        once=MemoryStore(monotonic=lambda: clock.mono, clock=lambda: clock.wall),
        clock=lambda: clock.wall,
        monotonic=lambda: clock.mono,
        log=log,
    )

"""Fixtures of the platform tests; platform_world.py has the dialects."""

import pytest
import structlog

from gateway import PartContext
from gateway.state.memory import MemoryStore
from tests.platforms.platform_world import HeldPlatform
from tests.plugin_world import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def platform() -> HeldPlatform:
    return HeldPlatform()


@pytest.fixture
def log() -> structlog.testing.CapturingLogger:
    return structlog.testing.CapturingLogger()


@pytest.fixture
def context(clock, platform, log) -> PartContext:
    once = MemoryStore(clock=lambda: clock.wall, monotonic=lambda: clock.mono)
    return PartContext("part", platform, once, lambda: clock.wall, lambda: clock.mono, log)

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.configuration.config_world import World


@pytest.fixture(scope="session")
def identity() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def world(tmp_path: Path, identity: str, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("TEST_PSEUDONYM_KEY", "p" * 16)
    monkeypatch.setenv("TEST_FERRY_KEY", "f" * 32)
    monkeypatch.setenv("TEST_SHORT_KEY", "s" * 31)
    monkeypatch.setenv("TEST_LONG_KEY", "l" * 32)
    return World(tmp_path, identity)


@pytest.fixture
def shipped_secrets(identity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variables that the comments in config/ name."""
    monkeypatch.setenv("TONGGUAN_IDENTITY_KEY", identity)
    monkeypatch.setenv("TONGGUAN_PROVINCE_SECRET", "given-by-the-province")
    monkeypatch.setenv("TONGGUAN_REDIS_URL", "redis://127.0.0.1:6379/0")
    for name in (
        "PSEUDONYM_KEY",
        "APP_SECRET",
        "FERRY_KEY",
        "SESSION_KEY",
        "CONSOLE_KEY",
        "INTROSPECTION_SECRET",
        "NOTICE_KEY",
    ):
        monkeypatch.setenv(f"TONGGUAN_{name}", name.lower() * 8)


@pytest.fixture
def nobody() -> Iterator[int]:
    """A user who may write almost nowhere, for the time of the test."""
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)
    yield os.geteuid()
    os.seteuid(own)

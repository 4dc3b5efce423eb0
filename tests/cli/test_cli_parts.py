"""A part whose own constructor fails: `check` finds it and says where it is written, and `serve` does not try again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAID = "channel 'web' (tests.building_parts:Gate) cannot be made: KeyError('column')"


@pytest.fixture
def broken(world):
    """What the part is told is as its settings model wants it; what it makes of that is not."""
    world.edit("policy.yaml", "tests.configuration.config_parts:Door", "tests.building_parts:Gate")
    world.edit("policy.yaml", "{window: 5m}", "{fails: made}")
    world.edit("gateway.yaml", "127.0.0.1:8080", f"unix:{world.folder}/public.sock")
    world.edit("gateway.yaml", "127.0.0.1:8081", f"unix:{world.folder}/desk.sock")
    return world


def test_check_says_where_the_part_is_written(run, broken):
    result = run("check")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"policy.yaml:3 channels[0]: {SAID}",
        f"{broken.path}: cannot be used, 1 problem",
    ]


def test_explain_cannot_use_it(run, broken):
    result = run("explain", "GET", "/guides/1")

    assert (result.exit_code, result.stderr) == (2, f"{SAID}\n")


def test_serve_ends_with_2_at_once(broken):
    command = [sys.executable, "-m", "gateway.cli", "--config", str(broken.path), "serve"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (2, SAID)

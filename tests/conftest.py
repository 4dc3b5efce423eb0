"""What all tests share: a sandbox, programs that a test may need, and a mode in which nothing may be skipped."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from redis_world import running_redis
from sandbox_world import Launched

# A busy machine is no failure, and fifty examples a run find as much as a hundred over the days.
settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")


def pytest_addoption(parser):
    parser.addoption("--no-skip", action="store_true", help="a test that would be skipped fails (make test CI=1)")


def pytest_runtest_setup(item):
    """Skip a test marked `needs(program, …)` where one of the programs is not installed."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed (tests/packages.txt)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return _without_skip(report, item.config)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return _without_skip(report, collector.config)


def _without_skip(report, config):
    """Turn a skip into a failure where `--no-skip` was given; an expected failure (xfail) stays what it is."""
    if report.skipped and config.getoption("no_skip") and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr
        report.outcome = "failed"
        report.longrepr = f"nothing may be skipped here: {reason}"
    return report


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """A whole sandbox of real processes, for everybody who leaves it as it was."""
    folder = tmp_path_factory.mktemp("sandbox")
    launched = Launched(folder, "--dir", str(folder / "sandbox"))
    try:
        yield launched.ready()
    finally:
        launched.stop()


@pytest.fixture
def redis_server():
    """A real Redis of this test's own; mark the test `needs("redis-server")`."""
    with tempfile.TemporaryDirectory(prefix="tg-redis-") as folder, running_redis(Path(folder)) as server:
        yield server

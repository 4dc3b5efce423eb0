"""What all tests share: a sandbox, programs that a test may need, and a mode in which nothing may be skipped."""

import asyncio
import tempfile
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from postgres_world import find_program, running_postgres
from redis_world import running_redis
from sandbox_world import Launched
from sharing import SharingScheduling, turn

from gateway.ledger import open_ledger

# A busy machine is no failure, and thirty examples a run find as much as a hundred over the days.
settings.register_profile("suite", max_examples=30, deadline=None)
settings.load_profile("suite")

# What nobody reads has no need of colours: to draw one traceback with rich takes longer than most tests.
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


def pytest_addoption(parser):
    parser.addoption("--no-skip", action="store_true", help="a test that would be skipped fails (make test CI=1)")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out the tests to several processes (`--numprocesses`)."""
    return SharingScheduling(config, log)


def pytest_collection_modifyitems(config, items):
    """Sort what is handed out to several processes; one process alone keeps the order of the files."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn(item.nodeid))


def pytest_runtest_setup(item):
    """Skip a test marked `needs(program, …)` where one of the programs is not installed."""
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if find_program(program) is None:
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
        exit_code = launched.stop()
    assert exit_code == 0, "SIGTERM ends a sandbox in good order"


@pytest.fixture
def redis_server():
    """A real Redis of this test's own; mark the test `needs("redis-server")`."""
    with tempfile.TemporaryDirectory(prefix="tg-redis-") as folder, running_redis(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory) -> bytes:
    """A ledger's SQLite file as the migrations make it, made once: they take longer than most tests."""
    folder = tmp_path_factory.mktemp("ledger")
    asyncio.run(open_ledger("sqlite:///ledger.db", folder).upgrade())
    return (folder / "ledger.db").read_bytes()


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL, shared by all tests of this process: whoever ends it has it run again (`ensure`).

    Mark the test `needs("postgres")`.
    """
    with running_postgres() as server:
        yield server


@pytest.fixture
def new_database(postgres_server):
    """Makes PostgreSQL databases of the newest schema for this test alone and gives their URLs; as above."""
    urls = []

    def make() -> str:
        urls.append(postgres_server.new_database())
        return urls[-1]

    yield make
    postgres_server.ensure()
    for url in urls:
        postgres_server.give_back(url)

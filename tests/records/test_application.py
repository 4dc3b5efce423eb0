"""The application log: one masked line per event, for machines or for people, from structlog and from logging."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from exchanges import Clock

from gateway.records.application import ApplicationLog, Repeats
from gateway.records.sink import Sink

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"


class Written:
    """An application log on a file, and what is in it."""

    def __init__(self, path: Path, sink: Sink, **given: object) -> None:
        self.clock = Clock(1_700_000_000.25)
        self.log = ApplicationLog(sink, clock=self.clock, **given)
        self._path, self._sink = path, sink

    def text(self) -> str:
        self._sink.close(5.0)
        return self._path.read_text(encoding="utf-8")

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def written(tmp_path, make_sink) -> Callable[..., Written]:
    return lambda **given: Written(tmp_path / "log", make_sink(tmp_path / "log"), **given)


@pytest.fixture
def stdlib() -> logging.Logger:
    logger = logging.getLogger("tests.records.bridged")
    logger.propagate = False
    return logger


def test_an_event_is_one_line_of_json(written):
    to = written()
    to.log.logger(part="province-jwt").info("keys fetched", count=2, 原因="无")
    assert to.text().isascii()
    assert to.events() == [
        {
            "timestamp": "2023-11-15T06:13:20.250+08:00", "part": "province-jwt", "count": 2, "原因": "无",
            "event": "keys fetched", "level": "info",
        }
    ]  # fmt: skip


def test_a_lower_level_is_left_out(written):
    to = written(level="warning")
    to.log.logger().info("quiet")
    to.log.logger().warning("loud")
    assert [event["event"] for event in to.events()] == ["loud"]


def test_values_are_masked_by_name_and_pattern_at_any_depth(written):
    to = written()
    to.log.logger().info(
        f"asked with {JWT}",
        token="short", phone=13800138000, nested={"password": "x", "list": [f"Bearer {JWT}", b"13800138000"]},
        object=Path("/persons/11010519491231002X"),
    )  # fmt: skip
    text = to.text()
    for secret in (JWT, "short", "13800138000", '"x"', "11010519491231002X"):
        assert secret not in text


def test_an_exception_is_told_without_local_variables_and_masked(written):
    to = written()

    def ask(token: str) -> None:
        raise ValueError(f"no answer for {token}")

    try:
        ask(JWT)
    except ValueError:
        to.log.logger().exception("asking failed")
    (event,) = to.events()
    assert "no answer for <sha256:" in event["exception"]
    assert JWT not in to.text()
    assert event["exception"].startswith("Traceback (most recent call last):")


def test_what_cannot_be_shown_costs_no_event(written):
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    to = written()
    deep: dict = {}
    deep["deep"] = deep
    to.log.logger().info("odd \ud800", odd=Odd(), deep=deep, set={1}, bytes=b"\xff", big=2**70)
    (event,) = to.events()
    assert event["odd"] == "<Odd: repr raised RuntimeError>"
    assert event["bytes"] == "\\xff"


def test_a_long_value_is_cut_and_of_a_traceback_the_end_is_kept(written):
    to = written()
    to.log.logger().info("long", text="x" * 100_000)
    try:
        raise ValueError("y " * 20_000 + "the end")
    except ValueError:
        to.log.logger().exception("long")
    first, second = to.events()
    assert len(first["text"]) == 8192
    assert second["exception"].endswith("the end")


def test_a_person_at_a_terminal_reads_text_without_others_control_characters(written):
    to = written(readable=True)
    to.log.logger().warning("odd value", value="\x1b[2Jboo\nforged line", token=JWT)
    text = to.text()
    assert "odd value" in text
    assert "\x1b[2J" not in text
    assert text.count("\n") == 1
    assert JWT not in text


def test_the_standard_librarys_logging_ends_here(written, stdlib):
    to = written()
    to.log.bridge(stdlib)
    stdlib.warning("unclosed %s of %s", "connection", "13800138000")
    stdlib.debug("not this")
    try:
        raise OSError(f"with {JWT}")
    except OSError:
        stdlib.exception("Error handling request")
    first, second = to.events()
    assert (first["event"], first["level"], first["logger"]) == (
        "unclosed connection of 138****8000", "warning", "tests.records.bridged",
    )  # fmt: skip
    assert second["level"] == "error"
    assert "OSError: with <sha256:" in second["exception"]


@pytest.mark.parametrize(("number", "level"), [(55, "critical"), (45, "error"), (25, "info")])
def test_odd_levels_of_logging_are_taken_as_the_one_below(written, stdlib, number, level):
    to = written()
    to.log.bridge(stdlib)
    stdlib.log(number, "odd")
    assert to.events()[0]["level"] == level


def test_a_message_that_does_not_fit_its_arguments_is_not_lost(written, stdlib):
    to = written()
    to.log.bridge(stdlib)
    stdlib.warning("%d items", "many")
    assert to.events()[0]["event"] == "%d items"


def test_the_same_event_over_and_over_is_left_out_and_counted():
    clock = Clock()
    repeats = Repeats(clock, most=3, window=10.0)
    passed = dropped = 0
    for _ in range(5000):
        try:
            repeats(None, "warning", {"event": "refused"})
            passed += 1
        except structlog.DropEvent:
            dropped += 1
    assert (passed, dropped) == (3, 4997)
    assert repeats(None, "warning", {"event": "something else"}) == {"event": "something else"}
    clock.now = 10.0
    assert repeats(None, "warning", {"event": "refused"}) == {"event": "refused", "left_out": 4997}
    assert repeats(None, "warning", {"event": "refused"}) == {"event": "refused"}


def test_ever_new_events_do_not_fill_the_memory():
    repeats = Repeats(Clock(), most=3)
    for number in range(5000):
        repeats(None, "info", {"event": str(number)})
    assert len(repeats._kinds) <= 1024


def test_installing_leads_structlog_and_logging_here(written):
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    to = written()
    try:
        to.log.install()
        structlog.get_logger().info("from structlog", part="x")
        logging.getLogger("tests.records.other").warning("from logging")
    finally:
        structlog.configure(**before)
        root.handlers = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
    assert [event["event"] for event in to.events()] == ["from structlog", "from logging"]


def test_a_full_disk_costs_lines_and_nothing_else(make_sink):
    sink = make_sink("file:/dev/full")
    log = ApplicationLog(sink).logger()
    for number in range(10):
        log.info(f"event {number}")
    sink.close(5.0)
    assert sink.lost == 10

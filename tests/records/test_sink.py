"""The sink against all that can be wrong with a target: it never blocks, never raises, and counts what it lost."""

import asyncio
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from gateway.records.sink import Sink

LINE = b'{"n":1}\n'


def wait_until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Poll a condition that another thread brings about; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def settle(sink: Sink) -> None:
    wait_until(lambda: sink.waiting == 0)


def notices(data: bytes) -> list[int]:
    events = [json.loads(line) for line in data.splitlines() if b"records-lost" in line]
    return [event["count"] for event in events]


def read_all(reader: int, *sinks: Sink) -> bytes:
    """Read until the sinks are closed, with nothing left to write; they are closed meanwhile."""
    data = bytearray()
    closers = [Thread(target=sink.close, args=(10.0,)) for sink in sinks]
    for closer in closers:
        closer.start()
    while any(closer.is_alive() for closer in closers):
        select.select([reader], [], [], 0.01)
        data += _available(reader)
    data += _available(reader)
    os.close(reader)
    return bytes(data)


def _available(reader: int) -> bytes:
    data = bytearray()
    try:
        while piece := os.read(reader, 65536):
            data += piece
    except BlockingIOError:
        pass
    return bytes(data)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_lines_arrive_whole_and_in_order(tmp_path, make_sink):
    sink = make_sink(tmp_path / "log")
    for number in range(500):
        sink.write(b'{"n":%d}\n{"n":%d}\n' % (2 * number, 2 * number + 1), 2)
    sink.close(5.0)
    assert [json.loads(line)["n"] for line in (tmp_path / "log").read_bytes().splitlines()] == list(range(1000))
    assert (sink.written, sink.lost, sink.waiting) == (1000, 0, 0)


def test_a_file_is_for_its_owner_only_and_is_appended_to(tmp_path, make_sink):
    path = tmp_path / "log"
    for _ in range(2):
        sink = make_sink(path)
        sink.write(LINE, 1)
        sink.close(5.0)
    assert path.read_bytes() == LINE * 2
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["", "syslog", "file:", "files:/x"])
def test_an_unknown_target_is_an_error(target):
    with pytest.raises(ValueError, match="is no sink"):
        Sink(target, 1024)


def test_a_full_disk_loses_and_counts_and_raises_nothing(make_sink):
    sink = make_sink("file:/dev/full")
    for _ in range(100):
        sink.write(LINE * 3, 3)
    settle(sink)
    assert (sink.written, sink.lost) == (0, 300)


def test_a_disk_with_room_again_is_told_what_was_lost(tmp_path, make_sink):
    """The path leads to /dev/full first and to a real file later, as when somebody makes room."""
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    sink = make_sink(path)
    sink.write(LINE * 4, 4)
    wait_until(lambda: sink.lost == 4)
    path.unlink()
    sink.write(LINE, 1)
    sink.close(5.0)
    data = path.read_bytes()
    assert notices(data) == [4]
    assert data.endswith(LINE)
    assert (sink.written, sink.lost) == (1, 4)


def test_losses_are_told_at_the_end_when_nothing_else_came(tmp_path, make_sink):
    path = tmp_path / "log"
    path.symlink_to("/dev/full")
    sink = make_sink(path)
    sink.write(LINE, 1)
    wait_until(lambda: sink.lost == 1)
    path.unlink()
    sink.close(5.0)
    assert notices(path.read_bytes()) == [1]


def test_a_torn_line_is_not_glued_to_the_next(tmp_path):
    """RLIMIT_FSIZE stands for a disk that fills up in the middle of a line; its owner then makes room."""
    script = """
import resource, signal, sys, time
from gateway.records.sink import Sink
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 1 << 20))
sink = Sink("file:" + sys.argv[1], 1024)
def settle():
    while sink.waiting: time.sleep(0.002)
sink.write(b'{"n":1}\\n{"n":2}\\n{"n":3}\\n{"n":4}\\n', 4); settle()
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
sink.write(b'{"n":5}\\n', 1); sink.close(5.0)
print(sink.written, sink.lost)
"""
    path = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, check=True, timeout=20, text=True)
    lines = path.read_bytes().splitlines()
    assert done.stdout.split() == ["3", "2"]
    assert lines[:2] == [b'{"n":1}', b'{"n":2}']
    assert lines[2] == b'{"n"'
    assert json.loads(lines[3])["count"] == 2
    assert lines[4:] == [b'{"n":5}']


def test_half_a_line_of_a_killed_process_is_ended_first(tmp_path, make_sink):
    path = tmp_path / "log"
    path.write_bytes(b'{"n":1}\n{"n"')
    sink = make_sink(path)
    sink.write(LINE, 1)
    sink.close(5.0)
    assert path.read_bytes() == b'{"n":1}\n{"n"\n' + LINE


def test_a_line_that_another_process_is_writing_is_not_taken_for_half_a_line(tmp_path, make_sink):
    """Linux shows a file that grows page by page; a sink that opens it meanwhile must not think it torn."""
    path = tmp_path / "log"
    path.touch()
    script = """
import os, sys, time
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for _ in range(150):
    os.write(file, (b'"' + b'x' * 997 + b'"\\n') * 256)
    time.sleep(0.001)
"""
    with subprocess.Popen([sys.executable, "-c", script, path]) as other:
        opened = 0
        while other.poll() is None:
            sink = make_sink(path)
            sink.write(LINE, 1)
            sink.close(5.0)
            opened += 1
    lines = path.read_bytes().splitlines()
    assert lines.count(LINE.strip()) == opened
    assert lines.count(b"") <= opened // 50, "an empty line is put where a machine that stalls left half of one"


@pytest.mark.parametrize("away", [lambda path: path.rename(path.with_suffix(".1")), lambda path: path.unlink()])
def test_a_file_that_is_moved_or_removed_is_made_anew(tmp_path, make_sink, away):
    path = tmp_path / "log"
    sink = make_sink(path)
    sink.write(LINE, 1)
    settle(sink)
    away(path)
    sink.write(b'{"n":2}\n', 1)
    sink.close(5.0)
    assert path.read_bytes() == b'{"n":2}\n'
    assert (sink.written, sink.lost) == (2, 0)


def test_rotation_under_load_loses_no_line_and_doubles_none(tmp_path, make_sink):
    path = tmp_path / "log"
    sink = make_sink(path, limit=100_000)
    for turn in range(20):
        for number in range(50):
            sink.write(b'{"n":%d}\n' % (turn * 50 + number), 1)
        if turn:
            wait_until(path.exists)
            path.rename(tmp_path / f"log.{turn}")
    sink.close(5.0)
    found = [json.loads(line)["n"] for file in tmp_path.iterdir() for line in file.read_bytes().splitlines()]
    assert sorted(found) == list(range(1000))


def test_reopen_opens_the_file_anew(tmp_path, make_sink):
    """As after SIGUSR1. The old descriptor is marked by a flag that a new one does not have."""
    path = tmp_path / "log"
    sink = make_sink(path)
    sink.write(LINE, 1)
    settle(sink)
    fcntl.fcntl(_descriptor(path), fcntl.F_SETFL, os.O_APPEND)
    sink.reopen()
    sink.write(LINE, 1)
    settle(sink)
    assert fcntl.fcntl(_descriptor(path), fcntl.F_GETFL) & os.O_NONBLOCK
    assert path.read_bytes() == LINE * 2


def _descriptor(path: Path) -> int:
    links = Path("/proc/self/fd").iterdir()
    (found,) = [link.name for link in links if link.exists() and link.resolve() == path]
    return int(found)


def test_a_missing_folder_is_a_loss_until_it_is_there(tmp_path, make_sink):
    folder = tmp_path / "logs"
    sink = make_sink(folder / "log")
    sink.write(LINE, 1)
    wait_until(lambda: sink.lost == 1)
    folder.mkdir()
    sink.write(LINE, 1)
    sink.close(5.0)
    assert notices((folder / "log").read_bytes()) == [1]


def test_a_fifo_without_a_reader_loses_and_blocks_nobody(fifo, make_sink):
    sink = make_sink(fifo)
    sink.write(LINE, 1)
    wait_until(lambda: sink.lost == 1)


def test_a_reader_that_left_loses_and_one_that_comes_back_is_told(fifo, make_sink):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = make_sink(fifo)
    sink.write(LINE, 1)
    settle(sink)
    os.close(reader)
    sink.write(LINE * 2, 2)
    wait_until(lambda: sink.lost == 2)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink.write(LINE, 1)
    settle(sink)
    data = os.read(reader, 65536)
    os.close(reader)
    assert notices(data) == [2]
    assert data.endswith(LINE)


async def test_a_stopped_reader_does_not_hold_up_the_loop(fifo, make_sink):
    """The reader takes nothing until the loop has logged all it has to, which never waits; every loss is counted."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = make_sink(fifo, limit=1024)
    line = b'{"x":"' + b"y" * 500 + b'"}\n'
    for _ in range(200):
        for _ in range(20):
            sink.write(line, 1)
        await asyncio.sleep(0)
    assert sink.lost > 0
    data = await asyncio.to_thread(read_all, reader, sink)
    assert data.count(line) == sink.written
    assert sink.written + sink.lost == 4000


def test_a_flood_beyond_the_queue_counts_exactly_what_it_lost(fifo, make_sink):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = make_sink(fifo, limit=1024)
    for _ in range(50_000):
        sink.write(LINE, 1)
    assert sink.waiting <= 1024
    sink.write(LINE, 1)  # the last one is lost or written, and everything before it is told about
    data = read_all(reader, sink)
    assert data.count(LINE) == sink.written
    assert data.count(LINE) + sink.lost == 50_001
    assert sum(notices(data)) == sink.lost


def test_large_records_are_bounded_by_bytes_too(fifo, make_sink):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = make_sink(fifo, limit=1024)
    for _ in range(40):
        sink.write(b"x" * (64 << 10) + b"\n", 1)
    assert sink.lost > 0
    sink.close(0.0)
    assert sink.written + sink.lost == 40
    os.close(reader)


def test_lines_into_a_pipe_go_in_pieces_that_do_not_mix(fifo, make_sink):
    """POSIX keeps up to PIPE_BUF bytes together: two writers into one pipe, as two workers into one stdout."""
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sinks = [make_sink(fifo, limit=10_000) for _ in range(2)]
    lines = [b'{"who":%d,"x":"' % number + b"y" * 700 + b'"}\n' for number in range(2)]
    for _ in range(20):
        for sink, line in zip(sinks, lines, strict=True):
            sink.write(line * 20, 20)
    data = read_all(reader, *sinks)
    assert sorted(data.splitlines(keepends=True)) == sorted(lines * 400)


def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole(fifo, make_sink):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    sink = make_sink(fifo, limit=1024)
    line = b"z" * 50_000 + b"\n"
    sink.write(line, 1)
    assert read_all(reader, sink) == line


def test_closing_does_not_wait_longer_than_it_may(fifo, make_sink):
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    sink = make_sink(fifo)
    for _ in range(100):
        sink.write(b"x" * 1000 + b"\n", 1)
    began = time.monotonic()
    sink.close(0.3)
    assert time.monotonic() - began < 1.5
    assert sink.lost > 0
    assert sink.written + sink.lost == 100
    os.close(reader)


def test_what_comes_after_closing_is_lost_and_counted(tmp_path, make_sink):
    sink = make_sink(tmp_path / "log")
    sink.close(1.0)
    sink.close(1.0)
    sink.write(LINE, 1)
    assert sink.lost == 1


def test_standard_output_is_written_to_and_a_gone_reader_is_survived(tmp_path):
    script = """
import sys, time
from gateway.records.sink import Sink
sink = Sink("stdout", 1024)
sink.write(b"first\\n", 1)
while sink.waiting: time.sleep(0.002)
sys.stdin.readline()
sink.write(b"second\\n", 1)
sink.close(5.0)
print(sink.written, sink.lost, file=sys.stderr)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        process.stdout.close()
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read().split() == [b"1", b"1"]
        assert process.wait(10) == 0


def test_a_reader_stopped_by_a_signal_gets_everything_once_it_goes_on(fifo, make_sink, tmp_path):
    """SIGSTOP the reader, log, SIGCONT: what the queue had room for arrives."""
    copy = tmp_path / "copy"
    with copy.open("wb") as file, subprocess.Popen(["cat", fifo], stdout=file) as reader:
        sink = make_sink(fifo, limit=4096)
        wait_until(lambda: _taken(sink))
        before = sink.lost
        os.kill(reader.pid, signal.SIGSTOP)
        for _ in range(3000):
            sink.write(b"y" * 99 + b"\n", 1)
        assert sink.waiting > 0
        os.kill(reader.pid, signal.SIGCONT)
        sink.close(10.0)
        reader.wait(10)
    assert copy.read_bytes().count(b"y" * 99 + b"\n") == 3000
    assert sink.lost == before


def _taken(sink: Sink) -> bool:
    """Offer one line; True when the reader has opened its end and it was written."""
    sink.write(LINE, 1)
    settle(sink)
    return sink.written > 0

"""One large upload and one large download: how fast, and how much memory they make a server take."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.contestants.base import PEERS
from bench.contestants.launcher import BULK_PATH
from bench.context import Bench
from bench.processes import Process, Running, free_port, peak_resident, reset_peak
from bench.results import Column, Comparison, Section
from bench.trials import Figures, FlawError, Trials, Variant
from bench.world import World

_ROOM = bytearray(4 << 20)
_TIMEOUT = 60.0
_COLUMNS = (
    Column("upload_mb_s", "upload MB/s"),
    Column("upload_grown_mib", "memory grown MiB", 1),
    Column("download_mb_s", "download MB/s"),
    Column("download_grown_mib", "memory grown MiB", 1),
)


class Bulk:
    """1 GiB each way through Tongguan and through nginx, streamed by both."""

    name = "bulk"
    question = "How do large bodies pass?"

    def run(self, bench: Bench) -> Section | None:
        """Move the same bytes through both in turn."""
        variants = bench.named("tongguan", "nginx")
        if not variants:
            return None
        size = 2**26 if bench.quick else 2**30
        with _backend(bench, size) as world:
            trials = bench.interleave(variants, partial(_take, world, size), most_rounds=3, world=world)
        note = f"{size >> 20} MiB each way; client and back end share the load core and may be the limit."
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), _goals(trials), [note])


def _goals(trials: Trials) -> list[Comparison]:
    return [
        *trials.ratio("upload, tongguan / nginx", "upload_mb_s", "tongguan", "nginx", at_least=0.7),
        *trials.ratio("download, tongguan / nginx", "download_mb_s", "tongguan", "nginx", at_least=0.7),
        *trials.bound("tongguan's memory, upload", "upload_grown_mib", "tongguan", "MiB", at_most=16.0),
        *trials.bound("tongguan's memory, download", "download_grown_mib", "tongguan", "MiB", at_most=16.0),
    ]


@contextmanager
def _backend(bench: Bench, size: int) -> Iterator[World]:
    """Run the back end that takes and gives large bodies, and put it in place of the usual one."""
    port = free_port()
    command = [sys.executable, str(PEERS / "bulk_backend.py"), str(port), str(size)]
    backend = Process(command, bench.world.cores.load, port, bench.scratch / "bulk_backend.log").start()
    try:
        yield replace(bench.world, upstream_port=port)
    finally:
        backend.stop()


def _take(world: World, size: int, variant: Variant, running: Running, workdir: Path) -> Figures:
    del variant, workdir
    figures: dict[str, float] = {}
    for way, move in (("upload", _upload), ("download", _download)):
        before, begin = reset_peak(running.pids), time.perf_counter()
        move(world, running.port, size)
        figures[f"{way}_mb_s"] = size / (time.perf_counter() - begin) / 1e6
        figures[f"{way}_grown_mib"] = (peak_resident(running.pids) - before) / 2**20
    return figures


def _upload(world: World, port: int, size: int) -> None:
    with _connected(port) as connection, tempfile.TemporaryFile() as hole:
        os.truncate(hole.fileno(), size)
        connection.sendall(_head(world, port, "PUT", f"Content-Length: {size}\r\n"))
        connection.sendfile(hole)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b'"received": %d}' % size):
        raise FlawError(f"the upload was answered with {answer[:60]!r}")


def _download(world: World, port: int, size: int) -> None:
    with _connected(port) as connection:
        connection.sendall(_head(world, port, "GET"))
        answer = connection.recv(65536)
        while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
            answer += piece
        received = len(answer.partition(b"\r\n\r\n")[2])
        # MSG_TRUNC counts what arrives without copying it (tcp(7)): the client must not be the limit.
        while count := connection.recv_into(_ROOM, len(_ROOM), socket.MSG_TRUNC):
            received += count
    if not answer.startswith(b"HTTP/1.1 200") or received != size:
        raise FlawError(f"{received} of {size} bytes came back after {answer[:30]!r}")


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT)


def _head(world: World, port: int, method: str, more: str = "") -> bytes:
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close", **world.issuer.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {BULK_PATH} HTTP/1.1\r\n{lines}{more}\r\n".encode()

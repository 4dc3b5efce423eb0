"""What an idle keep-alive connection costs in memory."""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.context import Bench
from bench.load import burst
from bench.measures.base import WARM_UP_SECONDS
from bench.processes import Running, usage
from bench.results import Column, Section
from bench.trials import Figures, FlawError, Variant, check_conduct
from bench.world import PATH, World

_COLUMNS = (Column("connections", "connections"), Column("kib", "KiB each", 1))
_CONNECTIONS = 10_000
_SPARE_DESCRIPTORS = 500
_ADDRESSES = 100


class Idle:
    """Ten thousand connections that each made one request and then stay."""

    name = "idle"
    question = "How much memory does an idle connection hold?"

    def run(self, bench: Bench) -> Section | None:
        """Open the same connections to Tongguan and to nginx, in turn."""
        variants = bench.named("tongguan", "nginx")
        if not variants:
            return None
        trials = bench.interleave(variants, partial(_take, bench), most_rounds=2)
        goals = [
            *trials.bound("an idle connection of tongguan", "kib", "tongguan", "KiB", at_most=12.0),
            *trials.ratio("tongguan / nginx, memory of one", "kib", "tongguan", "nginx"),
        ]
        note = "nginx sets memory for its connections aside at start (about 0.4 KiB each), which this does not see."
        return Section(self.name, self.question, _COLUMNS, trials.rows(_COLUMNS), goals, [note])


def _take(bench: Bench, variant: Variant, running: Running, workdir: Path) -> Figures:
    check_conduct(variant, bench.world, running.port)
    # A server that has worked holds its buffers already; they are not the connections'.
    burst(bench.world, running.port, WARM_UP_SECONDS, workdir)
    count = _possible(1000 if bench.quick else _CONNECTIONS)
    before = usage(running.pids).resident_bytes
    with ExitStack() as stack:
        sockets = [stack.enter_context(_connect(number, running.port)) for number in range(count)]
        for connection in sockets:
            _ask_once(connection, bench.world)
        grown = usage(running.pids).resident_bytes - before
        if closed := _closed(sockets):
            raise FlawError(f"{closed} of {count} connections were closed by the server")
    return {"connections": count, "kib": grown / count / 1024}


def _possible(wanted: int) -> int:
    """Stay below the descriptors that this process, and so each server it starts, may have."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(1, min(wanted, allowed - _SPARE_DESCRIPTORS))


def _connect(number: int, port: int) -> socket.socket:
    """Connect from one of a hundred loopback addresses, so that no cap for one client's address is met."""
    source = f"127.0.1.{1 + number % _ADDRESSES}"
    return socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))


def _ask_once(connection: socket.socket, world: World) -> None:
    lines = [f"GET {PATH} HTTP/1.1", f"Host: 127.0.0.1:{connection.getpeername()[1]}"]
    lines += [f"{name}: {value}" for name, value in world.issuer.headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while not answer.endswith(b'x"}'):
        piece = connection.recv(65536)
        if not piece:
            raise FlawError("a connection was closed instead of answered")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200"):
        raise FlawError(f"answered {answer[:40]!r}")


def _closed(sockets: Sequence[socket.socket]) -> int:
    """Count the connections on which something can be read, which can only be their end."""
    poll = select.poll()
    for connection in sockets:
        poll.register(connection, select.POLLIN)
    return len(poll.poll(0))

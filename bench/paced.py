"""The open-loop load: asks at fixed times and counts each latency from the time a request was due.

So a server that stalls cannot hide the requests it kept waiting (coordinated omission). Runs as a program of its own,
standard library only; the closed-loop counterpart is ``load.py``.
"""

from __future__ import annotations

import contextlib
import gc
import json
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path
from typing import TypedDict

CONNECTIONS = 32
_DRAIN_SECONDS = 5.0


class Order(TypedDict):
    """What to do: `request` is sent as it is, `rate` times a second, for `seconds`; the first `warmup` do not count."""

    port: int
    request: str
    rate: int
    seconds: float
    warmup: float


class Tally(TypedDict):
    """What came of it: latencies in microseconds in the order of their answers."""

    latencies_us: list[float]
    bad_status: int
    unanswered: int


class Connection:
    """One keep-alive connection with at most one request on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._got = b""

    def fileno(self) -> int:
        """Let `select` wait for it."""
        return self.socket.fileno()

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at this time."""
        self.due, self._got = due, b""
        self.socket.sendall(request)

    def answer(self) -> bytes | None:
        """Read on; the status code once the answer is whole (it must have a Content-Length), else None.

        Raises:
            ConnectionError: the server closed the connection.
        """
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("closed by the server")
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return None
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        return head[9:12] if len(body) >= int(length) else None


def run(order: Order) -> Tally:
    """Carry out the order; raises OSError when a connection cannot be made or breaks."""
    with contextlib.ExitStack() as stack:
        idle = deque(Connection(order["port"]) for _ in range(CONNECTIONS))
        for connection in idle:
            stack.enter_context(connection.socket)
        return _pace(order, idle)


def _pace(order: Order, idle: deque[Connection]) -> Tally:
    request = order["request"].encode("latin-1")
    gap, total = 1 / order["rate"], int(order["rate"] * order["seconds"])
    begin = time.perf_counter() + 0.01
    counts_from, end = begin + order["warmup"], begin + order["seconds"] + _DRAIN_SECONDS
    tally: Tally = {"latencies_us": [], "bad_status": 0, "unanswered": 0}
    asked, busy = 0, set[Connection]()
    while (asked < total or busy) and (now := time.perf_counter()) < end:
        while idle and asked < total and begin + asked * gap <= now:
            connection = idle.popleft()
            connection.ask(request, begin + asked * gap)
            busy.add(connection)
            asked += 1
        until = begin + asked * gap if idle and asked < total else end
        ready, _, _ = select.select(list(busy), (), (), max(0.0, until - time.perf_counter()))
        for connection in ready:
            if status := connection.answer():
                _count(tally, status, connection.due, counts_from)
                busy.remove(connection)
                idle.append(connection)
    tally["unanswered"] = total - asked + len(busy)
    return tally


def _count(tally: Tally, status: bytes, due: float, counts_from: float) -> None:
    tally["bad_status"] += not status.startswith(b"2")
    if due >= counts_from:
        tally["latencies_us"].append((time.perf_counter() - due) * 1e6)


def main() -> None:
    """Read an order as JSON from standard input and print the tally as JSON."""
    order: Order = json.load(sys.stdin)
    # The kernel may wake a sleeper 50 µs late to save power; ask for 1 ns (proc(5), timerslack_ns).
    with contextlib.suppress(OSError):
        Path("/proc/self/timerslack_ns").write_text("1")
    gc.disable()
    json.dump(run(order), sys.stdout)


if __name__ == "__main__":
    main()

"""Programs under measurement: pinned to a core, watched through /proc (proc(5)), and ended by their own id."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_POLL_SECONDS = 0.01


class StartError(Exception):
    """A program did not come up; the text says which and quotes the end of what it printed."""


class Running(Protocol):
    """Something that listens on loopback until it is stopped."""

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""

    @property
    def pids(self) -> Sequence[int]:
        """Its own processes; their children are found by whoever measures."""

    @property
    def started(self) -> float:
        """When its first process was started, on the clock of `time.monotonic`."""

    def stop(self) -> None:
        """End every one of its processes; harmless when called again."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process tree has used: CPU seconds since its start, resident bytes now."""

    cpu_seconds: float
    resident_bytes: int


@dataclass(slots=True)
class Process:
    """One pinned program and its children, in a process group of their own.

    `is_up` tells that it can be used, where that is not seen on its port.
    """

    command: Sequence[str]
    core: int
    port: int
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    is_up: Callable[[], bool] | None = None
    started: float = field(default=0.0, init=False)
    """When the program was started, on the clock of `time.monotonic`; 0 before that."""
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self, *, ready_within: float = 20.0) -> Process:
        """Start the program and wait until it can be used.

        Raises:
            StartError: it ended, or did not listen in time; it has been stopped.
        """
        self.started = time.monotonic()
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                [*pinned(self.core), *self.command],
                env={**os.environ, **self.env},
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait(self._child, time.monotonic() + ready_within)
        except BaseException:
            self.stop()
            raise
        return self

    def _wait(self, child: subprocess.Popen[bytes], deadline: float) -> None:
        while not (listens(self.port) if self.is_up is None else self.is_up()):
            if child.poll() is not None:
                raise StartError(f"{self.command[0]} ended with code {child.returncode}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise StartError(f"{self.command[0]} does not listen in time: {self._last_words()}")
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace").strip()[-600:] or "it printed nothing"

    @property
    def pids(self) -> Sequence[int]:
        """The program's own process id; empty before start and after stop."""
        return (self._child.pid,) if self._child else ()

    def stop(self, *, patience: float = 3.0) -> None:
        """End the whole group: ask, wait `patience` seconds, then insist."""
        child, self._child = self._child, None
        if child is None:
            return
        _signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(child.pid, signal.SIGKILL)
            child.wait()


def pinned(core: int) -> list[str]:
    """Tell what goes before a command so that it runs on one core and does not outlive a bench that was killed."""
    return ["setpriv", "--pdeathsig", "TERM", "taskset", "--cpu-list", str(core)]


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def free_port() -> int:
    """Ask the system for a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Say whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def fetch(port: int, path: str, headers: Mapping[str, str], timeout: float = 5.0) -> tuple[int, bytes]:
    """Make one request on a new connection; raises OSError or http.client.HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers=dict(headers))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def usage(roots: Iterable[int]) -> Usage:
    """Add up what the processes and all their descendants have used.

    Children that ended count too, through the times their parents have waited for.
    """
    stats = dict(_stats())
    ticks = pages = 0
    for pid in _with_descendants(roots, stats):
        ticks += sum(stats[pid].ticks)
        pages += stats[pid].resident_pages
    return Usage(ticks / _TICKS_PER_SECOND, pages * _PAGE_BYTES)


def reset_peak(roots: Iterable[int]) -> int:
    """Forget how much memory the tree had at most (proc(5), clear_refs); tell what it has now, in bytes."""
    for pid in _with_descendants(roots, dict(_stats())):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_resident(roots)


def peak_resident(roots: Iterable[int]) -> int:
    """Add up the most resident bytes (VmHWM) that each process of the tree had since its start or `reset_peak`."""
    return sum(_high_water(pid) for pid in _with_descendants(roots, dict(_stats())))


def _high_water(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = status.partition("VmHWM:")[2].split(maxsplit=1)[0]
    return int(kibibytes) * 1024


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    ticks: tuple[int, ...]
    resident_pages: int


def _stats() -> Iterable[tuple[int, _Stat]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The command in parentheses may hold anything, a parenthesis included.
            fields = text[text.rindex(")") + 2 :].split()
            yield int(entry.name), _Stat(int(fields[1]), tuple(map(int, fields[11:15])), int(fields[21]))


def _with_descendants(roots: Iterable[int], stats: Mapping[int, _Stat]) -> set[int]:
    family = {pid for pid in roots if pid in stats}
    grown = True
    while grown:
        children = {pid for pid, stat in stats.items() if stat.parent in family} - family
        family |= children
        grown = bool(children)
    return family

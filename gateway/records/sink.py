"""Where lines go: a bounded queue and a thread that writes, so that no disk, pipe or reader ever holds up a request.

access.py and application.py hand batches in. What cannot be written is counted, and the next lines say how much it was.
"""

import json
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import RLock, Thread

from gateway.units import parse_sink

_STANDARD = {"stdout": 1, "stderr": 2}
_BYTES_PER_RECORD = 1024
_ATOMIC = select.PIPE_BUF
"""So many bytes go into a pipe in one piece (POSIX write): lines of several workers do not mix."""
_LOOK_UP = 0.1
"""Seconds between two looks at the closing deadline while a reader takes nothing."""
_STANDS_STILL = 0.02
"""Seconds without growth after which half a line at the end of a file is one that nobody is writing."""
_WARN_EVERY = 60.0
"""Seconds between two lines on stderr while a file takes nothing: the file itself cannot tell of its losses."""

Batch = tuple[bytes, int]


class Sink:
    """Writes lines to `stdout`, `stderr` or `file:PATH`. Make it after a fork: its thread starts with it.

    Args:
        target: `stdout`, `stderr` or `file:PATH`; a file is appended to and made with mode 0600.
        limit: records that may wait; so many KiB may wait, too.
        clock: wall clock, Unix seconds, for the lines that tell of losses.

    Raises:
        ValueError: no such target.
    """

    def __init__(self, target: str, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._path = parse_sink(target)
        self._output = _open(target)
        self._limit = limit
        self._clock = clock
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()  # its put may be interrupted by itself: a finalizer logs
        self._lock = RLock()
        self._waiting = self._waiting_bytes = 0
        self._written = self._lost = self._told = 0
        self._warned_at = float("-inf")
        self._closed = False
        self._thread = Thread(target=self._run, name=f"records to {target}", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Records written so far."""
        return self._written

    @property
    def lost(self) -> int:
        """Records lost so far: no room in the queue, or the target did not take them."""
        return self._lost

    @property
    def waiting(self) -> int:
        """Records that wait to be written."""
        return self._waiting

    def is_terminal(self) -> bool:
        """Tell whether a person reads along."""
        return self._output.is_terminal()

    def write(self, lines: bytes, count: int) -> None:
        """Hand over whole lines that hold so many records. Returns at once and never raises; all or none are taken."""
        with self._lock:
            waiting, size = self._waiting + count, self._waiting_bytes + len(lines)
            if self._closed or waiting > self._limit or size > self._limit * _BYTES_PER_RECORD:
                self._lost += count
                return
            self._waiting, self._waiting_bytes = waiting, size
            self._queue.put((lines, count))

    def reopen(self) -> None:
        """Open the file anew before the next batch, for example on SIGUSR1 after a rotation."""
        self._output.stale = True

    def close(self, timeout: float) -> None:
        """Write what waits, for at most so many seconds; what is left then is lost. Blocks, the first time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._output.give_up_at = time.monotonic() + timeout
            self._queue.put(None)
        self._thread.join(timeout + 2 * _LOOK_UP)
        with self._lock:
            self._lost += self._waiting
            self._waiting = 0

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            self._tell_losses()
            self._deliver(*batch)
        self._tell_losses()
        self._output.close()

    def _deliver(self, lines: bytes, count: int) -> None:
        done = self._output.put(lines)
        whole = count if done == len(lines) else min(count, lines.count(b"\n", 0, done))
        with self._lock:
            self._waiting -= count
            self._waiting_bytes -= len(lines)
            self._written += whole
            self._lost += count - whole
        if self._output.failure and time.monotonic() - self._warned_at >= _WARN_EVERY:
            self._warned_at = time.monotonic()
            self._warn(self._output.failure)

    def _warn(self, failure: OSError) -> None:
        """Say on stderr that a file does not take records, unless stderr would have to be waited for."""
        text = f"records of {self._path} cannot be written: {failure.strerror or failure}; {self._lost} lost so far\n"
        if self._path is not None:
            _Output(_STANDARD["stderr"], patience=_LOOK_UP).put(text.encode(errors="backslashreplace"))

    def _tell_losses(self) -> None:
        lost = self._lost
        if lost > self._told and self._output.put(notice := self._notice(lost - self._told)) == len(notice):
            self._told = lost

    def _notice(self, count: int) -> bytes:
        event = {"event": "records-lost", "count": count, "at": round(self._clock(), 3)}
        return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class _Output:
    """A descriptor that lines are written to, and that never keeps the thread beyond the closing deadline.

    Attributes:
        give_up_at: monotonic seconds after which a target that takes nothing is no longer waited for.
        stale: True asks for opening anew.
        failure: why the last lines were not taken whole; None when they were.
    """

    def __init__(self, descriptor: int, patience: float = float("inf")) -> None:
        self.give_up_at = time.monotonic() + patience
        self.stale = False
        self.failure: OSError | None = None
        self._descriptor = descriptor
        self._regular: bool | None = None
        self._torn = False

    def is_terminal(self) -> bool:
        return self._descriptor >= 0 and os.isatty(self._descriptor)

    def put(self, lines: bytes) -> int:
        """Write as much as the target takes; how many bytes of the lines that was."""
        done = 0
        self.failure = None
        try:
            self._ready()
            if self._torn:  # the next line must not be glued to half a line
                self._write(b"\n")
                self._torn = False
            for piece in self._pieces(lines):
                while piece:
                    taken = self._write(piece)
                    done += taken
                    piece = piece[taken:]
        except OSError as exc:
            self.failure = exc
            self._torn = self._torn or (done > 0 and not lines.endswith(b"\n", 0, done))
        return done

    def close(self) -> None:
        """Nothing to close: the descriptor belongs to the process."""

    def _ready(self) -> None:
        """There is nothing to open; a regular file is always ready, and asking it each time would take turns."""
        if self._regular is None:
            self._regular = stat.S_ISREG(os.fstat(self._descriptor).st_mode)

    def _pieces(self, lines: bytes) -> Iterator[bytes]:
        if self._regular:
            yield lines  # O_APPEND keeps it together
            return
        at = 0
        while at < len(lines):
            end = lines.rfind(b"\n", at, at + _ATOMIC) + 1 or at + _ATOMIC
            yield lines[at:end]
            at = end

    def _write(self, piece: bytes) -> int:
        if self._regular and time.monotonic() < self.give_up_at:
            return os.write(self._descriptor, piece)
        ready = select.poll()
        ready.register(self._descriptor, select.POLLOUT)
        while time.monotonic() < self.give_up_at:
            if ready.poll(_LOOK_UP * 1000):
                try:
                    return os.write(self._descriptor, piece)
                except BlockingIOError:  # somebody else filled the pipe in between
                    time.sleep(_LOOK_UP / 10)
        raise TimeoutError("the target takes nothing")


class _File(_Output):
    """A file, appended to; one that was moved or removed is made anew, wherever its name then leads."""

    def __init__(self, path: str) -> None:
        super().__init__(-1)
        self._path = path
        self._identity: tuple[int, int] | None = None

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._identity = -1, None

    def _ready(self) -> None:
        if self.stale or self._identity is None or self._identity != _identity(self._path):
            self.stale = False
            self.close()
            self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        self._descriptor = os.open(self._path, flags, 0o600)
        found = os.fstat(self._descriptor)
        self._identity = (found.st_dev, found.st_ino)
        self._regular = stat.S_ISREG(found.st_mode)
        self._torn = self._regular and found.st_size > 0 and _is_torn(self._path)


def _open(target: str) -> _Output:
    path = parse_sink(target)
    return _Output(_STANDARD[target]) if path is None else _File(path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _is_torn(path: str) -> bool:
    """Tell whether half a line is left at the end; a killed process may have left one.

    While another worker writes, the file's size is seen to grow page by page (Linux does not hold it back until the
    write is done): what still grows is no half line that somebody left.
    """
    seen = -1
    try:
        with open(path, "rb", buffering=0) as file:
            while (size := file.seek(0, os.SEEK_END)) != seen:
                file.seek(-1, os.SEEK_END)
                if file.read(1) == b"\n":
                    return False
                seen = size
                time.sleep(_STANDS_STILL)
    except OSError:  # may be written but not read, or was emptied: an empty line too many does no harm
        pass
    return True

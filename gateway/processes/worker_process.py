"""One worker process seen from the supervisor: its life, its control channel, and whether its loop turns.

worker.py is the other end; workers.py keeps as many of these as the configuration asks for.
"""

import asyncio
import socket
import sys
import time
from enum import StrEnum
from typing import Any

import msgspec

from gateway.processes.control import BEAT, CallFailed, Link, open_link
from gateway.processes.worker import STACK_SIGNAL

FAILED = (CallFailed, TimeoutError, OSError)
"""What a call to a worker can end with besides an answer and a ConfigurationError."""


class Pace(msgspec.Struct, frozen=True):
    """How patient the supervisor is; seconds where nothing else is said.

    Attributes:
        start: until a new worker serves.
        prepare: until a worker has prepared or committed a policy.
        answer: until a worker has answered anything else.
        backoff: pause before the second start in a row; it doubles with each further one.
        backoff_most: longest pause after starts that failed.
        backoff_served: longest pause after a worker that had served for a while: its clients are waiting.
        lived: from when on a worker counts as one that served for a while.
        stable: from when on the pauses begin anew.
        lag: delay of a worker's loop that is logged with a stack.
        stall: delay of a worker's loop after which the worker is killed.
        starts: failed starts in a row, with no worker serving, after which we give up (a number).
    """

    start: float = 30.0
    prepare: float = 10.0
    answer: float = 2.0
    backoff: float = 0.5
    backoff_most: float = 30.0
    backoff_served: float = 0.25
    lived: float = 1.0
    stable: float = 30.0
    lag: float = 1.0
    stall: float = 10.0
    starts: int = 5


class Snapshot(msgspec.Struct, frozen=True):
    """A policy on its way to the workers: its bytes, its number, and the revision of the files it came from."""

    generation: int
    policy: bytes
    revision: str

    def __repr__(self) -> str:
        return f"Snapshot(generation={self.generation}, revision={self.revision!r}, {len(self.policy)} bytes)"


class Launch(msgspec.Struct, frozen=True):
    """What every worker gets at its start.

    Attributes:
        edge: import path of the edge's factory, `package.module:function`.
        sockets: listening sockets, shared by all workers.
        static: snapshot of the static settings.
        drain: seconds that requests in flight may take at the end.
    """

    edge: str
    sockets: tuple[socket.socket, ...]
    static: bytes
    drain: float

    def __repr__(self) -> str:
        return f"Launch(edge={self.edge!r}, drain={self.drain!r})"


class State(StrEnum):
    """Where a worker is in its life."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    GONE = "gone"


class WorkerProcess:
    """One worker process and the control channel to it.

    Attributes:
        number: its place, from 0; a successor has the same.
        generation: the policy it uses; 0 before its first.
        lag: seconds its loop was late at its last sign of life.
    """

    def __init__(self, number: int, process: asyncio.subprocess.Process, log: Any) -> None:
        self.number = number
        self.pid = process.pid
        self.state = State.STARTING
        self.generation = 0
        self.lag = 0.0
        self._prepared = 0
        self._process = process
        self._link: Link | None = None
        self._log = log.bind(worker=number, pid=process.pid)
        self._ready = False
        self._served_since = 0.0
        self._seen = 0.0
        self._stack_asked = False

    async def connect(self, end: socket.socket) -> None:
        """Open the control channel on our end of the socket pair."""
        self._link = await open_link(end, self._take)

    async def start(
        self, launch: Launch, snapshot: Snapshot, revocations: list[dict[str, Any]], timeout: float
    ) -> None:
        """Have it take over a first policy and what was revoked before its time, and accept connections.

        Raises:
            ConfigurationError: it refuses the policy.
            CallFailed, TimeoutError, OSError: it cannot start.
        """
        first = {"static": launch.static, "policy": snapshot.policy, "generation": snapshot.generation}
        first["revision"] = snapshot.revision
        further = {"drain": launch.drain, "revocations": revocations}
        self._ready = await self.call("start", first | further, timeout)
        self.generation = self._prepared = snapshot.generation
        self.state = State.SERVING
        self._served_since = self._seen = time.monotonic()
        self._log.info("worker serves", generation=self.generation)

    async def call(self, name: str, arguments: dict[str, Any], timeout: float) -> Any:
        """See Link.call."""
        if self._link is None:
            raise ConnectionError("no control channel")
        return await self._link.call(name, arguments, timeout=timeout)

    async def prepare(self, snapshot: Snapshot, timeout: float) -> None:
        """Have it build a policy beside the one in use; raises like Link.call."""
        told = {"policy": snapshot.policy, "generation": snapshot.generation, "revision": snapshot.revision}
        await self.call("prepare", told, timeout)
        self._prepared = snapshot.generation

    async def advance(self, snapshot: Snapshot, timeout: float) -> None:
        """Have it use a policy, whether it has prepared it already or not; raises like Link.call."""
        if self._prepared != snapshot.generation:
            await self.prepare(snapshot, timeout)
        await self.call("commit", {"generation": snapshot.generation}, timeout)
        self.generation = snapshot.generation

    async def command(self, name: str, arguments: dict[str, Any], timeout: float) -> Any:
        """Have it do something at an operator's word (Edge.command); raises like Link.call."""
        return await self.call("command", {"name": name, "arguments": arguments}, timeout)

    async def drain(self, seconds: float) -> None:
        """Have it finish and end; killed when it does not. Called once more: the new number of seconds counts."""
        serving = self.state is not State.STARTING
        self.state = State.DRAINING
        try:
            if serving:
                await self.call("drain", {"seconds": seconds}, seconds + 1.0)
        except ConnectionError:  # it was told as well: a stop signal for the whole process group
            self._log.info("worker ends by itself")
        except FAILED as error:
            if self._process.returncode is None:
                self._log.error("worker did not drain", error=repr(error))
        if self._link is not None:
            self._link.close()
        await self.end(0.5 if serving else 0.0)

    async def end(self, patience: float = 0.0) -> None:
        """Wait so many seconds for its end, then kill it."""
        try:
            async with asyncio.timeout(patience):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once, by its process id. Harmless when it has ended."""
        if self._process.returncode is None:
            self._process.kill()

    async def gone(self) -> int:
        """Wait until the process has ended; gives its exit code, negative for a signal."""
        code = await self._process.wait()
        self.state = State.GONE
        if self._link is not None:
            self._link.close()
        return code

    @property
    def ready(self) -> bool:
        """Whether it serves, says it can, and its loop turns."""
        return self.state is State.SERVING and self._ready and self.silence() < 2 * BEAT + 1.0

    @property
    def served(self) -> float:
        """Seconds since it began to serve; 0.0 when it never did."""
        return time.monotonic() - self._served_since if self._served_since else 0.0

    def silence(self) -> float:
        """Seconds since its last sign of life."""
        return time.monotonic() - self._seen

    def watch(self, pace: Pace, own_delay: float) -> None:
        """Look after its loop: log a stack when it lags, kill it when it stalls.

        Args:
            pace: what counts as either.
            own_delay: seconds that we were late ourselves, which cannot be held against it.
        """
        self._seen += own_delay
        delay = self.silence() - BEAT
        if (
            self.state not in (State.SERVING, State.DRAINING)
            or self._process.returncode is not None
            or delay < pace.lag
        ):
            self._stack_asked = False
            return
        self.lag = delay
        if not self._stack_asked:
            self._stack_asked = True
            self._log.warning("worker's event loop lags; its stack follows on stderr", seconds=round(delay, 1))
            self._process.send_signal(STACK_SIGNAL)
        if delay >= pace.stall:
            self._log.error("worker's event loop stalls; killing it", seconds=round(delay, 1))
            self.kill()

    async def _take(self, name: str, arguments: dict[str, Any]) -> None:
        if name == "beat":
            self._seen = time.monotonic()
            self.lag = arguments["lag"]
            self._ready = arguments["ready"]
        elif name == "leaving" and self.state is State.SERVING:
            self.state = State.DRAINING


async def spawn(number: int, launch: Launch, log: Any) -> WorkerProcess:
    """Start a worker process: a fresh interpreter, nothing forked, with the listening sockets and a control channel.

    Raises:
        OSError: the system gives no further process, memory or descriptor.
    """
    ours, theirs = socket.socketpair()
    listen = [sock.fileno() for sock in launch.sockets]
    arguments = ["--edge", launch.edge, "--number", str(number), "--control", str(theirs.fileno())]
    with theirs:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(
                "-P",
                "-m",
                "gateway.processes.worker",
                *arguments,
            ),  # -P: never import from the folder we happen to be in
            *(part for descriptor in listen for part in ("--listen", str(descriptor))),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *listen),
        )
    worker = WorkerProcess(number, process, log)
    await worker.connect(ours)
    return worker

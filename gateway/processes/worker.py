"""One worker process: runs an edge on the listening socket it was given, as the supervisor tells it.

It reads no configuration file: snapshots come over the control channel, whose other end worker_process.py holds, so all
workers have the same one.
"""

import argparse
import asyncio
import ctypes
import faulthandler
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Protocol

import uvloop

from gateway import heap
from gateway.processes.control import BEAT, CallFailed, Link, open_link

STACK_SIGNAL = signal.SIGUSR2
"""Makes a worker write the stack of each of its threads to stderr."""
ORPHAN_DRAIN = 2.0
"""Seconds that requests in flight get when the supervisor is gone."""
HEAP_SETTLES = 60.0
"""Seconds after a new policy until the garbage of the old one is looked for: by then its last requests have ended."""
PR_SET_PDEATHSIG = 1


class Edge(Protocol):
    """What one worker process runs. Generations are numbers of policies; none is ever used twice."""

    async def prepare(self, snapshot: bytes, generation: int, revision: str) -> None:
        """Validate a policy and build everything it needs, beside the one in use.

        Raises:
            ConfigurationError: it cannot be used; nothing of it is kept.
        """
        ...

    def commit(self, generation: int) -> None:
        """Use what was prepared from now on, in one step; requests under way keep what they began with."""
        ...

    def abandon(self, generation: int) -> None:
        """Let go of what was prepared. Harmless for a generation that never was, or is cancelled half-way."""
        ...

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Begin to accept connections; return when that has begun."""
        ...

    async def drain(self, seconds: float) -> None:
        """Stop accepting, let requests in flight finish for so long, end the rest, flush the records.

        May be cancelled and called again with fewer seconds.
        """
        ...

    def ready(self) -> bool:
        """Whether it can do its work now."""
        ...

    def status(self) -> dict[str, Any]:
        """Plain data for `/status`: connections, in_flight, systems, breakers."""
        ...

    def metrics(self) -> dict[str, Any]:
        """Plain data that the supervisor merges into `/metrics`."""
        ...

    async def command(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do something at an operator's word, or hear again what was said before this worker's time.

        `revoke`: {sid, jti, sub: texts, one at least; at: Unix seconds, `sub` concerns what was issued up to then}.
        `reopen`: {}; close and open the record files (after rotation).
        `list-sessions`: {subject, reveal: texts, both may be missing}; gives open sessions and their number.
        `end-sessions`: {handle, sub, sid, iss: texts, one of the first three at least}; gives how many were ended.
        `refresh-keys`: {} or {verifier: its name}; gives by verifier `fetched`, `failed` or `too-soon`.

        Raises:
            ValueError: no such command, or arguments it cannot use.
            ConfigurationError: the configuration has nothing that it is about.
        """
        ...


MakeEdge = Callable[[bytes, int], Edge]
"""Makes the edge out of the static snapshot and the worker's number. Called on the running loop."""


class Worker:
    """What the supervisor's calls do to the edge."""

    def __init__(self, make_edge: MakeEdge, number: int, sockets: list[socket.socket]) -> None:
        self._make_edge = make_edge
        self._number = number
        self._sockets = sockets
        self._edge: Edge | None = None
        self._drain_after = ORPHAN_DRAIN
        self._preparing: dict[int, asyncio.Task[None]] = {}
        self._draining: asyncio.Task[None] | None = None
        self._calls: dict[str, Callable[..., Awaitable[Any]]] = {
            "start": self._start,
            "prepare": self._prepare,
            "commit": self._commit,
            "abandon": self._abandon,
            "drain": self.drain,
            "status": self._status,
            "metrics": self._metrics,
            "command": self._command,
        }

    async def handle(self, name: str, arguments: dict[str, Any]) -> Any:
        """Answer one call of the supervisor (gateway.processes.control.Handler)."""
        return await self._calls[name](**arguments)

    def ready(self) -> bool:
        """Whether this worker can do its work now."""
        return self._edge is not None and self._draining is None and self._edge.ready()

    async def drain(self, seconds: float) -> None:
        """Stop accepting and finish; called once more it is a matter of the new number of seconds."""
        if self._edge is None:
            return
        if self._draining is not None:
            self._draining.cancel()
        self._draining = asyncio.create_task(self._edge.drain(seconds))
        while not self._draining.done():  # a further call replaces it: who called first waits for that one, too
            await asyncio.wait({self._draining})
        if not self._draining.cancelled():
            self._draining.result()

    async def leave(self, link: Link) -> None:
        """Drain and end, because this process alone was told to (SIGTERM)."""
        link.notify("leaving", {})
        await self.drain(self._drain_after)
        link.close()

    async def finish(self) -> None:
        """End what is still under way soon: the supervisor has finished with us, or is gone."""
        signal.alarm(int(ORPHAN_DRAIN) + 3)  # ends this process even where its loop never turns again
        if self._draining is None or not self._draining.done():
            await self.drain(ORPHAN_DRAIN)

    async def _start(
        self,
        static: bytes,
        policy: bytes,
        generation: int,
        revision: str,
        drain: float,
        revocations: list[dict[str, Any]],
    ) -> bool:
        self._drain_after = drain
        edge = self._make_edge(static, self._number)
        await edge.prepare(policy, generation, revision)
        edge.commit(generation)
        for revocation in revocations:
            await edge.command("revoke", revocation)
        heap.set_aside()
        await edge.serve(self._sockets)
        self._edge = edge
        return edge.ready()

    async def _prepare(self, policy: bytes, generation: int, revision: str) -> None:
        task = asyncio.create_task(self._running().prepare(policy, generation, revision))
        self._preparing[generation] = task
        try:
            await task
        except asyncio.CancelledError:
            raise CallFailed("abandoned while it was being prepared") from None
        finally:
            self._preparing.pop(generation, None)

    async def _commit(self, generation: int) -> None:
        self._running().commit(generation)
        asyncio.get_running_loop().call_later(HEAP_SETTLES, heap.settle)

    async def _abandon(self, generation: int) -> None:
        if (task := self._preparing.get(generation)) is not None:
            task.cancel()
            await asyncio.wait({task})
        self._running().abandon(generation)

    async def _status(self) -> dict[str, Any]:
        return self._running().status()

    async def _metrics(self) -> dict[str, Any]:
        return self._running().metrics()

    async def _command(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return await self._running().command(name, arguments)

    def _running(self) -> Edge:
        if self._edge is None:
            raise CallFailed("this worker has not started")
        return self._edge


async def beat(worker: Worker, link: Link) -> None:
    """Tell the supervisor every BEAT seconds that the loop turns, and how late this was (seconds)."""
    loop = asyncio.get_running_loop()
    late = 0.0
    while True:
        link.notify("beat", {"lag": late, "ready": worker.ready()})
        due = loop.time() + BEAT
        await asyncio.sleep(BEAT)
        late = loop.time() - due


async def run(make_edge: MakeEdge, number: int, control: int, listen: list[int]) -> None:
    """Serve until the supervisor closes the control channel, or is gone.

    Args:
        make_edge: see MakeEdge.
        number: the worker's number, from 0.
        control: descriptor of our end of the control channel.
        listen: descriptors of the listening sockets, shared with the other workers.
    """
    worker = Worker(make_edge, number, [socket.socket(fileno=descriptor) for descriptor in listen])
    link = await open_link(socket.socket(fileno=control), worker.handle)
    loop = asyncio.get_running_loop()
    leaving: list[asyncio.Task[None]] = []
    loop.add_signal_handler(signal.SIGTERM, lambda: leaving.append(asyncio.create_task(worker.leave(link))))
    beating = asyncio.create_task(beat(worker, link))
    await link.ended()
    beating.cancel()
    await worker.finish()


def _prepare_process() -> None:
    """Leave the terminal's signals to the supervisor, and do not outlive it."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(STACK_SIGNAL, all_threads=True)
    # The supervisor's death closes the control channel; this is for a loop that cannot notice it any more.
    signal.signal(signal.SIGVTALRM, lambda *_: signal.alarm(int(ORPHAN_DRAIN) + 3))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGVTALRM))


def _make_edge_named(path: str) -> MakeEdge:
    module, _, name = path.partition(":")
    made: MakeEdge = getattr(import_module(module), name)
    return made


def main() -> None:
    """Entry of the process; worker_process.py starts it with exactly these arguments."""
    heap.rest()
    parser = argparse.ArgumentParser(prog="gateway.processes.worker")
    parser.add_argument("--edge", required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("--listen", type=int, action="append", required=True)
    given = parser.parse_args()
    _prepare_process()
    uvloop.run(run(_make_edge_named(given.edge), given.number, given.control, given.listen))


if __name__ == "__main__":
    main()

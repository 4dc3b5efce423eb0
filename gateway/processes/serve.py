"""`tongguan serve`: bind the listeners, run the supervisor between them, say when it is ready and how it ended."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvloop
from aiohttp import web

from gateway import heap
from gateway.errors import ConfigurationError
from gateway.processes.foreground import CLEAN, FORCED, logging_to, tell_problems
from gateway.processes.listening import Listener, bind, require_loopback
from gateway.processes.management import ManagementServer
from gateway.processes.reloading import Load
from gateway.processes.supervisor import Exposition, Supervisor
from gateway.processes.worker_process import Launch, Pace, Snapshot
from gateway.processes.workers import Workers, WorkersFailed
from gateway.records.sink import Sink
from gateway.units import Address

NOT_STARTED = 3
"""Exit code: no worker could be started, or kept."""

PACE = Pace()


def serve(
    load: Load, exposition: Exposition, *, edge: str = "gateway.app:make_edge", pace: Pace = PACE, log: Any = None
) -> int:
    """Run the gateway in the foreground until it is told to stop.

    Args:
        load: reads the configuration files.
        exposition: merges the workers' metrics.
        edge: import path of the edge's factory (gateway.processes.worker.MakeEdge).
        pace: how patient to be.
        log: the application log; the one that the configuration names when missing.

    Returns:
        The exit code: CLEAN, FORCED, MISCONFIGURED or NOT_STARTED.
    """
    try:
        forced = uvloop.run(_serve(load, exposition, edge, pace, log))
    except ConfigurationError as error:
        return tell_problems(error)
    except WorkersFailed as error:
        sys.stderr.write(f"{error}; what each of them said is above\n")
        return NOT_STARTED
    return FORCED if forced else CLEAN


def notify_systemd(state: str) -> None:
    """Tell systemd about our state where it asks for it (sd_notify(3)): `READY=1`, `STOPPING=1`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)


async def _serve(load: Load, exposition: Exposition, edge: str, pace: Pace, log: Any) -> bool:
    loaded = load()
    heap.set_aside()
    settings = loaded.settings
    require_loopback("management", settings.management)
    with contextlib.ExitStack() as held:
        on_reopen = _nothing_to_reopen
        if log is None:
            sink = Sink(settings.records.application, settings.records.queue)
            log, on_reopen = held.enter_context(logging_to(sink)), sink.reopen
        public = held.enter_context(_listening("listen", settings.listen, mode=0o660))
        management = held.enter_context(_listening("management", settings.management, mode=0o600))
        launch = Launch(edge, (public.socket,), loaded.static, settings.drain)
        workers = Workers(launch, settings.workers, Snapshot(1, loaded.policy, loaded.revision), pace, log)

        def on_stop() -> None:
            notify_systemd("STOPPING=1")
            public.release()  # the workers close their copies: nobody is left waiting in a queue that nobody empties

        supervisor = Supervisor(
            loaded, load, workers, exposition, pace=pace, log=log, on_stop=on_stop, on_reopen=on_reopen
        )
        supervisor.take_signals()
        async with _managed(supervisor, management.socket):
            announcing = asyncio.create_task(_announce(supervisor, public.address, management.address))
            try:
                return await supervisor.run()
            finally:
                announcing.cancel()


def _nothing_to_reopen() -> None:
    """A log that somebody else gave us is theirs to reopen."""


@contextlib.contextmanager
def _listening(key: str, address: Address, *, mode: int) -> Iterator[Listener]:
    listener = bind(key, address, mode=mode)
    try:
        yield listener
    finally:
        listener.release()


@contextlib.asynccontextmanager
async def _managed(supervisor: Supervisor, listening: socket.socket) -> AsyncIterator[None]:
    server = ManagementServer(supervisor, unix=listening.family == socket.AF_UNIX)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


async def _announce(supervisor: Supervisor, public: Address, management: Address) -> None:
    workers = await supervisor.all_serving()
    sys.stderr.write(
        f"tongguan serves on {public}, management on {management}, {workers} worker(s), pid {os.getpid()}\n"
    )
    notify_systemd("READY=1")

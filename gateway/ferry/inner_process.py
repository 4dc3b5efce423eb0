"""The inner unit as a process: `tongguan gatekeeper FILE`. It shares one key with the edge and no file."""

import asyncio
import secrets
import time
from pathlib import Path
from typing import Any

from gateway.ferry.carriers.socket import SocketCarrier
from gateway.ferry.inner import InnerUnit
from gateway.ferry.inner_records import InnerRecords
from gateway.ferry.inner_settings import GatekeeperSettings, load_gatekeeper
from gateway.forward.upstream import Upstream
from gateway.processes.foreground import logging_to, run_in_foreground
from gateway.records.sink import Sink

_SINK_PATIENCE = 2.0


def main_gatekeeper(path: Path) -> int:
    """Run the inner unit in the foreground until SIGTERM or SIGINT; a second signal cuts off what is under way.

    Returns:
        The exit code: CLEAN, FORCED or MISCONFIGURED (what is wrong is on stderr, each line with file and line).
    """
    return run_in_foreground(lambda stop: run_gatekeeper(path, stop=stop))


async def run_gatekeeper(path: Path, *, stop: asyncio.Event) -> None:
    """Run the inner unit until `stop` is set, then drain.

    Raises:
        ConfigurationError: the file cannot be used, or the address cannot; nothing was started.
    """
    settings = load_gatekeeper(path)
    with logging_to(Sink(settings.application, settings.record_queue), part="gatekeeper") as log:
        await _run(settings, stop, log)


async def _run(settings: GatekeeperSettings, stop: asyncio.Event, log: Any) -> None:
    sink = Sink(settings.records, settings.record_queue)
    systems = {system.name: Upstream(system, log=log) for system in settings.systems}
    carrier = SocketCarrier(settings.listen)
    boot = secrets.token_hex(16)
    records = InnerRecords(sink, boot, time.time)
    unit = InnerUnit(settings, carrier, systems, records.write, log=log, boot=boot)
    try:
        await _serve(unit, settings, systems, stop, carrier, log)
    finally:
        records.flush()
        await asyncio.to_thread(sink.close, _SINK_PATIENCE)


async def _serve(
    unit: InnerUnit,
    settings: GatekeeperSettings,
    systems: dict[str, Upstream],
    stop: asyncio.Event,
    carrier: SocketCarrier,
    log: Any,
) -> None:
    for system in systems.values():
        await system.start()
    try:
        await unit.start()
        log.info("the gatekeeper's inner unit listens", address=str(carrier.address), routes=len(settings.routes))
        await stop.wait()
        await unit.drain(settings.drain)
    finally:
        await unit.stop()
        for system in systems.values():
            await system.stop()

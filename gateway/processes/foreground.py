"""A process of one event loop in the foreground, until it is told to stop: the inner unit, the back office.

`tongguan serve` has workers besides, and a way of its own (serve.py, supervisor.py); exit codes and log are the same.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvloop

from gateway.errors import ConfigurationError
from gateway.records.application import ApplicationLog
from gateway.records.sink import Sink

CLEAN = 0
"""Exit code: drained and ended."""
FORCED = 1
"""Exit code: told twice to stop, so requests under way were cut off."""
MISCONFIGURED = 2
"""Exit code: the configuration cannot be used; nothing was started."""

_LOG_PATIENCE = 1.0
"""Seconds that the log has at the end to be written."""

Run = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then drains."""


def run_in_foreground(run: Run) -> int:
    """Run until SIGTERM or SIGINT; a second signal cuts off what is under way.

    SIGHUP and SIGUSR1 are for `serve`; here they change nothing. That a log was moved away is seen without them.

    Args:
        run: see Run; a ConfigurationError of it is told on stderr, a line for each problem.

    Returns:
        The exit code: CLEAN, FORCED or MISCONFIGURED.
    """
    try:
        return uvloop.run(_run_with_signals(run))
    except ConfigurationError as error:
        return tell_problems(error)


def tell_problems(error: ConfigurationError) -> int:
    """Say on stderr what is wrong, a line for each problem; gives the exit code."""
    sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
    return MISCONFIGURED


@contextlib.contextmanager
def logging_to(sink: Sink, **bound: str) -> Iterator[Any]:
    """The application log of this process, with what each line shall say besides; the sink is closed at the end."""
    log = ApplicationLog(sink)
    log.install()
    try:
        yield log.logger(**bound)
    finally:
        sink.close(_LOG_PATIENCE)


async def _run_with_signals(run: Run) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: serving.cancel() if stop.is_set() and serving else stop.set())
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, lambda: None)  # they would end the process
    try:
        await run(stop)
    except asyncio.CancelledError:
        return FORCED
    return CLEAN

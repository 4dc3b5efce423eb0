"""A process of one event loop in the foreground, until it is told to stop: the inner unit, the back office.

`tongguan serve` has workers besides, and a way of its own (serve.py, supervisor.py).
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from gateway.errors import ConfigurationError

CLEAN = 0
"""Exit code: drained and ended."""
FORCED = 1
"""Exit code: told twice to stop, so requests under way were cut off."""
MISCONFIGURED = 2
"""Exit code: the configuration cannot be used; nothing was started."""

Run = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then drains."""


def run_in_foreground(run: Run) -> int:
    """Run until SIGTERM or SIGINT; a second signal cuts off what is under way.

    Args:
        run: see Run; a ConfigurationError of it is told on stderr, a line for each problem.

    Returns:
        The exit code: CLEAN, FORCED or MISCONFIGURED.
    """
    try:
        return uvloop.run(_run_with_signals(run))
    except ConfigurationError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return MISCONFIGURED


async def _run_with_signals(run: Run) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: serving.cancel() if stop.is_set() and serving else stop.set())
    try:
        await run(stop)
    except asyncio.CancelledError:
        return FORCED
    return CLEAN

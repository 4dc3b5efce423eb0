"""Run one sandbox application as a process of its own: where it listens, when it says so, how it stops."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

# What is still under way when the process is told to stop gets this long; the sandbox holds nothing worth more.
GRACE_SECONDS = 0.5


def json_response(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON that people can read in a terminal: Chinese as it is, and a line's end."""
    # What is no character (a raw byte of a header field) comes out as \udcXX, which is JSON's escape for it too.
    body = (json.dumps(data, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def add_listen_options(parser: argparse.ArgumentParser) -> None:
    """Give a command line the options `--host` with `--port`, or `--unix`; one of the two must be named."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--port", type=int, help="TCP port; 0 lets the system choose one")
    place.add_argument("--unix", type=Path, metavar="PATH", help="Unix socket to listen on instead of a port")


def run(app: web.Application, name: str, options: argparse.Namespace) -> int:
    """Serve until told to stop.

    Args:
        app: what answers.
        name: what the ready line calls it.
        options: as parsed by a parser that went through `add_listen_options`.

    Returns:
        The process's exit code: 0 after a signal, 1 when the address could not be had.
    """
    try:
        asyncio.run(serve(app, options.host, options.port, unix=options.unix, name=name))
    except OSError as error:
        place = options.unix or f"{options.host}:{options.port}"
        print(f"{name}: cannot listen on {place}: {error.strerror or error}", file=sys.stderr)
        return 1
    if options.unix:
        options.unix.unlink(missing_ok=True)
    return 0


async def serve(
    app: web.Application, host: str, port: int | None, *, unix: Path | None = None, name: str = "sandbox"
) -> None:
    """Listen, print one line when ready, and return once SIGTERM or SIGINT has been honoured.

    Args:
        app: what answers.
        host: address to listen on.
        port: TCP port, 0 for one that the system chooses; ignored with `unix`.
        unix: path of a Unix socket to listen on instead; a socket left there by an earlier run is replaced.
        name: what the ready line calls it.

    Raises:
        OSError: the address cannot be had.
    """
    stopped = _stop_signal()
    async with _listening(app, name, host, port, unix):
        await stopped.wait()


async def serve_several(apps: Mapping[str, tuple[web.Application, int]], host: str) -> None:
    """Like `serve`, for several applications in one process.

    Args:
        apps: each with its TCP port, by what its ready line calls it.
        host: address to listen on.

    Raises:
        OSError: one of the addresses cannot be had.
    """
    stopped = _stop_signal()
    async with AsyncExitStack() as stack:
        for name, (app, port) in apps.items():
            await stack.enter_async_context(_listening(app, name, host, port, None))
        await stopped.wait()


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT from now on."""
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stopped.set)
    return stopped


@asynccontextmanager
async def _listening(
    app: web.Application, name: str, host: str, port: int | None, unix: Path | None
) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=GRACE_SECONDS)
    await runner.setup()
    try:
        site = web.UnixSite(runner, unix) if unix else web.TCPSite(runner, host, port)
        await site.start()
        print(f"{name} ready on {_place(runner)} (pid {os.getpid()})", flush=True)
        yield
    finally:
        await runner.cleanup()


def _place(runner: web.AppRunner) -> str:
    """Where a runner really listens: `http://host:port`, or `unix:path`."""
    address = runner.addresses[0]
    return f"unix:{address}" if isinstance(address, str) else f"http://{address[0]}:{address[1]}"

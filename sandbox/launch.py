"""`tongguan sandbox`: province, business systems, gatekeeper and edge on one machine, as separate processes.

`sandbox.furnishing` writes their configuration, `sandbox.children` runs them, `sandbox.tour` plays a story on them.
"""

import argparse
import asyncio
import contextlib
import errno
import io
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Awaitable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from gateway.errors import ConfigurationError
from sandbox import staff
from sandbox.children import Child, ChildEnded
from sandbox.furnishing import furnish
from sandbox.places import BUSINESS, LONGEST_SOCKET_PATH, Places
from sandbox.reloads import tell_reloads
from sandbox.welcome import welcome

STOPPED = 0
"""Exit code: told to stop."""
BROKEN = 1
"""Exit code: one of the processes ended by itself, or did not come up."""
REFUSED = 2
"""Exit code: cannot be started like this; nothing was."""

START_SECONDS = 45.0

_DESCRIPTION = """Run the gateway here, with a simulated province, business systems and gatekeeper, until Ctrl-C.
在本机运行网关及模拟的省平台、业务系统和网闸，按 Ctrl-C 停止。"""


class CannotStartError(Exception):
    """The sandbox cannot be started like this; the text says why and what to do."""


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox in the foreground until Ctrl-C or SIGTERM; see `--help`. `code` is `sandbox.staff`'s.

    Returns:
        The exit code: STOPPED, BROKEN or REFUSED.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["code"]:
        return staff.main(arguments[1:])
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _directory(options.dir, keep=options.keep) as directory:
            places = Places(options.base_port, directory)
            check_places(places)
            _furnish(places)
            return asyncio.run(_run(places, kept=options.keep or options.dir is not None))
    except CannotStartError as error:
        print(f"tongguan sandbox: {error}", file=sys.stderr)
        return REFUSED
    except ChildEnded as error:
        print(f"tongguan sandbox: {error}", file=sys.stderr)
        return BROKEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tongguan sandbox", description=_DESCRIPTION)
    add_base_port(parser)
    parser.add_argument("--dir", type=Path, help="folder to use and keep 使用并保留此目录 (default: a temporary one)")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder 不删除临时目录")
    return parser


def add_base_port(parser: argparse.ArgumentParser) -> None:
    """Give a command line the option `--base-port`."""
    parser.add_argument(
        "--base-port",
        type=_base_port,
        default=Places.USUAL_BASE,
        help="the gateway's port; the others follow 网关端口，其余依次而定 (default: %(default)s)",
    )


def _base_port(text: str) -> int:
    highest = 65535 - (max(Places(0, Path()).ports.values()))
    if not (text.isascii() and text.isdigit() and 1024 <= int(text) <= highest):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1024 to {highest}")
    return int(text)


@contextlib.contextmanager
def _directory(asked: Path | None, *, keep: bool) -> Iterator[Path]:
    if asked is not None:
        yield asked.absolute()
        return
    try:
        made = Path(tempfile.mkdtemp(prefix="tongguan-sandbox-"))
    except OSError as error:
        raise CannotStartError(f"no temporary folder can be made ({error}); name one with --dir") from error
    try:
        yield made
    except ChildEnded:
        keep = True  # its logs are all that is left of it
        raise
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


def check_places(places: Places) -> None:
    """Make sure that ports and directory can be had, before anything is written or started.

    Raises:
        CannotStartError: one of them cannot.
    """
    directory = places.directory
    if len(os.fsencode(places.socket)) > LONGEST_SOCKET_PATH:
        raise CannotStartError(f"the path {directory} is too long for a Unix socket; choose a shorter one with --dir")
    if directory.is_dir() and any(directory.iterdir()) and not places.gateway_yaml.is_file():
        raise CannotStartError(f"{directory} holds something else already; choose an empty folder with --dir")
    if places.gateway_yaml.is_file() and not _listens_at_base(places):
        raise CannotStartError(
            f"{places.gateway_yaml} does not listen on 127.0.0.1:{places.base}; name the --base-port that stands there,"
            " or choose another folder with --dir 端口与该目录的配置不符，请用原端口或另选目录"
        )
    taken = [f"{port} ({name})" for name, port in places.ports.items() if _is_taken(port)]
    if taken:
        ports, are = ", ".join(taken), "ports {} are" if len(taken) > 1 else "port {} is"
        other = places.base + 1000 if places.base < 60000 else 18080
        raise CannotStartError(
            f"{are.format(ports)} in use; stop the program that listens there,"
            f" or choose other ports: make run RUN='--base-port {other}' (tongguan sandbox --base-port {other})"
            f"\n端口被占用：请停止占用的程序，或换用其他端口： make run RUN='--base-port {other}'"
        )


def _listens_at_base(places: Places) -> bool:
    return f"127.0.0.1:{places.base}\n" in places.gateway_yaml.read_text("utf-8", "replace")


def _furnish(places: Places) -> None:
    try:
        furnish(places)
    except OSError as error:
        raise CannotStartError(f"{error.filename}: {error.strerror}; choose another folder with --dir") from error


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CannotStartError(f"port {port} cannot be used: {error.strerror}") from error
            return True
    return False


async def _run(places: Places, *, kept: bool) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        children = make_children(places, session)
        try:
            await _start(places, children, stopping)
            if not stopping.is_set():
                print(welcome(places, kept=kept), flush=True)
                telling = tell_reloads(session, places.url("management"))
                await first_of(stopping.wait(), telling, *(child.ended() for child in children))
        finally:
            print("stopping … 正在停止", flush=True)
            for child in children:
                await child.stop()
    return STOPPED


async def _start(places: Places, children: list[Child], stopping: asyncio.Event) -> None:
    """Start everything and wait until all of it answers, or until told to stop.

    Raises:
        ChildEnded: one of the processes ended, or did not come up in time.
        CannotStartError: the configuration was edited, and has mistakes.
    """
    for child in children:
        if child.name not in _ON_LEDGER:
            await child.start()
    await _begin_ledger(places)
    for child in children:
        if child.name in _ON_LEDGER:
            await child.start()
    ready = asyncio.gather(*(child.until_ready() for child in children))
    try:
        async with asyncio.timeout(START_SECONDS):
            await first_of(ready, stopping.wait(), *(child.ended() for child in children))
    except TimeoutError:
        logs = children[0].log.parent
        raise ChildEnded(f"not everything came up within {START_SECONDS:g} s; the logs are in {logs}") from None


async def _begin_ledger(places: Places) -> None:
    from sandbox.office import begin_ledger  # noqa: PLC0415 - slow to import, and needed once in a sandbox's life

    try:
        await begin_ledger(places)
    except ConfigurationError as error:
        raise CannotStartError("\n".join(error.problems)) from None


async def first_of(*several: Awaitable[object]) -> None:
    """Wait for the first that is done; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.ensure_future(one) for one in several]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def make_children(places: Places, session: aiohttp.ClientSession) -> list[Child]:
    """What the sandbox consists of, from the outside in: started at once, ended one by one in this order."""
    ports, logs = places.ports, places.logs
    edges = {"edge": (places.gateway_yaml, len(BUSINESS)), "medical-edge": (places.medical_yaml, 0)}
    management = {"edge": "management", "medical-edge": "medical-management"}
    inner = _python("gateway.cli", "gatekeeper", places.gatekeeper / "gatekeeper.yaml")
    return [
        *(
            Child(
                name,
                _python("gateway.cli", "--config", config, "serve"),
                logs / f"{name}.log",
                partial(_serves, session, places.url(management[name]), links),
            )
            for name, (config, links) in edges.items()
        ),
        Child(
            "console",
            _python("gateway.cli", "--config", places.gateway_yaml, "console"),
            logs / "console.log",
            partial(_listens, ports["console"]),
        ),
        Child("gatekeeper", inner, logs / "gatekeeper.log", partial(_exists, places.socket)),
        *(
            Child(name, [*command, "--port", str(port)], logs / f"{name}.log", partial(_listens, port))
            for name, command in _worlds(places).items()
            for port in [ports[_LAST_PORT.get(name, name)]]
        ),
    ]


_ON_LEDGER = ("edge", "console")
"""Who reads the first department's ledger, which has to be there before."""
_LAST_PORT = {"platforms": "dialects"}
"""The port that a process of several opens last."""


def _worlds(places: Places) -> dict[str, list[str]]:
    """Commands of what is around the gateway; each takes its port besides."""
    ports = places.ports
    others = ("--national-port", ports["national"], "--channels-port", ports["channels"], "--edge")
    return {
        "province": _python("sandbox.province", "--clients", places.clients),
        "platforms": _python(
            "sandbox.platforms", "--channel-keys", places.channel_keys, *others, places.url("medical-edge")
        ),
        "assistant": _python("sandbox.assistant"),
        "outpatient": _python("sandbox.outpatient", "--identity-jwks", places.medical_jwks),
        **{
            system: _python("sandbox.business", "--system", system, "--identity-jwks", places.identity_jwks)
            for system in BUSINESS
        },
    }


def _python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module with this very interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _exists(path: Path) -> bool:
    return await asyncio.to_thread(path.exists)


async def _serves(session: aiohttp.ClientSession, management: str, links: int) -> bool:
    """Whether an edge takes requests, has the province's keys, and is linked to the gatekeeper for so many systems."""
    try:
        async with session.get(f"{management}/status") as answer:
            status = await answer.json()
    except (aiohttp.ClientError, TimeoutError):
        return False
    return bool(status["ready"]) and all(_is_complete(worker, links) for worker in status["workers"])


def _is_complete(worker: dict[str, Any], links: int) -> bool:
    found = [system["link"] for system in worker.get("systems", {}).values() if "link" in system]
    ages = [part["key_age"] for part in worker.get("parts", {}).values() if "key_age" in part]
    return worker["state"] == "serving" and found == ["up"] * links and None not in ages


if __name__ == "__main__":
    sys.exit(main())

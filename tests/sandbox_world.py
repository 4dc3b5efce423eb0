"""Whole sandboxes for the journeys: one of real processes for everybody, and such that a test may break."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from sandbox.furnishing import furnish
from sandbox.launch import first_of, make_children
from sandbox.places import Places

DEADLINE = 60.0


def free_base():
    """First port of a block that is free now, below the ports that the system hands out by itself.

    Tests that run in several processes take theirs from different blocks: a free one is taken a moment later only.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    for base in random.sample(range(11000 + 50 * process, 31850, 200), 100):
        if all(map(is_free, Places(base, Path()).ports.values())):
            return base
    raise RuntimeError("no free block of ports")


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class Launched:
    """`tongguan sandbox` as a process of its own.

    Attributes:
        places: its ports and files.
        process: the launcher.
        said: what it wrote, as one file.
    """

    def __init__(self, folder, *options):
        self.places = Places(free_base(), folder / "sandbox")
        self.said = folder / "said.txt"
        arguments = ["--base-port", str(self.places.base), *options]
        with self.said.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox.launch", *arguments], stdout=out, stderr=out, start_new_session=True
            )

    def wait_until_said(self, text):
        """Wait for a text in what it says."""
        ends = time.monotonic() + DEADLINE
        while text not in (said := self.said.read_text(errors="replace")):
            if self.process.poll() is not None or time.monotonic() > ends:
                raise RuntimeError(f"the sandbox did not say {text!r}:\n{said}")
            time.sleep(0.05)
        return self

    def ready(self):
        return self.wait_until_said("the sandbox is ready")

    def children(self):
        """Process ids of what it started, by name."""
        found = {}
        for pid in child_pids(self.process.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            found[name_of(command)] = pid
        return found

    def stop(self, number=signal.SIGTERM):
        """End it by its id; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)


def child_pids(pid):
    """Ids of a process's own children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def name_of(command):
    """What the sandbox calls the process with this command line."""
    if "--system" in command:
        return command[command.index("--system") + 1]
    if "serve" in command:
        return "medical-edge" if "/medical/" in command[command.index("--config") + 1] else "edge"
    for name in ("gatekeeper", "console"):
        if name in command:
            return name
    return command[command.index("-m") + 1].removeprefix("sandbox.")


def runs(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@asynccontextmanager
async def furnished(folder, *names, change=lambda places: None):
    """Some of the sandbox's processes, started one by one and for one test alone; gives places and children by name.

    `change` may edit the configuration before anything starts.
    """
    places = Places(free_base(), folder)
    furnish(places)
    change(places)
    if "edge" in names:
        from sandbox.office import begin_ledger  # slow to import, and every test run imports this module

        await begin_ledger(places)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=DEADLINE)) as session:
        children = {child.name: child for child in make_children(places, session) if child.name in names}
        try:
            for child in children.values():
                await child.start()
            async with asyncio.timeout(DEADLINE):
                ready = asyncio.gather(*(child.until_ready() for child in children.values()))
                await first_of(ready, *(child.ended() for child in children.values()))
            yield places, children, session
        finally:
            for child in children.values():
                await child.stop()


async def settled(places, answers):
    """Wait until the inner unit too has given up on requests that hang: its breaker has counted them all by then."""
    ids = {answer.fields["X-Request-Id"] for answer in answers}
    async with asyncio.timeout(DEADLINE):
        while not all(one in (places.logs / "gatekeeper.jsonl").read_text() for one in ids):  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.05)


def open_files(pid):
    """What a process's descriptors lead to; some are closed while we look."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield os.readlink(link)


def connected_ports(pid):
    """Remote TCP ports that a process and its children have connections to (proc(5))."""
    ports = set()
    for one in [pid, *child_pids(pid)]:
        inodes = set(open_files(one))
        for line in Path(f"/proc/{one}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if f"socket:[{fields[9]}]" in inodes and fields[3] == "01":
                ports.add(int(fields[2].partition(":")[2], 16))
    return ports

"""Processes that `sandbox.launch` starts, watches and ends, each by its own id and with a log file of its own."""

import asyncio
import ctypes
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

POLL = 0.03
PATIENCE = 8.0
"""Seconds a process gets to end by itself; the edge's own drain is shorter."""

_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)
_libc = ctypes.CDLL(None)

Ready = Callable[[], Awaitable[bool]]


class ChildEnded(Exception):
    """A process ended though nobody had asked it to; the text says which, how, and what it said last."""


@dataclass(slots=True)
class Child:
    """One process of the sandbox.

    Attributes:
        name: what the table and the log file call it.
        command: program and arguments.
        log: where its output goes.
        ready: asked again and again until it says yes.
    """

    name: str
    command: Sequence[str]
    log: Path
    ready: Ready
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            RuntimeError: it was not started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    async def start(self) -> None:
        """Start the process in a session of its own, so that Ctrl-C reaches the launcher alone."""
        with self.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    async def until_ready(self) -> None:
        """Wait until it is ready."""
        while not await self.ready():  # noqa: ASYNC110 - another process's state has no event to wait for
            await asyncio.sleep(POLL)

    async def gone(self) -> int:
        """Wait until the process has ended; gives its exit code, negative for a signal."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    async def ended(self) -> None:
        """Wait until the process has ended, and complain: called only while it should run.

        Raises:
            ChildEnded: always.
        """
        code = await self.gone()
        how = f"exit code {code}" if code >= 0 else f"by signal {signal.Signals(-code).name}"
        raise ChildEnded(f"{self.name} ended ({how}); the last lines of {self.log}:\n{self.last_lines()}")

    async def stop(self) -> None:
        """Ask the process to end, and end it when it does not; harmless when it has ended."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def last_lines(self, most: int = 12) -> str:
        """What it said last, indented."""
        lines = self.log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-most:])


def _end_with_parent() -> None:
    """Runs in the child before the program: should the launcher be killed, nothing of the sandbox stays behind."""
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)

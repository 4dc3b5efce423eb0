"""Reading the configuration files while they may be changing, and what became of the last attempt.

loading.py reads and validates them; supervisor.py hands the result to the workers.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from gateway.errors import ConfigurationError
from gateway.settings import StaticSettings

POLL = 0.25
"""Seconds between two looks at the files; they are complete when two looks in a row find the same.

Looking works on every file system; being told of changes (inotify) does not.
"""
ATTEMPTS = 10
"""How often files are read again because they changed meanwhile."""


class Loaded(Protocol):
    """A configuration that was read and validated whole.

    Attributes:
        settings: the static part, for the supervisor itself.
        static: the static part as the workers get it.
        policy: the reloadable part as the workers get it.
        revision: short digest of both, the same for the same content.
        files: every file that was read, secrets included.
    """

    @property
    def settings(self) -> StaticSettings: ...  # noqa: D102
    @property
    def static(self) -> bytes: ...  # noqa: D102
    @property
    def policy(self) -> bytes: ...  # noqa: D102
    @property
    def revision(self) -> str: ...  # noqa: D102
    @property
    def files(self) -> Sequence[Path]: ...  # noqa: D102


Load = Callable[[], Loaded]
"""Reads all files; raises ConfigurationError with every problem. Blocks, so it runs in a thread once we serve."""

Cause = Literal["start", "signal", "file", "request"]


class Reload(msgspec.Struct, frozen=True):
    """What became of an attempt to take over the files' content.

    Attributes:
        outcome: `applied`, `unchanged` (the same revision as before) or `refused` (the last good one stays).
        cause: what set it off: the start, SIGHUP, a changed file, or a request to the management listener.
        at: Unix seconds when it was over.
        seconds: how long it took.
        generation: number of the policy in use afterwards.
        revision: revision in use afterwards.
        problems: why it was refused, one line each.
        restart_needed: True when static settings changed: they wait for a restart.
    """

    outcome: Literal["applied", "unchanged", "refused"]
    cause: Cause
    at: float
    seconds: float
    generation: int
    revision: str
    problems: list[str] = []
    restart_needed: bool = False

    @property
    def ok(self) -> bool:
        """Whether the files' content is in use now."""
        return self.outcome != "refused"


Fingerprint = tuple[tuple[str, int, int, int], ...]


class Source:
    """The configuration files: read whole, or not at all."""

    def __init__(self, load: Load, files: Sequence[Path], poll: float = POLL) -> None:
        self._load = load
        self._files = list(files)
        self._poll = poll
        self._seen = fingerprint(self._files)

    async def read(self) -> Loaded:
        """Read the files, again and again while they change under our hands.

        Raises:
            ConfigurationError: their content cannot be used, or they never hold still.
        """
        for _ in range(ATTEMPTS):
            before = fingerprint(self._files)
            found = await asyncio.to_thread(self._load_or_refuse)
            if not isinstance(found, ConfigurationError):
                self._files = list(found.files)
            self._seen = fingerprint(self._files)
            if self._seen == before:
                if isinstance(found, ConfigurationError):
                    raise found
                return found
            await asyncio.sleep(self._poll)
        raise ConfigurationError(["the files were changing all the time while they were read; nothing was taken over"])

    async def changed(self) -> None:
        """Wait until the files differ from what was read last and have settled."""
        before = self._seen
        while True:
            now = fingerprint(self._files)
            if now != self._seen and now == before:
                return
            before = now
            await asyncio.sleep(self._poll)

    def _load_or_refuse(self) -> Loaded | ConfigurationError:
        try:
            return self._load()
        except ConfigurationError as refused:
            return refused
        except Exception as error:  # noqa: BLE001 - files that break their reader must not stop what runs
            return ConfigurationError([f"the configuration could not be read: {error!r}"])


def fingerprint(files: Sequence[Path]) -> Fingerprint:
    """What the files look like from outside, and which files like them are in their folders.

    Names, inodes, sizes and times (nanoseconds): `watchfiles` with polling looks at whole seconds only and misses the
    second of two changes within one.
    """
    seen: set[Path] = set(files)
    for folder, suffix in {(file.parent, file.suffix) for file in files if file.suffix in {".yaml", ".yml"}}:
        with contextlib.suppress(OSError):
            seen.update(path for path in folder.iterdir() if path.suffix == suffix)
    return tuple(_look(path) for path in sorted(seen))


def _look(path: Path) -> tuple[str, int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns

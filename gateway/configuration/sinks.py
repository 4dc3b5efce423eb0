"""Sinks of records that cannot be written are found before records are lost: in gateway.yaml and in gatekeeper.yaml."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.configuration.yaml_source import Where
from gateway.units import parse_sink


def find_bad_sink(where: Where, sink: str) -> Iterator[tuple[Where, str]]:
    """A sink that is a file can be appended to by this user.

    Args:
        where: the key that names it.
        sink: `stdout`, `stderr` or `file:PATH`.
    """
    path = parse_sink(sink)
    if path is not None and (text := _unwritable(Path(path))):
        yield where, f"{sink!r}: {text}"


def _unwritable(path: Path) -> str:
    """Why a file cannot be appended to; empty when it can."""
    try:
        if _is_folder(path):
            return "is a folder; name a file in it"
        if not _is_folder(path.parent):
            return "there is no such folder"
        writable = os.access(path if path.exists() else path.parent, os.W_OK, effective_ids=True)
    except PermissionError:  # a folder on the way there may not be entered
        writable = False
    return "" if writable else f"cannot be written by this user (uid {os.geteuid()})"


def _is_folder(path: Path) -> bool:
    """Like `Path.is_dir`, which from Python 3.14 on takes a folder that may not be looked at for none.

    Raises:
        PermissionError: a folder on the way there may not be entered.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False

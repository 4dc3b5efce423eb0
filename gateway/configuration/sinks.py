"""Sinks of records that cannot be written are found before records are lost: in gateway.yaml and in gatekeeper.yaml."""

import os
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
        if path.is_dir():
            return "is a folder; name a file in it"
        if not path.parent.is_dir():
            return "there is no such folder"
        writable = os.access(path if path.exists() else path.parent, os.W_OK, effective_ids=True)
    except PermissionError:  # a folder on the way there may not be entered
        writable = False
    return "" if writable else f"cannot be written by this user (uid {os.geteuid()})"

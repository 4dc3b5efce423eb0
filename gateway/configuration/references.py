"""Values that stand elsewhere: `{$env: NAME}` and `{$file: path}` in place of any text. loading.py resolves them.

What they hold never appears in a message.
"""

import os
import stat
from pathlib import Path
from typing import Any

from gateway.configuration.problems import Problems, did_you_mean
from gateway.configuration.yaml_source import Document, Plain, Where

LARGEST_VALUE = 1 << 20
"""Bytes that a referenced file may hold."""


class Source:
    """A document with its references resolved.

    Attributes:
        document: the file as it is written.
        data: the same with every reference replaced by what it refers to.
        references: where references stand.
        files: the files they refer to.
    """

    def __init__(self, document: Document, problems: Problems, *, resolve: bool = True) -> None:
        self.document = document
        self.references: set[Where] = set()
        self.files: list[Path] = []
        self._problems = problems
        self.data: Any = document.data
        if resolve and document.refers:
            self.data = self._resolve(document.data, ())

    def place(self, where: Where) -> tuple[Document, Where]:
        """Where a value of `data` is written."""
        return self.document, where

    def is_reference(self, where: Where) -> bool:
        """Tell whether a value of `data` was written as a reference."""
        return where in self.references

    def _resolve(self, value: Plain, where: Where) -> Plain:
        if isinstance(value, list):
            return [self._resolve(entry, (*where, index)) for index, entry in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if any(key.startswith("$") for key in value):
            return self._refer(value, where)
        return {key: self._resolve(entry, (*where, key)) for key, entry in value.items()}

    def _refer(self, value: dict[str, Plain], where: Where) -> str:
        """Resolve one reference; after a problem the empty text stands in, so that checking goes on."""
        self.references.add(where)
        try:
            return self._read(value)
        except ValueError as exc:
            self._problems.add(self.document, where, str(exc), settles=True)
        except OSError as exc:
            text = f"{next(iter(value.values()))}: {exc.strerror}"
            self._problems.add(self.document, where, text, settles=True)
        return ""

    def _read(self, value: dict[str, Plain]) -> str:
        [key, target], *others = value.items()
        if others:
            raise ValueError("a reference stands alone: {$env: NAME} or {$file: path}")
        if not isinstance(target, str) or not target or "\0" in target:
            raise ValueError(f"{key} needs a name as text")
        if key == "$env":
            return _from_environment(target)
        if key == "$file":
            path = self.document.path.parent / target
            self.files.append(path)
            return _from_file(path, target)
        raise ValueError(f"{key} is no reference; write $env or $file{did_you_mean(key, ('$env', '$file'))}")


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ValueError(f"environment variable {name} is not set")
    if not value:
        raise ValueError(f"environment variable {name} is empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"environment variable {name} is not UTF-8") from None
    return value


def _from_file(path: Path, shown: str) -> str:
    with open(path, "rb", opener=_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{shown} is not a regular file")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError(f"{shown} can be written by group or others (mode {found.st_mode & 0o777:o}); chmod go-w")
        content = file.read(LARGEST_VALUE + 1)
    if len(content) > LARGEST_VALUE:
        raise ValueError(f"{shown} is larger than {LARGEST_VALUE >> 20} MiB")
    try:
        value: str = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not UTF-8") from None
    if not value:
        raise ValueError(f"{shown} is empty")
    return value


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a FIFO would wait for its writer

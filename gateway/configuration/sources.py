"""The files of a configuration, read on after a problem so that all are found. loading.py says what they mean."""

import os
import sys
from bisect import bisect_right
from glob import glob, has_magic
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

from gateway.configuration.problems import Problems, reach
from gateway.configuration.references import Source
from gateway.configuration.yaml_source import Document, Where, read_yaml
from gateway.errors import ConfigurationError

MOST_LOOKED_AT = 10_000
"""Files that one pattern may look at; one that runs away (`/**`) is stopped there."""


class PolicySource:
    """policy.yaml with the items of the files it includes behind its own.

    Attributes:
        data: one mapping, as if everything stood in one file.
    """

    def __init__(self, main: Source, included: list[Source]) -> None:
        self._sources = [main, *included]
        lists = [_items(source.data) for source in self._sources]
        self._starts = [0, *accumulate(map(len, lists))]
        self.data: Any = main.data
        if included and isinstance(main.data.get("items", []), list):
            self.data = main.data | {"items": [item for items in lists for item in items]}

    def place(self, where: Where) -> tuple[Document, Where]:
        """The file, and the place in it."""
        source, inner = self._find(where)
        return source.place(inner)

    def is_reference(self, where: Where) -> bool:
        """Tell whether the value was written as a reference."""
        source, inner = self._find(where)
        return source.is_reference(inner)

    def _find(self, where: Where) -> tuple[Source, Where]:
        match where:
            case ("items", int(index), *rest) if index < self._starts[-1]:
                number = bisect_right(self._starts, index) - 1
                return self._sources[number], ("items", index - self._starts[number], *rest)
        return self._sources[0], where


def _items(data: Any) -> list[Any]:
    items = data.get("items")
    return items if isinstance(items, list) else []


class Files:
    """Reads the files of one configuration and remembers which.

    Attributes:
        read: every file that was asked for, secrets included, in order.

    Args:
        base: folder that messages name files from.
        problems: where to note what is wrong.
        resolve: False leaves references as they are written.
    """

    def __init__(self, base: Path, problems: Problems, *, resolve: bool = True) -> None:
        self.read: list[Path] = []
        self._resolve = resolve
        self._base = base
        self._problems = problems

    def mapping(self, path: Path) -> Source | None:
        """Read one file that holds a mapping; None when it cannot be used at all."""
        self.read.append(path)
        shown = str(path.relative_to(self._base)) if path.is_relative_to(self._base) else str(path)
        try:
            source = Source(read_yaml(path, shown), self._problems, resolve=self._resolve)
        except ConfigurationError as exc:
            self._problems.extend(exc)
            return None
        self.read += source.files
        if isinstance(source.data, dict):
            return source
        self._problems.at(source, (), "should be a mapping of keys")
        return None

    def policy(self, path: Path) -> PolicySource | None:
        """Read policy.yaml and the files it includes; None when policy.yaml itself cannot be used at all."""
        main = self.mapping(path)
        if main is None:
            return None
        patterns = reach(main.data, ("include",))
        included: dict[Path, Source | None] = {}
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            if isinstance(pattern, str) and "\0" in pattern:
                self._problems.at(main, ("include", index), "holds a NUL byte, which no file's name can")
            elif isinstance(pattern, str) and pattern:
                for file in self._matching(main, pattern, index):
                    included[file] = included[file] if file in included else self._included(file)
        return PolicySource(main, [source for source in included.values() if source is not None])

    def _matching(self, main: Source, pattern: str, index: int) -> list[Path]:
        folder = main.document.path.parent
        if not has_magic(pattern):
            return [folder / pattern]
        if _runs_away(folder, Path(pattern).parts):
            self._problems.at(main, ("include", index), f"{pattern!r} looks at more than {MOST_LOOKED_AT} files")
            return []
        files = [folder / name for name in sorted(glob(pattern, root_dir=folder, recursive=True))]
        if not files:
            self._problems.at(main, ("include", index), f"{pattern!r} matches no file")
        return files

    def _included(self, path: Path) -> Source | None:
        source = self.mapping(path)
        if source is None:
            return None
        for key in source.data:
            if key != "items":
                self._problems.at(source, (key,), "unknown key; an included file holds items and nothing else")
        if not isinstance(source.data.get("items"), list):
            self._problems.at(source, ("items",), "should be a list")
        return source


def _runs_away(folder: Path, steps: tuple[str, ...]) -> bool:
    """Tell whether a pattern has too many files below the folders that it names outright."""
    named = list(takewhile(lambda step: not has_magic(step), steps))
    base = folder.joinpath(*named)
    levels = sys.maxsize if "**" in steps else len(steps) - len(named)
    seen = 0
    for place, folders, files in os.walk(base, followlinks=True):  # as glob does
        seen += len(folders) + len(files)
        if seen > MOST_LOOKED_AT:
            return True
        inner = len(Path(place).relative_to(base).parts) + 1 < levels
        folders[:] = [name for name in folders if inner and not name.startswith(".")]
    return False

"""YAML as configuration needs it: plain data, the line of every key, and no surprises. loading.py is its reader.

Scalars are those of the YAML 1.2 JSON schema (§10.2): `yes`, `on`, `010`, `1:30` and `2026-11-22` are text. Mappings
have no duplicate keys, tags are refused, and anchors cannot multiply.
"""

import re
import stat
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from gateway.errors import ConfigurationError

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"
"""What a document holds once it is read."""

Where = tuple[str | int, ...]
"""A place in a document: keys and indices from the root."""

LARGEST_FILE = 64 << 20
DEEPEST = 32
MOST_ALIASED = 100_000
MOST_DUPLICATES = 1000
"""Bounds: bytes of a file, nesting, values that aliases repeat in one file, and duplicate keys that are told."""

_WORDS: dict[str, bool | None] = dict.fromkeys(("", "~", "null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][-+]?[0-9]{1,2})?")
_FLOW_HINT = '; inside {…}, text that holds { or } needs quotes: {method: GET, path: "/guides/{id}"}'
_MAYBE_TYPED = "-0123456789nNtTfF~"


class Document:
    """One file: its data and where each value is written.

    Attributes:
        path: the file.
        shown: how messages name it.
        data: dicts with text keys, lists, text, numbers, booleans and None.
        refers: whether a key may begin with `$`.
    """

    def __init__(self, path: Path, shown: str, data: Plain, lines: dict[int, list[int]], refers: bool) -> None:
        self.path = path
        self.shown = shown
        self.data: Any = data
        self.refers = refers
        self._lines = lines

    def line(self, where: Where) -> int:
        """Line (from 1) of a key or an entry; of the nearest parent when there is no such place."""
        node, line = self.data, 1
        for step in where:
            if isinstance(node, dict) and step in node:
                index = list(node).index(step)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                index = step
            else:
                break
            line = self._lines[id(node)][index]
            node = node[step]
        return line

    def holds(self, where: Where) -> bool:
        """Tell whether something is written at a place."""
        node = self.data
        for step in where:
            inside = isinstance(node, dict) and step in node
            if not inside and not (isinstance(node, list) and isinstance(step, int) and step < len(node)):
                return False
            node = node[step]
        return True


def read_yaml(path: Path, shown: str | None = None) -> Document:
    """Read one file.

    Args:
        path: the file.
        shown: how messages name it; the file's own name when missing.

    Raises:
        ConfigurationError: it cannot be read, is too large, not UTF-8, not YAML, empty, or uses what is refused here;
            every duplicate key is a line of its own.
    """
    shown = shown or path.name
    return _parse(_read(path, shown), path, shown)


@lru_cache(maxsize=512)
def _parse(content: bytes, path: Path, shown: str) -> Document:
    """A reload parses only the files that changed: nobody changes a document."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = content.count(b"\n", 0, exc.start) + 1
        raise ConfigurationError([f"{shown}:{line}: is not UTF-8 (byte 0x{content[exc.start]:02x})"]) from None
    builder = _Builder(content, shown)
    try:
        data = builder.document()
    except YAMLError as exc:
        raise ConfigurationError([f"{shown}:{_line_of(exc)}: {_sentence(exc)}"]) from None
    if builder.duplicates:
        raise ConfigurationError(builder.duplicates)
    return Document(path, shown, data, builder.lines, b"$" in content)


def _read(path: Path, shown: str) -> bytes:
    whole = f" ({path})" if str(path) != shown else ""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigurationError([f"{shown}: is not a file{whole}"])
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ConfigurationError([f"{shown}: no such file{whole}"]) from None
    except OSError as exc:
        raise ConfigurationError([f"{shown}: cannot be read: {exc.strerror}{whole}"]) from None
    if len(content) > LARGEST_FILE:
        raise ConfigurationError([f"{shown}: is larger than {LARGEST_FILE >> 20} MiB"])
    return content


def _line_of(exc: YAMLError) -> int:
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    return 1 if mark is None else mark.line + 1


def _sentence(exc: YAMLError) -> str:
    said = [getattr(exc, "context", None), getattr(exc, "problem", None) or getattr(exc, "reason", None)]
    hint = _FLOW_HINT if "flow mapping" in str(said[0]) else ""
    return "is not YAML: " + (", ".join(part for part in said if part) or str(exc)) + hint


class _Builder:
    """Builds plain data from libyaml's events: one pass, because ten thousand items must load in about a second."""

    def __init__(self, content: bytes, shown: str) -> None:
        self._next: Callable[[], Any] = CParser(content).get_event
        self._shown = shown
        self._depth = 0
        self._anchors: dict[str, Plain] = {}
        self._inside_anchor = 0
        self._aliased = 0
        self.lines: dict[int, list[int]] = {}
        self.duplicates: list[str] = []

    def document(self) -> Plain:
        self._next()
        start = self._next()
        data = self._value(self._next()) if isinstance(start, DocumentStartEvent) else None
        if data is None:
            raise self._refusal(start, "is empty; it should hold a mapping of keys")
        self._next()
        following = self._next()
        if not isinstance(following, StreamEndEvent):
            raise self._refusal(following, "holds a second document; one file is one document")
        return data

    def _refusal(self, event: Event, text: str) -> ConfigurationError:
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        return ConfigurationError([f"{self._shown}:{line}: {text}"])

    def _value(self, event: AliasEvent | ScalarEvent | CollectionStartEvent) -> Plain:
        """Any value that is not a plain entry; scalars of the common kind take the shorter way in the loops."""
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            raise self._refusal(event, f"tag {event.tag!r} is not allowed")
        if isinstance(event, ScalarEvent):
            value = _scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = value
            return value
        return self._collection(event)

    def _collection(self, event: CollectionStartEvent) -> Plain:
        if self._depth == DEEPEST:
            raise self._refusal(event, f"is nested deeper than {DEEPEST} levels")
        self._depth += 1
        self._inside_anchor += event.anchor is not None
        built = self._mapping() if isinstance(event, MappingStartEvent) else self._sequence()
        self._inside_anchor -= event.anchor is not None
        self._depth -= 1
        if event.anchor is not None:
            self._anchors[event.anchor] = built
        return built

    def _mapping(self) -> dict[str, Plain]:
        data: dict[str, Plain] = {}
        lines = self.lines[id(data)] = []
        take = self._next
        while type(event := take()) is not MappingEndEvent:
            line = event.start_mark.line + 1
            key = self._key(event)
            event = take()
            plain = type(event) is ScalarEvent and event.tag is None and event.anchor is None
            value = _scalar(event) if plain else self._value(event)
            if key in data:
                if len(self.duplicates) == MOST_DUPLICATES:
                    raise ConfigurationError(self.duplicates)
                first = lines[list(data).index(key)]
                self.duplicates.append(f"{self._shown}:{line}: duplicate key {key!r}, first on line {first}")
                continue
            data[key] = value
            lines.append(line)
        return data

    def _key(self, event: NodeEvent) -> str:
        if not isinstance(event, ScalarEvent) or event.tag is not None:
            raise self._refusal(event, "a key must be plain text")
        if event.anchor is not None:
            self._anchors[event.anchor] = event.value
        return event.value

    def _sequence(self) -> list[Plain]:
        data: list[Plain] = []
        lines = self.lines[id(data)] = []
        take = self._next
        while type(event := take()) is not SequenceEndEvent:
            lines.append(event.start_mark.line + 1)
            plain = type(event) is ScalarEvent and event.tag is None and event.anchor is None
            data.append(_scalar(event) if plain else self._value(event))
        return data

    def _alias(self, event: AliasEvent) -> Plain:
        if self._inside_anchor:
            raise self._refusal(event, f"alias *{event.anchor} stands inside an anchored value; that could multiply")
        if event.anchor not in self._anchors:
            raise self._refusal(event, f"alias *{event.anchor} has no anchor before it")
        value = self._anchors[event.anchor]
        self._aliased += _size(value)
        if self._aliased > MOST_ALIASED:
            raise self._refusal(event, f"aliases repeat more than {MOST_ALIASED} values")
        return value


def _scalar(event: ScalarEvent) -> Plain:
    text = event.value
    if not event.implicit[0] or text[:1] not in _MAYBE_TYPED:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _size(value: Plain) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1

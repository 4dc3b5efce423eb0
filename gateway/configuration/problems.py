"""What is wrong with a configuration, as lines people can act on: file, line, YAML path, sentence, remedy.

sentences.py notes pydantic's findings here, the rules note their own; loading.py raises them all at once.
"""

import difflib
from collections.abc import Iterable
from typing import Any, Protocol

from gateway.configuration.yaml_source import Document, Where
from gateway.errors import ConfigurationError

MOST_TOLD = 100
"""Problems that are listed; nobody reads more at once."""
LONGEST_TEXT = 600
"""Characters of a sentence or a place: values in a broken file may have a million."""


class Placed(Protocol):
    """Data whose every value can be found in a file."""

    data: Any

    def place(self, where: Where) -> tuple[Document, Where]:
        """The file, and the place in it."""
        ...

    def is_reference(self, where: Where) -> bool:
        """Tell whether the value was written as a reference."""
        ...


class Problems:
    """Collects problems, so that all of them are told at once, in the order of the files."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._found: list[tuple[int, int, str]] = []
        self._settled: set[tuple[str, Where]] = set()
        self._uncounted = 0

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, document: Document, where: Where, text: str, *, settles: bool = False) -> None:
        """Note a problem with one value; one that `settles` the place is the last that is noted there."""
        if (document.shown, where) in self._settled:
            return
        if settles:
            self._settled.add((document.shown, where))
        line = document.line(where)
        path = f" {_shortened(written(where))}" if where else ""
        text = " ".join(text.splitlines())  # an import error's text, for one, may have several lines
        self._note(document.shown, line, f"{document.shown}:{line}{path}: {_shortened(text)}")

    def at(self, source: Placed, where: Where, text: str, *, settles: bool = False) -> None:
        """Note a problem with one value of a source that may be spread over several files."""
        self.add(*source.place(where), text, settles=settles)

    def skip(self, count: int) -> None:
        """Count problems that nobody will read, without a sentence for each."""
        self._uncounted += count

    def extend(self, error: ConfigurationError) -> None:
        """Note what another reader found."""
        for number, text in enumerate(error.problems):
            self._note(text.partition(":")[0], number, _in_one_line(text))

    def _note(self, file: str, line: int, text: str) -> None:
        if file not in self._files:
            self._files.append(file)
        self._found.append((self._files.index(file), line, text))

    def lines(self) -> list[str]:
        """By file and line, the same text once; of very many the first, and how many more there are."""
        found = list(dict.fromkeys(text for *_, text in sorted(self._found)))
        more = len(found[MOST_TOLD:]) + self._uncounted
        return [*found[:MOST_TOLD], f"and {more} more"] if more else found


def _in_one_line(text: str) -> str:
    """With escapes for what would break the line: the name of a file may hold anything."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def _shortened(text: str) -> str:
    """Without the middle of what is too long: the place and the remedy stand at the ends."""
    half = LONGEST_TEXT // 2
    return text if len(text) <= LONGEST_TEXT else f"{text[:half]}…{text[-half:]}"


def written(where: Iterable[str | int]) -> str:
    """Write a place as people do: `items[2].reauthorize[0]`."""
    text = ""
    for step in where:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if step.isprintable() else repr(step))
    return text


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A suggestion in brackets, with a leading blank, the prefix before the word; empty when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {prefix + near[0]!r}?)" if near else ""


def reach(data: Any, where: Where) -> Any:
    """The value at a place; None when there is none."""
    for step in where:
        inside = isinstance(data, dict) and step in data
        if not inside and not (isinstance(data, list) and isinstance(step, int) and step < len(data)):
            return None
        data = data[step]
    return data

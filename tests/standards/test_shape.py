"""The shape of the code: short functions, short files, and every silenced check with its reason."""

import ast
import re
from functools import cache
from pathlib import Path
from statistics import median

from tests.parsing import parsed

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("gateway", "plugins", "sandbox") for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def function_lengths() -> dict[str, int]:
    lengths: dict[str, int] = {}
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                end = node.end_lineno or node.lineno
                lengths[f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"] = end - node.lineno + 1
    return lengths


def test_functions_are_short():
    lengths = sorted(function_lengths().values())
    assert median(lengths) <= 9
    assert lengths[int(len(lengths) * 0.9)] < 30


def test_no_function_is_longer_than_sixty_lines():
    assert not {name: length for name, length in function_lengths().items() if length > 60}


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    too_long = {name: length for name, length in lengths.items() if length > 400}
    # One tree, drawn at the top of one file, is easier to read than two halves of it; so is one list of names.
    assert set(too_long) <= {"gateway/errors.py", "gateway/__init__.py"}


def test_every_silenced_check_says_which_one():
    silenced = re.compile(r"#\s*(?:noqa(?!: [A-Z]+\d+)|type: ignore(?!\[))")
    found = [f"{path}:{number}" for path in SOURCES for number, line in _lines(path) if silenced.search(line)]
    assert not found


def _lines(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))

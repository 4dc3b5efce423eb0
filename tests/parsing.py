"""Source code as a tree, for tests that hold rules about the code."""

import ast
import gc
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """The tree of a file.

    The garbage collector rests meanwhile: it could end a task that failed, whose traceback is parsed as well, and
    CPython 3.11 takes a tree within a tree for a defect of its own (python/cpython#106905).
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    finally:
        if collecting:
            gc.enable()

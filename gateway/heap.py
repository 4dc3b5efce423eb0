"""When the garbage collector looks: not while much is being made, and not again through what stays.

A start makes a million objects and hardly any garbage, and the collector would look through them again and again.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG, _MIDDLE, _OLD = 50_000, 20, 20
"""Objects made since the last look, and looks at younger ones, after which the collector looks."""


def rest() -> None:
    """Let the collector rest until `set_aside`: for a process that starts."""
    gc.disable()


@contextmanager
def at_rest() -> Iterator[None]:
    """Let the collector rest for a while."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def set_aside() -> None:
    """Keep what lives now out of later collections: configuration stays, requests come and go."""
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
    gc.enable()


def settle() -> None:
    """Look for garbage everywhere once, for example a replaced policy, and set the rest aside again."""
    gc.unfreeze()
    gc.collect()
    set_aside()

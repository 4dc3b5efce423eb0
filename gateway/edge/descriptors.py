"""As many file descriptors as the system grants, and no more connections than that. server.py asks at its start."""

import contextlib
import resource
from collections.abc import Callable

RESERVE = 64
"""Descriptors that clients cannot have: records, keys, the management listener, connections inward."""

Limits = tuple[int, int]
"""Soft and hard, as getrlimit(2) tells them."""


def _read() -> Limits:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _write(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def affordable_connections(
    wanted: int, read: Callable[[], Limits] = _read, write: Callable[[Limits], None] = _write
) -> int:
    """Raise the process's soft limit of descriptors to the hard one when it is too low, and tell what it carries.

    Args:
        wanted: connections that are configured.
        read: gives the limits of open descriptors.
        write: sets them.

    Returns:
        `wanted`, or fewer when descriptors do not suffice; at least one.
    """
    needed = wanted + RESERVE
    soft, hard = read()
    if _allows(soft, needed):
        return wanted
    with contextlib.suppress(OSError, ValueError):  # not granted: then it stays as it is
        write((hard if hard != resource.RLIM_INFINITY else needed, hard))
        soft, _ = read()
    return wanted if _allows(soft, needed) else max(1, soft - RESERVE)


def _allows(soft: int, needed: int) -> bool:
    return soft == resource.RLIM_INFINITY or soft >= needed

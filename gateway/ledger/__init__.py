"""What is kept for good: whose channel accounts and devices are whose, and every change of that (docs/ledger.md).

Desk and channels get it through `open_ledger`; SQLAlchemy is imported there, where somebody needs it, and not before.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from gateway.ledger.ledger import Ledger


def open_ledger(
    url: str,
    base_dir: Path,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    log: Any = None,
    keys: Sequence[bytes] = (b"",),
    stale: float = 5.0,
) -> "Ledger":
    """Make a ledger of a database; `start` connects it.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`.
        base_dir: what a relative FILE is relative to: the folder of gateway.yaml.
        clock: wall clock, Unix seconds.
        monotonic: for durations, seconds.
        log: the application log.
        keys: of the digests by which identity numbers are recognised; the first one makes them.
        stale: see LedgerMemory.

    Raises:
        ConfigurationError: no such database can be used by this installation.
    """
    from gateway.ledger.database import Database  # noqa: PLC0415 - takes a third of a second, not everybody needs it
    from gateway.ledger.ledger import Ledger  # noqa: PLC0415

    log = structlog.get_logger() if log is None else log
    return Ledger(Database(url, base_dir, monotonic), clock, log, keys=keys, stale=stale)

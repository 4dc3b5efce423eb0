"""Where the work of a provider that takes its time is done: in a thread, so that the event loop goes on."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.crypto import CryptoProvider

T = TypeVar("T")


async def aside(provider: CryptoProvider, work: Callable[[], T]) -> T:
    """Do the work: here for a quick provider, in a thread for any other.

    Raises:
        CryptoError: as `work` does.
    """
    return work() if provider.quick else await asyncio.to_thread(work)

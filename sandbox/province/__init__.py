"""The province's unified identity platform (省统一身份认证平台), simulated: logins, tokens, keys, routing, logout.

The gateway's province verifiers and platforms are its counterparts. Whatever lies under /sandbox/ exists only here,
for trying things out.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web

from sandbox.accounts import SAMPLE_ACCOUNTS, Account, Register
from sandbox.province.clients import Client, Clients, NoticeForm, read_clients
from sandbox.province.platform import Province

__all__ = ["Client", "NoticeForm", "create_province", "read_clients"]


def create_province(
    accounts: Mapping[str, Account] = SAMPLE_ACCOUNTS,
    issuer: str = "http://127.0.0.1:8100",
    clock: Callable[[], float] = time.time,
    *,
    client: Client | None = None,
    clients: Sequence[Client] = (),
) -> web.Application:
    """Build the province platform.

    Args:
        accounts: who has registered, by the name that `/sandbox/token` takes.
        issuer: its own address as tokens and metadata name it (`iss`), without a slash at the end.
        clock: seconds since the epoch.
        client: the only department it knows; None for the sandbox's own, `Client()`.
        clients: the departments it knows, when they are several.
    """
    registered = Clients(clients or [client or Client()])
    return Province(Register(accounts), issuer, registered, clock).application()

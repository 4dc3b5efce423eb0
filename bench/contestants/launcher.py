"""What the measures of Tongguan's own properties ask for: the gateway in a given size and shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from bench.contestants.base import Contestant
from bench.processes import Running
from bench.world import World

LIMITED_PATH = "/limited/1"
"""An item with a rate limit of one request a minute, answered with 429 after that."""

BULK_PATH = "/bulk/1"
"""An item that takes PUT and GET with bodies of up to 2 GiB."""


@dataclass(frozen=True, slots=True)
class SessionShape:
    """How sign-in sessions are kept.

    Attributes:
        redis: address of the Redis that has them; None keeps them in the worker.
        remember: seconds a worker believes a session without looking; 0 looks at each request. The default is the
            product's own.
    """

    redis: str | None = None
    remember: int = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """The size and shape of one gateway.

    Attributes:
        items: how many items its catalogue holds, the ones asked for included.
        grants: how many grants the re-authorizer of `PATH` looks among.
        workers: edge processes.
        via: how `PATH` reaches the back end; "ferry" starts the inner unit too.
        sessions: how sign-in sessions are kept; None where nobody signs in.
        ledger: a ledger (bench.ledgers) that four re-authorizers of `PATH` decide by; None leaves it to `grants`.
    """

    items: int = 10
    grants: int = 1000
    workers: int = 1
    via: Literal["direct", "ferry"] = "direct"
    sessions: SessionShape | None = None
    ledger: Path | None = None


class Launcher(Contestant, Protocol):
    """A contestant that comes in more than one shape."""

    def launch(self, shape: Shape, world: World, workdir: Path, port: int) -> Running:
        """Start a gateway of this shape on `port`, every process on the contestant core.

        The `pids` of what it returns name the outer and, behind a ferry, the inner unit.
        Besides `PATH` it serves `LIMITED_PATH` and `BULK_PATH`; all reach the back end of `world`. Its caps on
        connections and requests in flight, in all and for each client address, leave room for 10,000 connections.

        Raises:
            StartError: it did not come up.
        """

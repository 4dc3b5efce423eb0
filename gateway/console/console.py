"""What the back office works with. process.py makes it; a handler gets it by `console_of(request)`."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from gateway.console.comparing import Comparing
from gateway.inbound import InboundReader
from gateway.ledger.appeals import Appeals
from gateway.ledger.applications import Applications
from gateway.ledger.bindings import Bindings
from gateway.ledger.changes import History
from gateway.ledger.designated import DesignatedDevices
from gateway.ledger.dossier import Dossiers
from gateway.ledger.grants import Grants
from gateway.ledger.imports import Imports
from gateway.ledger.operators import Operators
from gateway.ledger.parties import Parties
from gateway.ledger.queues import Queues
from gateway.ledger.rules import Rules
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_sessions import StaffSessions
from gateway.ledger.staff_sign_in import StaffSignIn
from gateway.office_settings import ConsoleSettings
from gateway.throttle import Rates


class Console(msgspec.Struct, frozen=True, eq=False):
    """One back office.

    Attributes:
        settings: `console` of gateway.yaml.
        rules: the current Rules.
        clock: wall clock, Unix seconds.
        log: the application log.
        reader: the raw-request check, with the hosts of `console`.
        rates: counts attempts to sign in.
    """

    settings: ConsoleSettings
    rules: Callable[[], Rules]
    clock: Callable[[], float]
    log: Any
    reader: InboundReader
    rates: Rates
    sign_in: StaffSignIn
    sessions: StaffSessions
    staff: StaffRegister
    parties: Parties
    applications: Applications
    operators: Operators
    grants: Grants
    bindings: Bindings
    appeals: Appeals
    devices: DesignatedDevices
    queues: Queues
    dossiers: Dossiers
    history: History
    imports: Imports
    comparing: Comparing


CONSOLE: web.AppKey[Console] = web.AppKey("console", Console)


def console_of(request: web.Request) -> Console:
    """The back office, for this request."""
    return request.app[CONSOLE]

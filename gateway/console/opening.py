"""Puts the back office together: its use cases over one ledger. process.py opens it; tests do with a small ledger."""

from collections.abc import Sequence
from typing import Any

from gateway.console.comparing import Comparing
from gateway.console.console import Console
from gateway.identity.sealing import Sealing
from gateway.inbound import InboundReader
from gateway.ledger.acting import Office
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
from gateway.ledger.passwords import Passwords
from gateway.ledger.queues import Queues
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_sessions import StaffSessions
from gateway.ledger.staff_sign_in import StaffSignIn
from gateway.office_settings import ConsoleSettings
from gateway.settings import LimitSettings
from gateway.throttle import Rates
from gateway.units import Network

SEALED = "staff second factor"
"""What the keys of `console.keys` seal; nothing that is sealed for something else opens as one."""


def open_console(
    office: Office,
    settings: ConsoleSettings,
    comparing: Comparing,
    passwords: Passwords,
    log: Any,
    *,
    trusted: Sequence[Network] = (),
    limits: LimitSettings | None = None,
) -> Console:
    """Make the back office of a ledger.

    Args:
        office: where acts begin; it has the rules.
        settings: `console` of gateway.yaml.
        comparing: see Comparing.
        passwords: keeps and checks passwords; whoever has made it closes it.
        log: the application log.
        trusted: proxies that are believed who the client is.
        limits: of a request's header; the defaults when missing.
    """
    sessions = StaffSessions(office, settings)
    staff = StaffRegister(office, passwords)
    operators, grants = Operators(office), Grants(office)
    return Console(
        settings=settings,
        rules=lambda: office.rules,
        clock=office.clock,
        log=log,
        reader=InboundReader(settings.hosts, settings.scheme, trusted, limits or LimitSettings()),
        rates=Rates(),
        sign_in=StaffSignIn(office, sessions, passwords, settings, Sealing(settings.keys, SEALED)),
        sessions=sessions,
        staff=staff,
        parties=Parties(office),
        applications=Applications(office),
        operators=operators,
        grants=grants,
        bindings=Bindings(office),
        appeals=Appeals(office),
        devices=DesignatedDevices(office),
        queues=Queues(office),
        dossiers=Dossiers(office),
        history=History(office),
        imports=Imports(office, staff, operators, grants),
        comparing=comparing,
    )

"""Makes the forwarder of a system, direct or across the gatekeeper: for items (building.py) and for the back office."""

from typing import Any

from gateway.contracts import Forwarder
from gateway.ferry.carriers import carrier_of
from gateway.forward.direct import DirectForwarder
from gateway.forward.ferry import FerryForwarder
from gateway.forward.upstream import Upstream
from gateway.inward import IdentitySigner
from gateway.settings import DirectSettings, FerrySettings


def make_forwarder(settings: DirectSettings | FerrySettings, signer: IdentitySigner, log: Any) -> Forwarder:
    """Make it; whoever has it starts and stops it.

    Args:
        settings: of the system.
        signer: signs who asks.
        log: the application log.

    Raises:
        ConfigurationError: the carrier's address is missing, or the gatekeeper's key too short.
    """
    if isinstance(settings, FerrySettings):
        return FerryForwarder(settings, carrier_of(settings.carrier), signer, log=log)
    upstream = Upstream(settings, log=log)
    if settings.identity == "none":
        return DirectForwarder(upstream, None, tunnels=settings.tunnels)
    return DirectForwarder(
        upstream, lambda principal: signer.assertion(principal, settings.name), tunnels=settings.tunnels
    )

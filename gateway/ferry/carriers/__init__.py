"""What moves frames between the units. `carrier_of` makes the one that the configuration names."""

from gateway.contracts import Carrier
from gateway.errors import ConfigurationError
from gateway.ferry.carriers.memory import MemoryCarrier
from gateway.ferry.carriers.socket import SocketCarrier
from gateway.settings import CarrierSettings

__all__ = ["MemoryCarrier", "SocketCarrier", "carrier_of"]


def carrier_of(settings: CarrierSettings) -> Carrier:
    """Make the outer end of a carrier. A memory carrier has nobody at its other end unless a test puts a unit there.

    Raises:
        ConfigurationError: a socket carrier without an address.
    """
    if settings.kind == "memory":
        return MemoryCarrier()
    if settings.address is None:
        raise ConfigurationError(["carrier.address: a socket carrier needs the gatekeeper's address"])
    return SocketCarrier(settings.address)

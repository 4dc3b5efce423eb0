"""Parts for configurations under test; their `use` is tests.configuration.config_parts:NAME."""

from pydantic import Field, SecretStr, field_validator

from gateway.contracts import Channel, Reauthorizer, Settings, Verifier
from gateway.model import ALLOW, Credential, Decision, Inbound, Principal, Visit
from gateway.units import Duration


class KeyConfig(Settings):
    id: str
    secret: SecretStr


class DoorConfig(Settings):
    window: Duration = Field(300.0, gt=0)
    keys: tuple[KeyConfig, ...] = ()
    aliases: dict[str, SecretStr] = Field(default_factory=dict)


class Door(Channel[DoorConfig]):
    """A channel."""

    Config = DoorConfig

    async def identify(self, inbound: Inbound) -> Credential | None:
        return None


class RememberingDoor(Door):
    """A channel that every worker has to share."""

    shares_state = True


class Desk(Verifier[Settings]):
    """A verifier."""

    async def verify(self, credential: Credential) -> Principal | None:
        return None


class HoursConfig(Settings):
    opens: int = Field(9, ge=0, le=23)
    closes: int = 17
    window: Duration = Field(60.0, gt=0)

    @field_validator("closes")
    @classmethod
    def _breaks(cls, value: int) -> int:
        if value == 13:
            raise RuntimeError("an unlucky hour")
        return value


class Hours(Reauthorizer[HoursConfig]):
    """A re-authorizer."""

    Config = HoursConfig

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        return ALLOW


class UnitsHours(Hours):
    """A re-authorizer that lets no natural person through."""

    units_only = True


class Unfinished(Channel[Settings]):
    """A channel that forgot its method."""


class Stranger:
    """No part at all."""

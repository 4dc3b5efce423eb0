"""Configuration keys of the back office (gateway.yaml `console`) and of what it binds units to (policy.yaml `systems`).

settings.py has all other keys and names these.
"""

from typing import Literal

from pydantic import Field, SecretStr

from gateway.contracts import Settings
from gateway.units import AddressText, Duration, Name

TwoPeople = Literal["opening", "binding"]


class LookupSettings(Settings):
    """Where a business system answers what it knows of a unit."""

    route: Name = Field(description="its route in gatekeeper.yaml; via direct any name")
    path: str = Field(pattern=r"^/[!-~]*$", description="its path; of `record` with {local_id}: /units/{local_id}")


class LocalIdSettings(Settings):
    """How a business system writes its own ids of units, and where its records can be looked up."""

    name: str = Field(min_length=1, max_length=40, description="what people call the id (社保编号)")
    length: int = Field(ge=1, le=64, description="characters of it, exactly: 20 at social insurance, 40 at tax")
    alphabet: Literal["digits", "upper", "alphanumeric"] = Field(
        "digits", description="digits, digits and capital letters, or digits and letters"
    )
    record: LookupSettings | None = Field(None, description="fetches one record by `{local_id}`")
    search: LookupSettings | None = Field(None, description="finds records by the query parameter `uscc`")


class ConsoleSettings(Settings):
    """The back office for the agency's staff: `tongguan console` (docs/console.md)."""

    listen: AddressText = Field(description="its listener; never the public one")
    hosts: tuple[str, ...] = Field(min_length=1, description="values of Host that it answers to")
    scheme: Literal["http", "https"] = Field("https", description="how staff reach it")
    keys: tuple[SecretStr, ...] = Field(
        min_length=1,
        description="keys that seal second factors in the ledger, 32 bytes at least; the first one seals, all open",
    )
    idle: Duration = Field(900.0, ge=60, le=86400, description="a session without a request ends after this")
    absolute: Duration = Field(28800.0, ge=60, le=86400, description="every session ends after this")
    lock_after: int = Field(5, ge=1, le=20, description="failed sign-ins in a row that lock an account")
    lock_for: Duration = Field(900.0, ge=1, le=86400, description="how long it stays locked")
    password_length: int = Field(12, ge=8, le=64, description="characters of a password at least")
    password_age: Duration = Field(7776000.0, ge=86400, description="a password has to be changed after this")
    two_people: tuple[TwoPeople, ...] = Field(
        ("opening", "binding"), description="what needs a second person: opening items, binding accounts"
    )
    acceptance: bool = Field(True, description="operators have to accept what is granted to them")

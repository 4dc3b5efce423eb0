"""Configuration that every identity platform has: where it is, how patiently it is asked, what its levels mean.

calls.py asks by it. A platform has several entrances (Internet, government network), and one installation reaches one.
"""

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from gateway.contracts import Settings
from gateway.fetch import check_platform_address
from gateway.units import Duration

Level = Annotated[int, Field(ge=0, le=4)]
UrlPath = Annotated[str, Field(pattern=r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$")]


class CallSettings(Settings):
    """How patiently a platform is asked."""

    allow_http: bool = Field(False, description="allow plain http to another machine")
    timeout: Duration = Field(3.0, gt=0, le=10, description="for one question")
    concurrency: int = Field(32, ge=1, description="most questions at once; beyond it 503")
    failures: int = Field(5, ge=1, description="failed questions in a row after which nobody is asked for a while")
    pause: Duration = Field(3.0, gt=0, description="that while; then one question finds out")


class VerdictSettings(Settings):
    """How long a platform's word about a token counts."""

    remember: Duration = Field(30.0, ge=0, le=60, description="how long a yes may be remembered")
    remember_rejected: Duration = Field(5.0, ge=0, le=60, description="how long a no may be remembered")


class PlatformSettings(VerdictSettings, CallSettings):
    """Where a platform is and how its words are read."""

    issuer: str = Field(min_length=1, description="the name under which its persons are known here and inside")
    addresses: dict[str, str] = Field(
        min_length=1, description="base address of its interface in each network; https, or http on this machine"
    )
    network: str | None = Field(
        None, description="the network that this installation is in; may be missing where there is one address"
    )
    pages: str | None = Field(
        None, description="base address of its pages for browsers; the interface's own when missing"
    )
    tokens: str = Field(
        r"[A-Za-z0-9._~+/*@-]+=*",
        description="form of its tokens, a regular expression; every other token is left to the next verifier",
    )
    assurance: dict[str, Level] = Field(
        default_factory=dict, description="its levels and ours of each, 0 to 4; one that is not listed is 0"
    )
    faults: tuple[str, ...] = Field(
        (), description="codes of failure that are not the visitor's fault: 503 instead of 401"
    )
    step_up: bool = Field(
        False, description="its login page lets visitors choose a stronger login, so they are sent there for one"
    )
    lifetime: Duration = Field(
        28800.0, gt=0, le=86400, description="how long its sign-ins hold, where it does not say it"
    )

    @field_validator("tokens")
    @classmethod
    def _is_form(cls, tokens: str) -> str:
        return check_form(tokens)

    @model_validator(mode="after")
    def _is_reachable(self) -> "PlatformSettings":
        for address in [*self.addresses.values(), *([self.pages] if self.pages else [])]:
            check_platform_address(address, allow_http=self.allow_http)
        if self.network is None and len(self.addresses) > 1:
            raise ValueError("network is missing: there are several addresses")
        if self.network is not None and self.network not in self.addresses:
            raise ValueError(f"network {self.network!r} has no address")
        return self

    def interface(self, path: str) -> str:
        """Address of a path of the interface, in the network that this installation is in."""
        address = self.addresses[self.network] if self.network else next(iter(self.addresses.values()))
        return address.rstrip("/") + path

    def page(self, path: str) -> str:
        """Address of a page that browsers are sent to."""
        return self.pages.rstrip("/") + path if self.pages else self.interface(path)


def check_form(expression: str) -> str:
    """A regular expression, as it came.

    Raises:
        ValueError: it is none.
    """
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return expression

"""A fresh confirmation of who is there, right before something that counts: by a step-up login (RFC 9470)."""

from typing import Annotated, Literal

from pydantic import Field

from gateway import (
    ALLOW,
    Decision,
    Deny,
    Duration,
    Level,
    PartContext,
    Principal,
    Reauthorizer,
    Settings,
    StepUp,
    Visit,
)

AcrValue = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]
_AHEAD = 60.0
"""Seconds that the platform's clock may be ahead of ours; a login still further in the future proves nothing."""

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_AGAIN = (
    "为保障您的权益，提交前请再次确认身份：请重新登录，随后继续办理。",
    "Please confirm that it is you: sign in again, then go on.",
)
_NO_LOGIN = (
    "办理该事项需要更高等级的身份认证，您当前的登录渠道不提供该等级，请到线下窗口办理。",
    "This item needs a stronger sign-in than your platform offers. Please visit the service counter.",
)


class ConfirmAgainConfig(Settings):
    """How fresh the login has to be, and for which requests."""

    within: Duration = Field(300.0, ge=1, le=86400, description="how long ago the login may be")
    methods: tuple[Method, ...] = Field(
        ("POST", "PUT", "PATCH", "DELETE"),
        min_length=1,
        description="requests that need it; by default those that change",
    )
    acr_values: dict[Level, AcrValue] = Field(
        {1: "1", 2: "2", 3: "3", 4: "4"},
        description="levels a login can reach, and the platform's name of each; the least that the item takes is asked",
    )


class ConfirmAgain(Reauthorizer[ConfirmAgainConfig]):
    """Allows who has just signed in; asks the others to do so again."""

    Config = ConfirmAgainConfig

    def __init__(self, config: ConfirmAgainConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._methods = frozenset(config.methods)
        self._reachable = sorted(config.acr_values.items())

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow a fresh login and other methods; StepUp otherwise; Deny where no login reaches the item's level."""
        if visit.inbound.method not in self._methods:
            return ALLOW
        signed_in = principal.authenticated_at
        if signed_in is not None and -_AHEAD <= visit.at - signed_in <= self.config.within:
            return ALLOW
        wanted = next((acr for level, acr in self._reachable if level >= visit.item.assurance), None)
        if wanted is None:
            return Deny("assurance-too-low", _NO_LOGIN, f"no login of level {visit.item.assurance}")
        return StepUp(wanted, int(self.config.within), "login too long ago to confirm", _AGAIN)

"""A fresh confirmation of who is there, right before something that counts: by a step-up login (RFC 9470)."""

from typing import Literal

from pydantic import Field

from gateway import (
    ALLOW,
    AcrValue,
    Decision,
    Duration,
    Level,
    PartContext,
    Principal,
    Reauthorizer,
    Settings,
    Visit,
    ask_for_login,
    is_fresh,
)

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_AGAIN = (
    "为保障您的权益，提交前请再次确认身份：请重新登录，随后继续办理。",
    "Please confirm that it is you: sign in again, then go on.",
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

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow a fresh login and other methods; StepUp otherwise; Deny where no login reaches the item's level."""
        within = self.config.within
        if visit.inbound.method not in self._methods or is_fresh(principal, within, visit.at):
            return ALLOW
        why = "login too long ago to confirm"
        return ask_for_login(self.config.acr_values, visit.item.assurance, within, why, _AGAIN)

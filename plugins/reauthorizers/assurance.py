"""How strongly, and how lately, the person must have logged in; who has not is told which login would do (RFC 9470)."""

from typing import Annotated

from pydantic import Field

from gateway import ALLOW, Decision, Deny, Duration, PartContext, Principal, Reauthorizer, Settings, StepUp, Visit

Level = Annotated[int, Field(ge=0, le=4)]
AcrValue = Annotated[str, Field(pattern=r"^[!#-\[\]-~]+$")]

_AHEAD = 60.0
"""Seconds that the platform's clock may be ahead of ours; a login still further in the future proves nothing."""

_TOO_LOW = (
    "办理该事项需要更高等级的身份认证，您当前的登录渠道不提供该等级，请到线下窗口办理。",
    "This item needs a stronger sign-in than your platform offers. Please visit the service counter.",
)

_TOO_LONG_AGO = (
    "距上次登录时间过长，请重新登录后继续办理。",
    "You signed in too long ago for this item. Please sign in again and go on.",
)


class AssuranceConfig(Settings):
    """How strong and how fresh a login must be."""

    minimum: Level | None = Field(None, description="least level, 0 to 4; the item's own `assurance` when missing")
    max_age: Duration | None = Field(None, ge=1, description="how long ago the login may be; any time when missing")
    acr_values: dict[Level, AcrValue] = Field(
        {1: "1", 2: "2", 3: "3", 4: "4"},
        description="levels a login can reach, and the platform's name of each; where none is enough, the answer is no",
    )


class Assurance(Reauthorizer[AssuranceConfig]):
    """Allows who logged in strongly and lately enough; tells the others which login would do."""

    Config = AssuranceConfig

    def __init__(self, config: AssuranceConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._reachable = sorted(config.acr_values.items())

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow; StepUp where a stronger or fresher login helps; Deny where the platform offers none."""
        minimum = visit.item.assurance if self.config.minimum is None else self.config.minimum
        too_low = principal.assurance < minimum
        if not too_low and not self._is_stale(principal, visit.at):
            return ALLOW
        detail = f"assurance {principal.assurance}, {minimum} needed" if too_low else "login too long ago"
        wanted = next((acr for level, acr in self._reachable if level >= minimum), None)
        if wanted is None:
            return Deny("assurance-too-low", _TOO_LOW, detail)
        max_age = None if self.config.max_age is None else int(self.config.max_age)
        return StepUp(wanted, max_age, detail, None if too_low else _TOO_LONG_AGO)

    def _is_stale(self, principal: Principal, now: float) -> bool:
        if self.config.max_age is None:
            return False
        if principal.authenticated_at is None:
            return True
        return not -_AHEAD <= now - principal.authenticated_at <= self.config.max_age

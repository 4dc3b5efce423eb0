"""How strongly, and how lately, the person must have logged in; who has not is told which login would do (RFC 9470)."""

from pydantic import Field

from gateway import (
    ALLOW,
    AcrValue,
    Decision,
    Duration,
    Level,
    Principal,
    Reauthorizer,
    Settings,
    Visit,
    ask_for_login,
    is_fresh,
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

    async def decide(self, principal: Principal, visit: Visit) -> Decision:
        """Allow; StepUp where a stronger or fresher login helps; Deny where the platform offers none."""
        minimum = visit.item.assurance if self.config.minimum is None else self.config.minimum
        too_low = principal.assurance < minimum
        max_age = self.config.max_age
        if not too_low and (max_age is None or is_fresh(principal, max_age, visit.at)):
            return ALLOW
        detail = f"assurance {principal.assurance}, {minimum} needed" if too_low else "login too long ago"
        title = None if too_low else _TOO_LONG_AGO
        return ask_for_login(self.config.acr_values, minimum, max_age, detail, title)

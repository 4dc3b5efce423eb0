"""The owner's word on an item (本人开关): a person closes it for herself, a unit may leave it to operators."""

from typing import Literal

from pydantic import Field

from gateway import ALLOW, Decision, Deny, Facts, Kind, LedgerReauthorizer, Principal, Settings, Visit

_CLOSED = {
    Kind.NATURAL: (
        "该事项已由您本人关闭或尚未开通。您可登录后在“我的服务”（/sso/my/）中开通，随后即可办理。",
        "You have closed this item, or not opened it yet. You can open it yourself at /sso/my/.",
    ),
    Kind.LEGAL: (
        "该事项已由本单位关闭或尚未开通。请由单位管理员登录后在“我的服务”（/sso/my/）中开通。",
        "Your unit has closed this item, or not opened it yet. Its administrator can open it at /sso/my/.",
    ),
}


class OwnerSwitchConfig(Settings):
    """What holds without the owner's word."""

    default: Literal["open", "closed"] = Field("open", description="what holds while the owner has said nothing")


class OwnerSwitch(LedgerReauthorizer[OwnerSwitchConfig]):
    """Allows what its owner has open; what a unit left to re-authorization is for operator_grant.py to decide."""

    Config = OwnerSwitchConfig
    closable = True

    @classmethod
    def is_closed(cls, config: OwnerSwitchConfig) -> bool:
        """As `default` says."""
        return config.default == "closed"

    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Allow what is open, or left by a unit; Deny what is closed. A person has nobody to leave an item to."""
        said = None if facts is None else facts.switches.get(visit.item.code)
        setting = said or self.config.default
        if setting == "open" or (setting == "left" and principal.kind is Kind.LEGAL):
            return ALLOW
        detail = f"{visit.item.code}: {'said by the owner' if said else 'by default'}"
        return Deny("item-closed-by-owner", _CLOSED[principal.kind], detail)

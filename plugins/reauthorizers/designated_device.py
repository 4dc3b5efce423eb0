"""Only on the computers that an owner designated (指定设备), as far as each kind of them can be proven."""

from typing import Literal

from pydantic import Field

from gateway import (
    ALLOW,
    Decision,
    Deny,
    Designated,
    Facts,
    LedgerReauthorizer,
    PartContext,
    Principal,
    Settings,
    Visit,
    is_proven,
)

DeviceKind = Literal["certificate", "passkey", "network"]

_NONE = (
    "办理该事项须先登记指定电脑。请由本人或单位管理员向所属经办机构申请登记，再在该电脑上办理。",
    "This item needs a designated computer, and you have none. The agency in charge can register one.",
)
_ANOTHER = (
    "该事项只能在已登记的指定电脑上办理。如需更换，请由本人或单位管理员向所属经办机构申请。",
    "Please use a designated computer for this item. The agency in charge can register another one.",
)
_SHOW = (
    "请在已登记的指定电脑上打开 /sso/my/computer 完成验证后重试。如需更换，请由本人或单位管理员向所属经办机构申请。",
    "On a designated computer, open /sso/my/computer and try again. The agency in charge can register another one.",
)


class DesignatedDeviceConfig(Settings):
    """What proves a computer, and who needs one."""

    kinds: tuple[DeviceKind, ...] = Field(
        ("certificate", "passkey", "network"), min_length=1, description="proofs that count"
    )
    when: Literal["always", "registered"] = Field(
        "always", description="`registered`: only for who has designated computers for the item"
    )


class DesignatedDevice(LedgerReauthorizer[DesignatedDeviceConfig]):
    """Allows requests that come from a computer which is designated for the item."""

    Config = DesignatedDeviceConfig

    def __init__(self, config: DesignatedDeviceConfig, context: PartContext) -> None:
        super().__init__(config, context)
        self._kinds = frozenset(config.kinds)

    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Allow who proves one of the computers, and where none is needed; Deny all others.

        Raises:
            ValueError: a network of the ledger cannot be read.
        """
        code = visit.item.code
        registered = [] if facts is None else [one for one in facts.devices if not one.items or code in one.items]
        if not registered and self.config.when == "registered":
            return ALLOW
        counting = [device for device in registered if device.kind in self._kinds]
        for device in counting:
            if is_proven(device, principal, visit.inbound):
                return ALLOW
        return _denial(counting)


def _denial(counting: list[Designated]) -> Deny:
    """No, and what can be done with the computers that there are."""
    if not counting:
        return Deny("device-not-allowed", _NONE, "no computer of a kind that counts")
    title = _SHOW if any(device.kind == "passkey" for device in counting) else _ANOTHER
    return Deny("device-not-allowed", title, f"none of {len(counting)} is proven")

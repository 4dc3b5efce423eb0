"""For a unit, only operators to whom an item was granted (经办人授权): when, for which region, from where it holds."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from gateway import (
    ALLOW,
    Decision,
    Deny,
    Facts,
    Grant,
    Kind,
    LedgerReauthorizer,
    Principal,
    Settings,
    Visit,
    is_during,
    is_from,
    is_proven,
    is_within,
    region_scope,
)

_NOTHING = Facts("", "legal", "new")
"""What is known of a unit without a record."""
_NOBODY: frozenset[str] = frozenset()


def _denial(reason: str, chinese: str, english: str) -> Deny:
    """No, and who can change that: only staff grant, and only the unit may ask them for it."""
    title = (
        f"{chinese}如需变更，请由单位管理员向所属经办机构申请。",
        f"{english} Your unit's administrator can ask the agency in charge to change that.",
    )
    return Deny("operator-not-authorized", title, reason)


_DENIALS = {
    denial.detail: denial
    for denial in (
        _denial("no operator", "请以本单位经办人的身份登录后办理。", "Please sign in as an operator of your unit."),
        _denial(
            "exclusive", "该事项已指定由本单位的另一名经办人专办。", "Another operator alone may do this for your unit."
        ),
        _denial("none", "您未获授权代本单位办理该事项。", "You are not authorized to do this for your unit."),
        _denial("not yet", "您办理该事项的授权尚未生效。", "Your authorization for this has not begun yet."),
        _denial("expired", "您办理该事项的授权已过期。", "Your authorization for this has expired."),
        _denial("region", "您的授权不适用于该地区的业务。", "Your authorization is for another region."),
        _denial("network", "您的授权仅限在指定网络内使用。", "Your authorization holds in certain networks only."),
        _denial("hours", "您的授权仅在规定时段内有效。", "Your authorization holds at certain hours only."),
        _denial(
            "device",
            "您的授权仅限在指定电脑上使用，可先在该电脑上打开 /sso/my/computer 完成验证。",
            "Your authorization holds on certain computers only; some first have to show a key at /sso/my/computer.",
        ),
    )
}
"""What an operator is told, by what speaks against her; that word is for the record as well."""


def _checked(code: str) -> str:
    region_scope(code)
    return code


Region = Annotated[str, AfterValidator(_checked)]


class OperatorGrantConfig(Settings):
    """Which grants count, and when one is needed."""

    when: Literal["always", "left"] = Field(
        "always",
        description="`left`: only where the unit left the item to re-authorization, or one operator alone may do it",
    )
    region: Region | None = Field(
        None, description="region of the business (GB/T 2260) that a grant has to cover; the unit's own when missing"
    )


class OperatorGrant(LedgerReauthorizer[OperatorGrantConfig]):
    """Allows operators with a grant that holds now. Natural persons act for themselves and need none."""

    Config = OperatorGrantConfig
    granted = True

    def judge(self, facts: Facts | None, principal: Principal, visit: Visit) -> Decision:
        """Allow natural persons, operators with a grant, and any operator where none is needed; Deny all others.

        Raises:
            ValueError: networks or hours of a grant cannot be read.
        """
        if principal.kind is not Kind.LEGAL:
            return ALLOW
        facts = facts or _NOTHING
        code = visit.item.code
        exclusive = facts.exclusive.get(code, _NOBODY)
        if self.config.when == "left" and not exclusive and facts.switches.get(code) != "left":
            return ALLOW
        reason = self._objection(facts, exclusive, principal, visit)
        return ALLOW if reason is None else _DENIALS[reason]

    def _objection(self, facts: Facts, exclusive: frozenset[str], principal: Principal, visit: Visit) -> str | None:
        """What speaks against the operator; None when nothing does."""
        operator = principal.operator
        if operator is None:
            return "no operator"
        # An exclusive grant keeps everybody else out until it is ended: that it has expired opens the item to nobody.
        if exclusive and exclusive != {operator}:
            return "exclusive"
        now = self.ledger.now(visit.at)
        reason: str | None = "none"
        for grant in facts.grants_of.get((visit.item.code, operator), ()):
            reason = self._against(grant, facts, now, principal, visit)
            if reason is None:
                break
        return reason

    def _against(self, grant: Grant, facts: Facts, now: float, principal: Principal, visit: Visit) -> str | None:
        """What keeps one grant from holding here and now; None when it holds.

        Where the clock once ran ahead, `now` is later than the visit: what is over by either of them does not hold, and
        neither does what has begun by the later one alone.
        """
        if visit.at < grant.valid_from:
            return "not yet"
        if now >= grant.valid_until:
            return "expired"
        if not is_within(self.config.region or facts.region, grant.scope):
            return "region"
        if grant.networks and not is_from(visit.inbound.client, grant.networks):
            return "network"
        if grant.hours and not (is_during(grant.hours, visit.at) and is_during(grant.hours, now)):
            return "hours"
        if grant.devices and not _is_on(grant.devices, facts, principal, visit):
            return "device"
        return None


def _is_on(devices: tuple[str, ...], facts: Facts, principal: Principal, visit: Visit) -> bool:
    """Tell whether the request comes from one of these computers, which has to be designated for the item still."""
    return any(
        device.id in devices
        and (not device.items or visit.item.code in device.items)
        and is_proven(device, principal, visit.inbound)
        for device in facts.devices
    )

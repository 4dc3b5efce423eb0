"""Words for the codes that the ledger has, Chinese first, then English: one table for all pages.

The back office (gateway/console) and self-service (gateway/desk) show them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.codes import region_code

Words = tuple[str, str]
"""Chinese first, then English."""

ROLES: Mapping[str, Words] = {
    "system": ("系统管理员", "system administrator"),
    "security": ("安全管理员", "security administrator"),
    "audit": ("审计管理员", "audit administrator"),
    "clerk": ("经办岗", "clerk"),
    "reviewer": ("复核岗", "reviewer"),
}

TABLES: Mapping[str, Mapping[str, Words]] = {
    "role": ROLES,
    "kind": {"natural": ("自然人", "person"), "legal": ("单位", "unit")},
    "party": {
        "new": ("新建", "new"),
        "applied": ("已受理申请", "applied"),
        "reviewed": ("已审核", "reviewed"),
        "bound": ("已绑定", "bound"),
        "suspended": ("已暂停", "suspended"),
        "revoked": ("已撤销", "revoked"),
    },
    "application": {
        "received": ("待审核", "waits for review"),
        "approved": ("已通过", "approved"),
        "rejected": ("已退回", "rejected"),
    },
    "operator": {"live": ("在职", "present"), "left": ("已离开", "left")},
    "grant": {
        "proposed": ("待复核", "waits for approval"),
        "offered": ("待经办人接受", "waits for the operator"),
        "live": ("有效", "live"),
        "ended": ("已终止", "ended"),
    },
    "binding": {
        "proposed": ("待复核", "waits for approval"),
        "live": ("有效", "live"),
        "ended": ("已解除", "ended"),
    },
    "device": {
        "proposed": ("待复核", "waits for approval"),
        "live": ("有效", "live"),
        "ended": ("已停用", "ended"),
    },
    "device-kind": {
        "certificate": ("客户端证书", "client certificate"),
        "network": ("网段", "network"),
        "passkey": ("通行密钥", "passkey of the browser"),
    },
    "appeal": {
        "open": ("待处理", "waits for a decision"),
        "upheld": ("成立", "upheld"),
        "dismissed": ("不成立", "dismissed"),
    },
    "record": {"active": ("正常", "active"), "closed": ("已注销", "closed")},
    "import": {
        "staff": ("账户", "accounts"),
        "posts": ("岗位", "posts"),
        "grants": ("经办人和授权", "operators and grants"),
    },
    "look": {
        "candidates": ("在业务系统中查找", "search in a business system"),
        "comparison": ("登记信息比对", "comparison with a business system"),
        "unit": ("登记信息和办理情况", "registration, and what belongs to it"),
    },
    "setting": {
        "open": ("开放", "open"),
        "closed": ("关闭", "closed"),
        "left": ("转再次授权", "left to re-authorization"),
    },
    "detail": {
        "after": ("变更后", "after"),
        "appeal": ("申诉", "appeal"),
        "before": ("变更前", "before"),
        "client": ("客户端地址", "client"),
        "exclusive": ("独占", "exclusive"),
        "fields": ("更新项", "fields"),
        "item": ("事项", "item"),
        "items": ("事项", "items"),
        "kind": ("类型", "kind"),
        "old_region": ("原区划", "region before"),
        "operator": ("经办人记录", "operator's entry"),
        "reason": ("原因", "reason"),
        "region": ("区划", "region"),
        "registered_version": ("省平台版本", "version at the province"),
        "role": ("岗位", "role"),
        "scope": ("适用区划", "scope"),
        "step": ("步骤", "step"),
        "system": ("业务系统", "business system"),
        "unknown": ("无此账户", "no such account"),
        "until": ("至", "until"),
        "valid_from": ("生效时间", "from"),
        "valid_until": ("截止时间", "until"),
    },
    "action": {
        "appeal.dismissed": ("驳回申诉", "appeal dismissed"),
        "appeal.opened": ("提出申诉", "appeal opened"),
        "appeal.upheld": ("申诉成立", "appeal upheld"),
        "application.approved": ("申请审核通过", "application approved"),
        "application.received": ("受理申请", "application received"),
        "application.rejected": ("申请退回", "application rejected"),
        "binding.approved": ("绑定复核通过", "binding approved"),
        "binding.ended": ("解除绑定", "binding ended"),
        "binding.proposed": ("提交绑定", "binding proposed"),
        "binding.rejected": ("绑定退回", "binding rejected"),
        "channel-link.created": ("关联渠道账号", "channel account linked"),
        "channel-link.removed": ("解除渠道账号", "channel account removed"),
        "device.approved": ("指定设备复核通过", "designated device approved"),
        "device.clone-suspected": ("通行密钥疑被复制", "a passkey may have been copied"),
        "device.dropped": ("单位停用指定设备", "designated device dropped by the unit"),
        "device.ended": ("停用指定设备", "designated device ended"),
        "device.enrolled": ("登记设备", "device enrolled"),
        "device.proposed": ("登记指定设备", "designated device proposed"),
        "device.removed": ("移除设备", "device removed"),
        "grant.accepted": ("经办人接受授权", "grant accepted by the operator"),
        "grant.approved": ("授权复核通过", "grant approved"),
        "grant.declined": ("经办人谢绝授权", "grant declined by the operator"),
        "grant.ended": ("终止授权", "grant ended"),
        "grant.proposed": ("提交授权", "grant proposed"),
        "grant.rejected": ("授权退回", "grant rejected"),
        "grant.withdrawn": ("单位收回授权", "grant withdrawn by the unit"),
        "operator.dismissed": ("单位注销经办人", "operator dismissed by the unit"),
        "operator.entered": ("录入经办人", "operator entered"),
        "operator.left": ("经办人离开", "operator left"),
        "party.applied": ("申请已受理", "unit applied"),
        "party.bound": ("完成绑定", "unit bound"),
        "party.created": ("生成记录", "record created"),
        "party.moved": ("变更区划", "region changed"),
        "party.registered": ("更新省平台注册信息", "registration taken over"),
        "party.rejected": ("申请未通过", "application not granted"),
        "party.resumed": ("恢复", "resumed"),
        "party.reviewed": ("审核通过", "unit reviewed"),
        "party.revoked": ("撤销", "revoked"),
        "party.suspended": ("暂停", "suspended"),
        "party.unbound": ("已无绑定", "unit unbound"),
        "staff.appointed": ("任命岗位", "post given"),
        "staff.created": ("开通账户", "account created"),
        "staff.disabled": ("停用账户", "account disabled"),
        "staff.dismissed": ("免去岗位", "post taken"),
        "staff.enabled": ("启用账户", "account enabled"),
        "staff.locked": ("账户锁定", "account locked"),
        "staff.password-changed": ("修改密码", "password changed"),
        "staff.reset": ("重置账户", "account reset"),
        "staff.second-factor-enrolled": ("启用第二因素", "second factor enrolled"),
        "staff.sign-in-failed": ("登录失败", "sign-in failed"),
        "staff.signed-in": ("登录", "signed in"),
        "staff.unlocked": ("解锁账户", "account unlocked"),
        "switch.set": ("设置事项开关", "switch set"),
    },
}
"""By kind of code. `party` to `appeal` are states; `detail` are names within the history."""

_STATES = {"switch": "setting"}
"""What the states of a subject are called in TABLES, where that is not its own name."""
_MOMENTS = frozenset({"until", "valid_from", "valid_until"})
"""Details that are Unix seconds."""


def word(table: str, code: str | None) -> Words:
    """What people call a code: one that has no word yet stands for itself.

    Args:
        table: one of TABLES.
        code: None is nothing at all.
    """
    return ("—", "—") if code is None else TABLES.get(table, {}).get(code, (code, ""))


def told(action: str, detail: Mapping[str, Any], show: Callable[[float], str]) -> list[tuple[Words, Words]]:
    """What an entry of the history tells beyond its action: names and values in words.

    Args:
        action: of the entry; what is before its dot says whose states they are.
        detail: plain data.
        show: writes a moment (Unix seconds).
    """
    states = _STATES.get(subject := action.partition(".")[0], subject)
    return [(word("detail", name), _told(states, name, value, show)) for name, value in detail.items()]


def _told(states: str, name: str, value: Any, show: Callable[[float], str]) -> Words:
    table = {"before": states, "after": states, "kind": "device-kind", "role": "role"}.get(name)
    if table is not None:
        return word(table, str(value))
    if isinstance(value, bool):
        return ("是", "yes") if value else ("否", "no")
    if name == "scope":
        return region_code(str(value)), ""
    text = show(value) if name in _MOMENTS else ", ".join(value) if isinstance(value, list) else str(value)
    return text, ""

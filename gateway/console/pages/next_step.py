"""What is next to do with a person or unit (办理进度), by what is known of it."""

from gateway.ledger.dossier import READY, Dossier
from gateway.ledger.rules import Rules
from gateway.ledger.standing import Standing
from gateway.ledger.words import Words


def next_step(dossier: Dossier, rules: Rules) -> Words:
    """What the procedure asks for next, for whoever sits at the counter."""
    record, standing = dossier.detail.record, dossier.detail.standing
    if record.kind != "legal":
        return ("个人记录，无需经办机构办理。", "A person's own record: there is nothing to do for the agency.")
    waiting = _waiting(standing)
    if waiting is not None:
        return waiting
    if record.state not in READY:
        return _BY_STATE[record.state]
    if not standing.operators:
        return ("请录入经办人。", "Enter the unit's operators.")
    if not standing.granted:
        return ("请为经办人开通业务事项。", "Open items for the operators.")
    if dossier.unbound(rules):
        return ("请比对业务系统信息并绑定账号。", "Compare with the business systems' records, and bind.")
    return ("已开通，单位登录后即可办理。", "All is done: the unit signs in and does its business.")


def _waiting(standing: Standing) -> Words | None:
    if standing.application:
        return ("申请待审核。", "The application waits for its review.")
    if standing.appeal:
        return ("申诉待处理。", "An appeal waits for its decision.")
    if standing.proposed:
        return ("有内容待复核。", "Something that was proposed waits for a second person.")
    if standing.offered:
        return ("授权待经办人接受。", "A grant waits for the operator to accept it.")
    return None


_BY_STATE = {
    "new": ("请受理单位申请。", "Record the unit's application."),
    "applied": ("请受理单位申请。", "Record the unit's application."),
    "suspended": ("单位已暂停，可恢复或撤销。", "The unit is suspended: resume or revoke it."),
    "revoked": ("单位已撤销，可重新申请。", "The unit was revoked; it can apply anew."),
}

"""Which post may do what (岗位权限): one table, asked by every act of the staff, whichever page or import it came by.

The region is the other half: acting.py holds both against the post as it is in the database at that moment.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a post is for. The first three are the administrators that have to be three people (三员分立)."""

    SYSTEM = "system"
    SECURITY = "security"
    AUDIT = "audit"
    CLERK = "clerk"
    REVIEWER = "reviewer"


class Power(StrEnum):
    """Something that can be done in the back office."""

    STAFF_LOOK = "staff.look"
    STAFF_CREATE = "staff.create"
    STAFF_DISABLE = "staff.disable"
    STAFF_APPOINT = "staff.appoint"
    STAFF_UNLOCK = "staff.unlock"
    HISTORY_LOOK = "history.look"
    PARTY_LOOK = "party.look"
    PARTY_SUSPEND = "party.suspend"
    PARTY_REVOKE = "party.revoke"
    PARTY_MOVE = "party.move"
    APPLICATION_RECORD = "application.record"
    APPLICATION_REVIEW = "application.review"
    OPERATOR_ENTER = "operator.enter"
    OPERATOR_END = "operator.end"
    GRANT_PROPOSE = "grant.propose"
    GRANT_APPROVE = "grant.approve"
    GRANT_END = "grant.end"
    BINDING_COMPARE = "binding.compare"
    BINDING_PROPOSE = "binding.propose"
    BINDING_APPROVE = "binding.approve"
    BINDING_END = "binding.end"
    DEVICE_REGISTER = "device.register"
    DEVICE_APPROVE = "device.approve"
    DEVICE_END = "device.end"
    APPEAL_DECIDE = "appeal.decide"


_AT_THE_COUNTER = frozenset({Role.CLERK, Role.REVIEWER})
_WHO_CHECKS = frozenset({Role.REVIEWER})

POWERS: Mapping[Power, frozenset[Role]] = {
    Power.STAFF_LOOK: frozenset({Role.SYSTEM, Role.SECURITY, Role.AUDIT}),
    Power.STAFF_CREATE: frozenset({Role.SYSTEM}),
    Power.STAFF_DISABLE: frozenset({Role.SYSTEM}),
    Power.STAFF_APPOINT: frozenset({Role.SECURITY}),
    Power.STAFF_UNLOCK: frozenset({Role.SECURITY}),
    Power.HISTORY_LOOK: frozenset({Role.AUDIT}),
    Power.PARTY_LOOK: _AT_THE_COUNTER,
    Power.PARTY_SUSPEND: _WHO_CHECKS,
    Power.PARTY_REVOKE: _WHO_CHECKS,
    Power.PARTY_MOVE: _WHO_CHECKS,
    Power.APPLICATION_RECORD: _AT_THE_COUNTER,
    Power.APPLICATION_REVIEW: _WHO_CHECKS,
    Power.OPERATOR_ENTER: _AT_THE_COUNTER,
    Power.OPERATOR_END: _AT_THE_COUNTER,
    Power.GRANT_PROPOSE: _AT_THE_COUNTER,
    Power.GRANT_APPROVE: _WHO_CHECKS,
    Power.GRANT_END: _AT_THE_COUNTER,
    Power.BINDING_COMPARE: _AT_THE_COUNTER,
    Power.BINDING_PROPOSE: _AT_THE_COUNTER,
    Power.BINDING_APPROVE: _WHO_CHECKS,
    Power.BINDING_END: _WHO_CHECKS,
    Power.DEVICE_REGISTER: _AT_THE_COUNTER,
    Power.DEVICE_APPROVE: _WHO_CHECKS,
    Power.DEVICE_END: _AT_THE_COUNTER,
    Power.APPEAL_DECIDE: _WHO_CHECKS,
}
"""Who has which power. Nobody has one that is not named here."""

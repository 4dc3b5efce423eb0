"""As whom somebody acts: as herself, or as a unit (经办人). What `/sso/identity` offers and changes.

Everything comes from the one answer of the platform at login; nobody becomes who the platform did not name.
"""

from typing import NamedTuple

from msgspec.structs import replace

from gateway.identity.logins import Sender
from gateway.model import Kind, Principal
from gateway.records.masking import mask_named
from gateway.signin import Profile, SignIn

SELF = "self"
"""How a request names one's own identity; no unit's subject is asked for by it."""


class Identity(NamedTuple):
    """Somebody whom a signed-in person may be.

    Attributes:
        id: how a request names it: `self`, or the unit's subject.
        principal: as the request path would see it.
        name: as it may be shown: a person's masked, a unit's as it is; empty when the platform told none.
    """

    id: str
    principal: Principal
    name: str


def identities_of(sign_in: SignIn) -> list[Identity]:
    """Everybody whom this login lets be, oneself first."""
    told = sign_in.principal
    if told.kind == Kind.LEGAL:
        own = [] if told.operator is None else [Identity(SELF, _person(told, told.operator), _masked(sign_in.person))]
        units = [Identity(told.subject, told, sign_in.profile.name or "")]
    else:
        own, units = [Identity(SELF, told, _masked(sign_in.profile))], []
    if own:
        acting = own[0].principal
        named = {unit.id for unit in units}
        units += [
            Identity(unit.subject, _unit(acting, unit.subject), unit.name)
            for unit in sign_in.units
            if unit.subject not in named
        ]
    return own + units


def current_identity(sign_in: SignIn, principal: Principal) -> Identity:
    """Who somebody is now."""
    for identity in identities_of(sign_in):
        if (identity.principal.kind, identity.principal.subject) == (principal.kind, principal.subject):
            return identity
    return Identity(SELF, principal, "")  # a unit without an operator, or a platform that names nobody


def as_identity(sign_in: SignIn, principal: Principal) -> SignIn:
    """What the platform said at login of whom somebody is now.

    Args:
        sign_in: the login.
        principal: who it is now: one of the login's identities.
    """
    told = sign_in.principal
    if (told.kind, told.subject) == (principal.kind, principal.subject):
        return replace(sign_in, principal=principal)
    if principal.kind == Kind.NATURAL:
        return SignIn(principal, sign_in.person or Profile())
    named = (replace(one.profile, name=one.name) for one in sign_in.units if one.subject == principal.subject)
    return SignIn(principal, next(named, Profile()))


def same_identity(sign_in: SignIn, before: Principal) -> Principal | None:
    """Whom a new login lets go on as who somebody was before it; None when it is that already, or lets nobody.

    Args:
        sign_in: the new login.
        before: who it was until now.
    """
    for identity in identities_of(sign_in):
        if who_is(identity.principal) == who_is(before):
            return None if identity.principal == sign_in.principal else identity.principal
    return None


def who_is(principal: Principal) -> Sender:
    """Who somebody is, without how and when she signed in: two operators of one unit are not the same."""
    return principal.issuer, principal.kind, principal.subject, principal.operator


def human(principal: Principal) -> str | None:
    """Subject of the human being: the person, or whoever acts for the unit; None when the platform named nobody."""
    return principal.subject if principal.kind == Kind.NATURAL else principal.operator


def _person(told: Principal, subject: str) -> Principal:
    return replace(told, subject=subject, kind=Kind.NATURAL, operator=None, version=0)


def _unit(person: Principal, subject: str) -> Principal:
    return replace(person, subject=subject, kind=Kind.LEGAL, operator=person.subject, version=0)


def _masked(profile: Profile | None) -> str:
    """A person's name as it may be shown (GB/T 35273-2020 §7.2)."""
    return mask_named("real_name", profile.name) if profile is not None and profile.name else ""

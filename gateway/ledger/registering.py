"""How records come about: made at the first visit, kept in step with what the province has registered at every login.

parties.py calls it. Numbers of identity papers and telephones are not taken over: nothing here needs them.
"""

import re
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.codes import CodeError, check_uscc, region_of_uscc
from gateway.ledger.acting import Act, Party, new_id
from gateway.ledger.office_tables import BINDINGS, GRANTS, PARTIES
from gateway.ledger.values import Owner
from gateway.model import Kind, Principal
from gateway.signin import Profile, SignIn

LONGEST_NAME = 200
_LONGEST = 2000
"""Characters of any other value; a business scope (经营范围) is that long."""
_REGISTERED = ("legal_representative", "registered_on", "registered_address", "business_scope")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Registration(msgspec.Struct, frozen=True):
    """What the province says of somebody at a login.

    Attributes:
        kind: `natural` or `legal`.
        version: counts changes at the province; 0 when it does not say.
        name: None when it does not say.
        uscc: None when it says none that can be right.
        values: by name of the profile's data item; without those it does not say.
    """

    kind: str
    version: int
    name: str | None
    uscc: str | None
    values: dict[str, str]

    def __repr__(self) -> str:
        return f"Registration({self.kind}, version {self.version})"

    def news(self, party: Row[Any]) -> dict[str, Any]:
        """The columns that it changes, with their new values. An older version than the known one changes nothing.

        What the province does not say stays as it is.
        """
        if self.kind != party.kind or 0 < self.version < party.registered_version:
            return {}
        values = {"name": self.name, "uscc": self.uscc, "registration": (party.registration or {}) | self.values}
        news = {name: value for name, value in values.items() if value and value != getattr(party, name)}
        if self.version > party.registered_version:
            news["registered_version"] = self.version
        return news


def read_registration(sign_in: SignIn) -> Registration:
    """What a login brings along, in lengths and characters that a database keeps."""
    principal, profile = sign_in.principal, sign_in.profile
    values = {name: _clean(getattr(profile, name), _LONGEST) for name in _REGISTERED}
    return Registration(
        principal.kind.value,
        principal.version,
        _clean(profile.name, LONGEST_NAME) or None,
        _uscc(principal, profile),
        {name: value for name, value in values.items() if value},
    )


def _clean(text: str | None, most: int) -> str:
    return _UNSEEN.sub(" ", text or "").strip()[:most]


def _uscc(principal: Principal, profile: Profile) -> str | None:
    """The unit's code: the profile's, or the subject where that is one."""
    codes = (profile.uscc, principal.subject) if principal.kind is Kind.LEGAL else ()
    return next((code for code in codes if code and _is_uscc(code)), None)


def _is_uscc(code: str) -> bool:
    try:
        check_uscc(code)
    except CodeError:
        return False
    return True


async def find_subject(connection: AsyncConnection, issuer: str, subject: str) -> Row[Any] | None:
    """The record of a person or unit; None when there is none."""
    question = select(PARTIES).where(PARTIES.c.issuer == issuer, PARTIES.c.subject == subject)
    return (await connection.execute(question)).one_or_none()


async def require_subject(act: Act, who: Principal | Owner) -> Party:
    """The record of a person or unit, made when there is none. Writers come one after the other, so it stays one."""
    found = await find_subject(act.connection, who.issuer, who.subject)
    return await act.party(await _insert(act, who) if found is None else found.id)


async def _insert(act: Act, who: Principal | Owner) -> str:
    party = new_id()
    uscc = who.subject if who.kind == Kind.LEGAL and _is_uscc(who.subject) else None
    region = "" if uscc is None else region_of_uscc(uscc)
    making = insert(PARTIES).values(
        id=party, kind=str(who.kind), issuer=who.issuer, subject=who.subject, uscc=uscc, region=region, state="new",
        registered_version=0, created_at=act.now, changed_at=act.now, version=1,
    )  # fmt: skip
    await act.connection.execute(making)
    await act.note("party.created", party, party=party, after="new", region=region)
    return party


async def take_over(act: Act, party: Party, registration: Registration) -> None:
    """Bring a record up to what the province says. The history names the fields, not what is in them.

    The region comes with the code once, as long as nothing rests on there being none; from then on staff move a unit.
    """
    news = registration.news(party)
    if not news:
        return
    if "uscc" in news and not party.region and not await has_open(act, party.id):
        news["region"] = region_of_uscc(news["uscc"])
    changing = update(PARTIES).where(PARTIES.c.id == party.id)
    await act.connection.execute(changing.values(**news, changed_at=act.now, version=party.version + 1))
    told = {name: news[name] for name in ("registered_version", "region") if name in news}
    await act.note("party.registered", party.id, party=party.id, fields=sorted(news), **told)


async def has_open(act: Act, party: str) -> bool:
    """Tell whether a unit has grants or bindings that have not ended: its region rests under them."""
    open_ = (
        select(table.c.id).where(table.c.party_id == party, table.c.state != "ended").limit(1)
        for table in (GRANTS, BINDINGS)
    )
    return any([await act.connection.scalar(question) is not None for question in open_])

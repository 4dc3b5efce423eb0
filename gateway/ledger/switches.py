"""The owner's switches: a person closes an item for herself; a unit closes one, or leaves it to re-authorization.

`left` means: operators with a grant alone (operator_grant decides). A plugin, owner_switch, decides about `closed`.
"""

from typing import Any

from sqlalchemy import Row, insert, select, update

from gateway.errors import FieldProblem, Forbidden, InputRefused
from gateway.ledger.acting import Act, Office, Party
from gateway.ledger.entries import SwitchRecord
from gateway.ledger.inputs.switches import SwitchInput
from gateway.ledger.office_tables import OPERATORS, SWITCHES
from gateway.ledger.refusals import not_yours
from gateway.ledger.registering import require_subject
from gateway.ledger.rows import owned
from gateway.ledger.rules import OfficeItem, Rules
from gateway.ledger.values import Owner

_STRICTNESS = {"open": 0, "left": 1, "closed": 2}


class Switches:
    """The switches of everybody.

    Args:
        office: where acts begin.
    """

    def __init__(self, office: Office) -> None:
        self._office = office

    async def set(self, owner: Owner, given: SwitchInput) -> SwitchRecord:
        """Open an item, close it, or leave it. Somebody who was never here gets a record first.

        Whoever signs in for a unit may make it stricter. Making it less strict is for those whom a switch does not
        restrain: the unit's own login without an operator, and the administrators that staff entered (单位管理员). Who
        did it is recorded both times.

        Raises:
            InputRefused: no such item, or no such setting for this owner.
            Forbidden: `administrator-needed`.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        item = _item(owner, given, self._office.rules)
        async with self._office.by_owner(owner.human) as act:
            party = await _party(act, owner)
            row = await _row(act, party.id, item.code)
            before = _record(item, row).setting
            if owner.kind == "legal" and _STRICTNESS[given.setting] < _STRICTNESS[before]:
                await _require_administrator(act, party.id, owner)
            if given.setting != before:
                await _write(act, party.id, item.code, given.setting, known=row is not None)
                told = {"item": item.code, "before": before, "after": given.setting}
                await act.note("switch.set", party.id, party=party.id, **told)
            return _record(item, await _row(act, party.id, item.code))

    async def of(self, owner: Owner) -> list[SwitchRecord]:
        """A setting for every item that this owner could close, in the order of the configuration.

        Raises:
            CannotDecide: the ledger cannot be read now; 503.
        """
        async with self._office.database.reading() as connection:
            rows = (await connection.execute(select(SWITCHES).where(owned(SWITCHES, owner)))).all()
        known = {row.item: row for row in rows}
        items = [item for item in self._office.rules.items.values() if _is_closable(item, owner)]
        return [_record(item, known.get(item.code)) for item in items]


def _is_closable(item: OfficeItem, owner: Owner) -> bool:
    return item.closable and owner.kind in item.audience


def _item(owner: Owner, given: SwitchInput, rules: Rules) -> OfficeItem:
    item = rules.items.get(given.item)
    problems = []
    if item is None or not _is_closable(item, owner):
        problems.append(FieldProblem("item", _NO_ITEM))
    if given.setting == "left" and owner.kind != "legal":
        problems.append(FieldProblem("setting", _UNITS_ONLY))
    if problems or item is None:
        raise InputRefused(*problems)
    return item


async def _party(act: Act, owner: Owner) -> Party:
    party = await require_subject(act, owner)
    if party.kind != owner.kind:
        raise not_yours()
    return party


async def _row(act: Act, party: str, item: str) -> Row[Any] | None:
    question = select(SWITCHES).where(SWITCHES.c.party_id == party, SWITCHES.c.item == item)
    return (await act.connection.execute(question)).one_or_none()


async def _require_administrator(act: Act, party: str, owner: Owner) -> None:
    if owner.operator in (None, owner.subject):
        return
    question = select(OPERATORS.c.id).where(
        OPERATORS.c.party_id == party,
        OPERATORS.c.account == owner.operator,
        OPERATORS.c.administrator,
        OPERATORS.c.left_at.is_(None),
    )
    if (await act.connection.execute(question)).first() is None:
        raise Forbidden(
            "no administrator of the unit wants to loosen a switch",
            code="administrator-needed",
            title=(
                "已关闭或转再次授权的事项，须由本单位管理员恢复；管理员由经办机构登记。",
                "Only the unit's administrator, whom the agency enters, can open again what was closed or left.",
            ),
        )


async def _write(act: Act, party: str, item: str, setting: str, *, known: bool) -> None:
    values = {"setting": setting, "set_at": act.now, "set_by": act.by.subject}
    if known:
        await act.connection.execute(
            update(SWITCHES).where(SWITCHES.c.party_id == party, SWITCHES.c.item == item).values(**values)
        )
    else:
        await act.connection.execute(insert(SWITCHES).values(party_id=party, item=item, **values))


def _record(item: OfficeItem, row: Row[Any] | None) -> SwitchRecord:
    if row is None:
        return SwitchRecord(item.code, item.name, "closed" if item.closed else "open")
    return SwitchRecord(item.code, item.name, row.setting, row.set_at, row.set_by)


_NO_ITEM = ("没有可由您关闭的该事项。", "There is no such item that you could close.")
_UNITS_ONLY = ("仅单位可转再次授权。", "Only units can leave an item to re-authorization.")

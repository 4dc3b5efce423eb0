"""What may be imported: the columns of each kind of file, and what becomes of a row. imports.py goes through them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar, TypeVar

from pydantic import Field, field_validator
from sqlalchemy import select

from gateway.codes import CodeError, check_uscc, is_within, mask_citizen_number, mask_name
from gateway.contracts import Settings
from gateway.errors import FieldProblem, Forbidden, InputRefused
from gateway.ledger.acting import Act, Office, outside_region
from gateway.ledger.csv_reading import Column
from gateway.ledger.grants import Grants
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.grants import GrantInput
from gateway.ledger.inputs.staff import PostInput, StaffInput
from gateway.ledger.inputs.units import OperatorInput
from gateway.ledger.office_tables import OPERATORS, PARTIES
from gateway.ledger.operators import Operators
from gateway.ledger.powers import Power, Role
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_accounts import IssuedPassword

T = TypeVar("T", bound=Settings)

Applying = Callable[[Act], Awaitable[IssuedPassword | None]]
"""Does what a row says, within an act; gives the password of an account that it made."""

_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_SCIENTIFIC = re.compile(r"\d(?:\.\d+)?[Ee]\+?\d+")
_YES_OR_NO = {"是": "true", "否": "false", "y": "true", "n": "false"}
_ROLES = {
    "系统管理员": Role.SYSTEM,
    "安全管理员": Role.SECURITY,
    "审计管理员": Role.AUDIT,
    "经办岗": Role.CLERK,
    "复核岗": Role.REVIEWER,
}


def _day(cell: str) -> str:
    """A date as ISO 8601 has it, of what office software makes of it: 2026/1/31, 2026年1月31日."""
    found = _DAY.fullmatch(cell)
    return f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}" if found else cell


def _number(cell: str) -> str:
    """A long number, whole."""
    if _SCIENTIFIC.fullmatch(cell):
        raise CodeError(
            "号码已被表格软件改为科学计数法，请将该列设为文本后重新填写。",
            "The spreadsheet has rounded this number. Make the column text and enter it again.",
        )
    return cell


class ImportKind(ABC):
    """What one kind of file holds.

    Attributes:
        columns: of the file.
        powers: all of which the post needs; the first one opens the act.
    """

    columns: ClassVar[tuple[Column, ...]]
    powers: ClassVar[tuple[Power, ...]]

    @abstractmethod
    def read(self, cells: Mapping[str, str]) -> Applying:
        """Check a row by itself; gives what it does.

        Raises:
            InputRefused: with every problem that can be seen without asking the ledger.
        """

    def column_of(self, field: str) -> str:
        """Name of the column in which a field of an input stands."""
        return field


class StaffRows(ImportKind):
    """New accounts, without posts."""

    columns = (Column("login", "登录名"), Column("name", "姓名", shown=mask_name))
    powers = (Power.STAFF_CREATE,)

    def __init__(self, register: StaffRegister) -> None:
        self._register = register

    def read(self, cells: Mapping[str, str]) -> Applying:
        """See ImportKind."""
        entered = check_input(StaffInput, cells)
        return lambda act: self._register.create_in(act, entered)


class _PostRow(PostInput):
    """A post for the account with this login."""

    login: str = Field(max_length=64)

    @field_validator("role", mode="before")
    @classmethod
    def _check_role(cls, cell: str) -> str:
        if cell not in _ROLES.values():
            chinese, english = "、".join(_ROLES), ", ".join(_ROLES.values())
            raise CodeError(f"岗位应为 {chinese} 之一。", f"One of {english} is expected.")
        return cell


class PostRows(ImportKind):
    """Posts for accounts that are there."""

    columns = (
        Column("login", "登录名"),
        Column("role", "岗位", read=lambda cell: _ROLES.get(cell, cell.lower())),
        Column("region", "辖区"),
    )
    powers = (Power.STAFF_APPOINT,)

    def __init__(self, register: StaffRegister) -> None:
        self._register = register

    def read(self, cells: Mapping[str, str]) -> Applying:
        """See ImportKind."""
        entered = check_input(_PostRow, cells)

        async def apply(act: Act) -> None:
            try:
                staff = await self._register.id_in(act, entered.login.lower())
            except Forbidden as refusal:
                raise InputRefused(FieldProblem("login", refusal.title)) from None
            await self._register.appoint_in(act, staff, entered)

        return apply


class GrantRows(ImportKind):
    """Grants for operators, who are entered where the unit has no such operator yet."""

    columns = (
        Column("uscc", "统一社会信用代码", read=lambda cell: _number(cell).upper()),
        Column("operator_account", "经办人账号"),
        Column("operator_name", "经办人姓名", shown=mask_name),
        Column("operator_id_number", "经办人证件号码", read=_number, shown=mask_citizen_number),
        Column("item", "事项编码"),
        Column("scope", "适用区划", needed=False),
        Column("valid_from", "生效日期", read=_day),
        Column("valid_until", "截止日期", read=_day),
        Column("exclusive", "独占", needed=False, read=lambda cell: _YES_OR_NO.get(cell.lower(), cell)),
    )
    powers = (Power.GRANT_PROPOSE, Power.OPERATOR_ENTER)

    def __init__(self, office: Office, operators: Operators, grants: Grants) -> None:
        self._office = office
        self._operators = operators
        self._grants = grants

    def read(self, cells: Mapping[str, str]) -> Applying:
        """See ImportKind."""
        problems: list[FieldProblem] = []
        uscc = _read_uscc(cells.get("uscc", ""), problems)
        operator = _read_part(OperatorInput, cells, _OPERATOR, problems)
        grant = _read_part(GrantInput, {**cells, "operator": "-"}, _GRANT, problems)
        if operator is None or grant is None or problems:
            raise InputRefused(*problems)

        async def apply(act: Act) -> None:
            unit = await _unit(act, uscc)
            entry = await self._entry(act, unit, operator)
            await self._grants.propose_in(act, unit, grant.model_copy(update={"operator": entry}))

        return apply

    def column_of(self, field: str) -> str:
        """See ImportKind."""
        name = field.partition(".")[0]
        return {**_OPERATOR, **_GRANT, "operator": "operator_account"}.get(name, name)

    async def _entry(self, act: Act, unit: str, operator: OperatorInput) -> str:
        """Id of the unit's operator with this account, who is entered when she is not there.

        Raises:
            InputRefused: this account is another person's.
        """
        live = OPERATORS.c.party_id == unit, OPERATORS.c.account == operator.account, OPERATORS.c.left_at.is_(None)
        question = select(OPERATORS.c.id, OPERATORS.c.id_digest).where(*live)
        row = (await act.connection.execute(question)).one_or_none()
        if row is None:
            return await self._operators.enter_in(act, unit, operator)
        if not self._office.is_of(row.id_digest, operator.id_number):
            raise InputRefused(FieldProblem("id_number", _ANOTHER_NUMBER))
        return str(row.id)


_OPERATOR = {"account": "operator_account", "name": "operator_name", "id_number": "operator_id_number"}
_GRANT = {
    "operator": "operator",
    "items": "item",
    "scope": "scope",
    "valid_from": "valid_from",
    "valid_until": "valid_until",
    "exclusive": "exclusive",
}
"""Fields of the inputs, and the columns in which they stand."""


def _read_part(
    model: type[T], cells: Mapping[str, str], columns: Mapping[str, str], problems: list[FieldProblem]
) -> T | None:
    """One of the inputs that a row is made of; None when there are problems with it."""
    data: dict[str, object] = {field: cells[column] for field, column in columns.items() if column in cells}
    if "items" in data:
        data["items"] = (data["items"],)
    try:
        return check_input(model, data)
    except InputRefused as refusal:
        problems += refusal.problems
        return None


def _read_uscc(cell: str, problems: list[FieldProblem]) -> str:
    try:
        check_uscc(cell)
    except CodeError as error:
        problems.append(FieldProblem("uscc", error.title))
    return cell


async def _unit(act: Act, uscc: str) -> str:
    """Id of the unit's record in the post's region.

    Raises:
        InputRefused: there is none, or there are several.
    """
    question = select(PARTIES.c.id, PARTIES.c.region).where(PARTIES.c.uscc == uscc, PARTIES.c.kind == "legal")
    rows = (await act.connection.execute(question)).all()
    found = [row.id for row in rows if is_within(row.region, act.staff.scope)]
    if not found:
        raise InputRefused(FieldProblem("uscc", outside_region().title))
    if len(found) > 1:
        raise InputRefused(FieldProblem("uscc", _SEVERAL))
    return str(found[0])


_ANOTHER_NUMBER = (
    "本单位该账号的经办人登记的是另一证件号码。",
    "The unit's operator with this account was entered with another number.",
)
_SEVERAL = (
    "该代码对应多个单位记录，请在页面中逐个办理。",
    "Several records have this code. Please enter the grant by hand.",
)

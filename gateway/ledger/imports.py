"""Accounts, posts and grants out of CSV files, all rows or none. csv_reading.py reads the files.

A row goes through the very same acts as what somebody enters by hand: models, powers, regions, constraints, history.
A dry run does all of it and then takes the whole transaction back.
"""

import asyncio
import contextlib
from typing import Literal

import msgspec

from gateway.codes import CodeError
from gateway.errors import Conflict, FieldProblem, Forbidden, InputRefused
from gateway.ledger.acting import Act, Office, not_your_role
from gateway.ledger.csv_reading import CsvRow, read_csv, write_csv
from gateway.ledger.grants import Grants
from gateway.ledger.import_kinds import Applying, GrantRows, ImportKind, PostRows, StaffRows
from gateway.ledger.inputs.lines import check_line
from gateway.ledger.operators import Operators
from gateway.ledger.powers import POWERS
from gateway.ledger.staff import StaffRegister
from gateway.ledger.staff_accounts import IssuedPassword
from gateway.ledger.values import Officer

ImportName = Literal["staff", "posts", "grants"]


class ImportProblem(msgspec.Struct, frozen=True):
    """What is wrong with a row.

    Attributes:
        row: its number in the file; the header is row 1.
        column: name of the column; empty when it is the row as a whole.
        title: what is wrong, Chinese first, then English.
        value: what stands there, shortened and masked.
    """

    row: int
    column: str
    title: tuple[str, str]
    value: str = ""

    def __repr__(self) -> str:
        return f"ImportProblem({self.row}, {self.column!r})"


class ImportReport(msgspec.Struct, frozen=True):
    """What came of a file.

    Attributes:
        kind: what it holds.
        rows: with something in them.
        accepted: rows that could be taken. Nothing was saved when these are fewer than `rows`, or in a dry run.
        problems: by row.
        dry_run: True when it was only tried.
        passwords: of the accounts that were made; told once, and kept nowhere.
    """

    kind: ImportName
    rows: int
    accepted: int
    problems: tuple[ImportProblem, ...]
    dry_run: bool
    passwords: tuple[IssuedPassword, ...] = ()

    @property
    def saved(self) -> bool:
        """True when everything was taken over."""
        return not self.problems and not self.dry_run


class _Undone(Exception):
    """Ends an act whose changes shall not stay."""


class Imports:
    """Takes files over.

    Args:
        office: where acts begin.
        register: for accounts and posts.
        operators: enters operators.
        grants: proposes grants.
    """

    def __init__(self, office: Office, register: StaffRegister, operators: Operators, grants: Grants) -> None:
        self._office = office
        self._kinds: dict[ImportName, ImportKind] = {
            "staff": StaffRows(register),
            "posts": PostRows(register),
            "grants": GrantRows(office, operators, grants),
        }

    async def run(self, by: Officer, kind: ImportName, content: bytes, *, dry_run: bool) -> ImportReport:
        """Take a file over whole, or say everything that is wrong with it and save nothing.

        Args:
            by: who does it; her post needs the powers that she would need to enter the rows by hand.
            kind: what the file holds.
            content: of the file.
            dry_run: True tries and saves nothing.

        Raises:
            InputRefused: `file` cannot be read at all; 422.
            Forbidden: `not-your-role`; 403.
            CannotDecide: the ledger cannot be written now, and nothing was; 503.
        """
        taking = self._kinds[kind]
        for power in taking.powers:
            if by.role not in POWERS[power]:
                raise not_your_role(power)
        rows, ready, problems = await asyncio.to_thread(_read, taking, content)
        issued: list[IssuedPassword] = []
        with contextlib.suppress(_Undone):
            async with self._office.by_staff(by, taking.powers[0]) as act:
                for row, applying in ready:
                    problems += await _applied(act, taking, row, applying, issued)
                if problems or dry_run:
                    raise _Undone
        wrong = {problem.row for problem in problems}
        told = () if problems or dry_run else tuple(issued)
        problems.sort(key=lambda problem: problem.row)
        return ImportReport(kind, rows, rows - len(wrong), tuple(problems), dry_run, told)


def write_problems(report: ImportReport) -> bytes:
    """The list of errors as a CSV file."""
    header = ("行 row", "列 column", "问题", "problem", "内容 value")
    return write_csv(header, ((one.row, one.column, *one.title, one.value) for one in report.problems))


def write_passwords(report: ImportReport) -> bytes:
    """The one-time passwords of new accounts as a CSV file, to be handed over and destroyed."""
    header = ("登录名 login", "姓名 name", "一次性密码 one-time password")
    return write_csv(header, ((one.staff.login, one.staff.name, one.password) for one in report.passwords))


def _read(kind: ImportKind, content: bytes) -> tuple[int, list[tuple[CsvRow, Applying]], list[ImportProblem]]:
    """How many rows there are, those that can be tried, and what is wrong with the others."""
    rows = read_csv(content, kind.columns)
    ready, problems = [], []
    for row in rows:
        try:
            ready.append((row, kind.read(_cells(kind, row))))
        except InputRefused as refusal:
            problems += _problems(kind, row, refusal.problems)
    return len(rows), ready, problems


def _cells(kind: ImportKind, row: CsvRow) -> dict[str, str]:
    """The cells as the models take them.

    Raises:
        InputRefused: cells with control characters, or more cells than columns.
    """
    wrong, cells = [], {}
    for column in kind.columns:
        cell = row.cells.get(column.name, "").strip()
        try:
            if cell:
                cells[column.name] = column.read(check_line(cell))
        except CodeError as error:
            wrong.append(FieldProblem(column.name, error.title))
    if row.surplus:
        wrong.append(FieldProblem("", ("单元格多于表头的列数。", "More cells than the header has columns.")))
    if wrong:
        raise InputRefused(*wrong)
    return cells


async def _applied(
    act: Act, kind: ImportKind, row: CsvRow, applying: Applying, issued: list[IssuedPassword]
) -> list[ImportProblem]:
    """Take one row over; gives what is wrong with it. What a row did that failed is undone."""
    try:
        async with act.attempt():
            made = await applying(act)
    except InputRefused as refusal:
        return _problems(kind, row, refusal.problems)
    except (Forbidden, Conflict) as refusal:
        return [ImportProblem(row.number, "", refusal.title)]
    if made is not None:
        issued.append(made)
    return []


def _problems(kind: ImportKind, row: CsvRow, problems: tuple[FieldProblem, ...]) -> list[ImportProblem]:
    return [_problem(kind, row, kind.column_of(problem.field), problem.title) for problem in problems]


def _problem(kind: ImportKind, row: CsvRow, name: str, title: tuple[str, str]) -> ImportProblem:
    column = next((one for one in kind.columns if one.name == name), None)
    value = row.cells.get(name, "").strip()
    return ImportProblem(row.number, name, title, "" if column is None else column.shown(value))

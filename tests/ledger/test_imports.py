"""CSV files: how they may be written, what is told of each wrong row, and that all of a file is saved or nothing."""

import csv
import io

import pytest
from sqlalchemy import func, select

from gateway.codes import citizen_check_digit
from gateway.errors import Forbidden, InputRefused
from gateway.ledger.acting import Office, digest_with
from gateway.ledger.grants import Grants
from gateway.ledger.imports import ImportProblem, ImportReport, Imports, write_passwords, write_problems
from gateway.ledger.office_tables import GRANTS, OPERATORS, STAFF
from gateway.ledger.operators import Operators
from gateway.ledger.powers import Role
from gateway.ledger.rules import OfficeItem, Rules
from gateway.ledger.tables import CHANGES
from gateway.model import Kind
from tests.ledger.office_world import seed_staff, seed_unit
from tests.ledger.staff_world import staff_world

ITEM = OfficeItem("pension-declare", "待遇申领", frozenset({Kind.LEGAL}), closable=False, granted=True, system="social")
UNIT = "91350100M000100Y43"
NUMBER = "110105194912310" + "02" + citizen_check_digit("11010519491231002")
GRANT_HEADER = "uscc,operator_account,operator_name,operator_id_number,item,scope,valid_from,valid_until,exclusive\r\n"
GRANT = f"{UNIT},op-1,样例经办,{NUMBER},pension-declare,,2023-11-15,2024-11-14,是\r\n"
"""A row; the tests' clock stands at 15 November 2023 in China."""


@pytest.fixture
def staff(ledger, clock):
    ledger.office.rules = Rules(items={ITEM.code: ITEM})
    with staff_world(ledger, clock) as world:
        yield world


@pytest.fixture
def imports(staff):
    return Imports(staff.office, staff.register, Operators(staff.office), Grants(staff.office))


async def count(staff, table):
    async with staff.database.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(table))


def places(report: ImportReport) -> list[tuple[int, str]]:
    return [(problem.row, problem.column) for problem in report.problems]


@pytest.fixture
async def system(staff):
    return await seed_staff(staff.office, Role.SYSTEM, "35")


async def test_a_file_of_accounts_is_tried_and_then_taken_over(staff, imports, system):
    content = "login,name\r\nann,样例甲\r\nben,样例乙\r\n".encode()
    before = await count(staff, STAFF), await count(staff, CHANGES)

    tried = await imports.run(system, "staff", content, dry_run=True)
    assert (tried.rows, tried.accepted, tried.problems, tried.passwords, tried.saved) == (2, 2, (), (), False)
    assert (await count(staff, STAFF), await count(staff, CHANGES)) == before

    done = await imports.run(system, "staff", content, dry_run=False)
    assert done.saved
    assert [one.staff.login for one in done.passwords] == ["ann", "ben"]
    assert await staff.begin_with(done.passwords[0]) == "password-change"


async def test_one_wrong_row_keeps_the_whole_file_out_and_every_wrong_row_is_told(staff, imports, system):
    """Also what the ledger alone knows, as a login that is taken, or that is twice in the file."""
    rows = [f"{system.login},样例甲", "ben,样例乙", "BEN,样例丙", "x,样例丁", "cat,", "dora,样例,more"]
    content = "\n".join(["登录名,姓名", *rows]).encode()
    before = await count(staff, STAFF)
    report = await imports.run(system, "staff", content, dry_run=False)

    assert places(report) == [(2, "login"), (4, "login"), (5, "login"), (6, "name"), (7, "")]
    assert (report.rows, report.accepted, report.saved, report.passwords) == (6, 1, False, ())
    assert await count(staff, STAFF) == before


async def test_posts_are_given_by_login_and_within_the_region(staff, imports, system):
    security = await seed_staff(staff.office, Role.SECURITY, "35")
    await imports.run(system, "staff", "login,name\nann,样例甲\nben,样例乙\n".encode(), dry_run=False)
    header = "登录名;岗位;辖区\n"
    good = f"{header}ann;经办岗;350100\nBEN;reviewer;350000\n".encode()
    bad = f"{header}ann;经办;350100\nnobody;clerk;350100\nben;clerk;360000\n{security.login};clerk;350100\n".encode()

    report = await imports.run(security, "posts", bad, dry_run=False)
    assert places(report) == [(2, "role"), (3, "login"), (4, ""), (5, "")]
    assert report.problems[0].title[0] == "岗位应为 系统管理员、安全管理员、审计管理员、经办岗、复核岗 之一。"
    assert (await imports.run(security, "posts", good, dry_run=False)).saved
    posts = {record.login: (record.role, record.region) for record in await staff.register.everybody()}
    assert posts["ann"] == (Role.CLERK, "350100")
    assert posts["ben"] == (Role.REVIEWER, "350000")


async def test_grants_enter_operators_who_are_not_there_yet(staff, imports):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    await seed_unit(staff.office, UNIT, "350100", "reviewed")

    report = await imports.run(clerk, "grants", (GRANT_HEADER + GRANT).encode(), dry_run=False)
    assert places(report) == []
    async with staff.database.reading() as connection:
        grant = (await connection.execute(select(GRANTS))).one()
        operator = (await connection.execute(select(OPERATORS))).one()
    assert (grant.item, grant.exclusive, grant.operator_id, grant.state) == (ITEM.code, True, operator.id, "proposed")
    assert NUMBER not in repr(tuple(operator))


async def test_wrong_grants_are_told_by_column_and_numbers_only_masked(staff, imports):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    await seed_unit(staff.office, UNIT, "350100", "reviewed")
    elsewhere = await seed_unit(staff.office, "91360100M000100Y49", "360100", "reviewed")
    wrong_digit = NUMBER[:17] + ("1" if NUMBER[17] != "1" else "2")
    rows = [
        GRANT,
        GRANT.replace(UNIT, UNIT[:-1] + "0"),
        GRANT.replace(NUMBER, wrong_digit),
        GRANT.replace(NUMBER, "1.10105E+17"),
        GRANT.replace("pension-declare", "no-such-item").replace("op-1", "op-2"),
        GRANT.replace("2024-11-14", "14.11.24"),
        GRANT.replace("2023-11-15", "2023/11/14"),
        GRANT.replace(UNIT, "91360100M000100Y49"),
        GRANT,
        GRANT.replace("是", "maybe"),
    ]
    report = await imports.run(clerk, "grants", (GRANT_HEADER + "".join(rows)).encode(), dry_run=False)

    assert elsewhere
    assert places(report) == [
        (3, "uscc"),
        (4, "operator_id_number"),
        (5, "operator_id_number"),
        (6, "item"),
        (7, "valid_until"),
        (8, "valid_from"),
        (9, "uscc"),
        (10, ""),
        (11, "exclusive"),
    ]
    assert wrong_digit.encode() not in write_problems(report)
    assert await count(staff, OPERATORS) == 0


async def test_an_operator_is_recognised_after_the_key_of_the_digests_was_changed(staff, imports):
    """Her number is kept as a digest alone, which a new key cannot make anew."""
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    await seed_unit(staff.office, UNIT, "350100", "reviewed")
    await imports.run(clerk, "grants", (GRANT_HEADER + GRANT).encode(), dry_run=False)
    new = digest_with(b"n" * 32)
    told = []
    for digests in ((new, staff.office.digest), (new,)):
        office = Office(staff.database, staff.office.clock, *digests)
        office.rules = staff.office.rules
        renewed = Imports(office, staff.register, Operators(office), Grants(office))
        told.append(places(await renewed.run(clerk, "grants", (GRANT_HEADER + GRANT).encode(), dry_run=True)))
    assert told == [[(2, "")], [(2, "operator_id_number")]], "a grant is open already; the number is another one"


async def test_an_operator_who_is_there_is_the_same_person_or_the_row_is_refused(staff, imports):
    clerk = await seed_staff(staff.office, Role.CLERK, "3501")
    await seed_unit(staff.office, UNIT, "350100", "reviewed")
    await imports.run(clerk, "grants", (GRANT_HEADER + GRANT).encode(), dry_run=False)
    other = "11010519491231" + "004" + citizen_check_digit("11010519491231004")
    report = await imports.run(clerk, "grants", (GRANT_HEADER + GRANT.replace(NUMBER, other)).encode(), dry_run=False)
    assert places(report) == [(2, "operator_id_number")]


async def test_a_file_needs_the_powers_that_its_rows_need(staff, imports):
    allowed = {"staff": {Role.SYSTEM}, "posts": {Role.SECURITY}, "grants": {Role.CLERK, Role.REVIEWER}}
    for role in Role:
        by = await seed_staff(staff.office, role, "")
        for kind, roles in allowed.items():
            with pytest.raises((Forbidden, InputRefused)) as caught:
                await imports.run(by, kind, b"whatever", dry_run=True)
            assert caught.value.code == ("input-refused" if role in roles else "not-your-role")


def test_a_list_of_errors_opens_as_text_in_a_spreadsheet():
    """No cell is a formula, Excel sees UTF-8, and quotes are kept."""
    values = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", 'say "hi"', "plain")
    problems = tuple(ImportProblem(row, "name", ("错", "wrong"), value) for row, value in enumerate(values, 2))
    content = write_problems(ImportReport("staff", 8, 0, problems, dry_run=True))

    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row[4] for row in rows[1:]] == [f"'{value}" for value in values[:6]] + list(values[6:])


async def test_rows_are_counted_as_the_spreadsheet_counts_them(imports, system):
    report = await imports.run(system, "staff", b"login,name\n\nx,y\n,,\nann,\x07beep\n", dry_run=True)
    assert places(report) == [(3, "login"), (5, "name")]


async def test_one_time_passwords_are_a_file_of_their_own(imports, system):
    report = await imports.run(system, "staff", "login,name\nann,样例甲\n".encode(), dry_run=False)
    [_, row] = csv.reader(io.StringIO(write_passwords(report).decode("utf-8-sig"), newline=""))
    assert row == ["ann", "样例甲", report.passwords[0].password]
    assert report.passwords[0].password not in repr(report)

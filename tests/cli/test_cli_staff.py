"""`tongguan staff` on a ledger of its own: the first administrators, the list, and help for who is locked out."""

import json
import sqlite3

import pytest

CONSOLE = """\
console:
  listen: 127.0.0.1:8082
  hosts: [console.dept-hrss.example]
  keys: [{$env: TEST_CONSOLE_KEY}]
"""
FOUNDERS = ("--system", "ann", "--security", "ben", "--audit", "cat")


@pytest.fixture
def office(world, monkeypatch):
    """The world with a back office."""
    monkeypatch.setenv("TEST_CONSOLE_KEY", "k" * 32)
    world.edit("gateway.yaml", "drain: 30s", CONSOLE + "drain: 30s")
    return world


def test_the_first_administrators_get_passwords_once_and_others_none(run, office):
    first = run("staff", "init", *FOUNDERS)
    again = run("staff", "init", "--system", "dora", "--security", "eve", "--audit", "fay")

    told = [line.split() for line in first.stdout.splitlines()]
    assert (first.exit_code, [line[:2] for line in told]) == (
        0,
        [["system:", "ann"], ["security:", "ben"], ["audit:", "cat"]],
    )
    assert len({line[2] for line in told}) == 3
    assert (again.exit_code, again.stdout) == (1, "")
    assert "已有工作人员账户" in again.stderr
    assert [record["login"] for record in listed(run)] == ["ann", "ben", "cat"]


def test_one_person_cannot_be_two_administrators(run, office):
    result = run("staff", "init", "--system", "ann", "--security", "ANN", "--audit", "cat")
    assert (result.exit_code, listed(run)) == (2, [])


def test_a_login_that_cannot_be_is_a_usage_error(run, office):
    result = run("staff", "init", "--system", "安", "--security", "ben", "--audit", "cat")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "A login has" in result.stderr


def test_whom_nobody_else_can_help_gets_a_new_password_at_the_machine(run, office):
    before = run("staff", "init", *FOUNDERS).stdout
    result = run("staff", "reset", "Ben")

    login, password = result.stdout.split()
    assert (result.exit_code, login) == (0, "ben")
    assert password not in before
    assert run("staff", "reset", "nobody").exit_code == 1
    with sqlite3.connect(office.folder / "ledger.db") as database:
        entries = database.execute("SELECT issuer, action FROM changes ORDER BY id DESC LIMIT 1").fetchall()
    database.close()
    assert entries == [("gateway", "staff.reset")]


def test_people_read_a_table(run, office):
    run("staff", "init", *FOUNDERS)
    words = run("staff", "list").stdout.split()
    assert {"ann", "system", "000000", "active"} <= set(words)


def test_without_a_back_office_there_is_no_staff(run, world):
    result = run("staff", "list")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "there is no back office" in result.stderr
    assert not (world.folder / "ledger.db").exists()


def listed(run):
    return json.loads(run("staff", "list", "--format", "json").stdout)

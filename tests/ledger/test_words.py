"""Every code that the ledger has is said in words: roles, states, and what the history calls its actions."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from gateway.ledger import office_tables
from gateway.ledger.imports import ImportName
from gateway.ledger.inputs.units import PartyKind
from gateway.ledger.powers import Power, Role
from gateway.ledger.words import ROLES, TABLES, told, word
from tests.parsing import parsed

LEDGER = Path(office_tables.__file__).parent
ACTION = re.compile(r"[a-z-]+\.[a-z-]+")
SUBJECTS = {action.partition(".")[0] for action in TABLES["action"]}


def texts_of(path):
    """Every text in a source."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def actions_of_the_ledger():
    texts = {text for path in LEDGER.glob("*.py") for text in texts_of(path)}
    found = {text for text in texts if ACTION.fullmatch(text) and text.partition(".")[0] in SUBJECTS}
    return found - {power.value for power in Power} - {f"{subject}.id" for subject in SUBJECTS}


def states_of(table):
    """The states that the table's constraint allows."""
    [text] = [str(one.sqltext) for one in table.constraints if one.name and one.name.endswith("_state")]
    return set(ast.literal_eval(text.partition(" IN ")[2]))


def test_every_action_of_the_history_has_its_words():
    found = actions_of_the_ledger()
    assert len(found) > 30
    assert found - set(TABLES["action"]) == set()


@pytest.mark.parametrize(
    ("words", "table"),
    [
        ("party", office_tables.PARTIES),
        ("application", office_tables.APPLICATIONS),
        ("grant", office_tables.GRANTS),
        ("binding", office_tables.BINDINGS),
        ("device", office_tables.DESIGNATED),
        ("appeal", office_tables.APPEALS),
    ],
)
def test_every_state_has_its_words_and_no_word_is_left_over(words, table):
    assert set(TABLES[words]) == states_of(table)


def test_every_role_kind_and_import_has_its_words():
    assert set(ROLES) == set(Role)
    assert set(TABLES["kind"]) == set(get_args(PartyKind))
    assert set(TABLES["import"]) == set(get_args(ImportName))


def test_every_word_is_there_in_both_languages():
    assert all(chinese and english for table in TABLES.values() for chinese, english in table.values())


def test_a_code_without_words_stands_for_itself():
    assert word("party", "elsewhere") == ("elsewhere", "")
    assert word("role", None) == ("—", "—")


def test_details_of_the_history_are_told_in_words():
    """States by what they are states of, moments in local time, lists in one line."""
    detail = {
        "before": "proposed",
        "valid_until": 7.0,
        "exclusive": True,
        "items": ["a", "b"],
        "scope": "3501",
        "new": 1,
    }
    assert told("grant.approved", detail, lambda at: f"at {at}") == [
        (("变更前", "before"), ("待复核", "waits for approval")),
        (("截止时间", "until"), ("at 7.0", "")),
        (("独占", "exclusive"), ("是", "yes")),
        (("事项", "items"), ("a, b", "")),
        (("适用区划", "scope"), ("350100", "")),
        (("new", ""), ("1", "")),
    ]

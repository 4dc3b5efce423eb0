"""What may be entered about units: each problem is found by the model, and beside its field."""

import pytest

from gateway.errors import InputRefused
from gateway.ledger.inputs.checking import check_input
from gateway.ledger.inputs.deciding import ReasonInput, ReviewInput
from gateway.ledger.inputs.units import (
    ApplicationInput,
    HistoryInput,
    LeaveInput,
    OperatorInput,
    PartySearchInput,
    RegionInput,
)

OPERATOR = {"account": "operator-a", "name": "样例甲", "id_number": "11010519491231002X"}

GOOD = [
    (ReasonInput, {"reason": " 材料不全 ", "version": 1}),
    (ReviewInput, {"approve": True, "version": 1}),
    (RegionInput, {"region": "350100", "version": 1}),
    (RegionInput, {"region": "370102001000", "version": 1}),
    (PartySearchInput, {}),
    (PartySearchInput, {"text": "　样例 ", "state": "bound", "kind": "legal", "page": 3}),
    (ApplicationInput, {"items": ["declare"], "note": "第一行\r\n第二行"}),
    (OperatorInput, OPERATOR),
    (OperatorInput, OPERATOR | {"id_number": " 11010519491231002x "}),
    (LeaveInput, {"reason": "已离职"}),
    (HistoryInput, {"action": "party.", "since": "2023-11-15", "until": "2023-11-15"}),
]

BAD = [
    (ReasonInput, {"reason": "  ", "version": 0}, ["reason", "version"]),
    (ReasonInput, {"reason": "a\nb", "version": 1}, ["reason"]),
    (ReasonInput, {"reason": "长" * 401, "version": 1}, ["reason"]),
    (ReviewInput, {"reason": "\0", "version": 1}, ["approve", "reason"]),
    (RegionInput, {"region": "3501", "version": 1}, ["region"]),
    (RegionInput, {"region": "000000", "version": 1}, ["region"]),
    (RegionInput, {"region": "350100\n1", "version": 1}, ["region"]),
    (
        PartySearchInput,
        {"text": "a\0", "state": "gone", "kind": "anyone", "page": 0},
        ["page", "text", "state", "kind"],
    ),
    (ApplicationInput, {"items": []}, ["items"]),
    (ApplicationInput, {"items": ["x"] * 51}, ["items"]),
    (ApplicationInput, {"items": ["x", ""], "note": "\x1b[31m"}, ["items.1", "note"]),
    (OperatorInput, {"account": "", "name": "样\n例", "id_number": ""}, ["account", "name", "id_number"]),
    (OperatorInput, OPERATOR | {"name": "样例\u202e甲"}, ["name"]),
    (OperatorInput, OPERATOR | {"account": "op-1\u200b", "name": "\ufeff样例甲"}, ["account", "name"]),
    (OperatorInput, OPERATOR | {"id_number": "110105194912310021"}, ["id_number"]),
    (OperatorInput, OPERATOR | {"id_number": "11010519491331002X"}, ["id_number"]),
    (OperatorInput, OPERATOR | {"phone": "1"}, ["phone"]),
    (LeaveInput, {}, ["reason"]),
    (HistoryInput, {"action": "%", "since": "15.11.2023", "page": -1}, ["page", "action", "since"]),
]


@pytest.mark.parametrize(("model", "entered"), GOOD)
def test_what_is_right_is_taken(model, entered):
    assert check_input(model, entered)


@pytest.mark.parametrize(("model", "entered", "fields"), BAD)
def test_every_problem_is_told_beside_its_field_and_repeats_nothing(model, entered, fields):
    with pytest.raises(InputRefused) as caught:
        check_input(model, entered)
    assert [problem.field for problem in caught.value.problems] == fields
    told = str([problem.title for problem in caught.value.problems])
    assert "110105" not in told


def test_a_choice_is_listed_as_each_language_lists():
    with pytest.raises(InputRefused) as caught:
        check_input(PartySearchInput, {"text": "", "kind": "anyone"})
    [problem] = caught.value.problems
    assert problem.title == ("只能是 natural 或 legal。", "One of 'natural' or 'legal' is expected.")


def test_what_is_entered_of_people_stays_out_of_what_is_logged():
    shown = repr(OperatorInput(**OPERATOR))
    assert not [value for value in OPERATOR.values() if value in shown]

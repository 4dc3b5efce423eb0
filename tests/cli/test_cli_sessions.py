"""`tongguan sessions` against a listener that says what it is told to."""

import json

from tests.cli.test_cli_management import gateway

__all__ = ["gateway"]

ONE = {
    "handle": "0123456789abcdef",
    "issuer": "https://id.province.example",
    "subject": "5e884898da28047151d0e56f8dc62927",
    "operator": None,
    "kind": "natural",
    "assurance": 3,
    "channel": "wechat",
    "began_at": 1_700_000_000.0,
    "used_at": 1_700_000_060.0,
    "expires_at": 1_700_001_260.0,
}
LIST, END = "POST /sessions/list", "POST /sessions/end"


def test_sessions_are_listed_by_handle(run, gateway):
    gateway.answers[LIST] = 200, {"sessions": [ONE], "total": 1}
    result = run("sessions", "list")
    assert result.exit_code == 0
    assert {"0123456789abcdef", "wechat", "natural"} <= set(result.stdout.split())
    assert gateway.asked == [(LIST, {})]


def test_one_persons_sessions_are_asked_for_and_persons_shown_on_request(run, gateway):
    gateway.answers[LIST] = 200, {"sessions": [ONE], "total": 2000}
    result = run("sessions", "list", "--subject", "u-1", "--reveal")
    assert gateway.asked == [(LIST, {"subject": "u-1", "reveal": "yes"})]
    assert "2000 in all" in result.stderr


def test_a_machine_reads_json(run, gateway):
    gateway.answers[LIST] = 200, {"sessions": [ONE], "total": 1}
    assert json.loads(run("sessions", "list", "--format", "json").stdout) == {"sessions": [ONE], "total": 1}


def test_a_session_is_ended_by_its_handle(run, gateway):
    gateway.answers[END] = 200, {"ended": 1}
    result = run("sessions", "revoke", "0123456789abcdef")
    assert (result.exit_code, result.stdout) == (0, "1 session(s) ended\n")
    assert gateway.asked == [(END, {"handle": "0123456789abcdef"})]


def test_sessions_are_ended_by_person_and_by_the_issuers_session(run, gateway):
    gateway.answers[END] = 200, {"ended": 3}
    run("sessions", "revoke", "--subject", "u-1", "--issuer", "https://id.province.example")
    run("sessions", "revoke", "--sid", "s-1")
    assert [asked for _, asked in gateway.asked] == [
        {"sub": "u-1", "iss": "https://id.province.example"},
        {"sid": "s-1"},
    ]


def test_ending_nothing_is_exit_code_1(run, gateway):
    gateway.answers[END] = 200, {"ended": 0}
    assert run("sessions", "revoke", "0123456789abcdef").exit_code == 1


def test_what_could_not_be_done_is_a_sentence(run, gateway):
    gateway.answers[END] = gateway.answers[LIST] = 503, {"status": 503, "detail": "Redis was away a moment ago"}
    for arguments in (("list",), ("revoke", "x")):
        result = run("sessions", *arguments)
        assert (result.exit_code, result.stderr) == (1, "Error: Redis was away a moment ago\n")


def test_it_has_to_be_said_which(run, gateway):
    assert "say which" in run("sessions", "revoke").stderr
    assert "say which" in run("sessions", "revoke", "--issuer", "x").stderr
    assert "empty" in run("sessions", "revoke", "--subject", "").stderr
    assert gateway.asked == []

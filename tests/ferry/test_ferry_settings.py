"""gatekeeper.yaml: what is wrong is told with file and line, and nothing is started."""

import pytest

from gateway.errors import ConfigurationError
from gateway.ferry.inner_process import main_gatekeeper
from gateway.ferry.inner_settings import load_gatekeeper
from gateway.processes.foreground import MISCONFIGURED

GOOD = """\
listen: 127.0.0.1:9500
key: {$env: FERRY_TEST_KEY}
message: 4MiB
systems:
  - name: medical
    targets: [http://127.0.0.1:9001]
routes:
  - id: settlement
    system: medical
    method: GET
    path: /settlements/{settlement_id}
    timeout: 5s
  - id: declare
    system: medical
    method: POST
    path: /declarations
    request: {content_types: [application/json, multipart/form-data], size: 2MiB, attachments: [pdf]}
    answer: {content_types: [application/json], fields: [location]}
"""


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("FERRY_TEST_KEY", "k" * 32)
    monkeypatch.setenv("FERRY_SHORT_KEY", "k" * 31)


def write(tmp_path, text: str):
    path = tmp_path / "gatekeeper.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_is_read(tmp_path):
    settings = load_gatekeeper(write(tmp_path, GOOD))
    assert settings.key.get_secret_value() == "k" * 32
    assert settings.message == 4 << 20
    assert settings.routes[1].request.attachments == ("pdf",)
    assert settings.routes[0].answer.content_types == ("application/json",)
    assert "kkkk" not in repr(settings)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("timeout: 5s", "timeuot: 5s", 12, "did you mean 'timeout'"),
        ("timeout: 5s", "timeout: 5", 12, "unit"),
        ("message: 4MiB", "message: 1B", 3, "at least 1024"),
        ("listen: 127.0.0.1:9500", "listen: nowhere", 1, "address"),
        ("{$env: FERRY_TEST_KEY}", "{$env: FERRY_NOT_SET}", 2, "FERRY_NOT_SET"),
        ("{$env: FERRY_TEST_KEY}", "a-literal-key-of-at-least-thirty-two-bytes", 2, "secret"),
        ("{$env: FERRY_TEST_KEY}", "{$env: FERRY_SHORT_KEY}", 2, "32"),
        ("[http://127.0.0.1:9001]", "[http://127.0.0.1:9001/path]", 6, "target"),
        ("[http://127.0.0.1:9001]", "[https://127.0.0.1]", 6, "target"),
        ("method: GET", "method: CONNECT", 10, "GET"),
        ("/settlements/{settlement_id}", "/settlements/{id}/{id}", 11, "twice"),
        ("/settlements/{settlement_id}", "settlements", 11, "template"),
        ("/settlements/{settlement_id}", "/a/../b", 11, "template"),
        ("/settlements/{settlement_id}", "/a//b", 11, "template"),
        ("/settlements/{settlement_id}", "/a?x=1", 11, "template"),
        ("attachments: [pdf]", "attachments: [exe]", 17, "pdf"),
        ("/settlements/{settlement_id}", "/a;b", 11, "template"),
        ("/settlements/{settlement_id}", "/a/%2e%2e", 11, "template"),
        ("[http://127.0.0.1:9001]", "[http://127.0.0.1]", 6, "target"),
        ("fields: [location]", "fields: [Transfer-Encoding]", 18, "never crosses"),
        ("fields: [location]", "fields: [x-forwarded-for]", 18, "never crosses"),
        ("fields: [location]", "fields: [content-type]", 18, "never crosses"),
        ("fields: [location]", "fields: [x_form]", 18, "no header field name"),
        ("listen: 127.0.0.1:9500", "listen: 127.0.0.1:9500\nrecords: syslog", 2, "is no sink"),
        ("id: declare", "id: settlement", 13, "routes[1].id: 'settlement' is there more than once"),
        ("message: 4MiB", "records: file:/nowhere/ferry.jsonl", 3, "there is no such folder"),
        ("message: 4MiB", "application: file:/usr", 3, "is a folder"),
        (
            "    system: medical\n    method: POST",
            "    system: medcial\n    method: POST",
            14,
            "no system named 'medcial' (did you mean 'medical'?)",
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_line(tmp_path, old, new, line, why):
    assert old in GOOD
    with pytest.raises(ConfigurationError) as refused:
        load_gatekeeper(write(tmp_path, GOOD.replace(old, new, 1)))
    [problem] = refused.value.problems
    assert problem.startswith(f"gatekeeper.yaml:{line}")
    assert why in problem


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(ConfigurationError) as refused:
        load_gatekeeper(write(tmp_path, GOOD.replace("5s", "5").replace("POST", "PSOT").replace("4MiB", "4")))
    assert len(refused.value.problems) == 3


def test_a_bad_file_ends_the_command_with_2_and_says_why(tmp_path, capsys):
    assert main_gatekeeper(write(tmp_path, "listen: [\n")) == MISCONFIGURED
    assert "gatekeeper.yaml:" in capsys.readouterr().err


def test_a_missing_file_ends_the_command_with_2(tmp_path, capsys):
    assert main_gatekeeper(tmp_path / "none.yaml") == MISCONFIGURED
    assert "none.yaml" in capsys.readouterr().err


def test_an_address_in_use_ends_the_command_with_2(tmp_path, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main_gatekeeper(write(tmp_path, GOOD.replace("9500", str(port)))) == MISCONFIGURED
    assert "in use" in capsys.readouterr().err

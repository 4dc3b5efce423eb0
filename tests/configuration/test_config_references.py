"""gateway.configuration.references: secrets stand elsewhere, and what they hold is in no message."""

import os

import pytest

from gateway.configuration.loading import policy_from, static_from
from gateway.errors import ConfigurationError


def test_a_reference_stands_for_the_value_it_names(world):
    loaded = world.load()

    assert static_from(loaded.static).records.pseudonym_key.get_secret_value() == "p" * 16
    assert policy_from(loaded.policy).systems[1].key.get_secret_value() == "f" * 32


def test_a_reference_may_stand_for_any_text(world, monkeypatch):
    monkeypatch.setenv("TEST_DEPARTMENT", "dept-from-env")
    world.edit("gateway.yaml", "department: dept-hrss", "department: {$env: TEST_DEPARTMENT}")

    assert world.load().settings.department == "dept-from-env"


def test_a_file_loses_one_trailing_newline_and_nothing_else(world):
    world.write_secret("pseudonym", "  all spaces stay \n\n")
    world.edit("gateway.yaml", "{$env: TEST_PSEUDONYM_KEY}", "{$file: pseudonym}")

    assert world.load().settings.records.pseudonym_key.get_secret_value() == "  all spaces stay \n"


def test_a_file_is_looked_for_beside_the_file_that_names_it(world):
    world.edit("gateway.yaml", "department: dept-hrss", "department: dept-hrss\npolicy: rules/policy.yaml")
    world.write("rules/policy.yaml", (world.folder / "policy.yaml").read_text())
    world.edit("rules/policy.yaml", "{$env: TEST_FERRY_KEY}", "{$file: ferry.key}")
    world.write_secret("rules/ferry.key", "k" * 32)

    assert policy_from(world.load().policy).systems[1].key.get_secret_value() == "k" * 32


def test_referenced_files_are_watched_too(world):
    names = {path.name for path in world.load().files}

    assert {"gateway.yaml", "policy.yaml", "identity.pem"} == names


REFERENCES = [
    ("{$env: TEST_NOT_SET}", "environment variable TEST_NOT_SET is not set"),
    ("{$env: TEST_EMPTY}", "environment variable TEST_EMPTY is empty"),
    ("{$env: TEST_BYTES}", "environment variable TEST_BYTES is not UTF-8"),
    ("{$env: ''}", "$env needs a name as text"),
    ("{$env: 5}", "$env needs a name as text"),
    ("{$env: A, default: b}", "a reference stands alone: {$env: NAME} or {$file: path}"),
    ("{$evn: A}", "$evn is no reference; write $env or $file (did you mean '$env'?)"),
    ("{$file: none}", "none: No such file or directory"),
    ("{$file: .}", ".: Is a directory"),
    ("{$file: pipe}", "pipe is not a regular file"),
    ("{$file: shared}", "shared can be written by group or others (mode 620); chmod go-w"),
    ("{$file: empty}", "empty is empty"),
    ("{$file: binary}", "binary is not UTF-8"),
    ("{$file: large}", "large is larger than 1 MiB"),
]


@pytest.mark.parametrize(("written", "problem"), REFERENCES)
def test_a_reference_that_leads_nowhere_is_told_with_its_line(world, monkeypatch, written, problem):
    monkeypatch.setenv("TEST_EMPTY", "")
    monkeypatch.setitem(os.environb, b"TEST_BYTES", b"\xff")
    os.mkfifo(world.folder / "pipe", 0o600)
    world.write_secret("shared", "secret", mode=0o620)
    world.write_secret("empty", "\n")
    world.write_secret("binary", b"\xff\xfe")
    world.write_secret("large", "x" * ((1 << 20) + 1))
    world.edit("gateway.yaml", "{$env: TEST_PSEUDONYM_KEY}", written)

    assert [f"gateway.yaml:12 records.pseudonym_key: {problem}"] == world.problems()


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        ("gateway.yaml", "{$file: identity.pem}", "'-----BEGIN'", "gateway.yaml:9 identity.key"),
        ("gateway.yaml", "{$env: TEST_PSEUDONYM_KEY}", "0123456789abcdef", "gateway.yaml:12 records.pseudonym_key"),
        ("policy.yaml", "{$env: TEST_FERRY_KEY}", "f" * 40, "policy.yaml:21 systems[1].key"),
        ("policy.yaml", "window: 5m", "keys: [{id: a, secret: b}]", "policy.yaml:5 channels[0].config.keys[0].secret"),
        ("policy.yaml", "{window: 5m}", "{aliases: {a: b}}", "policy.yaml:5 channels[0].config.aliases.a"),
    ],
)  # fmt: skip
def test_a_secret_that_is_written_out_is_an_error(world, file, old, new, problem):
    world.edit(file, old, new)

    assert problem + ": is a secret; write it as a reference: {$env: NAME} or {$file: path}" in world.problems()


def test_what_a_reference_holds_is_in_no_message_and_no_repr(world, monkeypatch):
    monkeypatch.setenv("TEST_ADDRESS", "hunter2")
    world.edit("gateway.yaml", "listen: 127.0.0.1:8080", "listen: {$env: TEST_ADDRESS}")

    problems = world.problems()

    expected = "the referenced value is no address; write 127.0.0.1:8080, [::1]:8080 or unix:/path/to.sock"
    assert [f"gateway.yaml:2 listen: {expected}"] == problems


def test_loaded_configuration_does_not_show_its_secrets(world):
    loaded = world.load()

    assert "p" * 16 not in repr(loaded)
    assert "f" * 32 not in repr(loaded)


def test_an_unset_reference_is_the_only_problem_of_its_place(world, monkeypatch):
    monkeypatch.delenv("TEST_UNSET", raising=False)
    world.edit("gateway.yaml", "listen: 127.0.0.1:8080", "listen: {$env: TEST_UNSET}")

    assert world.problems() == ["gateway.yaml:2 listen: environment variable TEST_UNSET is not set"]


def test_a_signing_key_that_is_written_out_is_not_judged_as_a_key(world):
    world.edit("gateway.yaml", "{$file: identity.pem}", "no-key")

    [problem] = world.problems()
    assert problem.startswith("gateway.yaml:9 identity.key: is a secret; ")


def test_an_unset_reference_does_not_hide_other_problems(world, monkeypatch):
    monkeypatch.delenv("TEST_FERRY_KEY")
    world.edit("policy.yaml", "system: outside", "system: outsied")

    assert world.problems() == [
        "policy.yaml:21 systems[1].key: environment variable TEST_FERRY_KEY is not set",
        "policy.yaml:27 items[0].system: no system named 'outsied' (did you mean 'outside'?)",
    ]


def test_configuration_errors_are_not_about_values_of_secrets(world, monkeypatch):
    monkeypatch.setenv("TEST_FERRY_KEY", "hunter2")

    with pytest.raises(ConfigurationError) as caught:
        world.load()

    assert caught.value.problems == ["policy.yaml:21 systems[1].key: is shorter than 32 bytes"]

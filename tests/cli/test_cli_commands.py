"""The command line offline: what it prints, where, and how it exits."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gateway.cli import COMMANDS, tongguan


def test_help_lists_every_command_in_both_languages_and_the_exit_codes():
    result = CliRunner().invoke(tongguan, ["--help"])

    assert result.exit_code == 0
    for name, named in COMMANDS.items():
        assert f"{name} " in result.output
        assert named.chinese in result.output
    assert "Exit codes:" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_one_and_says_the_same_in_chinese(name):
    if name in ("sandbox", "tour"):  # their own --help answers
        return
    result = CliRunner().invoke(tongguan, [name, "--help"])

    assert result.exit_code == 0
    assert COMMANDS[name].chinese in result.output


def test_help_imports_none_of_the_commands():
    program = "import sys, gateway.cli\ntry: gateway.cli.main()\nexcept SystemExit: pass\n"
    program += "print(*[name for name in sys.modules if name.startswith(('gateway.cli.', 'gateway.configuration.'))])"
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == ""


def test_an_unknown_command_is_a_usage_error():
    assert CliRunner().invoke(tongguan, ["serv"]).exit_code == 2


def test_no_configuration_at_all_is_told_with_the_places_that_were_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TONGGUAN_CONFIG", raising=False)

    result = CliRunner().invoke(tongguan, ["check"])

    assert result.exit_code == 2
    assert "config/gateway.yaml" in result.stderr


def test_the_environment_names_the_configuration(world, monkeypatch):
    monkeypatch.setenv("TONGGUAN_CONFIG", str(world.path))

    assert CliRunner().invoke(tongguan, ["check"]).exit_code == 0


def test_check_says_good_with_the_revision(run, world):
    result = run("check")

    assert result.exit_code == 0
    assert f"{world.path}: good, 2 items, 3 files, revision {world.load().revision}\n" == result.stdout


def test_check_gives_advice_and_still_exits_0(run, world):
    world.edit("gateway.yaml", "workers: 1", "scheme: http")

    result = run("check")

    assert result.exit_code == 0
    assert result.stdout.startswith("TG02 high: gateway.yaml:6 scheme: ")


def test_check_prints_every_problem_on_stderr_and_exits_2(run, world):
    world.edit("gateway.yaml", "workers: 1", "worker: 1")
    world.edit("policy.yaml", "system: outside", "system: outsied")

    result = run("check")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert [*world.problems(), f"{world.path}: cannot be used, 2 problems"] == result.stderr.splitlines()


def test_check_tells_machines_in_json(run, world):
    good = json.loads(run("check", "--format", "json").stdout)
    world.edit("gateway.yaml", "workers: 1", "worker: 1")
    bad = run("check", "--format", "json")

    assert (good["ok"], good["items"], good["advice"]) == (True, 2, [])
    assert bad.exit_code == 2
    assert {"ok": False, "file": str(world.path), "problems": world.problems()} == json.loads(bad.stdout)


def test_a_broken_configuration_is_no_traceback_for_any_command(run, world):
    world.write("policy.yaml", "")

    for command in (
        ["items", "list"],
        ["items", "show", "guides"],
        ["plugins", "schema", "web"],
        ["explain", "GET", "/"],
    ):
        result = run(*command)
        assert (
            result.exit_code,
            result.stderr.splitlines(),
        ) == (2, ["policy.yaml:1: is empty; it should hold a mapping of keys"])


def test_diff_says_nothing_of_the_same(run, world, tmp_path_factory):
    other = copy_of(world, tmp_path_factory)
    (other / "policy.yaml").write_text("# moved about\n" + (other / "policy.yaml").read_text())

    result = run("diff", str(world.folder), str(other))

    assert (result.exit_code, result.stdout) == (0, "")


def test_diff_tells_items_and_parts_by_name_and_keys_by_value(run, world, tmp_path_factory):
    old = copy_of(world, tmp_path_factory)
    world.edit("gateway.yaml", "drain: 30s", "drain: 40s")
    world.edit("policy.yaml", "assurance: 3", "assurance: 2")
    world.edit("policy.yaml", "timeout: 5s", "in_flight: 5")
    world.edit("policy.yaml", "code: guides", "code: handbooks")
    world.edit("policy.yaml", "name: owner-switch", "name: switch")

    result = run("diff", str(old / "gateway.yaml"), str(world.path))

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        '~ gateway.yaml drain: "30s" → "40s"',
        "- re-authorizer owner-switch",
        "+ re-authorizer switch",
        "- item guides",
        "+ item handbooks",
        "~ item settlements assurance: 3 → 2",
        "- item settlements limits.timeout",
        "+ item settlements limits.in_flight",
    ]


def test_diff_tells_when_the_order_changes_in_which_channels_are_asked(run, world, tmp_path_factory):
    old = copy_of(world, tmp_path_factory)
    more = "  - {name: app, use: 'tests.configuration.config_parts:Door'}\n"
    (old / "policy.yaml").write_text((old / "policy.yaml").read_text().replace("verifiers:", more + "verifiers:"))
    world.edit("policy.yaml", "channels:\n", "channels:\n" + more)

    result = run("diff", str(old), str(world.folder), "--format", "json")

    assert json.loads(result.stdout) == [
        {"kind": "changed", "what": "channels", "key": "order", "old": '["web", "app"]', "new": '["app", "web"]'}
    ]


def test_diff_needs_no_secret_and_repeats_none(run, world, tmp_path_factory, monkeypatch):
    monkeypatch.delenv("TEST_FERRY_KEY")
    old = copy_of(world, tmp_path_factory)
    world.edit("policy.yaml", "{$env: TEST_FERRY_KEY}", "written-out-by-mistake")

    result = run("diff", str(old / "policy.yaml"), str(world.folder / "policy.yaml"))

    assert result.stdout.splitlines() == ['~ system inside key: {"$env": "TEST_FERRY_KEY"} → "…"']


def test_diff_of_what_cannot_be_read_exits_2(run, world):
    result = run("diff", str(world.folder), str(world.folder / "none.yaml"))

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"{world.folder}/none.yaml: no such file"]


def test_diff_says_in_which_of_the_two_the_mistake_is(run, world, tmp_path_factory):
    old = copy_of(world, tmp_path_factory)
    (old / "policy.yaml").write_text("items: [\n")

    result = run("diff", str(old), str(world.folder))

    [problem] = result.stderr.splitlines()
    assert problem.startswith(f"{old}/policy.yaml:")


def test_the_schema_of_a_named_part_needs_no_secret(run, monkeypatch):
    monkeypatch.delenv("TEST_FERRY_KEY")

    assert '"window"' in run("plugins", "schema", "web").stdout


@pytest.mark.parametrize("group", ["db", "items", "keys", "plugins", "sessions", "staff", "token"])
def test_the_help_of_a_group_tells_whole_sentences(group):
    assert (
        "..." not in CliRunner().invoke(tongguan, [group, "--help"], terminal_width=80).output.partition("Commands:")[2]
    )


def test_the_file_of_the_inner_unit_can_be_checked_without_starting_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TEST_FERRY_KEY", "f" * 32)
    path = tmp_path / "gatekeeper.yaml"
    path.write_text(
        "listen: 127.0.0.1:1\n"
        "key: {$env: TEST_FERRY_KEY}\n"
        "systems: [{name: pension, targets: [http://127.0.0.1:9001]}]\n"
        "routes: [{id: declare, system: pension, method: POST, path: /declarations}]\n"
    )
    good = CliRunner().invoke(tongguan, ["gatekeeper", "--check", str(path)])
    path.write_text(path.read_text().replace("system: pension", "system: pensoin"))
    bad = CliRunner().invoke(tongguan, ["gatekeeper", "--check", str(path)])

    assert (good.exit_code, good.output) == (0, f"{path}: good\n")
    told = "gatekeeper.yaml:4 routes[0].system: no system named 'pensoin' (did you mean 'pension'?)\n"
    assert (bad.exit_code, bad.stderr) == (2, told)


def copy_of(world, tmp_path_factory):
    target = tmp_path_factory.mktemp("old") / "config"
    shutil.copytree(world.folder, target)
    return target


def test_the_settings_of_a_part_are_shown_as_a_table(run):
    """Without a part, those of both files."""
    assert "| `window` | duration | `5m` |" in run("schema", "plugins.channels.app:App", "--format", "markdown").stdout
    assert "### policy.yaml" in run("schema", "--format", "markdown").stdout


@pytest.mark.parametrize("which", ["static", "policy", "tests.configuration.config_parts:Door"])
def test_a_schema_refers_only_to_what_it_defines(run, which):
    schema = json.loads(run("schema", which).stdout)

    references = set(references_in(schema))
    assert {f"#/$defs/{name}".replace(" ", "%20") for name in schema["$defs"]} >= references
    assert "#/$defs/reference" in references


def references_in(schema):
    if isinstance(schema, dict):
        yield from [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        schema = schema.values()
    if not isinstance(schema, str | int | float | bool | None):
        for inner in schema:
            yield from references_in(inner)


def test_a_schema_lets_nothing_but_a_reference_stand_for_a_secret(run):
    key = json.loads(run("schema", "static").stdout)["$defs"]["IdentitySettings"]["properties"]["key"]

    assert {"title", "description", "$ref"} == key.keys()
    assert key["$ref"] == "#/$defs/reference"


def test_the_policy_schema_knows_the_settings_of_the_parts_that_ship(run):
    schema = json.loads(run("schema", "policy").stdout)

    uses = {rule["if"]["properties"]["use"]["const"] for rule in schema["$defs"]["ChannelSettings"]["allOf"]}
    assert {"plugins.channels.web:Web", "plugins.channels.app:App"} <= uses
    assert "window" in schema["$defs"]["config of plugins.channels.app:App"]["properties"]


def test_a_schema_of_nothing_is_a_usage_error(run):
    assert run("schema", "none:Such").exit_code == 2


def test_items_are_listed_and_shown(run):
    listed = json.loads(run("items", "list", "--format", "json").stdout)
    shown = run("items", "show", "settlements")

    assert [item["code"] for item in listed] == ["guides", "settlements"]
    assert "/guides/{id}" in run("items", "list").stdout
    assert "64KiB" in shown.stdout
    assert "住院结算" in shown.stdout


def test_an_item_is_shown_with_what_its_missing_keys_mean(run):
    shown = {
        line.split()[0]: line.split(maxsplit=1)[1].strip()
        for line in run("items", "show", "guides").stdout.splitlines()
        if line.strip(" ─━")
    }

    assert shown["verifiers"] == "all"
    assert shown["reauthorize"] == "[]"
    assert shown["limits.rate"] == shown["limits.subject_rate"] == "not limited"


def test_a_table_that_goes_to_a_file_is_not_cut(run, world):
    long = "/" + "x" * 400 + "/{id}"
    world.edit("policy.yaml", "/guides/{id}", long)

    assert long in run("items", "list").stdout


def tongguan_process(*arguments, **kept):
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments], stderr=subprocess.PIPE, text=True, check=False, **kept
    )


def test_an_output_that_takes_nothing_is_told_in_one_sentence(world):
    with open("/dev/full", "w") as full:
        done = tongguan_process("--config", str(world.path), "items", "list", stdout=full)

    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device\n")


def test_an_output_without_chinese_still_gets_everything(world):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = tongguan_process("--config", str(world.path), "items", "list", stdout=subprocess.PIPE, env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u529e" in done.stdout


def test_the_version_is_an_option_as_well(run):
    assert run("--version").stdout == run("version").stdout


def test_an_unknown_item_is_told_with_what_was_meant(run):
    result = run("items", "show", "guide")

    assert (result.exit_code, result.stderr) == (1, "Error: no item has the code 'guide' (did you mean 'guides'?)\n")


def test_plugins_are_listed_and_their_settings_shown_by_name(run):
    listed = json.loads(run("plugins", "list", "--format", "json").stdout)
    schema = json.loads(run("plugins", "schema", "web").stdout)

    assert {"use": "plugins.channels.web:Web", "kind": "channels"}.items() <= next(
        one for one in listed if one["use"] == "plugins.channels.web:Web"
    ).items()
    assert "window" in schema["properties"]


def test_nothing_is_coloured_where_no_terminal_is(run):
    assert "\x1b" not in run("items", "list").stdout
    assert "\x1b" not in run("check").stdout


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)]
)
def test_no_color_takes_the_colour_from_a_terminal(world, environment, coloured):
    """`color=True` is a terminal; an empty NO_COLOR counts as none (no-color.org)."""
    arguments = ["--config", str(world.path), "check"]

    result = CliRunner().invoke(tongguan, arguments, env={"NO_COLOR": None} | environment, color=True)

    assert ("\x1b" in result.stdout) is coloured


def test_explain_says_whether_a_request_would_be_carried(run):
    result = run("explain", "GET", "/nowhere", "--format", "json")

    explained = json.loads(result.stdout)
    assert (result.exit_code, explained["carried"], explained["status"]) == (1, False, 404)


@pytest.mark.parametrize(
    "arguments",
    [["-H", "no colon"], ["--as", "kind=natural"], ["--as", "subject=a,age=5"], ["--certificate", "0A:0B"]],
)
def test_explain_refuses_what_is_no_question(run, arguments):
    assert run("explain", "GET", "/guides/1", *arguments).exit_code == 2


def test_version_is_printed(run):
    assert run("version").stdout.startswith("tongguan ")

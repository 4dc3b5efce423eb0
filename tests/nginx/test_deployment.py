"""What can be known of the image, the units and the compose file without an engine: they fit the project as it is."""

import configparser
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import tongguan
from gateway.settings import StaticSettings

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DRAIN = StaticSettings.model_fields["drain"].default


def stages():
    """The Dockerfile's stages: lists of (instruction, arguments), each beginning with its FROM."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            instruction, _, arguments = line.partition(" ")
            if instruction == "FROM":
                found.append([])
            found[-1].append((instruction, arguments))
    return found


def of(stage, instruction):
    """All arguments of one instruction in a stage."""
    return [arguments for name, arguments in stage if name == instruction]


def copied():
    """Sources that the build stage copies, with their targets."""
    for arguments in of(stages()[0], "COPY"):
        *sources, target = arguments.split()
        yield from ((source, target) for source in sources)


def accepted(words):
    """Whether the command line takes these words; what they ask for is not done."""
    return CliRunner().invoke(tongguan, [*words, "--help"]).exit_code == 0


def test_the_build_context_holds_what_is_copied_and_nothing_secret():
    """.dockerignore keeps everything out but these."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert rules[1] == "*"
    assert let_in == {source for source, _ in copied()}
    assert all((ROOT / source).exists() for source in let_in)


def test_a_wheel_of_what_is_copied_holds_all_packages_and_their_data(tmp_path):
    """Built as the image builds it, from the copied files alone."""
    context, out = tmp_path / "context", tmp_path / "out"
    for source, target in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (context / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, context / target)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(out), str(context)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)
    if "No matching distribution" in built.stderr:
        pytest.skip("no package index to get the build requirements of pyproject.toml from")
    assert built.returncode == 0, built.stderr
    [wheel] = out.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert expected_in_wheel() <= held
    assert {name.split("/")[0] for name in held if ".dist-info/" not in name} == {"gateway", "plugins", "sandbox"}
    [entry_points] = [name for name in held if name.endswith("entry_points.txt")]
    assert "tongguan = gateway.cli:main" in zipfile.ZipFile(wheel).read(entry_points).decode()


def expected_in_wheel():
    """Every module, and every file that package_data names."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = {path for package in ("gateway", "plugins", "sandbox") for path in (ROOT / package).rglob("*.py")}
    for package, patterns in setup["options.package_data"].items():
        wanted |= {path for pattern in patterns.split(",") for path in (ROOT / package).glob(pattern.strip())}
    names = {str(path.relative_to(ROOT)) for path in wanted}
    for needed in ("gateway/py.typed", "plugins/example.py", "sandbox/*.html", "sandbox/config/edge/items/*.yaml"):
        assert fnmatch.filter(names, needed)
    return names


def test_the_image_runs_as_nobody_special_and_builds_nothing():
    """A number as user, so that orchestrators can check it; no compiler, no package manager of Python."""
    build, final = stages()
    assert of(final, "USER") == ["10001:10001"]
    assert of(final, "STOPSIGNAL") == ["SIGTERM"]
    assert of(final, "VOLUME") == ['["/etc/tongguan"]']
    assert "pip uninstall" in " ".join(of(final, "RUN"))
    assert "apt" not in " ".join(of(final, "RUN"))
    assert of(build, "FROM") == ["python:3.12-slim AS build"]
    assert of(final, "FROM") == ["python:3.12-slim"]


def test_the_image_s_commands_are_commands():
    """Entry point with its arguments, and the health check."""
    final = stages()[1]
    [program, *words] = json.loads(of(final, "ENTRYPOINT")[0]) + json.loads(of(final, "CMD")[0])
    assert program == "tongguan"
    assert accepted(words)
    check = json.loads(of(final, "HEALTHCHECK")[0].partition("CMD ")[2])
    assert check[0] == "tongguan"
    assert accepted(check[1:])
    assert not accepted(["no-such-command"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_command_and_waits_longer_than_its_drain(unit):
    """systemd would kill what is under way otherwise."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    program, *words = shlex.split(settings["ExecStart"])
    assert program == "/opt/tongguan/bin/tongguan"
    assert accepted(words)
    longest = DRAIN if "serve" in words else 10
    assert int(settings["TimeoutStopSec"]) > longest
    assert settings["Type"] == ("exec" if "gatekeeper" in words else "notify")
    assert settings["RestartPreventExitStatus"] == "2"
    for hardened in ("NoNewPrivileges", "MemoryDenyWriteExecute", "PrivateDevices", "RestrictSUIDSGID"):
        assert settings[hardened] == "yes"


def test_in_compose_no_two_are_on_one_network():
    """The edge has no way to a business system, nginx none to either; sockets on volumes are all they share."""
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks == {"nginx": {"public"}, "edge": {"outside"}, "gatekeeper": {"business"}}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    shared = {
        name: {one.split(":")[0] for one in service["volumes"] if not one.startswith(".")}
        for name, service in SERVICES.items()
    }
    assert shared["nginx"] & shared["gatekeeper"] == set()
    assert shared["edge"] == {"edge-socket", "ferry-socket", "ledger"} == set(COMPOSE["volumes"])


def test_in_compose_what_is_asked_of_the_operator_is_written_down():
    """Files and folders that are mounted or read, and are not in the repository."""
    guide = (ROOT / "deploy" / "README.md").read_text()
    mounted = {one.split(":")[0] for service in SERVICES.values() for one in service["volumes"]}
    wanted = {one.removeprefix("./") for one in mounted if one.startswith("./")}
    wanted |= {file for service in SERVICES.values() for file in service.get("env_file", ())}
    assert wanted == {"edge", "gatekeeper", "tls", "edge.env", "gatekeeper.env"}
    assert [name for name in sorted(wanted) if f"deploy/{name}" not in guide] == []


@pytest.mark.parametrize("name", SERVICES)
def test_in_compose_nobody_may_write_or_become_more(name):
    """Read-only, without capabilities; what is mounted from the machine is read-only too."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(one.endswith(":ro") for one in service["volumes"] if one.startswith("."))
    if service["image"] == "tongguan" and "command" in service:
        assert accepted(service["command"])

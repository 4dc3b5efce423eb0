"""`make run` and `make test` on machines that lack something: a sentence says what, and what to do."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVIRONMENT = ROOT / "scripts" / "environment"
PACKAGES = ROOT / "scripts" / "system-packages"
IN_PACKAGE = {"chromedriver": "chromium-driver", "nginx": "nginx-light", "postgres": "postgresql"}
ON_EVERY_DEBIAN = {"bash", "sed", "setpriv", "taskset"}


@pytest.fixture
def machine(tmp_path):
    """A machine with nothing but the given programs, as shell scripts; gives a function that runs a command there."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def run(*command, **programs):
        for name, script in programs.items():
            (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name.replace("_", "-")).chmod(0o755)
        return subprocess.run(
            ["/bin/sh", *map(str, command)],
            env={"PATH": str(folder), "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def test_without_a_new_enough_python_it_says_which_is_needed(machine):
    """An older one is not taken."""
    ended = machine(ENVIRONMENT, "venv", ".", python3="exit 1")
    assert ended.returncode == 1
    assert "Python 3.11 or newer is needed" in ended.stderr
    assert "apt install python3 python3-venv" in ended.stderr


def test_without_the_venv_module_it_names_the_package(machine):
    """As on a bare Debian."""
    ended = machine(ENVIRONMENT, "venv", ".", python3='case "$2" in *ensurepip*) exit 1;; esac')
    assert ended.returncode == 1
    assert "apt install python3-venv" in ended.stderr


def test_when_a_package_has_to_be_built_without_a_compiler_it_says_so(machine):
    """Only after pip has failed: with binary packages nobody needs one."""
    pip_fails = 'mkdir -p venv/bin; printf "#!/bin/sh\\nexit 1\\n" > venv/bin/python; chmod +x venv/bin/python'
    python = f'case "$1" in --version) echo Python 3.12;; -c) ;; *) {pip_fails};; esac'
    ended = machine(ENVIRONMENT, "venv", ".", python3=python, mkdir='/bin/mkdir "$@"', chmod='/bin/chmod "$@"')
    assert ended.returncode == 1
    assert "no C compiler" in ended.stderr
    assert "build-essential" in ended.stderr


def test_where_packages_cannot_be_installed_they_are_listed(machine, tmp_path):
    """Not root: the tests that need them are skipped, and this says which packages those are."""
    wanted = tmp_path / "packages.txt"
    wanted.write_text("curl  # asks\nnginx-light\n")
    tools = {"sed": '/bin/sed "$@"', "id": "echo 1000"}
    ended = machine(PACKAGES, wanted, **tools)
    assert ended.returncode == 0
    assert ended.stdout.startswith("not installed here: curl nginx-light")


def needed_programs():
    """What the marks `needs(program, …)` of all tests name."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "needs":
                yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_what_tests_need_is_installed_for_them():
    """A machine on which somebody has installed it by hand hides that it is missing everywhere else."""
    installed = {line.split()[0] for line in (ROOT / "tests" / "packages.txt").read_text().splitlines()}
    needed = {IN_PACKAGE.get(program, program) for program in needed_programs()}
    assert "wrk" in needed
    assert needed - installed <= ON_EVERY_DEBIAN


def run_pytest(folder, *options):
    (folder / "test_sample.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs('no-such-program')\n"
        "def test_that_needs_it(): raise AssertionError\n"
        "def test_that_does_not(): pass\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "setup.cfg"), "-p", "conftest", *options, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_test_whose_program_is_missing_is_skipped_and_named(tmp_path):
    """Exactly that one."""
    ended = run_pytest(tmp_path)
    assert ended.returncode == 0
    assert "1 passed, 1 skipped" in ended.stdout
    assert "no-such-program is not installed" in ended.stdout


def test_in_ci_a_skipped_test_is_a_failure(tmp_path):
    """`make test CI=1`: a machine that cannot run everything proves nothing."""
    ended = run_pytest(tmp_path, "--no-skip")
    assert ended.returncode == 1
    assert "nothing may be skipped here: Skipped: no-such-program is not installed" in ended.stdout

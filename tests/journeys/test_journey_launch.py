"""`tongguan sandbox` as a process: how it starts, what it says, and how everything of it ends."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from sandbox_world import DEADLINE, Launched, free_base, runs

from sandbox.furnishing import furnish
from sandbox.places import Places
from sandbox.welcome import commands


def launch(*arguments):
    command = [sys.executable, "-m", "sandbox.launch", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)


def test_a_port_in_use_is_named_with_a_way_out():
    """Exit code 2, and nothing was started."""
    base = free_base()
    with socket.create_server(("127.0.0.1", base + 20)):
        ended = launch("--base-port", str(base))
    assert ended.returncode == 2
    assert f"port {base + 20} (province) is in use" in ended.stderr
    other = base + 1000
    assert f"make run RUN='--base-port {other}' (tongguan sandbox --base-port {other})" in ended.stderr
    assert "端口被占用" in ended.stderr


def test_a_folder_of_another_base_port_is_left_alone(tmp_path):
    """Exit code 2: its files, which stay as they are, name other ports."""
    furnish(Places(12000, tmp_path / "sandbox"))
    ended = launch("--base-port", "12100", "--dir", str(tmp_path / "sandbox"))
    assert ended.returncode == 2
    assert "does not listen on 127.0.0.1:12100" in ended.stderr


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    """Exit code 2; the sandbox writes into an empty folder or its own."""
    (tmp_path / "letter.txt").write_text("dear")
    ended = launch("--base-port", str(free_base()), "--dir", str(tmp_path))
    assert ended.returncode == 2
    assert "holds something else" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """Exit code 2 and a sentence instead of a traceback."""
    (tmp_path / "file").write_text("")
    ended = launch("--base-port", str(free_base()), "--dir", str(tmp_path / "file" / "sandbox"))
    assert ended.returncode == 2
    assert "choose another folder with --dir" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("port", ["80", "65530", "http", "８０８０"])
def test_a_base_port_that_cannot_be_is_refused(port):
    """Exit code 2 from the command line."""
    assert launch("--base-port", port).returncode == 2


def test_every_secret_file_is_for_its_owner_only(sandbox):
    """Keys, and the folders that hold them."""
    places = sandbox.places
    for folder in (places.edge / "secrets", places.gatekeeper / "secrets"):
        assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert places.directory.stat().st_mode & 0o077 == 0


def test_the_commands_that_it_prints_work_as_they_stand(sandbox):
    """All of them in one shell, except the tour, which has its own test."""
    lines = [line for line in commands(sandbox.places) if " tour" not in line]
    # `explain` ends with 1 because the request it explains would be refused; a person sees the reason.
    script = "\n".join(line if "explain" not in line else f"{line} || true" for line in lines)
    ended = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    for expected in ("token-missing", '"insured"', "operator-1", '"retirement"', "event: done", "assurance-too-low"):
        assert expected in ended.stdout


def test_ctrl_c_ends_every_process_and_removes_the_folder(tmp_path):
    """SIGINT: exit code 0; no process and no file stays behind."""
    launched = Launched(tmp_path).ready()
    pids = launched.children()
    [folder] = {line.split()[2] for line in launched.said.read_text().splitlines() if "configuration" in line}
    assert len(pids) == 11
    assert "to keep them: make run RUN='--dir ./my-sandbox'" in launched.said.read_text()
    assert launched.stop(signal.SIGINT) == 0
    assert not [name for name, pid in pids.items() if runs(pid)]
    assert not os.path.exists(folder)


def test_a_saved_change_is_told_in_the_terminal_and_a_process_that_dies_ends_the_sandbox(tmp_path):
    """Both in one sandbox, because it takes so long to start; its folder, which was named, is there afterwards."""
    launched = Launched(tmp_path, "--dir", str(tmp_path / "sandbox")).ready()
    tells_a_saved_change(launched)
    ends_with_a_process_that_dies(launched)
    assert "channels: [app]" in (launched.places.edge / "items" / "assistant.yaml").read_text()


def tells_a_saved_change(launched):
    """A mistake with its place, and that nothing changed; then that all is well."""
    items = launched.places.edge / "items"
    mine, guides = items / "mine.yaml", items / "assistant.yaml"
    mine.write_text("nonsense: [1\n")
    launched.wait_until_said("✗ items/mine.yaml:2")
    launched.wait_until_said("the last good one stays)")
    mine.unlink()
    guides.write_text(guides.read_text().replace("channels: [web, app]", "channels: [app]", 1))
    launched.wait_until_said("✓ generation 2")


def ends_with_a_process_that_dies(launched):
    """Exit code 1, its name and how it ended; the others are ended too."""
    pids = launched.children()
    os.kill(pids["assistant"], signal.SIGKILL)
    assert launched.process.wait(DEADLINE) == 1
    said = launched.said.read_text()
    assert "assistant ended (by signal SIGKILL)" in said
    assert "assistant ready on" in said
    assert not [name for name, pid in pids.items() if runs(pid)]


def test_a_launcher_that_is_killed_leaves_nothing_behind(tmp_path):
    """Its processes are told by the kernel, and end."""
    launched = Launched(tmp_path, "--dir", str(tmp_path / "sandbox")).ready()
    pids = launched.children()
    launched.stop(signal.SIGKILL)
    ends = time.monotonic() + DEADLINE
    while any(map(runs, pids.values())):
        assert time.monotonic() < ends, "processes are left"
        time.sleep(0.05)
